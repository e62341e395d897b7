//! Tests of what is read from the claims of a token.

use chrono::TimeZone;
use serde_json::json;

use super::*;

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
}

fn issuer(identity: IdentityClaims) -> TrustedIssuer {
    TrustedIssuer {
        name: "old".to_owned(),
        iss: Some("https://old.example".to_owned()),
        audiences: vec!["us".to_owned()],
        algorithm: KeyAlgorithm::Hs256,
        identity,
        may_create_accounts: false,
        is_legacy: false,
        until: None,
    }
}

fn phone(claim: &str, verified: Option<&str>, is_without_plus: bool) -> PhoneClaims {
    PhoneClaims { claim: claim.to_owned(), verified: verified.map(str::to_owned), is_without_plus }
}

fn read(claims: &PhoneClaims, from: Value) -> Option<String> {
    let Value::Object(from) = from else { panic!("claims are an object") };
    claims.read(&from).map(|phone| phone.number().full().to_owned())
}

#[test]
fn a_phone_is_in_e164_and_verified() {
    const NUMBER: &str = "+916205829376";
    let (plain, bare) = (phone("p", None, false), phone("p", None, true));
    let checked = phone("/app/p", Some("/app/ok~1ay"), false);
    for (why, claims, from, found) in [
        ("E.164", &plain, json!({"p": NUMBER}), true),
        ("no plus", &plain, json!({"p": &NUMBER[1..]}), false),
        ("a national number", &plain, json!({"p": "6205829376"}), false),
        ("spaces", &plain, json!({"p": "+91 6205829376"}), false),
        ("digits of another script", &plain, json!({"p": "+९१६२०५८२९३७६"}), false),
        ("two pluses", &plain, json!({"p": "++916205829376"}), false),
        ("too long", &plain, json!({"p": "+9162058293769162"}), false),
        ("a fixed line", &plain, json!({"p": "+911123456789"}), false),
        ("empty", &plain, json!({"p": ""}), false),
        ("a number", &plain, json!({"p": 916_205_829_376_i64}), false),
        ("none", &plain, json!({}), false),
        ("a bare number", &bare, json!({"p": &NUMBER[1..]}), true),
        ("a bare number with a plus", &bare, json!({"p": NUMBER}), true),
        ("verified", &checked, json!({"app": {"p": NUMBER, "ok/ay": true}}), true),
        ("not verified", &checked, json!({"app": {"p": NUMBER, "ok/ay": false}}), false),
        ("a text", &checked, json!({"app": {"p": NUMBER, "ok/ay": "true"}}), false),
        ("somewhere else", &checked, json!({"app": {"p": NUMBER}, "ok/ay": true}), false),
    ] {
        assert_eq!(read(claims, from).as_deref(), found.then_some(NUMBER), "{why}");
    }
}

#[test]
fn a_token_that_is_wrong_in_another_way_is_not_called_expired() {
    let issuer = issuer(IdentityClaims::Id { claim: "sub".to_owned(), phone: None });
    let at = now().timestamp();
    let judged = |changes: Value| {
        let mut claims = json!({"iss": "https://old.example", "aud": "us", "sub": "42", "exp": at});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        issuer.judge(claims.as_object().unwrap(), now()).map(|statement| statement.expires_at.timestamp())
    };
    assert_eq!(judged(json!({})), Err(NotVouched::Expired));
    assert_eq!(judged(json!({"exp": at + 1})), Ok(at + 1));
    for wrong in [json!({"aud": "them"}), json!({"iss": "x"}), json!({"sub": ""}), json!({"nbf": at + 61})] {
        assert_eq!(judged(wrong.clone()), Err(NotVouched::Invalid), "{wrong}");
    }
    let over = TrustedIssuer { until: Some(now()), ..issuer.clone() };
    let claims = json!({"iss": "https://old.example", "aud": "us", "sub": "42", "exp": at + 1});
    assert_eq!(over.judge(claims.as_object().unwrap(), now()).unwrap_err(), NotVouched::Invalid);
}
