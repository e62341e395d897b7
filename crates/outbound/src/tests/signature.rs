//! The expected signatures were computed with Python's `hmac`. The first is also in the tests of the libraries of Standard
//! Webhooks.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Forged, Secret, SecretError, Secrets, Signed};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Secret, id, time, body, signature.
const KNOWN: [(&str, &str, i64, &str, &str); 3] = [
    (
        OLD,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        NEW,
        "0198a2b4-7c1e-7000-8000-000000000001",
        1_764_288_000,
        r#"{"type":"before_send"}"#,
        "v1,CskiUPqFbuXKn6JUNE7O1E1yD9nMXFOk0fsQ6QRKa9w=",
    ),
    (
        NEW,
        "0198a2b4-7c1e-7000-8000-000000000001",
        1_764_288_000,
        "",
        "v1,Qu6MnCEQHZB9p1gCtW1r1wqpIrAN0D+PS7GD+e4OBHY=",
    ),
];

fn at(timestamp: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(timestamp, 0).unwrap()
}

#[test]
fn known_values_are_signed_and_verified() {
    for (secret, id, timestamp, body, signature) in KNOWN {
        let secrets: Secrets = secret.parse().unwrap();
        assert_eq!(secrets.sign(id, at(timestamp), body.as_bytes()), signature);
        let headers = Signed { id, timestamp: &timestamp.to_string(), signature };
        assert_eq!(secrets.verify(headers, body.as_bytes(), at(timestamp)), Ok(()));
    }
}

fn headers(signature: &str) -> Signed<'_> {
    Signed { id: "message", timestamp: "1764288000", signature }
}

#[test]
fn while_a_secret_changes_both_are_valid() {
    let (old, new): (Secrets, Secrets) = (OLD.parse().unwrap(), NEW.parse().unwrap());
    let both: Secrets = format!(" {NEW}  {OLD} ").parse().unwrap();
    let (id, time, body) = ("message", at(1_764_288_000), b"{}".as_slice());
    let signature = both.sign(id, time, body);
    assert_eq!(signature, format!("{} {}", new.sign(id, time, body), old.sign(id, time, body)));
    for receiver in [&old, &new, &both] {
        assert_eq!(receiver.verify(headers(&signature), body, time), Ok(()));
    }
    for sender in [&old, &new] {
        assert_eq!(both.verify(headers(&sender.sign(id, time, body)), body, time), Ok(()));
    }
    assert_eq!(old.verify(headers(&new.sign(id, time, body)), body, time), Err(Forged));
}

#[test]
fn a_forged_or_old_request_is_refused() {
    let (secret, id, timestamp, body, signature) = KNOWN[0];
    let secrets: Secrets = secret.parse().unwrap();
    let time = timestamp.to_string();
    let right = Signed { id, timestamp: &time, signature };
    let later = (timestamp + 1).to_string();
    let no_version = signature.trim_start_matches("v1,");
    let other_version = format!("v2,{no_version}");
    let short = format!("v1,{}", &no_version[..8]);
    for (wrong, of) in [
        (Signed { id: "msg_other", ..right }, body),
        (Signed { timestamp: &later, ..right }, body),
        (Signed { timestamp: "", ..right }, body),
        (Signed { timestamp: "1614265330.0", ..right }, body),
        (Signed { timestamp: "9223372036854775807", ..right }, body),
        (Signed { signature: "", ..right }, body),
        (Signed { signature: "v1,", ..right }, body),
        (Signed { signature: no_version, ..right }, body),
        (Signed { signature: &other_version, ..right }, body),
        (Signed { signature: &short, ..right }, body),
        (right, r#"{"test": 2432232315}"#),
    ] {
        assert_eq!(secrets.verify(wrong, of.as_bytes(), at(timestamp)), Err(Forged), "{wrong:?}");
    }
    let among_others = format!("v1a,AAAA {other_version} v1,!! {signature}");
    let headers = Signed { signature: &among_others, ..right };
    assert_eq!(secrets.verify(headers, body.as_bytes(), at(timestamp)), Ok(()));
    for (seconds, expected) in
        [(-301, Err(Forged)), (-300, Ok(())), (0, Ok(())), (300, Ok(())), (301, Err(Forged))]
    {
        let now = at(timestamp) + TimeDelta::seconds(seconds);
        assert_eq!(secrets.verify(right, body.as_bytes(), now), expected, "{seconds}");
    }
}

#[test]
fn a_secret_has_24_to_64_bytes_and_is_never_shown() {
    let of = |bytes: usize| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("whsec_{}", STANDARD.encode(vec![7; bytes]))
    };
    for (text, error) in [
        (of(23), SecretError::Length),
        (of(65), SecretError::Length),
        (of(25).trim_end_matches('=').to_owned(), SecretError::Base64),
        ("whsec_".to_owned(), SecretError::Length),
        ("whsec_not base64".to_owned(), SecretError::Base64),
        (OLD.trim_start_matches("whsec_").to_owned(), SecretError::Prefix),
        (String::new(), SecretError::Prefix),
    ] {
        assert_eq!(text.parse::<Secret>().unwrap_err(), error, "{text}");
    }
    for bytes in [24, 64] {
        assert!(of(bytes).parse::<Secret>().is_ok());
    }
    for (text, error) in [
        (String::new(), SecretError::Count),
        (format!("{OLD} {NEW} {OLD}"), SecretError::Count),
        (format!("{OLD} x"), SecretError::Prefix),
    ] {
        assert_eq!(text.parse::<Secrets>().unwrap_err(), error, "{text}");
    }
    let shown = format!("{:?}", format!("{OLD} {NEW}").parse::<Secrets>().unwrap());
    assert_eq!(shown, "Secrets([Secret(…), Secret(…)])");
}
