//! `GET /.well-known/openid-configuration`: there only if the issuer is this server, and with nothing that is not there.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge, on_both,
    support::{
        PHONE, TestServer,
        keys::{KeyFile, one_of_each},
    },
};

const PATH: &str = "/.well-known/openid-configuration";
const BASE: &str = "https://auth.example.com";

async fn issuer(server: &TestServer, more: &[(&str, &str)]) -> TestServer {
    let own = [("PUBLIC_BASE_URL", BASE), ("JWT_ISSUER", BASE)];
    server.second_server(&[&own, more].concat()).await
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

on_both! {
    async fn an_issuer_of_another_name_has_no_document(server: TestServer) {
        server.get(PATH).await.assert_error(404, "not_found");
        for (name, base, iss) in [
            ("no issuer", Some(BASE), None),
            ("no address", None, Some(BASE)),
            ("another host", Some(BASE), Some("https://other.example.com")),
            ("another scheme", Some(BASE), Some("http://auth.example.com")),
            ("another port", Some(BASE), Some("https://auth.example.com:8443")),
            ("another path", Some(BASE), Some("https://auth.example.com/issuer")),
            ("a query", Some(BASE), Some("https://auth.example.com/?a=b")),
            ("no URL", Some(BASE), Some("auth.example.com")),
        ] {
            let settings = [("PUBLIC_BASE_URL", base), ("JWT_ISSUER", iss)];
            let settings: Vec<_> = settings.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let other = server.second_server(&settings).await;
            let answer = other.get(PATH).await;
            answer.assert_error(404, "not_found");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
        }
    }

    async fn the_document_leads_to_the_keys(server: TestServer) {
        for file in one_of_each() {
            let server = issuer(&server, &file.settings()).await;
            for path in [PATH.to_owned(), format!("{PATH}/")] {
                let answer = server.get(&path).await;
                assert_eq!(answer.assert_ok().header("cache-control"), Some("public, max-age=300"));
                assert_eq!(answer.header("content-type"), Some("application/json"));
                let document = answer.json();
                assert_eq!(document["issuer"], BASE);
                assert_eq!(document["id_token_signing_alg_values_supported"], json!([file.algorithm.as_str()]));
                let keys = document["jwks_uri"].as_str().unwrap().strip_prefix(BASE).unwrap();
                assert_eq!(server.get(keys).await.assert_ok().at("/keys/0/kid"), file.kid);
            }
        }
    }

    async fn it_says_nothing_that_is_not_there(server: TestServer) {
        let server = issuer(&server, &[]).await;
        let answer = server.get(PATH).await;
        let document = answer.assert_ok().json();
        let members: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(members, [
            "issuer", "jwks_uri", "introspection_endpoint", "introspection_endpoint_auth_methods_supported",
            "response_types_supported", "grant_types_supported", "subject_types_supported",
            "id_token_signing_alg_values_supported", "claims_supported",
        ]);
        assert_eq!(document["response_types_supported"], json!([]));
        assert_eq!(document["grant_types_supported"], json!([]));
        assert_eq!(document["subject_types_supported"], json!(["public"]));
        assert_eq!(document["introspection_endpoint"], format!("{BASE}/api/auth/introspect"));
        // With a shared secret there is no public key.
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["HS256"]));
        assert_eq!(server.get("/.well-known/jwks.json").await.json(), json!({"keys": []}));
        server.send(Method::POST, PATH, &[], None).await.assert_error(405, "method_not_allowed");
    }

    async fn its_claims_are_those_of_the_tokens(server: TestServer) {
        for (settings, more) in [
            (vec![], vec![]),
            (vec![("JWT_CLAIMS", "needs_profile_completion,email_verified"), ("JWT_AUDIENCE", "loopin")],
             vec!["aud", "needs_profile_completion"]),
            (vec![("GUESTS", "on")], vec!["phone_verified"]),
        ] {
            let server = issuer(&server, &settings).await;
            let listed = texts(&server.get(PATH).await.at("/claims_supported"));
            let mut distinct = listed.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), listed.len(), "{listed:?}");
            for name in &more {
                assert!(listed.iter().any(|claim| claim == name), "{name} in {listed:?}");
            }
            server.advance(60);
            let token = server.sign_in(PHONE).await.access;
            let claims = forge::claims(&token);
            for name in claims.as_object().unwrap().keys() {
                assert!(listed.contains(name), "{name} in {listed:?}");
            }
            assert_eq!(claims["iss"], BASE);
        }
    }

    async fn a_slash_at_the_end_is_no_other_issuer(server: TestServer) {
        for (base, iss) in [(BASE, "https://auth.example.com/"), ("https://auth.example.com/", BASE)] {
            let server = server.second_server(&[("PUBLIC_BASE_URL", base), ("JWT_ISSUER", iss)]).await;
            let document = server.get(PATH).await.assert_ok().json();
            // The issuer is what the tokens say, to the letter.
            assert_eq!(document["issuer"], iss);
            assert_eq!(document["jwks_uri"], "https://auth.example.com/.well-known/jwks.json");
            server.advance(60);
            assert_eq!(forge::claim(&server.sign_in(PHONE).await.access, "iss"), iss);
        }
    }

    async fn algorithms_of_keys_that_still_verify_are_listed(server: TestServer) {
        let old = KeyFile::new(loopin_auth::commands::keys::KeyAlgorithm::EdDsa);
        let [_, new, _] = one_of_each();
        let settings = [&new.settings()[..], &[("JWT_PREVIOUS_KEYS", old.path())]].concat();
        let document = issuer(&server, &settings).await.get(PATH).await.json();
        let both = [new.algorithm.as_str(), old.algorithm.as_str()];
        assert_eq!(texts(&document["id_token_signing_alg_values_supported"]), both);
    }
}
