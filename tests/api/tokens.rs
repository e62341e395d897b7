//! Tokens of every algorithm, the rotation of keys, and forged tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge, on_both,
    support::{
        OTHER_PHONE, PHONE,
        keys::{KeyFile, one_of_each, secret},
    },
};

const PROFILE: &str = "/api/auth/profile";

fn header(token: &str) -> Header {
    jsonwebtoken::decode_header(token).expect("a header")
}

/// The claims, signed with HS256, these bytes as secret, and this `kid`.
fn signed_as(kid: &str, secret: &[u8], claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).expect("it signs")
}

on_both! {
    async fn every_algorithm_takes_a_person_through(server: TestServer) {
        for (file, phone) in one_of_each().iter().zip([PHONE, OTHER_PHONE, "+919812345678"]) {
            let server = server.second_server(&file.settings()).await;
            let tokens = server.sign_in(phone).await;
            for token in [&tokens.access, &tokens.refresh] {
                let header = header(token);
                assert_eq!(header.kid.as_deref(), Some(file.kid.as_str()));
                assert_eq!(serde_json::to_value(header.alg).unwrap(), file.algorithm.as_str());
            }
            let profile = server.get_as(&tokens.access, PROFILE).await;
            assert_eq!(profile.assert_ok().text_at("/user/id"), tokens.user_id);
            // Parallel and repeated requests get one successor, even if the signatures differ.
            let [first, again] = [server.refresh(&tokens.refresh).await, server.refresh(&tokens.refresh).await];
            let jti = |answer: &crate::support::Answer| {
                forge::claim(&answer.assert_ok().text_at("/refresh"), "jti")
            };
            assert_eq!(jti(&first), jti(&again));
            server.get_as(&first.text_at("/access"), PROFILE).await.assert_ok();
            server.get_as(&first.text_at("/refresh"), PROFILE).await.assert_error(401, "token_invalid");
            let next = first.text_at("/access");
            server.send_as(&next, Method::POST, "/api/auth/logout", json!({})).await.assert_ok();
            server.get_as(&next, PROFILE).await.assert_error(401, "token_revoked");
            server.refresh(&first.text_at("/refresh")).await.assert_error(401, "token_revoked");
            // It expires like any other token.
            let tokens = { server.advance(60); server.login(phone).await.assert_ok();
                server.verify_login(phone, &server.last_code_for(phone)).await.assert_ok().text_at("/token") };
            server.advance(30 * 60);
            server.get_as(&tokens, PROFILE).await.assert_error(401, "token_expired");
        }
    }

    async fn a_secret_changes_with_nobody_signed_out(server: TestServer) {
        let [old, new] = [secret(), secret()];
        let before = server.second_server(&[("JWT_SECRET_KEY", &old)]).await;
        let tokens = before.sign_in(PHONE).await;
        let after = server.second_server(&[("JWT_SECRET_KEY", &new), ("JWT_PREVIOUS_KEYS", &old)]).await;
        after.get_as(&tokens.access, PROFILE).await.assert_ok();
        let next = after.refresh(&tokens.refresh).await;
        next.assert_ok();
        let done = server.second_server(&[("JWT_SECRET_KEY", &new)]).await;
        done.get_as(&next.text_at("/access"), PROFILE).await.assert_ok();
        done.refresh(&next.text_at("/refresh")).await.assert_ok();
        done.get_as(&tokens.access, PROFILE).await.assert_error(401, "token_invalid");
        done.refresh(&tokens.refresh).await.assert_error(401, "token_invalid");
    }

    async fn the_algorithm_changes_with_nobody_signed_out(server: TestServer) {
        let old = secret();
        let file = KeyFile::new(loopin_auth::commands::keys::KeyAlgorithm::EdDsa);
        let before = server.second_server(&[("JWT_SECRET_KEY", &old)]).await;
        // First every server gets the new key, and still signs with the old one.
        let with_new_key = server
            .second_server(&[("JWT_SECRET_KEY", &old), ("JWT_PREVIOUS_KEYS", file.path())]).await;
        let listed = format!("secret:{old}");
        let after = server
            .second_server(&[&file.settings()[..], &[("JWT_PREVIOUS_KEYS", &listed)]].concat()).await;
        assert_eq!(with_new_key.get("/.well-known/jwks.json").await.text, after.get("/.well-known/jwks.json").await.text);

        let tokens = before.sign_in(PHONE).await;
        assert_eq!(header(&tokens.access).alg, Algorithm::HS256);
        for other in [&with_new_key, &after] {
            other.get_as(&tokens.access, PROFILE).await.assert_ok();
        }
        // The first pair with the new key, and the same pair from a server that signs with the old one.
        let [new, repeated] = [after.refresh(&tokens.refresh).await, with_new_key.refresh(&tokens.refresh).await];
        let [new_refresh, repeated_refresh] = [&new, &repeated].map(|pair| pair.assert_ok().text_at("/refresh"));
        assert_eq!((header(&new_refresh).alg, header(&repeated_refresh).alg), (Algorithm::EdDSA, Algorithm::HS256));
        assert_eq!(forge::claim(&new_refresh, "jti"), forge::claim(&repeated_refresh, "jti"));
        for other in [&with_new_key, &after] {
            other.get_as(&new.text_at("/access"), PROFILE).await.assert_ok();
        }
        // A server without the new key refuses these tokens, but does not end the session.
        before.refresh(&new_refresh).await.assert_error(401, "token_invalid");
        let last = with_new_key.refresh(&new_refresh).await;
        last.assert_ok();
        let done = server.second_server(&file.settings()).await;
        done.get_as(&new.text_at("/access"), PROFILE).await.assert_ok();
        done.get_as(&last.text_at("/access"), PROFILE).await.assert_error(401, "token_invalid");
        // A secret that is set but not listed verifies nothing.
        let unlisted = server.second_server(&[&file.settings()[..], &[("JWT_SECRET_KEY", &old)]].concat()).await;
        unlisted.get_as(&tokens.access, PROFILE).await.assert_error(401, "token_invalid");
    }

    async fn tokens_from_before_keys_had_names_go_on(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let [access, refresh] =
            [&tokens.access, &tokens.refresh].map(|token| forge::signed(&server, &forge::claims(token)));
        assert_eq!(header(&access).kid, None);
        server.get_as(&access, PROFILE).await.assert_ok();
        server.refresh(&refresh).await.assert_ok();
        assert!(header(&tokens.access).kid.is_some_and(|kid| kid.len() == 16));
    }

    async fn a_public_key_signs_nothing(server: TestServer) {
        for (file, phone) in one_of_each().iter().zip([PHONE, OTHER_PHONE, "+919812345678"]) {
            let server = server.second_server(&file.settings()).await;
            let tokens = server.sign_in(phone).await;
            let claims = forge::claims(&tokens.access);
            let jwk = server.get("/.well-known/jwks.json").await.at("/keys/0");
            let mut forged = vec![
                forge::signed(&server, &claims),
                forge::unsigned("none", &claims),
                forge::altered(&tokens.access, &forge::with(claims.clone(), json!({ "role": "admin" }))),
                signed_as(&file.kid, jwk.to_string().as_bytes(), &claims),
                signed_as(&file.kid, file.pem.as_bytes(), &claims),
                signed_as(&file.kid, server.setting("JWT_SECRET_KEY").as_bytes(), &claims),
            ];
            for member in ["x", "y", "n"].iter().filter_map(|member| jwk[member].as_str()) {
                forged.push(signed_as(&file.kid, member.as_bytes(), &claims));
            }
            // The header contains the key.
            let header = Header {
                jwk: serde_json::from_value::<Jwk>(jwk.clone()).ok(),
                jku: Some("https://attacker.example/jwks.json".to_owned()),
                kid: Some(file.kid.clone()),
                ..Header::new(Algorithm::HS256)
            };
            forged.push(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(b"mine")).unwrap());
            for token in &forged {
                server.get_as(token, PROFILE).await.assert_error(401, "token_invalid");
                server.refresh(token).await.assert_error(401, "token_invalid");
                server.send_as(token, Method::POST, "/api/auth/logout", json!({})).await.assert_ok();
            }
            // None of these requests ended the session.
            server.get_as(&tokens.access, PROFILE).await.assert_ok();
            server.refresh(&tokens.refresh).await.assert_ok();
        }
    }

    async fn nonsense_is_no_token(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let (front, _) = tokens.access.rsplit_once('.').unwrap();
        for token in [
            "a".repeat(15_000),
            format!("{front}.{}", "A".repeat(10_000)),
            "....".to_owned(),
            format!("{front}."),
            format!("{front}.!!!!"),
            format!("{}=", tokens.access),
            format!("{0}.{0}", tokens.access),
        ] {
            server.get_as(&token, PROFILE).await.assert_error(401, "token_invalid");
            server.refresh(&token).await.assert_error(401, "token_invalid");
        }
        server.get_as(&tokens.access, PROFILE).await.assert_ok();
    }

    async fn issuer_and_audience_are_settings(server: TestServer) {
        let file = KeyFile::new(loopin_auth::commands::keys::KeyAlgorithm::Es256);
        let strict = server
            .second_server(&[&file.settings()[..], &[("JWT_ISSUER", "us"), ("JWT_AUDIENCE", "apps")]].concat())
            .await;
        let tokens = strict.sign_in(PHONE).await;
        let claims = forge::claims(&tokens.refresh);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("us"), &json!("apps")));
        strict.get_as(&tokens.access, PROFILE).await.assert_ok();
        let lax = server.second_server(&file.settings()).await;
        let other = lax.sign_in(OTHER_PHONE).await;
        strict.get_as(&other.access, PROFILE).await.assert_error(401, "token_invalid");
    }
}
