//! Challenges, and all ways in which a response is refused.

use super::*;

const NOW: &str = "2026-11-21T10:00:00.25Z";
const PHONE: &str = "0123456789abcdef0123456789abcdef";
const ADDRESS: &str = "203.0.113.7";

fn keys(secret: &str, fallbacks: &[&str]) -> PowKeys {
    let fallbacks: Vec<SecretString> = fallbacks.iter().map(|secret| (*secret).into()).collect();
    PowKeys::derive(&secret.into(), &fallbacks)
}

fn ours() -> PowKeys {
    keys("the secret of the tests", &[])
}

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

/// Two phones, under one key.
fn phone(which: &str) -> Pseudonym {
    let key = crate::pseudonym::Pseudonyms::derive(&PHONE.into(), &[]);
    key.name(which)
}

fn address(address: &str) -> ClientAddress {
    ClientAddress::new(address.parse().unwrap())
}

fn easy() -> Difficulty {
    Difficulty::new(Difficulty::LEAST).unwrap()
}

fn challenge_of(keys: &PowKeys) -> String {
    keys.challenge(&phone("own"), address(ADDRESS), easy(), Uuid::from_u128(7), now())
}

/// The first number whose hash has at least, or fewer than, this many zero bits.
fn number(challenge: &str, is_right: impl Fn(u32) -> bool) -> u64 {
    (0..u64::MAX).find(|number| is_right(leading_zero_bits(&format!("{challenge}.{number}")))).unwrap()
}

fn solve(challenge: &str) -> String {
    format!("{challenge}.{}", number(challenge, |bits| bits >= easy().bits()))
}

fn check(keys: &PowKeys, response: &str) -> Result<SpendOnce, PowError> {
    let response = ChallengeResponse::parse(response).unwrap();
    keys.check(&response, &[phone("own")], address(ADDRESS), now())
}

/// A text with these claims, signed like a challenge.
fn signed(claims: &serde_json::Value) -> String {
    ours().current.signing.sign(claims)
}

#[test]
fn an_answer_proves_work_and_names_what_is_to_be_spent() {
    let keys = ours();
    let answer = solve(&challenge_of(&keys));
    assert_eq!(check(&keys, &answer).map(SpendOnce::id), Ok(Uuid::from_u128(7)));
    // The database makes sure that it is used once; here it stays valid.
    assert_eq!(check(&keys, &answer).map(SpendOnce::id), Ok(Uuid::from_u128(7)));
    assert!(answer.len() < 400, "{} characters", answer.len());
}

#[test]
fn an_answer_is_good_for_two_minutes() {
    let keys = ours();
    let answer = ChallengeResponse::parse(&solve(&challenge_of(&keys))).unwrap();
    let at = |seconds, millis| {
        let then = now() + Duration::seconds(seconds) + Duration::milliseconds(millis);
        keys.check(&answer, &[phone("own")], address(ADDRESS), then).map(SpendOnce::id)
    };
    // An end is in whole seconds, and the challenge was made at a quarter past one.
    assert_eq!(at(119, 749), Ok(Uuid::from_u128(7)));
    assert_eq!(at(119, 750), Err(PowError::Expired));
    assert_eq!(at(3600, 0), Err(PowError::Expired));
}

#[test]
fn an_answer_is_one_phones_from_one_network() {
    let keys = ours();
    let at = |made_for: (&str, &str), shown_by: (&str, &str)| {
        let challenge =
            keys.challenge(&phone(made_for.0), address(made_for.1), easy(), Uuid::from_u128(7), now());
        let answer = ChallengeResponse::parse(&solve(&challenge)).unwrap();
        keys.check(&answer, &[phone(shown_by.0)], address(shown_by.1), now()).map(|_| ())
    };
    for (made_for, shown_by, expected) in [
        (("own", ADDRESS), ("own", ADDRESS), Ok(())),
        (("own", ADDRESS), ("another", ADDRESS), Err(PowError::Elsewhere)),
        (("own", ADDRESS), ("own", "203.0.113.8"), Err(PowError::Elsewhere)),
        (("own", ADDRESS), ("own", "::ffff:203.0.113.7"), Ok(())),
        (("own", "2001:db8:1:2::1"), ("own", "2001:db8:1:2:ffff::9"), Ok(())),
        (("own", "2001:db8:1:2::1"), ("own", "2001:db8:1:3::1"), Err(PowError::Elsewhere)),
    ] {
        assert_eq!(at(made_for, shown_by), expected, "made for {made_for:?}, shown by {shown_by:?}");
    }
}

#[test]
fn too_little_work_is_none() {
    let keys = ours();
    let challenge = challenge_of(&keys);
    let just_not = number(&challenge, |bits| bits == easy().bits() - 1);
    assert_eq!(check(&keys, &format!("{challenge}.{just_not}")), Err(PowError::TooLittleWork));
    let just = number(&challenge, |bits| bits == easy().bits());
    assert!(check(&keys, &format!("{challenge}.{just}")).is_ok());
    let more = number(&challenge, |bits| bits > easy().bits());
    assert!(check(&keys, &format!("{challenge}.{more}")).is_ok());
}

#[test]
fn a_challenge_asks_for_its_own_difficulty() {
    let keys = ours();
    let harder = Difficulty::new(Difficulty::LEAST + 2).unwrap();
    let challenge = keys.challenge(&phone("own"), address(ADDRESS), harder, Uuid::from_u128(7), now());
    let easy_answer = number(&challenge, |bits| bits == easy().bits());
    assert_eq!(check(&keys, &format!("{challenge}.{easy_answer}")), Err(PowError::TooLittleWork));
    let answer = number(&challenge, |bits| bits >= harder.bits());
    assert!(check(&keys, &format!("{challenge}.{answer}")).is_ok());
}

#[test]
fn an_altered_challenge_is_none() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let keys = ours();
    let challenge = challenge_of(&keys);
    let parts: Vec<&str> = challenge.split('.').collect();
    let claims: serde_json::Value = serde_json::from_slice(&BASE64.decode(parts[1]).unwrap()).unwrap();
    let other = keys.challenge(&phone("another"), address(ADDRESS), easy(), Uuid::from_u128(8), now());
    let other: Vec<&str> = other.split('.').collect();
    let with = |member: &str, value: serde_json::Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        format!("{}.{}.{}", parts[0], BASE64.encode(claims.to_string()), parts[2])
    };
    for (challenge, why) in [
        (with("bits", 0.into()), "less work"),
        (with("exp", (now().timestamp() + 86_400).into()), "more time"),
        (with("jti", Uuid::from_u128(9).to_string().into()), "another id, to be spent again"),
        (format!("{}.{}.{}", parts[0], other[1], parts[2]), "another's claims"),
        (format!("{}.{}.{}", parts[0], parts[1], other[2]), "another's signature"),
        (
            format!("{}.{}.{}", BASE64.encode(r#"{"alg":"none"}"#), parts[1], ""),
            "no signature, as the header says",
        ),
        (format!("{}.{}.{}", BASE64.encode(r#"{"alg":"HS512"}"#), parts[1], parts[2]), "another algorithm"),
    ] {
        assert_eq!(check(&keys, &solve(&challenge)), Err(PowError::Unreadable), "{why}");
    }
}

#[test]
fn what_we_signed_for_another_purpose_is_no_challenge() {
    let claims = |token_type: &str| {
        serde_json::json!({
            "token_type": token_type,
            "sub": ours().current.binding(Uuid::from_u128(7), &phone("own"), address(ADDRESS)),
            "jti": Uuid::from_u128(7),
            "exp": now().timestamp() + 60,
            "bits": 0,
        })
    };
    assert!(check(&ours(), &solve(&signed(&claims("pow")))).is_ok(), "the rest is right");
    for token_type in ["access", "refresh", "device", "POW", ""] {
        let answer = solve(&signed(&claims(token_type)));
        assert_eq!(check(&ours(), &answer), Err(PowError::Unreadable), "{token_type}");
    }
    for member in ["token_type", "sub", "jti", "exp", "bits"] {
        let mut without = claims("pow");
        without.as_object_mut().unwrap().remove(member);
        assert_eq!(check(&ours(), &solve(&signed(&without))), Err(PowError::Unreadable), "without {member}");
    }
}

#[test]
fn garbage_is_no_answer() {
    let keys = ours();
    let challenge = challenge_of(&keys);
    let answer = solve(&challenge);
    let number = answer.rsplit('.').next().unwrap().to_owned();
    for (text, why) in [
        ("x".to_owned(), "no full stop"),
        (".".to_owned(), "nothing around it"),
        (number.clone(), "a number alone"),
        (challenge.clone(), "a challenge alone"),
        (format!("{challenge}."), "no number"),
        (format!("{challenge}.{number}."), "a full stop too many"),
        (format!("{challenge}.-1"), "below zero"),
        (format!("{challenge}.+{number}"), "a sign"),
        (format!("{challenge}.0x1f"), "another base"),
        (format!("{challenge}.{number} "), "a space"),
        (format!("{challenge}.٣"), "digits of another script"),
        (format!("{challenge}.{}", "1".repeat(21)), "more digits than 64 bits have"),
        (format!("a.b.c.{number}"), "no token"),
        (format!("{}.{number}", "é".repeat(500)), "no base64"),
        ("1.".repeat(2000), "full stops"),
    ] {
        assert_eq!(check(&keys, &text), Err(PowError::Unreadable), "{why}");
    }
}

#[test]
fn an_earlier_key_still_verifies_and_an_unknown_one_does_not() {
    let before = keys("before", &[]);
    let answer = solve(&challenge_of(&before));
    assert!(check(&keys("after", &["before"]), &answer).is_ok());
    assert!(check(&keys("after", &["long ago", "before"]), &answer).is_ok());
    assert_eq!(check(&keys("after", &[]), &answer), Err(PowError::Unreadable));
    let answer = solve(&challenge_of(&keys("after", &["before"])));
    assert_eq!(check(&before, &answer), Err(PowError::Unreadable), "the new key signs");
}

#[test]
fn after_a_change_of_the_key_a_phone_is_known_by_its_earlier_name() {
    use crate::{phone::PhoneNumber, pseudonym::Pseudonyms};
    let (before, after) = (SecretString::from("before"), SecretString::from("after"));
    let phone = PhoneNumber::from_e164("+916205829376").unwrap();
    let names_before = Pseudonyms::derive(&before, &[]);
    let challenge = PowKeys::derive(&before, &[]).challenge(
        &names_before.phone(&phone),
        address(ADDRESS),
        easy(),
        Uuid::from_u128(7),
        now(),
    );
    let answer = ChallengeResponse::parse(&solve(&challenge)).unwrap();
    let names = Pseudonyms::derive(&after, std::slice::from_ref(&before));
    let keys = PowKeys::derive(&after, std::slice::from_ref(&before));
    assert!(keys.check(&answer, &names.phone_with_all(&phone), address(ADDRESS), now()).is_ok());
}

#[test]
fn a_challenge_says_nothing_of_whom_it_is_for() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let keys = ours();
    let one = challenge_of(&keys);
    let two = keys.challenge(&phone("own"), address(ADDRESS), easy(), Uuid::from_u128(8), now());
    let claims = |challenge: &str| {
        let text = BASE64.decode(challenge.split('.').nth(1).unwrap()).unwrap();
        String::from_utf8(text).unwrap()
    };
    for text in [claims(&one), claims(&two)] {
        assert!(!text.contains(phone("own").as_str()) && !text.contains(ADDRESS), "{text}");
    }
    let whom = |challenge: &str| {
        let claims: serde_json::Value = serde_json::from_str(&claims(challenge)).unwrap();
        claims["sub"].clone()
    };
    assert_ne!(whom(&one), whom(&two));
}

#[test]
fn a_response_has_a_length_and_is_not_shown() {
    let longest = "é".repeat(MAX_RESPONSE_CHARS);
    assert!(ChallengeResponse::parse(&longest).is_ok());
    assert_eq!(ChallengeResponse::parse(&format!("{longest}x")).unwrap_err(), ResponseError::TooLong);
    assert_eq!(ChallengeResponse::parse("").unwrap_err(), ResponseError::Empty);
    assert_eq!(format!("{:?}", ChallengeResponse::parse("token").unwrap()), "ChallengeResponse(..)");
    assert_eq!(format!("{:?}", ours()), "PowKeys { .. }");
}

#[test]
fn zero_bits_are_counted_from_the_left() {
    // SHA-256 of "abc" begins with ba78, of "39" with 0b91, of "286" with 0032: as any `sha256sum` says.
    assert_eq!(leading_zero_bits("abc"), 0);
    assert_eq!(leading_zero_bits("39"), 4);
    assert_eq!(leading_zero_bits("286"), 10);
}

#[test]
fn the_difficulty_has_bounds() {
    assert_eq!(Difficulty::new(Difficulty::LEAST - 1), None);
    assert_eq!(Difficulty::new(Difficulty::MOST + 1), None);
    assert_eq!(Difficulty::default().bits(), 17);
}

/// The worked example of the documents, which the clients of the examples solve, too.
#[test]
fn the_worked_example_is_right() {
    let document = include_str!("../../../../docs/BOT_PROOF.md");
    let example = |name: &str| {
        let line = document.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is in the document")).trim().to_owned()
    };
    let (challenge, response) = (example("challenge:"), example("challenge_response:"));
    let bits: u32 = example("difficulty:").parse().unwrap();
    let secret: SecretString = example("SECRET_KEY:").into();
    let id = Uuid::from_u128(1);
    let made: DateTime<Utc> = example("made at:").parse().unwrap();
    let keys = PowKeys::derive(&secret, &[]);
    let phone = crate::pseudonym::Pseudonyms::derive(&secret, &[])
        .phone(&crate::phone::PhoneNumber::from_e164(&example("phone_number:")).unwrap());
    let address = address(&example("client address:"));
    let difficulty = Difficulty::new(bits).unwrap();
    assert_eq!(keys.challenge(&phone, address, difficulty, id, made), challenge);
    assert_eq!(response, format!("{challenge}.{}", number(&challenge, |zeros| zeros >= bits)));
    let digest = Sha256::digest(&response);
    let (high, low) = digest.split_at(16);
    let half = |half: &[u8]| format!("{:032x}", u128::from_be_bytes(half.try_into().unwrap()));
    assert_eq!(half(high) + &half(low), example("SHA-256:"));
    let response = ChallengeResponse::parse(&response).unwrap();
    assert_eq!(keys.check(&response, &[phone], address, made).map(SpendOnce::id), Ok(id));
}
