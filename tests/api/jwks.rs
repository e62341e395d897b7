//! `GET /api/auth/jwks.json` and `GET /.well-known/jwks.json`.

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge, on_both,
    support::{
        PHONE,
        keys::{KeyFile, one_of_each, secret},
    },
};

const PATHS: [&str; 2] = ["/api/auth/jwks.json", "/.well-known/jwks.json"];

/// The members of a private or a secret key (RFC 7518, section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The claims that a service with only these keys reads from a token.
fn read_with(keys: &Value, token: &str) -> Option<Value> {
    let keys: JwkSet = serde_json::from_value(keys.clone()).expect("a JWK set");
    let header = jsonwebtoken::decode_header(token).ok()?;
    let jwk = keys.find(header.kid.as_deref()?)?;
    let alg = jwk.common.key_algorithm.expect("an algorithm").to_string().parse().expect("a known one");
    let mut validation = Validation::new(alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(jwk).expect("a key");
    jsonwebtoken::decode::<Value>(token, &key, &validation).ok().map(|read| read.claims)
}

on_both! {
    async fn with_a_shared_secret_there_are_no_keys(server: TestServer) {
        for path in PATHS {
            for path in [path.to_owned(), format!("{path}/")] {
                let answer = server.get(&path).await;
                assert_eq!(answer.assert_ok().text, r#"{"keys":[]}"#, "{path}");
                assert_eq!(answer.header("content-type"), Some("application/json"));
                assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            }
        }
        // Not even the kid of a listed secret.
        let previous = secret();
        let second = server.second_server(&[("JWT_PREVIOUS_KEYS", &previous)]).await;
        assert_eq!(second.get(PATHS[0]).await.json(), json!({ "keys": [] }));
    }

    async fn all_public_keys_are_there_and_nothing_else(server: TestServer) {
        let [ed, ec, rsa] = one_of_each();
        let previous = format!("{},{},secret:{}", ec.path(), rsa.path(), secret());
        let other =
            server.second_server(&[&ed.settings()[..], &[("JWT_PREVIOUS_KEYS", &previous)]].concat()).await;
        let answer = other.get(PATHS[0]).await;
        let keys = answer.assert_ok().at("/keys");
        let keys = keys.as_array().unwrap();
        let members = |key: &Value| key.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for (key, file, kty, expected) in [
            (&keys[0], &ed, "OKP", &["kty", "alg", "use", "kid", "crv", "x"][..]),
            (&keys[1], &ec, "EC", &["kty", "alg", "use", "kid", "crv", "x", "y"][..]),
            (&keys[2], &rsa, "RSA", &["kty", "alg", "use", "kid", "n", "e"][..]),
        ] {
            assert_eq!(key["kty"], kty);
            assert_eq!(key["alg"], file.algorithm.as_str());
            assert_eq!(key["use"], "sig");
            assert_eq!(key["kid"], file.kid);
            assert_eq!(members(key), expected);
            assert!(PRIVATE.iter().all(|member| key.get(member).is_none()), "{key}");
        }
        assert_eq!(keys.len(), 3);
        assert_eq!((&keys[0]["crv"], &keys[1]["crv"]), (&json!("Ed25519"), &json!("P-256")));
        assert_eq!(keys[2]["e"], "AQAB");
        assert_eq!(other.get(PATHS[1]).await.text, answer.text);
    }

    async fn a_service_needs_nothing_else_to_read_a_token(server: TestServer) {
        for (file, phone) in one_of_each().iter().zip(["+916205829376", "+919876543210", "+919812345678"]) {
            let server = server.second_server(&file.settings()).await;
            let tokens = server.sign_in(phone).await;
            let keys = server.get(PATHS[1]).await.json();
            let claims = read_with(&keys, &tokens.access).expect("the keys fit");
            assert_eq!(claims["user_id"], tokens.user_id);
            assert_eq!((&claims["token_type"], &claims["phone_number"]), (&json!("access"), &json!(phone)));
            let other = forge::with(claims, json!({ "role": "admin" }));
            assert_eq!(read_with(&keys, &forge::altered(&tokens.access, &other)), None);
        }
    }

    async fn keys_that_did_not_change_are_not_sent_again(server: TestServer) {
        let file = KeyFile::new(loopin_auth::commands::keys::KeyAlgorithm::EdDsa);
        let signing = server.second_server(&file.settings()).await;
        for path in PATHS {
            let tag = signing.get(path).await.header("etag").unwrap().to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
            for (given, status) in [
                (tag.clone(), 304),
                (format!("W/{tag}"), 304),
                (format!("\"another\", {tag}"), 304),
                ("*".to_owned(), 304),
                ("\"another\"".to_owned(), 200),
                (tag.trim_matches('"').to_owned(), 200),
                (String::new(), 200),
            ] {
                let answer = signing.send(Method::GET, path, &[("if-none-match", &given)], None).await;
                assert_eq!(answer.status.as_u16(), status, "{given}");
                assert_eq!(answer.text.is_empty(), status == 304, "{given}");
                assert_eq!(answer.header("etag"), Some(tag.as_str()));
                assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            }
            // Servers with the same keys give the same answer, servers with other keys another.
            let twin = server.second_server(&file.settings()).await;
            assert_eq!(twin.get(path).await.header("etag"), Some(tag.as_str()));
            assert_ne!(server.get(path).await.header("etag"), Some(tag.as_str()));
        }
    }

    async fn it_is_only_there_to_be_read(server: TestServer) {
        for path in PATHS {
            let head = server.send(Method::HEAD, path, &[], None).await;
            assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
            let answer = server.post(path, json!({})).await;
            answer.assert_error(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
        // No sign-in is needed, and a signed-in user gets the same answer.
        let tokens = server.sign_in(PHONE).await;
        assert_eq!(server.get_as(&tokens.access, PATHS[0]).await.text, server.get(PATHS[0]).await.text);
    }
}
