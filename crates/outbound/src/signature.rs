//! Signatures of Standard Webhooks: <https://github.com/standard-webhooks/standard-webhooks>.
//!
//! `v1,` and the base64 of HMAC-SHA256 over id, time and body, separated by full stops. While a secret changes, two are
//! valid: the sender sends a signature of each, and a receiver accepts either.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use thiserror::Error;

/// The header with the id of the message. All tries of one message have the same.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of the request, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const SECRET_PREFIX: &str = "whsec_";
const SIGNATURE_PREFIX: &str = "v1,";

/// The sizes of a secret that the standard allows, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How many secrets can be valid at the same time.
const MAX_SECRETS: usize = 2;

/// How old a request may be, and how far in the future.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Why a text is no secret. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The prefix is missing.
    #[error("must begin with whsec_")]
    Prefix,
    /// The rest is not base64 with padding.
    #[error("must be whsec_ and the base64 of random bytes, such as whsec_$(openssl rand -base64 32)")]
    Base64,
    /// It is too short or too long.
    #[error("must hold 24 to 64 random bytes, such as whsec_$(openssl rand -base64 32)")]
    Length,
    /// There is none, or more than two.
    #[error("must hold one secret, or two separated by a space while one replaces the other")]
    Count,
}

/// One secret. `Debug` hides it.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(SecretError::Prefix)?;
        // Receivers' libraries require the padding, so a secret without it would work here only.
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length);
        }
        Ok(Self(bytes.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    fn mac(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of every length, so this is never `None`.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        Some(mac)
    }
}

/// The valid secrets of one receiver: one, or two while one replaces the other.
#[derive(Debug, Clone)]
pub struct Secrets(Vec<Secret>);

impl FromStr for Secrets {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let secrets = text.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() || secrets.len() > MAX_SECRETS {
            return Err(SecretError::Count);
        }
        Ok(Self(secrets))
    }
}

/// The signed parts of a request that was received, as its headers have them.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// [`ID_HEADER`]
    pub id: &'a str,
    /// [`TIMESTAMP_HEADER`]
    pub timestamp: &'a str,
    /// [`SIGNATURE_HEADER`]
    pub signature: &'a str,
}

/// A request has no valid signature, or its time is more than five minutes from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the request has no valid signature")]
pub struct Forged;

impl Secrets {
    /// The value of [`SIGNATURE_HEADER`]: a signature with every secret, the newest first.
    #[must_use]
    pub fn sign(&self, id: &str, at: DateTime<Utc>, body: &[u8]) -> String {
        let macs = self.0.iter().filter_map(|secret| secret.mac(id, at.timestamp(), body));
        let signatures =
            macs.map(|mac| format!("{SIGNATURE_PREFIX}{}", STANDARD.encode(mac.finalize().into_bytes())));
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// Checks a request that was received: one signature must be of one of the secrets, and its time must be recent.
    /// A repeated request passes within the five minutes; its id tells.
    ///
    /// # Errors
    /// [`Forged`] for everything else.
    pub fn verify(&self, headers: Signed<'_>, body: &[u8], now: DateTime<Utc>) -> Result<(), Forged> {
        let timestamp: i64 = headers.timestamp.parse().map_err(|_| Forged)?;
        let at = DateTime::from_timestamp(timestamp, 0).ok_or(Forged)?;
        if (now - at).abs() > TOLERANCE {
            return Err(Forged);
        }
        let given = headers.signature.split_whitespace();
        let mut given = given.filter_map(|one| STANDARD.decode(one.strip_prefix(SIGNATURE_PREFIX)?).ok());
        let macs: Vec<_> =
            self.0.iter().filter_map(|secret| secret.mac(headers.id, timestamp, body)).collect();
        // `verify_slice` compares in constant time.
        let is_valid = given.any(|one| macs.iter().any(|mac| mac.clone().verify_slice(&one).is_ok()));
        if is_valid { Ok(()) } else { Err(Forged) }
    }
}
