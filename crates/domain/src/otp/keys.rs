//! The keys that codes are derived with, and how a code is read from an HMAC.

use std::fmt;

use secrecy::SecretString;

use super::{Challenge, ChallengeKey, CodeLength, Holder, OtpCode};
use crate::{derived::DerivedKey, phone::PhoneNumber};

/// The keys for deriving codes. New codes use the first; every listed key still verifies.
pub struct OtpKeys(Vec<OtpKey>);

struct OtpKey {
    version: String,
    key: DerivedKey,
}

impl OtpKeys {
    /// Derives one key from each secret, the current secret first.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        Self(std::iter::once(current).chain(fallbacks).map(OtpKey::derive).collect())
    }

    /// The key version of new challenges.
    #[must_use]
    pub fn current_version(&self) -> &str {
        self.0.first().map_or("", |key| key.version.as_str())
    }

    /// Every key version that still verifies.
    #[must_use]
    pub fn versions(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.version.as_str()).collect()
    }

    /// HMACs of a phone, one for each key, the current key first. They replace the phone where it must not be stored.
    #[must_use]
    pub fn phone_hashes(&self, phone: &PhoneNumber) -> Vec<String> {
        self.0.iter().map(|key| key.phone_hash(phone)).collect()
    }

    /// The code of a challenge; `None` if its key is no longer listed.
    #[must_use]
    pub fn code(&self, challenge: &Challenge, of: ChallengeKey<'_>, length: CodeLength) -> Option<OtpCode> {
        let key = self.0.iter().find(|key| key.version == challenge.key_version)?;
        let digest = key.key.mac(&[
            challenge.id.as_bytes(),
            of.phone.full().as_bytes(),
            of.purpose.as_str().as_bytes(),
            &of.holder.map(Holder::bytes).unwrap_or_default(),
        ]);
        Some(OtpCode(SecretString::from(truncate(&digest, length))))
    }
}

impl fmt::Debug for OtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OtpKeys").field(&self.versions()).finish()
    }
}

impl OtpKey {
    /// `SECRET_KEY` has other uses, so codes get a derived key. The version is an HMAC too, so it reveals nothing
    /// about the key.
    fn derive(secret: &SecretString) -> Self {
        let key = DerivedKey::new(secret, b"loopin-auth/otp");
        Self { version: key.mac_hex(&[b"version"]), key }
    }

    /// Uses a separate key, so that a phone hash never equals the digest of a code.
    fn phone_hash(&self, phone: &PhoneNumber) -> String {
        format!("hmac:{}", self.key.child(b"mark").mac_hex(&[phone.full().as_bytes()]))
    }
}

/// RFC 4226, section 5.3: the low four bits of the last byte select the offset of the 31 bits to read.
pub(super) fn truncate(digest: &[u8; 32], length: CodeLength) -> String {
    let offset = usize::from(digest[31] & 0x0f);
    let word = digest.iter().skip(offset).take(4).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let digits = length.digits();
    let number = (word & 0x7fff_ffff) % 10_u32.pow(length.0);
    format!("{number:0digits$}")
}
