use chrono::TimeZone as _;
use secrecy::{ExposeSecret, SecretString};

use super::{code::base32, *};
use crate::account::{Account, Profile, Role};

const ACCOUNT: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(seconds, 0).unwrap()
}

fn keys(current: &str, fallbacks: &[&str]) -> FactorKeys {
    let fallbacks: Vec<SecretString> = fallbacks.iter().map(|text| SecretString::from(*text)).collect();
    FactorKeys::derive(&current.into(), &fallbacks)
}

/// The secret of RFC 6238, appendix B.
fn rfc_secret() -> FactorSecret {
    FactorSecret::from_bytes(*b"12345678901234567890")
}

fn factor(keys: &FactorKeys, last_step: i64) -> Factor {
    Factor {
        account_id: ACCOUNT,
        secret: keys.seal(ACCOUNT, &rfc_secret(), [1; 12]),
        enrolled_at: at(0),
        last_step,
        failures: 1,
        closed_until: None,
        locked_at: None,
    }
}

fn account(role: Role, is_active: bool) -> Account {
    let profile = Profile {
        id: Uuid::from_u128(9),
        name: None,
        birth_date: None,
        gender: None,
        bio: None,
        location: None,
        event_interests: vec![],
        profile_pictures: vec![],
    };
    Account {
        id: ACCOUNT,
        phone: None,
        username: None,
        email: None,
        first_name: None,
        last_name: None,
        claimed_phone: None,
        has_password: true,
        role,
        is_active,
        profile,
        device_epoch: 0,
        is_review: false,
        former_phone: None,
        unlinked_at: None,
        external_id: None,
        invitation_id: None,
        terms: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn app(digits: &str) -> FactorCode {
    FactorCode::parse(digits).unwrap()
}

#[test]
fn codes_are_those_of_rfc_6238() {
    // The vectors have eight digits; apps show the last six.
    for (seconds, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        assert_eq!(rfc_secret().step_of(&code.into(), at(seconds)), Some(seconds / 30), "{seconds}");
        assert_eq!(rfc_secret().code(u64::try_from(seconds).unwrap()).expose_secret(), code);
    }
}

#[test]
fn a_code_is_right_one_step_early_and_one_step_late() {
    let step = 41_152_263;
    let code = rfc_secret().code(step * 30);
    let begin = i64::try_from(step).unwrap() * 30;
    for (seconds, is_right) in
        [(begin - 31, false), (begin - 30, true), (begin, true), (begin + 59, true), (begin + 60, false)]
    {
        assert_eq!(rfc_secret().step_of(&code, at(seconds)).is_some(), is_right, "{}", seconds - begin);
    }
}

#[test]
fn only_codes_are_read() {
    for text in ["123456", " 123 456 ", "123-456"] {
        assert!(matches!(FactorCode::parse(text), Ok(FactorCode::App(_))), "{text}");
    }
    for text in ["abcd-efgh-ij27", "ABCDEFGHIJ27", "abcd efgh ij27"] {
        assert!(matches!(FactorCode::parse(text), Ok(FactorCode::Recovery(_))), "{text}");
    }
    for text in ["", "12345", "1234567", "१२३४५६", "abcd-efgh-ij10", "abcd", "+12345", &"1".repeat(65)]
    {
        assert_eq!(FactorCode::parse(text).err(), Some(InvalidFactorCode), "{text}");
    }
}

#[test]
fn base32_is_that_of_rfc_4648() {
    for (text, expected) in
        [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
    {
        assert_eq!(base32(text.as_bytes()), expected);
    }
    assert_eq!(rfc_secret().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

#[test]
fn a_recovery_code_is_read_as_it_is_shown() {
    let code = RecoveryCode::new([0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(code.shown().len(), 14);
    let Ok(FactorCode::Recovery(read)) = FactorCode::parse(&code.shown().to_uppercase()) else {
        panic!("{} is read", code.shown());
    };
    let (old, new) = (keys("old", &[]), keys("new", &["old"]));
    assert_eq!(old.recovery_hash(ACCOUNT, &read), old.recovery_hash(ACCOUNT, &code));
    assert_ne!(old.recovery_hash(ACCOUNT, &read), old.recovery_hash(OTHER, &read));
    assert!(new.recovery_hashes(ACCOUNT, &code).contains(&old.recovery_hash(ACCOUNT, &code)));
}

#[test]
fn a_secret_opens_in_its_row_and_with_its_key_only() {
    let (old, new) = (keys("old", &[]), keys("new", &["older", "old"]));
    let sealed = old.seal(ACCOUNT, &rfc_secret(), [3; 12]);
    let opened = |keys: &FactorKeys, account: Uuid, sealed: &SealedSecret| {
        keys.open(account, sealed).map(|(secret, is_current)| (secret.base32(), is_current))
    };
    let secret = rfc_secret().base32();
    assert_eq!(opened(&old, ACCOUNT, &sealed), Some((secret.clone(), true)));
    assert_eq!(opened(&new, ACCOUNT, &sealed), Some((secret.clone(), false)));
    assert_eq!(opened(&keys("new", &[]), ACCOUNT, &sealed), None);
    assert_eq!(opened(&old, OTHER, &sealed), None);
    for changed in ["", "AAAA", "!", &sealed.as_str().replace(char::is_uppercase, "A")] {
        assert_eq!(opened(&old, ACCOUNT, &SealedSecret::stored(changed.to_owned())), None, "{changed}");
    }
    assert_ne!(old.seal(ACCOUNT, &rfc_secret(), [4; 12]), sealed);
}

#[test]
fn a_used_code_is_wrong_and_so_is_an_older_one() {
    let keys = keys("key", &[]);
    let now = at(1_234_567_890);
    let step = 1_234_567_890 / 30;
    for (last_step, is_right) in
        [(0, true), (step - 1, true), (step, false), (step + 1, false), (step + 2, true)]
    {
        let judged = judge(&factor(&keys, last_step), &app("005924"), &keys, [0; 12], now);
        assert_eq!(matches!(judged, Judged::Right(_)), is_right, "{}", last_step - step);
    }
    assert!(matches!(judge(&factor(&keys, 0), &app("005925"), &keys, [0; 12], now), Judged::Wrong));
}

#[test]
fn a_secret_of_an_earlier_key_is_encrypted_again() {
    let (old, new) = (keys("old", &[]), keys("new", &["old"]));
    let judged =
        |keys: &FactorKeys| judge(&factor(&old, 0), &app("005924"), keys, [9; 12], at(1_234_567_890));
    let Judged::Right(proof) = judged(&new) else { panic!("the code is right") };
    let ProofKind::Step { renewed: Some(renewed), .. } = proof.kind() else { panic!("{:?}", proof.kind()) };
    assert!(keys("new", &[]).open(ACCOUNT, renewed).is_some());
    let Judged::Right(proof) = judged(&old) else { panic!("the code is right") };
    assert!(matches!(proof.kind(), ProofKind::Step { renewed: None, .. }));
    assert!(matches!(judged(&keys("new", &[])), Judged::Unreadable));
}

#[test]
fn who_needs_what_after_the_password() {
    use AfterPassword::{Code, Enrolment, Nothing};
    for (role, is_enrolled, required, optional) in [
        (Role::User, false, Nothing, Nothing),
        (Role::User, true, Nothing, Nothing),
        (Role::Staff, false, Enrolment, Nothing),
        (Role::Staff, true, Code, Code),
        (Role::Admin, false, Enrolment, Nothing),
        (Role::Admin, true, Code, Code),
    ] {
        for (policy, expected) in [(FactorPolicy::Required, required), (FactorPolicy::Optional, optional)] {
            assert_eq!(
                policy.after_password(role, is_enrolled),
                expected,
                "{role:?} {is_enrolled} {policy:?}"
            );
            let rights = Rights::of_password(policy, role, is_enrolled);
            assert_eq!(rights.role() == role, expected == Nothing || role == Role::User);
            assert!(!rights.has_second_factor());
        }
    }
}

#[test]
fn a_closure_ends_and_a_lock_does_not() {
    let keys = keys("key", &[]);
    let now = at(1_000_000);
    let until = |seconds: i64| Some(now + Duration::seconds(seconds));
    for (closed_until, expected) in [
        (None, None),
        (until(-1), None),
        (until(0), None),
        (until(1), until(1)),
        (until(900), until(900)),
        (until(86_400), until(900)),
    ] {
        let factor = Factor { closed_until, ..factor(&keys, 0) };
        assert_eq!(factor.closed(now), expected.map(Closed::Until));
        assert_eq!(factor.left(now), if expected.is_some() { 0 } else { 4 });
    }
    let locked = Factor { locked_at: Some(now), closed_until: until(5), ..factor(&keys, 0) };
    assert_eq!(locked.closed(now + Duration::days(400)), Some(Closed::UntilReset));
}

#[test]
fn a_link_works_once_and_for_its_time() {
    let token = EnrolmentToken::new([200; 32]);
    let path = token.path();
    let text = path.expose_secret().strip_prefix("/admin/enroll/").unwrap();
    assert_eq!(EnrolmentToken::parse(text), Some(token.clone()));
    assert_eq!(token.hash().len(), 64);
    for bad in ["", "x", &text[1..], &format!("{text}A"), &text.replace('y', "%")] {
        assert_eq!(EnrolmentToken::parse(bad), None, "{bad}");
    }
    let link = EnrolmentLink { account_id: ACCOUNT, expires_at: at(100), used_at: None };
    assert_eq!(link.state(at(99)), LinkState::Live);
    assert_eq!(link.state(at(100)), LinkState::Expired);
    assert_eq!(EnrolmentLink { used_at: Some(at(1)), ..link }.state(at(200)), LinkState::Used);
}

#[test]
fn a_link_that_the_owner_made_never_passes_for_one_of_an_admin() {
    let (made_by_admin, own) = (EnrolmentToken::new([200; 32]), EnrolmentToken::own([200; 32]));
    let path = own.path();
    let text = path.expose_secret().strip_prefix("/admin/enroll/").unwrap();
    assert_eq!(EnrolmentToken::parse(text), Some(own.clone()));
    assert_ne!(own.hash(), made_by_admin.hash());
    let cut = EnrolmentToken::parse(text.strip_prefix("own-").unwrap()).unwrap();
    assert_eq!((&cut, cut.hash() == own.hash()), (&made_by_admin, false));
    for bad in ["own-", "own-x", &format!("own-{text}")] {
        assert_eq!(EnrolmentToken::parse(bad), None, "{bad}");
    }
    // A random part that begins like the prefix has its own length.
    let alike = format!("own-{}", "A".repeat(39));
    assert_eq!(
        EnrolmentToken::parse(&alike).unwrap().path().expose_secret(),
        format!("/admin/enroll/{alike}")
    );
}

#[test]
fn a_link_works_only_for_staff_and_the_own_one_only_where_the_factor_is_optional() {
    let (made_by_admin, own) = (EnrolmentToken::new([1; 32]), EnrolmentToken::own([1; 32]));
    for role in [Role::User, Role::Staff, Role::Admin] {
        for is_active in [true, false] {
            for policy in [FactorPolicy::Required, FactorPolicy::Optional] {
                let account = account(role, is_active);
                let needs_one = is_active && role > Role::User;
                assert_eq!(
                    made_by_admin.may_enrol(&account, policy),
                    needs_one,
                    "{role:?} {is_active} {policy:?}"
                );
                let expected = needs_one && policy == FactorPolicy::Optional;
                assert_eq!(own.may_enrol(&account, policy), expected, "{role:?} {is_active} {policy:?}");
            }
        }
    }
}

#[test]
fn each_link_offers_its_own_secret() {
    let keys = keys("key", &[]);
    let (one, two) = (EnrolmentToken::new([1; 32]), EnrolmentToken::new([2; 32]));
    let offered = |account, token| keys.offered(account, token).base32();
    assert_eq!(offered(ACCOUNT, &one), offered(ACCOUNT, &one));
    assert_ne!(offered(ACCOUNT, &one), offered(ACCOUNT, &two));
    assert_ne!(offered(ACCOUNT, &one), offered(OTHER, &one));
    assert_eq!(offered(ACCOUNT, &one).len(), 32);
}

#[test]
fn the_uri_is_what_apps_read() {
    assert_eq!(
        rfc_secret().uri("Loopin: Auth", "ada@example.com").expose_secret(),
        "otpauth://totp/Loopin%20%20Auth:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Loopin%20%20Auth"
    );
}

#[test]
fn nothing_secret_is_printed() {
    let keys = keys("key", &[]);
    let code = RecoveryCode::new([9; 8]);
    let token = EnrolmentToken::new([77; 32]);
    let texts = [
        format!("{:?}", rfc_secret()),
        format!("{:?}", app("123456")),
        format!("{:?}", FactorCode::parse(&code.shown())),
        format!("{code:?} {token:?} {keys:?} {:?}", token.path()),
        format!("{:?}", factor(&keys, 0)),
    ];
    for text in texts {
        for secret in ["123456", "GEZD", "12345678", &code.shown(), &code.shown()[..4], "TU1N"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
