//! The well-known attacks on JSON Web Tokens, sent over HTTP: RFC 8725 and the usual lists of penetration testers.
//!
//! `crates/domain/src/access/tests/vectors.rs` has the same attacks for every algorithm, without a server.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use loopin_auth::commands::keys::KeyAlgorithm;
use serde_json::{Value, json};

use crate::{
    forge::{claims, with},
    on_both,
    support::{PHONE, TestServer, Tokens, keys::KeyFile},
};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Any header and any claims, signed with this key.
fn forged(header: &str, payload: impl AsRef<[u8]>, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("it signs");
    format!("{message}.{signature}")
}

/// Checks that the token opens no route, refreshes nothing, and ends no session.
async fn assert_opens_nothing(server: &TestServer, good: &Tokens, why: &str, token: &str) {
    let answer = server.get_as(token, "/api/auth/profile").await;
    assert_eq!(answer.text_at("/error/code"), "token_invalid", "{why}: {}", answer.text);
    answer.assert_error(401, "token_invalid");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{why}");
    let answer = server.refresh(token).await;
    assert_eq!(answer.text_at("/error/code"), "token_invalid", "{why}: {}", answer.text);
    server.post("/api/auth/logout", json!({ "refresh": token })).await.assert_ok();
    server.get_as(&good.access, "/api/auth/profile").await.assert_ok();
}

/// Headers and payloads that get a valid signature, or the one of the attack.
fn headers_and_payloads(good: &Tokens) -> Vec<(&'static str, String, Vec<u8>)> {
    let payload = claims(&good.access).to_string().into_bytes();
    let deep = format!("{{\"alg\":\"HS256\",\"a\":{}1{}}}", "[".repeat(600), "]".repeat(600));
    let same = |why, header: &str| (why, header.to_owned(), payload.clone());
    let other = |why, changes: Value| {
        let payload = with(claims(&good.access), changes).to_string().into_bytes();
        (why, json!({ "alg": "HS256" }).to_string(), payload)
    };
    vec![
        same("none", r#"{"alg":"none"}"#),
        same("nOnE", r#"{"alg":"nOnE"}"#),
        same("no alg", "{}"),
        same("a null alg", r#"{"alg":null}"#),
        same("an alg of another case", r#"{"alg":"hs256"}"#),
        same("another HMAC", r#"{"alg":"HS512"}"#),
        same("RS256", r#"{"alg":"RS256"}"#),
        same("ES256", r#"{"alg":"ES256"}"#),
        same("two algs", r#"{"alg":"none","alg":"HS256"}"#),
        same("kid: a file", r#"{"alg":"HS256","kid":"../../../../dev/null"}"#),
        same("kid: SQL", r#"{"alg":"HS256","kid":"x' UNION SELECT 'key'--"}"#),
        same("kid: a command", r#"{"alg":"HS256","kid":"|/usr/bin/id"}"#),
        same("kid: an address", r#"{"alg":"HS256","kid":"https://attacker.example/key"}"#),
        same("kid: NUL", r#"{"alg":"HS256","kid":"\u0000"}"#),
        same("kid: a number", r#"{"alg":"HS256","kid":0}"#),
        same("kid: huge", &format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(2000))),
        same("crit", r#"{"alg":"HS256","crit":["exp"]}"#),
        same("an unencoded payload", r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#),
        same("another type", r#"{"alg":"HS256","typ":"logout+jwt"}"#),
        same("a header that is no object", r#"["HS256"]"#),
        same("a header that is deep", &deep),
        same("no header", ""),
        other("exp as a text", json!({"exp": "4102444800"})),
        other("exp as a fraction", json!({"exp": 4_102_444_800.5})),
        other("exp beyond every number", json!({"exp": 1e300})),
        other("exp beyond ours", json!({"exp": u64::MAX})),
        other("exp as truth", json!({"exp": true})),
        other("iat as a text", json!({"iat": "now"})),
        (
            "a token in the token",
            r#"{"alg":"HS256","cty":"JWT"}"#.to_owned(),
            good.access.clone().into_bytes(),
        ),
        // "{}" as a stored block of DEFLATE.
        ("packed claims", r#"{"alg":"HS256","zip":"DEF"}"#.to_owned(), b"\x01\x02\x00\xfd\xff{}".to_vec()),
        ("claims twice", r#"{"alg":"HS256"}"#.to_owned(), {
            let twice = String::from_utf8(payload.clone()).expect("JSON").replacen(
                '{',
                r#"{"token_type":"access","#,
                1,
            );
            twice.into_bytes()
        }),
        ("no claims", r#"{"alg":"HS256"}"#.to_owned(), Vec::new()),
    ]
}

on_both! {
    async fn the_well_known_attacks_open_nothing(server: TestServer) {
        let good = server.sign_in(PHONE).await;
        let key = EncodingKey::from_secret(server.setting("JWT_SECRET_KEY").as_bytes());
        for (why, header, payload) in headers_and_payloads(&good) {
            assert_opens_nothing(&server, &good, why, &forged(&header, payload, &key, Algorithm::HS256)).await;
        }
        // A refresh token used as an access token, and vice versa.
        server.get_as(&good.refresh, "/api/auth/profile").await.assert_error(401, "token_invalid");
        server.refresh(&good.access).await.assert_error(401, "token_invalid");
        // An expired token of this server is reported as expired, however old it is.
        for end in [-1, 0, 1, i64::MIN] {
            let old = with(claims(&good.access), json!({ "exp": end })).to_string();
            let token = forged(r#"{"alg":"HS256"}"#, old, &key, Algorithm::HS256);
            server.get_as(&token, "/api/auth/profile").await.assert_error(401, "token_expired");
        }
    }

    async fn a_token_has_one_spelling(server: TestServer) {
        let good = server.sign_in(PHONE).await;
        let (head, signature) = good.access.rsplit_once('.').unwrap();
        let (header, payload) = head.split_once('.').unwrap();
        for (why, token) in [
            ("no signature", format!("{head}.")),
            ("no signature and no dot", head.to_owned()),
            ("a dot behind", format!("{}.", good.access)),
            ("dots behind", format!("{}..", good.access)),
            ("a dot before", format!(".{}", good.access)),
            ("padding", format!("{}=", good.access)),
            ("padding of the header", format!("{header}=.{payload}.{signature}")),
            ("the other alphabet", format!("{head}.{}", "+/".repeat(21))),
            ("two signatures", format!("{}.{signature}", good.access)),
            ("a signature of zeros", format!("{head}.{}", encode([0; 32]))),
            ("JSON", json!({"protected": header, "payload": payload, "signature": signature}).to_string()),
            ("five parts, as of JWE", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
            ("huge", format!("{head}.{}", "A".repeat(9000))),
            ("parameters behind", format!("{}?x=1", good.access)),
        ] {
            assert_opens_nothing(&server, &good, why, &token).await;
        }
    }

    async fn a_key_in_the_header_is_no_key(server: TestServer) {
        let file = KeyFile::new(KeyAlgorithm::Es256);
        let server = server.second_server(&file.settings()).await;
        let good = server.sign_in(PHONE).await;
        let stranger = KeyFile::new(KeyAlgorithm::Es256);
        let key = EncodingKey::from_ec_pem(stranger.pem.as_bytes()).unwrap();
        let jwks = server.get("/api/auth/jwks.json").await;
        let published = jwks.at("/keys/0");
        let payload = claims(&good.access).to_string();
        for extra in [
            json!({ "jwk": published }), json!({ "jku": "https://attacker.example/jwks.json" }),
            json!({ "x5u": "https://attacker.example/chain.pem" }), json!({ "x5c": ["MIIB"] }),
            json!({ "x5t": "AAAA" }), json!({}),
        ] {
            for kid in [&file.kid, &stranger.kid] {
                let header = with(json!({ "alg": "ES256", "typ": "JWT", "kid": kid }), extra.clone()).to_string();
                let token = forged(&header, &payload, &key, Algorithm::ES256);
                assert_opens_nothing(&server, &good, &header, &token).await;
            }
        }
        // The public key used as a shared secret.
        let texts = [published["x"].clone(), published["y"].clone(), jwks.json(), published.clone()];
        let texts = texts.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
        for text in texts.iter().chain([&file.kid, &String::new()]) {
            let key = EncodingKey::from_secret(text.as_bytes());
            for header in [json!({ "alg": "HS256", "kid": file.kid }), json!({ "alg": "HS256" })] {
                let token = forged(&header.to_string(), &payload, &key, Algorithm::HS256);
                assert_opens_nothing(&server, &good, "a public key as a secret", &token).await;
            }
        }
        // "Psychic signatures" (CVE-2022-21449): nothing is a signature of everything.
        let head = good.access.rsplit_once('.').unwrap().0;
        for signature in [vec![0; 64], vec![0; 63], vec![255; 64], vec![], vec![0x30, 6, 2, 1, 0, 2, 1, 0]] {
            let token = format!("{head}.{}", encode(signature));
            assert_opens_nothing(&server, &good, "a signature of nothing", &token).await;
        }
    }
}
