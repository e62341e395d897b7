//! The rules of the admin console's sessions: the cookie, how long it lives, the token that every form carries, and which
//! requests come from our own pages.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    access::{Client, NewSession, Session},
    account::{Account, Role},
    derived::{DerivedKey, half_hex},
    phone::PhoneNumber,
    second_factor::Rights,
};

/// How long a session of the console lives, however much it is used.
pub const CONSOLE_LIFE: Duration = Duration::hours(12);

/// How long a session of the console lives without use.
pub const CONSOLE_IDLE: Duration = Duration::hours(1);

/// How long the second step of the sign-in may take.
pub const CONSOLE_PENDING: Duration = Duration::minutes(10);

/// How long the script of the phone page may refresh it before that is recorded as another opening.
pub const SHOWN_FOR: Duration = Duration::minutes(30);

/// The value of the cookie: the session's id, and a secret of 256 bits that only the browser has. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsoleCookie {
    session: Uuid,
    secret: [u8; 32],
}

impl fmt::Debug for ConsoleCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsoleCookie(..)")
    }
}

impl ConsoleCookie {
    /// A cookie from an id and random bytes.
    #[must_use]
    pub fn new(session: Uuid, secret: [u8; 32]) -> Self {
        Self { session, secret }
    }

    /// Reads what [`Self::value`] wrote; `None` for anything else.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (session, secret) = value.split_once('.')?;
        if session.len() != 32 || secret.len() != 64 {
            return None;
        }
        let half = |range: std::ops::Range<usize>| u128::from_str_radix(secret.get(range)?, 16).ok();
        let (first, second) = (half(0..32)?, half(32..64)?);
        let mut bytes = [0; 32];
        let parts = first.to_be_bytes().into_iter().chain(second.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(target, byte)| *target = byte);
        Some(Self { session: Uuid::try_parse(session).ok()?, secret: bytes })
    }

    /// The text of the cookie.
    #[must_use]
    pub fn value(&self) -> String {
        let (first, second) = (half_hex(self.secret.first_chunk()), half_hex(self.secret.last_chunk()));
        format!("{}.{first}{second}", self.session.simple())
    }

    /// The session that it names. Nothing is proved yet.
    #[must_use]
    pub fn session(&self) -> Uuid {
        self.session
    }

    /// What the row keeps of the secret: 128 bits of its SHA-256, so that a leaked database opens no session.
    #[must_use]
    pub fn hash(&self) -> Uuid {
        let digest: [u8; 32] = Sha256::digest(self.secret).into();
        Uuid::from_bytes(digest.first_chunk().copied().unwrap_or_default())
    }
}

/// A new session of the console: with the account's rights once every step of the sign-in is done, and with those of a user,
/// who may do nothing here, until then.
#[must_use]
pub fn open_session(
    cookie: &ConsoleCookie,
    account: &Account,
    rights: Rights,
    client: Client,
    now: DateTime<Utc>,
) -> Session {
    let ids = NewSession { session: cookie.session(), refresh_jti: cookie.hash() };
    let expires_at = if rights.role() <= Role::User { now + CONSOLE_PENDING } else { now + CONSOLE_IDLE };
    Session::open_console(ids, account, rights, client, expires_at, now)
}

/// When a session that is used now ends if it is not used again.
#[must_use]
pub fn expiry(session: &Session, now: DateTime<Utc>) -> DateTime<Utc> {
    match session.role {
        Role::Guest | Role::User => session.expires_at,
        Role::Staff | Role::Admin => (now + CONSOLE_IDLE).min(session.created_at + CONSOLE_LIFE),
    }
}

/// The keys of the tokens in pages, derived from `SECRET_KEY` and its fallbacks: the first makes tokens, all verify them.
pub struct ConsoleKeys {
    current: DerivedKey,
    earlier: Vec<DerivedKey>,
}

impl fmt::Debug for ConsoleKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleKeys").finish_non_exhaustive()
    }
}

impl ConsoleKeys {
    /// Derives the keys.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        let key = |secret: &SecretString| DerivedKey::new(secret, b"loopin-auth/console-form");
        Self { current: key(current), earlier: fallbacks.iter().map(key).collect() }
    }

    /// The token that the forms of a session carry: an HMAC of its id.
    #[must_use]
    pub fn form_token(&self, session: Uuid) -> String {
        self.current.mac_hex(&[session.as_bytes()])
    }

    /// Whether a form's token belongs to this session.
    #[must_use]
    pub fn accepts(&self, session: Uuid, token: &str) -> bool {
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        keys.map(|key| key.mac_hex(&[session.as_bytes()]))
            .any(|expected| bool::from(expected.as_bytes().ct_eq(token.as_bytes())))
    }

    /// The token of a page that showed a phone to a session, and that is in the audit log. Its script sends it to refresh the
    /// page without another entry. It ends after [`SHOWN_FOR`].
    #[must_use]
    pub fn shown_token(&self, session: Uuid, phone: &PhoneNumber, now: DateTime<Utc>) -> String {
        let until = (now + SHOWN_FOR).timestamp();
        format!("{until}.{}", shown_mac(&self.current, session, phone, until))
    }

    /// Whether this token says that the phone was shown to this session, and has not ended.
    #[must_use]
    pub fn was_shown(&self, session: Uuid, phone: &PhoneNumber, token: &str, now: DateTime<Utc>) -> bool {
        let Some((until, mac)) = token.split_once('.') else { return false };
        let Ok(until) = until.parse::<i64>() else { return false };
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        now.timestamp() < until
            && keys
                .map(|key| shown_mac(key, session, phone, until))
                .any(|expected| bool::from(expected.as_bytes().ct_eq(mac.as_bytes())))
    }
}

fn shown_mac(key: &DerivedKey, session: Uuid, phone: &PhoneNumber, until: i64) -> String {
    let parts: [&[u8]; 3] = [session.as_bytes(), &until.to_be_bytes(), phone.full().as_bytes()];
    key.child(b"phone-shown").mac_hex(&parts)
}

/// The headers of a request that say which page sent it, as the browser set them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestSource {
    /// `Sec-Fetch-Site` (W3C Fetch Metadata).
    pub fetch_site: Option<String>,
    /// `Origin` (RFC 6454).
    pub origin: Option<String>,
}

impl RequestSource {
    /// Whether one of our own pages sent a request that changes something. Browsers that know `Sec-Fetch-Site` decide by
    /// it; otherwise the host of `Origin` must be the host of the request, or of the public URL. A request that has neither
    /// header is refused.
    #[must_use]
    pub fn is_own(&self, host: Option<&str>, public_origin: Option<&str>) -> bool {
        if let Some(site) = &self.fetch_site {
            return site == "same-origin";
        }
        let Some(origin) = self.origin.as_deref() else { return false };
        let of_host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_host = of_host.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host));
        is_host || public_origin.is_some_and(|public| public.eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_as_it_was_written() {
        let cookie = ConsoleCookie::new(Uuid::from_u128(7), [0xab; 32]);
        assert_eq!(ConsoleCookie::parse(&cookie.value()), Some(cookie.clone()));
        assert_eq!(format!("{cookie:?}"), "ConsoleCookie(..)");
        let text = cookie.value();
        for bad in ["", ".", "7.ab", text.trim_end_matches('b'), &format!("{text}0"), &text.replace('.', "")]
        {
            assert_eq!(ConsoleCookie::parse(bad), None, "{bad}");
        }
        assert_eq!(ConsoleCookie::parse(&text.replace("ab", "+b")), None);
    }

    #[test]
    fn a_form_token_belongs_to_one_session_and_survives_a_change_of_the_secret() {
        let (old, new): (SecretString, SecretString) = ("old".to_owned().into(), "new".to_owned().into());
        let before = ConsoleKeys::derive(&old, &[]);
        let after = ConsoleKeys::derive(&new, std::slice::from_ref(&old));
        let token = before.form_token(Uuid::from_u128(1));
        assert!(before.accepts(Uuid::from_u128(1), &token) && after.accepts(Uuid::from_u128(1), &token));
        assert!(!before.accepts(Uuid::from_u128(2), &token) && !before.accepts(Uuid::from_u128(1), ""));
        assert!(!ConsoleKeys::derive(&new, &[]).accepts(Uuid::from_u128(1), &token));
    }

    #[test]
    fn a_token_of_a_shown_phone_is_for_one_session_one_phone_and_half_an_hour() {
        let (old, new): (SecretString, SecretString) = ("old".to_owned().into(), "new".to_owned().into());
        let before = ConsoleKeys::derive(&old, &[]);
        let after = ConsoleKeys::derive(&new, std::slice::from_ref(&old));
        let number = |text| PhoneNumber::from_e164(text).unwrap();
        let (phone, other) = (number("+916205829376"), number("+919876543210"));
        let (session, now) = (Uuid::from_u128(1), DateTime::from_timestamp(1_000_000, 0).unwrap());
        let token = before.shown_token(session, &phone, now);
        for keys in [&before, &after] {
            assert!(keys.was_shown(session, &phone, &token, now));
            assert!(keys.was_shown(session, &phone, &token, now + SHOWN_FOR - Duration::seconds(1)));
            assert!(!keys.was_shown(session, &phone, &token, now + SHOWN_FOR));
            assert!(!keys.was_shown(session, &other, &token, now));
            assert!(!keys.was_shown(Uuid::from_u128(2), &phone, &token, now));
        }
        assert!(!ConsoleKeys::derive(&new, &[]).was_shown(session, &phone, &token, now));
        let (until, mac) = token.split_once('.').unwrap();
        let later = format!("{}.{mac}", until.parse::<i64>().unwrap() + 1);
        for bad in ["", ".", until, mac, &later, &format!("{until}.{}", before.form_token(session))] {
            assert!(!before.was_shown(session, &phone, bad, now), "{bad}");
        }
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let public = Some("https://auth.example.com");
        for (fetch_site, origin, host, own) in [
            (Some("same-origin"), None, Some("localhost:8000"), true),
            (Some("same-origin"), Some("https://evil.example"), Some("localhost:8000"), true),
            (Some("same-site"), None, Some("localhost:8000"), false),
            (Some("cross-site"), Some("http://localhost:8000"), Some("localhost:8000"), false),
            (Some("none"), None, Some("localhost:8000"), false),
            (Some(""), None, Some("localhost:8000"), false),
            (None, Some("http://localhost:8000"), Some("localhost:8000"), true),
            (None, Some("http://LOCALHOST:8000"), Some("localhost:8000"), true),
            (None, Some("http://localhost"), Some("localhost:8000"), false),
            (None, Some("https://auth.example.com"), Some("10.0.0.7"), true),
            (None, Some("http://auth.example.com"), Some("10.0.0.7"), false),
            (None, Some("https://auth.example.com.evil.example"), Some("auth.example.com"), false),
            (None, Some("null"), Some("localhost:8000"), false),
            (None, None, Some("localhost:8000"), false),
            (None, Some("http://"), None, false),
        ] {
            let source = RequestSource {
                fetch_site: fetch_site.map(str::to_owned),
                origin: origin.map(str::to_owned),
            };
            assert_eq!(source.is_own(host, public), own, "{source:?} {host:?}");
        }
    }
}
