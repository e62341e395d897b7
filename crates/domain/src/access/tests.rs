//! Tokens: claims, reading, rotation of refresh tokens, and admission.

use chrono::{DateTime, Duration, TimeZone, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    account::{Account, Profile, Role},
    clocks::SKEW,
    phone::PhoneNumber,
    rights::FactorPolicy,
};

mod keys;
mod vectors;

const SECRET: &str = "a token secret of the tests, 32 bytes or more";
const USER: u128 = 0x0199_aa55_5a2b_7c60_9d3c_0c8f_3f4f_2a11;
const SESSION: u128 = USER + 1;
const JTI: u128 = USER + 2;

/// Signed with Python's `hmac`: the claims of [`claims`], before tokens had `sub`; the same before keys had names; the same without `exp`.
const VECTOR: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImVhT3ZubjdaaGdoZEI4ODgifQ.",
    "eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwidXNlcl9pZCI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMSIsInNpZCI6IjAxOTlh",
    "YTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMiIsImp0aSI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMyIsImlhdCI6",
    "MTc3MzQ4MDQxMywiZXhwIjoxNzczNDgyMjEzLCJyb2xlIjoidXNlciIsInBob25lX251bWJlciI6Iis5MTYyMDU4MjkzNzYifQ.",
    "u90Ht35FVHJbbmwZb9mT7_pK1AM5DgeeCgKzo6pvd4Q",
);
/// The same as it is issued now, with `sub`.
const VECTOR_WITH_SUB: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImVhT3ZubjdaaGdoZEI4ODgifQ.",
    "eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwidXNlcl9pZCI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMSIsInN1YiI6IjAxOTlhYTU1",
    "LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMSIsInNpZCI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMiIsImp0aSI6IjAxOTlh",
    "YTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMyIsImlhdCI6MTc3MzQ4MDQxMywiZXhwIjoxNzczNDgyMjEzLCJyb2xlIjoidXNlciIsInBob25l",
    "X251bWJlciI6Iis5MTYyMDU4MjkzNzYifQ.",
    "4ugS-E-vkhPRM-9SkTzdZ8VNW3L6E8L4pH-9telFKY4",
);
const VECTOR_WITHOUT_KID: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.",
    "eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwidXNlcl9pZCI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMSIsInNpZCI6IjAxOTlh",
    "YTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMiIsImp0aSI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMyIsImlhdCI6",
    "MTc3MzQ4MDQxMywiZXhwIjoxNzczNDgyMjEzLCJyb2xlIjoidXNlciIsInBob25lX251bWJlciI6Iis5MTYyMDU4MjkzNzYifQ.",
    "t-pW0ssHd9N5rjsPLp1Xs7KalYrGC4lxkEbaT6zzJDI",
);
const VECTOR_WITHOUT_EXP: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.",
    "eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwidXNlcl9pZCI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMSIsInNpZCI6IjAxOTlh",
    "YTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMiIsImp0aSI6IjAxOTlhYTU1LTVhMmItN2M2MC05ZDNjLTBjOGYzZjRmMmExMyIsImlhdCI6",
    "MTc3MzQ4MDQxMywicm9sZSI6InVzZXIiLCJwaG9uZV9udW1iZXIiOiIrOTE2MjA1ODI5Mzc2In0.",
    "0QygeLE7rkzZtN-eAwfACi6fB-BSk3nA2JR6-CE3Q-Y",
);

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap()
}

fn policy() -> TokenPolicy {
    TokenPolicy {
        terms: None,
        access_life: Duration::minutes(30),
        refresh_life: Duration::days(7),
        session_max: Duration::days(90),
        issuer: None,
        audience: None,
        claims: Vec::new(),
        most_sessions: 20,
        discovered_at: None,
    }
}

fn keys() -> TokenKeys {
    TokenKeys::new(SigningKey::secret(&SECRET.into()), vec![], policy())
}

fn session() -> Session {
    let [session, refresh_jti] = [SESSION, JTI].map(Uuid::from_u128);
    let ids = NewSession { session, refresh_jti };
    Session::open(ids, account().id, OpenedBy::Code, Client::default(), &policy(), now())
}

fn account() -> Account {
    Account {
        id: Uuid::from_u128(USER),
        phone: PhoneNumber::from_e164("+916205829376"),
        username: None,
        email: None,
        first_name: None,
        last_name: None,
        claimed_phone: None,
        has_password: false,
        role: Role::User,
        is_active: true,
        profile: Profile {
            id: Uuid::from_u128(9),
            name: None,
            birth_date: None,
            gender: None,
            bio: None,
            location: None,
            event_interests: vec![],
            profile_pictures: vec![],
        },
        device_epoch: 0,
        is_review: false,
        former_phone: None,
        unlinked_at: None,
        external_id: None,
        invitation_id: None,
        terms: None,
        created_at: now(),
        updated_at: now(),
    }
}

fn claims() -> Claims {
    keys().read(VECTOR, TokenType::Access, now()).unwrap()
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

#[test]
fn a_token_that_another_program_signed_is_read() {
    for vector in [VECTOR, VECTOR_WITHOUT_KID] {
        assert!(keys().read(vector, TokenType::Access, now()).is_ok(), "{vector}");
    }
    let claims = claims();
    assert_eq!(claims.token_type, TokenType::Access);
    assert_eq!(claims.user_id, Uuid::from_u128(USER));
    assert_eq!(claims.sid, Uuid::from_u128(SESSION));
    assert_eq!(claims.jti, Uuid::from_u128(JTI));
    assert_eq!((claims.iat, claims.exp), (now().timestamp(), now().timestamp() + 1800));
    assert_eq!(claims.role.as_deref(), Some("user"));
    assert_eq!(claims.phone_number.as_deref(), Some("+916205829376"));
}

#[test]
fn what_is_issued_is_that_very_token() {
    let pair = keys().issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
    assert_eq!(pair.access.expose_secret(), VECTOR_WITH_SUB);
    assert_eq!(pair.expires_in, 1800);
    let refresh = keys().read(pair.refresh.expose_secret(), TokenType::Refresh, now()).unwrap();
    assert_eq!(refresh.jti, Uuid::from_u128(JTI));
    assert_eq!(refresh.exp, (now() + Duration::days(7)).timestamp());
    assert_eq!((refresh.role, refresh.phone_number), (None, None));
    // Issued again later, the refresh token is the same text.
    let later =
        keys().issue(&session(), &account(), Uuid::from_u128(1), now() + Duration::seconds(30)).unwrap();
    assert_eq!(later.refresh.expose_secret(), pair.refresh.expose_secret());
    assert_ne!(later.access.expose_secret(), pair.access.expose_secret());
}

#[test]
fn an_address_is_never_called_proved() {
    let account =
        Account { email: Some("g@example.com".to_owned()), username: Some("gaurav".to_owned()), ..account() };
    let pair = keys().issue(&session(), &account, Uuid::from_u128(JTI), now()).unwrap();
    let claims = keys().read(pair.access.expose_secret(), TokenType::Access, now()).unwrap();
    assert_eq!(claims.email.as_deref(), Some("g@example.com"));
    assert_eq!(claims.email_verified, Some(false));
    assert_eq!(claims.username.as_deref(), Some("gaurav"));
}

#[test]
fn a_token_dies_at_its_second() {
    let exp = now() + Duration::minutes(30);
    for (at, expected) in [
        (exp - Duration::microseconds(1), None),
        (exp, Some(TokenError::Expired)),
        (exp + Duration::days(3650), Some(TokenError::Expired)),
        // A clock that was set back by more than the allowed skew.
        (now() - SKEW, None),
        (now() - SKEW - Duration::seconds(1), Some(TokenError::Expired)),
        (now() - Duration::days(3650), Some(TokenError::Expired)),
    ] {
        assert_eq!(keys().read(VECTOR, TokenType::Access, at).err(), expected, "{at}");
    }
    assert!(keys().read_any_age(VECTOR).is_ok());
}

#[test]
fn a_token_is_of_one_kind() {
    assert_eq!(keys().read(VECTOR, TokenType::Refresh, now()).err(), Some(TokenError::Invalid));
    // Not even when it has expired: only a token that is valid in every other respect counts as expired.
    let late = now() + Duration::days(1);
    assert_eq!(keys().read(VECTOR, TokenType::Refresh, late).err(), Some(TokenError::Invalid));
}

#[test]
fn issuer_and_audience_count_where_they_are_configured() {
    let policy = TokenPolicy { issuer: Some("us".to_owned()), audience: Some("apps".to_owned()), ..policy() };
    let strict = TokenKeys::new(SigningKey::secret(&SECRET.into()), vec![], policy);
    let good = serde_json::to_value(claims()).unwrap();
    for (iss, aud, is_good) in [
        (json!("us"), json!("apps"), true),
        (json!("them"), json!("apps"), false),
        (json!("us"), json!("others"), false),
        (Value::Null, json!("apps"), false),
        (json!("us"), Value::Null, false),
        (Value::Null, Value::Null, false),
    ] {
        let mut claims = good.clone();
        for (name, value) in [("iss", &iss), ("aud", &aud)] {
            if !value.is_null() {
                claims[name] = value.clone();
            }
        }
        let token = signed(Algorithm::HS256, SECRET, &claims);
        assert_eq!(strict.read(&token, TokenType::Access, now()).is_ok(), is_good, "{iss} {aud}");
    }
    let pair = strict.issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
    assert!(strict.read(pair.access.expose_secret(), TokenType::Access, now()).is_ok());
    assert!(strict.read(pair.refresh.expose_secret(), TokenType::Refresh, now()).is_ok());
}

#[test]
fn rotation_is_a_table() {
    let [parent, newest, older, stranger] = [1, 2, 3, 4].map(Uuid::from_u128);
    let rotated = Session { refresh_jti: parent, ..session() }.rotated(parent, newest, &policy(), now());
    assert_eq!((rotated.parent_jti, rotated.refresh_jti), (Some(parent), newest));
    assert_eq!(rotated.expires_at, now() + Duration::days(7));
    let micro = Duration::microseconds(1);
    for (presented, after, expected) in [
        (newest, Duration::zero(), Rotation::Advance),
        (newest, Duration::days(6), Rotation::Advance),
        (parent, Duration::zero(), Rotation::Repeat),
        (parent, ROTATION_GRACE, Rotation::Repeat),
        (parent, ROTATION_GRACE + micro, Rotation::Advance),
        (parent, Duration::days(6), Rotation::Advance),
        // Another server's clock can be a little behind.
        (parent, -Duration::seconds(2), Rotation::Repeat),
        (older, Duration::zero(), Rotation::Retired),
        (stranger, Duration::days(6), Rotation::Retired),
    ] {
        assert_eq!(rotated.rotation(presented, now() + after), expected, "{presented} after {after}");
    }
    // A new session has no parent; the nil id is not one either.
    assert_eq!(session().rotation(Uuid::nil(), now()), Rotation::Retired);
    // The lost successor is retired by the next one, and a used successor retires its parent.
    let again = rotated.rotated(parent, older, &policy(), now() + Duration::minutes(1));
    assert_eq!(again.rotation(newest, now() + Duration::minutes(1)), Rotation::Retired);
    let used = rotated.rotated(newest, older, &policy(), now());
    assert_eq!(used.rotation(parent, now()), Rotation::Retired);
}

#[test]
fn a_second_factor_that_is_required_raises_nobody() {
    let with = |role| Session { role, ..session() };
    for (role, expected) in [
        (Role::Guest, Role::Guest),
        (Role::User, Role::User),
        (Role::Staff, Role::User),
        (Role::Admin, Role::User),
    ] {
        assert_eq!(with(role).limited(FactorPolicy::Required).role, expected);
        assert_eq!(with(role).limited(FactorPolicy::Optional).role, role);
    }
}

#[test]
fn a_token_with_every_claim_is_short_enough_to_be_read() {
    let policy = TokenPolicy { claims: OptionalClaim::ALL.to_vec(), ..policy() };
    let keys = TokenKeys::new(SigningKey::secret(&SECRET.into()), vec![], policy);
    let text = |letter: &str, length| Some(letter.repeat(length));
    // Letters of four bytes, and the longest of everything.
    let profile = Profile { name: text("\u{16a00}", 100), ..account().profile };
    let account = Account {
        username: text("u", 150),
        email: text("e", 254),
        external_id: text("\u{16a00}", 255),
        profile,
        ..account()
    };
    let client = Client { locale: text("l", 35), ..Client::default() };
    let pair = keys.issue(&Session { client, ..session() }, &account, Uuid::from_u128(JTI), now()).unwrap();
    let claims = keys.read(pair.access.expose_secret(), TokenType::Access, now()).unwrap();
    assert_eq!((claims.name, claims.external_id), (account.profile.name, account.external_id));
    // A signature of the longest key has 1,366 characters instead of 43.
    assert!(pair.access.expose_secret().len() + 1366 - 43 < 8192, "{}", pair.access.expose_secret().len());
}

#[test]
fn admission_is_a_table() {
    let other = Uuid::from_u128(77);
    let ended = Session { ended_at: Some(now()), ..session() };
    let theirs = Session { account_id: other, ..session() };
    let of_guest = |role| Session { opened_by: OpenedBy::Guest, role, ..session() };
    let with_role = |role: Option<&str>| Claims { role: role.map(str::to_owned), ..claims() };
    for (why, claims, found, comes_in) in [
        ("all is well", claims(), Some((session(), account())), true),
        ("no session", claims(), None, false),
        ("ended", claims(), Some((ended, account())), false),
        ("disabled", claims(), Some((session(), Account { is_active: false, ..account() })), false),
        ("another's session", claims(), Some((theirs, account())), false),
        ("another's account", claims(), Some((session(), Account { id: other, ..account() })), false),
        ("another user", Claims { user_id: other, ..claims() }, Some((session(), account())), false),
        ("admin", with_role(Some("admin")), Some((session(), account())), false),
        ("User", with_role(Some("User")), Some((session(), account())), false),
        ("no role", with_role(None), Some((session(), account())), false),
        ("a guest", with_role(Some("guest")), Some((of_guest(Role::Guest), account())), true),
        (
            "a guest who is a user now",
            with_role(Some("guest")),
            Some((of_guest(Role::User), account())),
            true,
        ),
        ("a user now", claims(), Some((of_guest(Role::User), account())), true),
        ("a guest as a user", claims(), Some((of_guest(Role::Guest), account())), false),
        ("a user as a guest", with_role(Some("guest")), Some((session(), account())), false),
        ("a guest as staff", with_role(Some("guest")), Some((of_guest(Role::Staff), account())), false),
    ] {
        assert_eq!(admit(&AccessToken::from_claims(claims), found).is_ok(), comes_in, "{why}");
    }
    let who = admit(&AccessToken::from_claims(claims()), Some((session(), account()))).unwrap();
    assert_eq!((who.session().id, who.account().id), (Uuid::from_u128(SESSION), Uuid::from_u128(USER)));
}

#[test]
fn nothing_that_is_secret_is_shown() {
    let pair = keys().issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
    let who = admit(&AccessToken::from_claims(claims()), Some((session(), account()))).unwrap();
    let shown = [format!("{pair:?}"), format!("{:?}", keys()), format!("{:?}", claims()), format!("{who:?}")];
    for shown in shown {
        for secret in [SECRET, pair.access.expose_secret(), pair.refresh.expose_secret(), "eyJ", "6205829376"]
        {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
