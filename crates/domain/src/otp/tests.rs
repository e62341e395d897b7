//! Deriving codes and judging guesses. The vectors were computed with Python's `hmac`.

use chrono::TimeZone;

use super::{keys::truncate, *};
use crate::phone::PhoneNumber;

const SECRET: &str = "a secret key of the tests, 32 bytes or more";
const VERSION: &str = "c600bb439075a61db18e4b8e1d460879";
const PHONE: &str = "+916205829376";
const OTHER_PHONE: &str = "+919876543210";
const ID: u128 = 0x0199_aa55_5a2b_7c60_9d3c_0c8f_3f4f_2a11;
const HOLDER: u128 = ID + 1;

fn keys() -> OtpKeys {
    OtpKeys::derive(&SECRET.into(), &[])
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::from_e164(text).unwrap()
}

fn length(digits: u32) -> CodeLength {
    CodeLength::new(digits).unwrap()
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
}

fn challenge(id: u128) -> Challenge {
    Challenge {
        id: Uuid::from_u128(id),
        key_version: keys().current_version().to_owned(),
        attempts: 1,
        expires_at: now() + Duration::minutes(10),
        sent_at: Some(now()),
        consumed_at: None,
    }
}

fn policy() -> OtpPolicy {
    OtpPolicy {
        length: length(4),
        life: Duration::minutes(10),
        max_attempts: 3,
        resend_after: Duration::seconds(30),
    }
}

/// The code for a challenge of this id.
fn code_of(id: u128, digits: u32, phone_text: &str, purpose: Purpose, holder: Option<u128>) -> String {
    let phone = phone(phone_text);
    let of = ChallengeKey {
        phone: &phone,
        purpose,
        holder: holder.map(|id| Holder::Account(Uuid::from_u128(id))),
    };
    let code = keys().code(&challenge(id), of, length(digits)).unwrap();
    code.expose().expose_secret().to_owned()
}

#[test]
fn the_code_is_the_truncated_hmac() {
    for (id, codes) in [
        (0, ["2013", "52013", "252013", "2252013", "62252013"]),
        (1, ["8041", "68041", "168041", "2168041", "42168041"]),
        (2, ["6846", "26846", "926846", "6926846", "66926846"]),
    ] {
        for (digits, expected) in (4..=8).zip(codes) {
            assert_eq!(code_of(id, digits, PHONE, Purpose::SignIn, None), expected);
        }
    }
}

#[test]
fn leading_zeros_are_kept() {
    for (id, digits, expected) in [
        (2977, 6, "045590"),
        (2977, 8, "00045590"),
        (4862, 6, "009822"),
        (4862, 8, "00009822"),
        (5517, 8, "00095803"),
        (30_543, 4, "0000"),
    ] {
        assert_eq!(code_of(id, digits, PHONE, Purpose::SignIn, None), expected);
    }
}

#[test]
fn phone_purpose_and_holder_each_make_another_code() {
    for (purpose, expected) in [
        (Purpose::SignIn, ["069038", "571831", "800119"]),
        (Purpose::ChangePhone, ["668488", "685477", "689281"]),
        (Purpose::Confirm, ["228113", "090589", "146555"]),
        (Purpose::Staff, ["134138", "375848", "101849"]),
    ] {
        let found = [
            code_of(ID, 6, PHONE, purpose, None),
            code_of(ID, 6, OTHER_PHONE, purpose, None),
            code_of(ID, 6, PHONE, purpose, Some(HOLDER)),
        ];
        assert_eq!(found, expected, "{purpose:?}");
    }
}

#[test]
fn truncation_is_that_of_rfc_4226() {
    // Appendix D of RFC 4226 uses HMAC-SHA-1, so only its truncation can be tested here: the example of section 5.4,
    // with its twenty bytes at the front and its last byte, 0x5a, at the end.
    let mut digest = [0; 32];
    digest[..20].copy_from_slice(&[
        0x1f, 0x86, 0x98, 0x69, 0x0e, 0x02, 0xca, 0x16, 0x61, 0x85, 0x50, 0xef, 0x7f, 0x19, 0xda, 0x8e, 0x94,
        0x5b, 0x55, 0x5a,
    ]);
    digest[31] = 0x5a;
    assert_eq!(truncate(&digest, length(6)), "872921");
    // The highest bit is cleared, and the last possible offset still fits.
    let mut digest = [0xff; 32];
    assert_eq!(truncate(&digest, length(8)), "47483647");
    digest[31] = 0x00;
    assert_eq!(truncate(&digest, length(4)), "3647");
    assert_eq!(truncate(&[0; 32], length(4)), "0000");
}

#[test]
fn every_code_is_as_likely_as_the_next() {
    const DRAWN: u32 = 100_000;
    let keys = keys();
    let phone = phone(PHONE);
    let mut first = [0_u32; 10];
    let mut last = [0_u32; 10];
    let mut seen = std::collections::HashSet::new();
    for id in 0..u128::from(DRAWN) {
        let code = keys.code(&challenge(id), ChallengeKey::sign_in(&phone), length(4)).unwrap();
        let digits = code.expose().expose_secret().as_bytes();
        first[usize::from(digits[0] - b'0')] += 1;
        last[usize::from(digits[3] - b'0')] += 1;
        seen.insert(digits.to_vec());
    }
    // Six standard deviations of 94.9 around 10,000.
    for count in first.into_iter().chain(last) {
        assert!((9_430..=10_570).contains(&count), "{first:?} {last:?}");
    }
    assert!(seen.len() > 9_990, "{} of 10,000 codes occur", seen.len());
}

#[test]
fn another_secret_is_another_code_and_another_version() {
    let other = OtpKeys::derive(&"another secret of the tests, 32 bytes".into(), &[SECRET.into()]);
    assert_eq!(keys().current_version(), VERSION);
    assert_eq!(other.versions()[1], VERSION);
    assert_ne!(other.current_version(), VERSION);
    let phone = phone(PHONE);
    let of = ChallengeKey::sign_in(&phone);
    // The older key still gives the codes derived from it.
    let old = other.code(&challenge(1), of, length(8)).unwrap();
    assert_eq!(old.expose().expose_secret(), "42168041");
    let new = Challenge { key_version: other.current_version().to_owned(), ..challenge(1) };
    assert_ne!(other.code(&new, of, length(8)).unwrap().expose().expose_secret(), "42168041");
    // A key that is no longer listed gives no code.
    assert!(keys().code(&new, of, length(8)).is_none());
    let unnamed = Challenge { key_version: String::new(), ..challenge(1) };
    assert!(keys().code(&unnamed, of, length(8)).is_none());
}

#[test]
fn a_length_is_four_to_eight() {
    for digits in [0, 1, 3, 9, 10, u32::MAX] {
        assert_eq!(CodeLength::new(digits), None);
    }
    for digits in 4..=8 {
        assert_eq!(length(digits).digits(), digits as usize);
    }
    assert_eq!(CodeLength::default(), length(4));
}

#[test]
fn a_code_is_exactly_so_many_ascii_digits() {
    for text in ["0000", "1097", "9999"] {
        assert_eq!(OtpCode::parse(text, length(4)).unwrap().expose().expose_secret(), text);
    }
    for text in [
        "",
        "109",
        "10970",
        " 1097",
        "1097 ",
        "10 97",
        "10-97",
        "1097\n",
        "109\0",
        "+109",
        "-109",
        "10.7",
        "1e10",
        "0x10",
        "abcd",
        "١٠٩٧",
        "१०९७",
        "１０９７",
        "1٠7",
        "¼",
        "1097\u{200b}",
    ] {
        let error = OtpCode::parse(text, length(4)).unwrap_err();
        assert_eq!(error.to_string(), "OTP code must be exactly 4 digits", "{text:?}");
    }
    assert_eq!(
        OtpCode::parse("1097", length(6)).unwrap_err().to_string(),
        "OTP code must be exactly 6 digits"
    );
    assert!(OtpCode::parse("00001097", length(8)).is_ok());
}

/// The verdict on a guess, as a word for the tables.
fn verdict_on(claim: Claim, code: &str) -> String {
    let phone = phone(PHONE);
    let code = OtpCode::parse(code, length(4)).unwrap();
    match judge(claim, &code, ChallengeKey::sign_in(&phone), &keys(), &policy(), now()) {
        Verdict::Accepted(proof) => format!("accepted {}", proof.challenge_id().as_u128()),
        Verdict::Wrong { left } => format!("wrong, {left} left"),
        Verdict::Expired => "expired".to_owned(),
        Verdict::Exhausted { challenge } => format!("exhausted {}", challenge.id.as_u128()),
        Verdict::NoneRequested => "none requested".to_owned(),
    }
}

#[test]
fn a_taken_attempt_is_judged() {
    let moment = Duration::microseconds(1);
    for (claimed, code, verdict) in [
        (challenge(1), "8041", "accepted 1"),
        (challenge(1), "8042", "wrong, 2 left"),
        (challenge(2), "8041", "wrong, 2 left"),
        (Challenge { attempts: 2, ..challenge(1) }, "0000", "wrong, 1 left"),
        (Challenge { attempts: 3, ..challenge(1) }, "0000", "wrong, 0 left"),
        (Challenge { attempts: 4, ..challenge(1) }, "0000", "wrong, 0 left"),
        // The last attempt can still be right.
        (Challenge { attempts: 3, ..challenge(1) }, "8041", "accepted 1"),
        (Challenge { expires_at: now(), ..challenge(1) }, "8041", "accepted 1"),
        (Challenge { expires_at: now() - moment, ..challenge(1) }, "8041", "expired"),
        (Challenge { expires_at: now() - moment, ..challenge(1) }, "0000", "expired"),
        (Challenge { consumed_at: Some(now()), ..challenge(1) }, "8041", "none requested"),
        (Challenge { key_version: "gone".to_owned(), ..challenge(1) }, "8041", "none requested"),
    ] {
        let shown = format!("{claimed:?}");
        assert_eq!(verdict_on(Claim::Taken(claimed), code), verdict, "{code} {shown}");
    }
}

#[test]
fn without_an_attempt_no_code_is_right() {
    let late = now() - Duration::microseconds(1);
    for (found, verdict) in [
        (None, "none requested"),
        (Some(Challenge { attempts: 3, ..challenge(1) }), "exhausted 1"),
        (Some(Challenge { attempts: 3, expires_at: late, ..challenge(1) }), "expired"),
        (Some(Challenge { expires_at: late, ..challenge(1) }), "expired"),
        (Some(Challenge { consumed_at: Some(now()), ..challenge(1) }), "none requested"),
        (
            Some(Challenge { consumed_at: Some(now()), attempts: 3, expires_at: late, ..challenge(1) }),
            "none requested",
        ),
    ] {
        for code in ["8041", "0000"] {
            assert_eq!(verdict_on(Claim::NotTaken(found.clone()), code), verdict, "{found:?}");
        }
    }
}

#[test]
fn a_holder_is_read_as_it_was_written() {
    let id = Uuid::from_u128(HOLDER);
    for (holder, text) in
        [(Holder::Account(id), id.to_string()), (Holder::Device(id), format!("device:{id}"))]
    {
        assert_eq!((holder.to_string(), Holder::parse(&text)), (text, Some(holder)));
    }
    for text in ["", "device:", "device:x", "x", "account:x"] {
        assert_eq!(Holder::parse(text), None, "{text}");
    }
}

#[test]
fn a_code_opens_no_other_purpose_and_no_other_holder() {
    let phone = phone(PHONE);
    let code = OtpCode::parse("8041", length(4)).unwrap();
    for (purpose, holder) in [
        (Purpose::ChangePhone, None),
        (Purpose::Confirm, None),
        (Purpose::ResetPassword, None),
        (Purpose::Staff, None),
        (Purpose::SignIn, Some(Holder::Account(Uuid::from_u128(HOLDER)))),
        (Purpose::SignIn, Some(Holder::Device(Uuid::from_u128(HOLDER)))),
    ] {
        let of = ChallengeKey { phone: &phone, purpose, holder };
        let verdict = judge(Claim::Taken(challenge(1)), &code, of, &keys(), &policy(), now());
        assert!(matches!(verdict, Verdict::Wrong { .. }), "{purpose:?} {holder:?}");
    }
}

#[test]
fn seconds_are_rounded_up() {
    let micro = Duration::microseconds(1);
    for (left, seconds) in [
        (Duration::minutes(10), 600),
        (Duration::seconds(599) + micro, 600),
        (Duration::seconds(1), 1),
        (micro, 1),
        (Duration::zero(), 0),
        (-micro, 0),
        (Duration::minutes(-5), 0),
    ] {
        let challenge = Challenge { expires_at: now() + left, ..challenge(1) };
        assert_eq!(challenge.seconds_left(now()), seconds, "{left}");
    }
}

#[test]
fn the_next_code_may_be_asked_for_after_the_cooldown() {
    for (ago, seconds) in [(0, 30), (1, 29), (29, 1), (30, 1), (300, 1)] {
        let challenge = Challenge { sent_at: Some(now() - Duration::seconds(ago)), ..challenge(1) };
        assert_eq!(challenge.resend_in(&policy(), now()), seconds, "{ago}");
    }
    // A refunded send does not count.
    let given_back = Challenge { sent_at: None, ..challenge(1) };
    assert_eq!(given_back.resend_in(&policy(), now()), 1);
}

#[test]
fn a_deleted_account_owes_the_rest_of_the_cooldown_and_of_a_code_that_was_guessed_at() {
    let sent = |ago: i64| Some(now() - Duration::seconds(ago));
    let fresh = Challenge { sent_at: None, consumed_at: None, ..challenge(1) };
    let consumed = sent(1);
    for (sent_at, attempts, consumed_at, expected) in [
        (None, 0, None, None),
        (sent(10), 0, None, Some(now() + Duration::seconds(20))),
        (sent(10), 1, consumed, Some(now() + Duration::seconds(20))),
        (sent(30), 1, consumed, None),
        (sent(30), 0, None, None),
        (sent(10), 1, None, Some(fresh.expires_at)),
        (None, 3, None, Some(fresh.expires_at)),
    ] {
        let challenge = Challenge { attempts, sent_at, consumed_at, ..fresh.clone() };
        assert_eq!(challenge.owed_until(&policy(), now()), expected, "{challenge:?}");
    }
    let dead = Challenge { attempts: 1, expires_at: now(), ..fresh };
    assert_eq!(dead.owed_until(&policy(), now()), None);
}

#[test]
fn a_mark_tells_a_phone_apart_and_does_not_tell_it() {
    let phones = [PHONE, "+919876543210"].map(phone);
    let keys = OtpKeys::derive(&"another secret of the tests, 32 bytes".into(), &[SECRET.into()]);
    let old = OtpKeys::derive(&SECRET.into(), &[]);
    let phone_hashes = keys.phone_hashes(&phones[0]);
    assert_eq!(phone_hashes, keys.phone_hashes(&phones[0]));
    assert_eq!(phone_hashes.len(), 2);
    assert_eq!(phone_hashes[1..], old.phone_hashes(&phones[0]), "an older key gives the same hash as before");
    assert_ne!(phone_hashes[0], phone_hashes[1]);
    assert_ne!(phone_hashes, keys.phone_hashes(&phones[1]));
    for phone_hash in phone_hashes {
        assert!(
            phone_hash.starts_with("hmac:") && phone_hash.len() == 37 && !phone_hash.contains(&PHONE[4..]),
            "{phone_hash}"
        );
    }
}

#[test]
fn an_opening_says_what_is_kept_and_what_is_refused() {
    let phone = phone(PHONE);
    let keys = OtpKeys::derive(&"another secret of the tests, 32 bytes".into(), &[SECRET.into()]);
    let opening =
        policy().opening(Uuid::from_u128(7), &keys, ChallengeKey::sign_in(&phone), now()).to_owned_parts();
    assert_eq!(opening.0, now() + Duration::minutes(10));
    assert_eq!(opening.1, now() + RESEND_NEEDS);
    assert_eq!(opening.2, Some(now() - Duration::seconds(30)));
    assert_eq!(opening.3, keys.versions().into_iter().map(str::to_owned).collect::<Vec<_>>());
    let without_cooldown = OtpPolicy { resend_after: Duration::zero(), ..policy() };
    assert_eq!(
        without_cooldown
            .opening(Uuid::from_u128(7), &keys, ChallengeKey::sign_in(&phone), now())
            .refuse_if_sent_after,
        None
    );
}

impl Opening<'_> {
    /// When it expires, what it keeps, what it refuses, and the key versions.
    fn to_owned_parts(&self) -> (DateTime<Utc>, DateTime<Utc>, Option<DateTime<Utc>>, Vec<String>) {
        (
            self.expires_at,
            self.keep_if_alive_at,
            self.refuse_if_sent_after,
            self.keep_versions.iter().map(|version| (*version).to_owned()).collect(),
        )
    }
}

#[test]
fn nothing_that_is_secret_is_shown() {
    let phone = phone(PHONE);
    let of = ChallengeKey::sign_in(&phone);
    let code = OtpCode::parse("8041", length(4)).unwrap();
    let verdict = judge(Claim::Taken(challenge(1)), &code, of, &keys(), &policy(), now());
    assert_eq!(format!("{code:?}"), "OtpCode(****)");
    assert_eq!(format!("{:?}", keys()), format!("OtpKeys([{VERSION:?}])"));
    for shown in [format!("{code:?}"), format!("{:?}", keys()), format!("{of:?}"), format!("{verdict:?}")] {
        for secret in ["8041", SECRET, "6205829376"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
