//! Keys derived from `SECRET_KEY`, one per purpose. The output of one key reveals nothing about another, and is never valid
//! in its place.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

use super::access::signature_only;

/// A key of 256 bits. It has no `Debug`.
pub(super) struct DerivedKey([u8; 32]);

impl DerivedKey {
    /// Derives the key for a purpose from a secret.
    pub(super) fn new(secret: &SecretString, purpose: &[u8]) -> Self {
        Self(mac(secret.expose_secret().as_bytes(), &[purpose]))
    }

    /// Derives a key for a part of this key's purpose.
    pub(super) fn child(&self, purpose: &[u8]) -> Self {
        Self(self.mac(&[purpose]))
    }

    /// HMAC-SHA256 (RFC 2104).
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.0, parts)
    }

    /// The first half of [`Self::mac`], 128 bits, as 32 hexadecimal digits.
    pub(super) fn mac_hex(&self, parts: &[&[u8]]) -> String {
        let half = self.mac(parts).first_chunk().copied().unwrap_or_default();
        format!("{:032x}", u128::from_be_bytes(half))
    }

    /// Signs claims as a JWT (RFC 7519).
    pub(super) fn sign(&self, claims: &impl Serialize) -> String {
        let key = EncodingKey::from_secret(&self.0);
        let Ok(token) = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key) else {
            unreachable!("claims are valid JSON, and HMAC signs everything")
        };
        token
    }

    /// Returns the claims of a token that this key signed. The caller checks them.
    pub(super) fn verify<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let key = DecodingKey::from_secret(&self.0);
        Some(jsonwebtoken::decode(token, &key, &signature_only(Algorithm::HS256)).ok()?.claims)
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
