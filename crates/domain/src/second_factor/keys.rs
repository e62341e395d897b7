//! Secrets of authenticator apps, and the keys that encrypt them.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use totp_rs::{Builder, Secret, Totp};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    code::{RecoveryCode, base32},
    link::EnrolmentToken,
};
use crate::derived::DerivedKey;

/// The bytes of a secret: 160 bits, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// The secret that the server shares with an authenticator app. `Debug` shows nothing.
#[derive(Clone)]
pub struct FactorSecret([u8; SECRET_BYTES]);

impl fmt::Debug for FactorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorSecret(..)")
    }
}

impl FactorSecret {
    /// The secret as base32, for typing it into an app.
    #[must_use]
    pub fn base32(&self) -> String {
        base32(&self.0)
    }

    /// The text of the QR code that apps read.
    #[must_use]
    pub fn uri(&self, product: &str, account: &str) -> SecretString {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        // A space as `+` is shown as a plus by some apps, and a colon separates the two names.
        let encode = |text: &str| encode(&text.replace(':', " ")).replace('+', "%20");
        let (product, account) = (encode(product), encode(account));
        format!("otpauth://totp/{product}:{account}?secret={}&issuer={product}", self.base32()).into()
    }

    /// The time step of which this is the code: the current one, the one before, or the next.
    #[must_use]
    pub fn step_of(&self, digits: &SecretString, now: DateTime<Utc>) -> Option<i64> {
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let step = self.totp().check(digits.expose_secret(), seconds)?;
        i64::try_from(step).ok()
    }

    /// Six digits, 30 seconds, one step of tolerance, and SHA-1, which is all that every app supports.
    fn totp(&self) -> Totp {
        Builder::new().with_secret(Secret::new_stack(self.0)).build_noncompliant()
    }
}

/// An encrypted secret, as its row holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(String);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(..)")
    }
}

impl SealedSecret {
    /// The text of a row.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text for the row.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keys of second factors, derived from `SECRET_KEY` and its fallbacks. The first makes everything new, all are read.
pub struct FactorKeys {
    current: Keys,
    earlier: Vec<Keys>,
}

struct Keys {
    seal: DerivedKey,
    recovery: DerivedKey,
    enrolment: DerivedKey,
}

impl fmt::Debug for FactorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactorKeys").finish_non_exhaustive()
    }
}

impl FactorKeys {
    /// Derives the keys.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        Self { current: Keys::derive(current), earlier: fallbacks.iter().map(Keys::derive).collect() }
    }

    /// Encrypts a secret for the row of this account. The nonce must be random.
    #[must_use]
    pub fn seal(&self, account_id: Uuid, secret: &FactorSecret, nonce: [u8; 12]) -> SealedSecret {
        let sealed = self.current.seal.seal(&secret.0, nonce, account_id.as_bytes());
        SealedSecret(STANDARD_NO_PAD.encode(sealed))
    }

    /// Decrypts the secret of this account's row, and says whether the current key made it. `None` when no key did.
    #[must_use]
    pub fn open(&self, account_id: Uuid, sealed: &SealedSecret) -> Option<(FactorSecret, bool)> {
        let sealed = STANDARD_NO_PAD.decode(&sealed.0).ok()?;
        self.all().enumerate().find_map(|(place, keys)| {
            let secret = keys.seal.open(&sealed, account_id.as_bytes())?;
            Some((FactorSecret(secret.try_into().ok()?), place == 0))
        })
    }

    /// The hash of a recovery code for its row.
    #[must_use]
    pub fn recovery_hash(&self, account_id: Uuid, code: &RecoveryCode) -> String {
        self.current.recovery_hash(account_id, code)
    }

    /// The hashes of a recovery code under every key.
    pub(super) fn recovery_hashes(&self, account_id: Uuid, code: &RecoveryCode) -> Vec<String> {
        self.all().map(|keys| keys.recovery_hash(account_id, code)).collect()
    }

    /// The secret that an enrolment link offers. It is derived from the link's random token, so that the page shows the same
    /// secret when it is loaded again, and nothing is stored before the right code.
    #[must_use]
    pub fn offered(&self, account_id: Uuid, token: &EnrolmentToken) -> FactorSecret {
        let bytes = self.current.enrolment.mac(&[account_id.as_bytes(), token.bytes()]);
        FactorSecret(bytes.first_chunk().copied().unwrap_or_default())
    }

    fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.earlier)
    }
}

impl Keys {
    fn derive(secret: &SecretString) -> Self {
        let key = DerivedKey::new(secret, b"loopin-auth/second-factor");
        Self {
            seal: key.child(b"seal"),
            recovery: key.child(b"recovery"),
            enrolment: key.child(b"enrolment"),
        }
    }

    fn recovery_hash(&self, account_id: Uuid, code: &RecoveryCode) -> String {
        self.recovery.mac_hex(&[account_id.as_bytes(), code.text().as_bytes()])
    }
}

#[cfg(test)]
impl FactorSecret {
    pub(super) fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn code(&self, seconds: u64) -> SecretString {
        use std::fmt::Write as _;
        let mut code = String::new();
        write!(code, "{}", self.totp().generate(seconds)).unwrap();
        code.into()
    }
}
