//! `POST /api/auth/exchange`: which tokens of other systems open a session, and which do not.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey};
use loopin_auth::{commands::keys::KeyAlgorithm, domain::audit::Action};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::{claims, signed_by, unsigned, with},
    on_both,
    prefixes::entries,
    support::{
        OTHER_PHONE, PHONE, TestServer,
        issuer::{
            ISS, Issuer, PHONES, SECRET, app_claims, loopin_claims, phone_claims, signed, signed_by_key,
        },
        keys::KeyFile,
    },
};

/// The order of the group of P-256 (SEC 2, section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The other valid signature of the same token, which anyone can compute.
fn with_the_other_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0_i16;
    for place in (0..32).rev() {
        let difference = i16::from(ORDER[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An account with this id of the old system.
pub async fn moved(server: &TestServer, phone: &str, id: &str) -> String {
    let user_id = server.sign_in(phone).await.user_id;
    server.execute(&format!("UPDATE accounts SET external_id = '{id}' WHERE phone = '{phone}'")).await;
    user_id
}

/// Any header and claims, signed with the secret of the issuers.
fn forged(header: &str, claims: &Value) -> String {
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

on_both! {
    async fn without_the_file_every_token_is_invalid(server: TestServer) {
        for _ in 0..40 {
            let answer = server.exchange(&signed(&app_claims(&server, "42"))).await;
            answer.assert_error(401, "token_invalid");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
        let answer = server.post("/api/auth/exchange", json!({})).await;
        answer.assert_error(422, "validation_failed");
        assert!(answer.at("/error/fields/token").is_array(), "{}", answer.text);
    }

    async fn a_token_opens_the_account_of_its_id_once_and_sends_nothing(server: TestServer) {
        let issuer = Issuer::new().await;
        let user_id = moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        let sent = server.count("SELECT COUNT(*) FROM messages").await;
        let token = signed(&loopin_claims(&server, 42));
        let answer = server.exchange(&token).await;
        answer.assert_ok();
        assert_eq!(answer.text_at("/data/user_id"), user_id);
        assert_eq!(answer.text_at("/data/phone_number"), PHONE);
        assert_eq!((answer.at("/data/is_new"), answer.at("/data/is_verified")), (json!(false), json!(true)));
        assert_eq!(answer.text_at("/message"), "Login successful");
        let access = answer.text_at("/token");
        server.get_as(&access, "/api/auth/profile").await.assert_ok();
        server.refresh(&answer.text_at("/data/refresh_token")).await.assert_ok();
        server.exchange(&token).await.assert_error(409, "token_used");
        // A token of the same user by another issuer.
        let other = signed(&app_claims(&server, "42"));
        assert_eq!(server.exchange(&other).await.assert_ok().text_at("/data/user_id"), user_id);
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, sent);
        let opened = "SELECT COUNT(*) FROM sessions WHERE opened_by = 'exchange' AND role = 'user'";
        assert_eq!(server.count(opened).await, 2);
        let entries = entries(&server, Action::SignedIn).await;
        let last = entries.iter().rev().find(|entry| entry.detail.get("issuer") == Some(&json!("app"))).unwrap();
        assert_eq!(last.detail.get("by"), Some(&json!("exchange")));
        assert!(last.detail.get("sid").is_some() && last.detail.get("new_account").is_none());
        let refused = crate::prefixes::entries(&server, Action::SignInRefused).await;
        assert_eq!(refused[0].detail.get("reason"), Some(&json!("token_used")));
        let metrics = server.services.metrics.text();
        assert!(metrics.contains("loopin_exchanges_total{outcome=\"signed_in\"} 2"), "{metrics}");
        assert!(metrics.contains("loopin_sign_ins_total{how=\"exchange\"} 2"), "{metrics}");
    }

    async fn two_requests_with_one_token_open_one_session(server: TestServer) {
        let issuer = Issuer::new().await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        let token = signed(&loopin_claims(&server, 42));
        let answers = join_all((0..8).map(|_| server.exchange(&token))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.assert_error(409, "token_used");
        }
        let opened = "SELECT COUNT(*) FROM sessions WHERE opened_by = 'exchange' AND account_id IN \
                      (SELECT id FROM accounts WHERE external_id = '42')";
        assert_eq!(server.count(opened).await, 1);
        // Two tokens of a user without an account make one account.
        let tokens: Vec<String> = (0..6).map(|_| signed(&app_claims(&server, "new"))).collect();
        let answers = join_all(tokens.iter().map(|token| server.exchange(token))).await;
        let new = answers.iter().filter(|answer| answer.assert_ok().at("/data/is_new") == json!(true)).count();
        assert_eq!(new, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE external_id = 'new'").await, 1);
    }

    async fn a_second_signature_is_no_second_token(server: TestServer) {
        let issuer = Issuer::new().await;
        let server = issuer.trusted_by(&server, &[]).await;
        let (first, second) = (issuer.proves(&server, PHONE), issuer.proves(&server, PHONE));
        // The other signature is valid.
        server.exchange(&with_the_other_signature(&first)).await.assert_ok();
        server.exchange(&first).await.assert_error(409, "token_used");
        server.exchange(&second).await.assert_ok();
        server.exchange(&with_the_other_signature(&second)).await.assert_error(409, "token_used");
    }

    async fn our_own_tokens_open_nothing_even_with_the_same_secret(server: TestServer) {
        let issuer = Issuer::new().await;
        let settings = [("JWT_SECRET_KEY", SECRET), ("JWT_ISSUER", "https://us.example")];
        let server = issuer.trusted_by(&server, &settings).await;
        let tokens = server.sign_in(PHONE).await;
        let own = claims(&tokens.access);
        let refresh = claims(&tokens.refresh);
        let now = server.now().timestamp();
        let theirs = json!({"user_id": 42, "exp": now + 60});
        for (why, token) in [
            ("the access token", tokens.access.clone()),
            ("the refresh token", tokens.refresh.clone()),
            ("without sid", signed(&with(own.clone(), json!({"sid": null, "iss": ISS, "aud": "loopin"})))),
            ("only the jti of an access token", signed(&with(theirs.clone(), json!({"jti": own["jti"]})))),
            ("only the jti of a refresh token", signed(&with(theirs.clone(), json!({"jti": refresh["jti"]})))),
            ("only sid", signed(&with(theirs.clone(), json!({"sid": "x"})))),
            ("only iss", signed(&with(theirs.clone(), json!({"iss": "https://us.example"})))),
        ] {
            let answer = server.exchange(&token).await;
            assert_eq!(answer.text_at("/error/code"), "token_invalid", "{why}: {}", answer.text);
        }
        // The same claims without any of it are the old system's.
        let jti = uuid::Uuid::from_u128(7);
        server.exchange(&signed(&with(theirs, json!({ "jti": jti })))).await.assert_error(403, "signup_closed");
    }

    async fn what_is_not_signed_or_not_meant_for_us_is_invalid(server: TestServer) {
        let issuer = Issuer::new().await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[("RATE_LIMITS_ENABLED", "false")]).await;
        let now = server.now().timestamp();
        let good = app_claims(&server, "42");
        let changed = |changes: Value| signed(&with(good.clone(), changes));
        let proof = phone_claims(&server, PHONE);
        let stranger = KeyFile::new(KeyAlgorithm::Es256);
        let public = serde_json::to_string(&crate::support::issuer::jwk(&issuer.key)).unwrap();
        let huge = signed(&with(good.clone(), json!({"more": "x".repeat(8_000)})));
        let none = |name: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(name);
            signed(&claims)
        };
        for (why, token) in [
            ("none", unsigned("none", &good)),
            ("nOnE", unsigned("nOnE", &good)),
            ("no signature", signed(&good).rsplit_once('.').unwrap().0.to_owned() + "."),
            ("another secret", signed_by("another secret, which is long enough to be one", Algorithm::HS256, &good)),
            ("HS512", signed_by(SECRET, Algorithm::HS512, &good)),
            ("HS256 with the public key", signed_by(&public, Algorithm::HS256, &proof)),
            ("HS256 where the issuer signs with ES256", signed(&proof)),
            ("ES256 where the issuer signs with HS256", signed_by_key(&issuer.key, &good)),
            ("RS256", signed_by_key(&KeyFile::new(KeyAlgorithm::Rs256), &proof)),
            ("another key", signed_by_key(&stranger, &proof)),
            ("another iss", changed(json!({"iss": "https://old.example/"}))),
            ("iss as a list", changed(json!({"iss": [ISS]}))),
            ("another aud", changed(json!({"aud": "loopin2"}))),
            ("other auds", changed(json!({"aud": ["a", "b"]}))),
            ("an aud that is no text", changed(json!({"aud": ["loopin", 1]}))),
            ("no aud", none("aud")),
            ("no iss", none("iss")),
            ("no exp", none("exp")),
            ("exp as a text", changed(json!({"exp": (now + 60).to_string()}))),
            ("exp beyond every year", changed(json!({"exp": 1e300}))),
            ("exp beyond our years", changed(json!({"exp": 253_402_300_800_i64}))),
            ("not valid yet", changed(json!({"nbf": now + 61}))),
            ("nbf as a text", changed(json!({"nbf": "now"}))),
            ("issued in the future", changed(json!({"iat": now + 61}))),
            ("no id", none("sub")),
            ("an empty id", changed(json!({"sub": ""}))),
            ("an id with a fraction", changed(json!({"sub": 42.0}))),
            ("an id that is a list", changed(json!({"sub": ["42"]}))),
            ("a giant", huge),
            ("crit", forged(r#"{"alg":"HS256","crit":["exp"]}"#, &good)),
            ("a null member", forged(r#"{"alg":"HS256","kid":null}"#, &good)),
            ("a key in the header", forged(r#"{"alg":"HS256","jwk":null}"#, &good)),
            ("another type", forged(r#"{"alg":"HS256","typ":"logout+jwt"}"#, &good)),
            ("a kid that is no text", forged(r#"{"alg":"HS256","kid":7}"#, &good)),
            ("no token", "abc".to_owned()),
            ("nothing", String::new()),
            ("no phone", signed_by_key(&issuer.key, &with(proof.clone(), json!({"sub": "x"})))),
            ("a phone without its plus", signed_by_key(&issuer.key, &with(proof.clone(), json!({"sub": &PHONE[1..]})))),
            ("a fixed line", signed_by_key(&issuer.key, &with(proof.clone(), json!({"sub": "+911123456789"})))),
            ("another project", signed_by_key(&issuer.key, &with(proof.clone(), json!({"iss": PHONES.replace('1', "2")})))),
        ] {
            let answer = server.exchange(&token).await;
            assert_eq!(answer.text_at("/error/code"), "token_invalid", "{why}: {}", answer.text);
            answer.assert_error(401, "token_invalid");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM used_tokens").await, 0);
        // On the other side of each boundary.
        for (why, changes) in [
            ("nbf", json!({"nbf": now + 60})),
            ("iat", json!({"iat": now + 60})),
            ("one of several auds", json!({"aud": ["other", "loopin"]})),
            ("an id that is a number", json!({"sub": 42})),
            ("an exp with a fraction", json!({"exp": 1_900_000_000.5})),
        ] {
            assert_eq!(server.exchange(&changed(changes)).await.status, 200, "{why}");
        }
        server.exchange(&forged(r#"{"alg":"HS256","typ":"at+jwt","kid":"any"}"#, &app_claims(&server, "42"))).await.assert_ok();
    }

    async fn a_token_and_its_issuer_end_on_time(server: TestServer) {
        let issuer = Issuer::new().await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        let now = server.now().timestamp();
        let ends = |end: i64| signed(&with(loopin_claims(&server, 42), json!({ "exp": end })));
        server.exchange(&ends(now)).await.assert_error(401, "token_expired");
        server.exchange(&ends(now + 1)).await.assert_ok();
        // A wrong token is not called expired.
        let wrong = with(app_claims(&server, "42"), json!({"exp": now, "aud": "x"}));
        server.exchange(&signed(&wrong)).await.assert_error(401, "token_invalid");
        // Nothing is taken from the end of the issuer on: the end of 1 June in India.
        let until = chrono::DateTime::parse_from_rfc3339("2026-06-02T00:00:00+05:30").unwrap();
        server.advance((until.to_utc() - server.now()).num_seconds());
        server.exchange(&ends(now + 90 * 86_400)).await.assert_ok();
        server.advance(1);
        server.exchange(&ends(now + 91 * 86_400)).await.assert_error(401, "token_invalid");
        server.exchange(&signed(&app_claims(&server, "42"))).await.assert_ok();
    }

    async fn used_tokens_are_kept_until_they_expire(server: TestServer) {
        let issuer = Issuer::new().await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        let token = signed(&app_claims(&server, "42"));
        server.exchange(&token).await.assert_ok();
        let kept = "SELECT COUNT(*) FROM used_tokens";
        let purge = async |seconds: i64| {
            server.advance(seconds);
            loopin_auth::flows::housekeeping::purge_if_due(&server.services).await.unwrap().unwrap();
            server.count(kept).await
        };
        assert_eq!(purge(86_399).await, 1);
        server.exchange(&token).await.assert_error(409, "token_used");
        assert_eq!(purge(7_200).await, 0);
        server.exchange(&token).await.assert_error(401, "token_expired");
    }

    async fn a_flood_of_bad_tokens_ends(server: TestServer) {
        let issuer = Issuer::new().await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        // Good tokens are not counted.
        for _ in 0..5 {
            server.exchange(&signed(&app_claims(&server, "42"))).await.assert_ok();
        }
        for _ in 0..30 {
            server.exchange("abc").await.assert_error(401, "token_invalid");
        }
        let token = signed(&app_claims(&server, "42"));
        let answer = server.exchange(&token).await;
        answer.assert_error(429, "rate_limited");
        assert!(answer.at("/error/retry_after").as_i64().unwrap() <= 3_600);
        server.from("203.0.113.7").exchange(&token).await.assert_ok();
        server.advance(3_600);
        server.exchange(&signed(&app_claims(&server, "42"))).await.assert_ok();
        // New accounts are counted as registrations.
        let server = issuer.trusted_by(&server, &[("LIMIT_REGISTRATIONS_PER_ADDRESS", "2/1h")]).await;
        for id in ["a", "b"] {
            server.exchange(&signed(&app_claims(&server, id))).await.assert_ok();
        }
        server.exchange(&signed(&app_claims(&server, "c"))).await.assert_error(429, "rate_limited");
        server.exchange(&signed(&app_claims(&server, "b"))).await.assert_ok();
    }

    async fn an_old_token_is_no_proof_and_a_proved_phone_is_one(server: TestServer) {
        let issuer = Issuer::new().await;
        moved(&server, PHONE, "42").await;
        let server = issuer.trusted_by(&server, &[]).await;
        let change = async |token: &str| {
            let answer = server.exchange(token).await;
            let body = json!({ "phone_number": OTHER_PHONE });
            server.send_as(&answer.assert_ok().text_at("/token"), Method::POST, "/api/auth/change-phone", body).await
        };
        let by_id = signed(&app_claims(&server, "42"));
        change(&by_id).await.assert_error(403, "reauthentication_required");
        let now = server.now().timestamp();
        let old = with(phone_claims(&server, PHONE), json!({"iat": now - 601}));
        change(&signed_by_key(&issuer.key, &old)).await.assert_error(403, "reauthentication_required");
        change(&issuer.proves(&server, PHONE)).await.assert_ok();
        // Who has neither phone nor password can confirm in no other way.
        change(&signed(&app_claims(&server, "someone"))).await.assert_error(429, "otp_cooldown");
    }
}
