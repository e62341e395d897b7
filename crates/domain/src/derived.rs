//! Keys that are derived from `SECRET_KEY`, one for each thing that is done with it: what one of them makes says nothing
//! about another, and never passes for it.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

use super::access::signature_alone;

/// A key of 256 bits. It has no `Debug`.
pub(super) struct DerivedKey([u8; 32]);

impl DerivedKey {
    /// The key of a secret for this.
    pub(super) fn new(secret: &SecretString, what: &[u8]) -> Self {
        Self(mac(secret.expose_secret().as_bytes(), &[what]))
    }

    /// A key of this one, for a part of what it is for.
    pub(super) fn child(&self, what: &[u8]) -> Self {
        Self(self.mac(&[what]))
    }

    /// HMAC-SHA256 (RFC 2104).
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.0, parts)
    }

    /// The first half of that, 128 bits, as 32 hexadecimal digits.
    pub(super) fn phone_hash(&self, parts: &[&[u8]]) -> String {
        let half = self.mac(parts).first_chunk().copied().unwrap_or_default();
        format!("{:032x}", u128::from_be_bytes(half))
    }

    /// A token (JWT, RFC 7519) that claims this.
    pub(super) fn sign(&self, claims: &impl Serialize) -> String {
        let key = EncodingKey::from_secret(&self.0);
        let Ok(token) = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key) else {
            unreachable!("plain members are JSON, and HMAC signs whatever it is given")
        };
        token
    }

    /// What a token claims, if this key signed it. The caller checks what the claims say.
    pub(super) fn open<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let key = DecodingKey::from_secret(&self.0);
        Some(jsonwebtoken::decode(token, &key, &signature_alone(Algorithm::HS256)).ok()?.claims)
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length (RFC 2104)")
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
