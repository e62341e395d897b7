//! Keys derived from `SECRET_KEY`, one per purpose. The output of one key reveals nothing about another, and is never valid
//! in its place.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
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
        half_hex(self.mac(parts).first_chunk())
    }

    /// Encrypts with AES-256-GCM. The nonce must be random, and comes first in the result. `bound_to` must be the same when it
    /// is opened: a ciphertext that is copied to another row does not open there.
    pub(super) fn seal(&self, plain: &[u8], nonce: [u8; NONCE_LEN], bound_to: &[u8]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        let Ok(()) = self.cipher().seal_in_place_append_tag(nonce_used, Aad::from(bound_to), &mut sealed)
        else {
            unreachable!("AES-GCM encrypts any text shorter than 64 GiB")
        };
        nonce.into_iter().chain(sealed).collect()
    }

    /// Decrypts what [`Self::seal`] returned. `None` when another key made it, it was changed, or it is bound to something else.
    pub(super) fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Some(self.cipher().open_in_place(nonce, Aad::from(bound_to), &mut buffer).ok()?.to_vec())
    }

    fn cipher(&self) -> LessSafeKey {
        let Ok(key) = UnboundKey::new(&AES_256_GCM, &self.0) else { unreachable!("the key has 256 bits") };
        LessSafeKey::new(key)
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

/// 128 bits, such as half a hash, as 32 hexadecimal digits.
pub(super) fn half_hex(half: Option<&[u8; 16]>) -> String {
    format!("{:032x}", u128::from_be_bytes(half.copied().unwrap_or_default()))
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
