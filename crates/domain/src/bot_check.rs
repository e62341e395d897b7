//! Bot proof: the challenge for suspicious requests, and the proof of work, which needs no provider.
//!
//! A challenge is a JWT (RFC 7519) with an expiry, an id and a difficulty. An HMAC that reveals neither binds it to one phone
//! and one network, so the work is useless for others. Its key is derived from `SECRET_KEY` for this purpose only, and it has
//! its own `token_type`: no other token is valid as a challenge, and no challenge as another token.
//!
//! The response is the challenge, a full stop, and a number (1 to 20 digits), such that the SHA-256 of the whole text begins
//! with as many zero bits as the challenge requires. The database makes sure that a response is used only once: checking
//! returns the id that the caller must record as used.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{address::ClientAddress, clocks::SKEW, derived::DerivedKey, pseudonym::Pseudonym};

/// How long a challenge can be answered.
pub const CHALLENGE_LIFE: Duration = Duration::minutes(2);

/// The maximum length of `challenge_response` in characters. Ours have about 270, Turnstile's up to 2,048, and hCaptcha's
/// sometimes more.
pub const MAX_RESPONSE_CHARS: usize = 4096;

/// The number of digits of the greatest 64-bit number.
const MAX_NONCE_DIGITS: usize = 20;

/// The `token_type` of a challenge.
const TOKEN_TYPE: &str = "pow";

/// The required work: the number of zero bits at the beginning of the hash. One more bit doubles the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difficulty(u32);

impl Difficulty {
    /// With less there is no noticeable work, even for a cheap phone.
    pub const LEAST: u32 = 8;
    /// With more, a cheap phone takes longer than a challenge is valid.
    pub const MOST: u32 = 24;
    /// 131,072 hashes on average: about a second for an app on a cheap phone. `docs/BOT_PROOF.md` has the measurements.
    pub const DEFAULT: u32 = 17;

    /// Accepts [`Self::LEAST`] to [`Self::MOST`].
    #[must_use]
    pub fn new(bits: u32) -> Option<Self> {
        (Self::LEAST..=Self::MOST).contains(&bits).then_some(Self(bits))
    }

    /// The number of bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for Difficulty {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

/// The `challenge_response` of a client. `Debug` shows nothing, because a provider's token is valuable until it is used.
#[derive(Clone)]
pub struct ChallengeResponse(SecretString);

/// Why a text is not a [`ChallengeResponse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It is empty.
    #[error("Challenge response must not be empty")]
    Empty,
    /// It is too long.
    #[error("Challenge response must be at most {MAX_RESPONSE_CHARS} characters long")]
    TooLong,
}

impl ChallengeResponse {
    /// Accepts a text of 1 to [`MAX_RESPONSE_CHARS`] characters.
    pub fn parse(text: &str) -> Result<Self, ResponseError> {
        if text.is_empty() {
            return Err(ResponseError::Empty);
        }
        if text.chars().count() > MAX_RESPONSE_CHARS {
            return Err(ResponseError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ChallengeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeResponse(..)")
    }
}

/// Why a proof of work is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowError {
    /// It is not one of our challenges with a number, or it was altered.
    Unreadable,
    /// The challenge is for another phone or network.
    Elsewhere,
    /// The challenge has expired.
    Expired,
    /// The hash begins with too few zero bits.
    TooLittleWork,
}

/// The id of a challenge with a correct response. The caller must record it as used, and refuse the request if it was used
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendOnce(Uuid);

impl SpendOnce {
    /// The id.
    #[must_use]
    pub fn id(self) -> Uuid {
        self.0
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    token_type: String,
    /// The phone and network that it is for: [`PowKey::binding`].
    sub: String,
    jti: Uuid,
    /// The expiry, in seconds since 1970.
    exp: i64,
    /// The required zero bits.
    bits: u32,
}

/// The keys of challenges, derived from `SECRET_KEY` and its fallbacks: the first signs, all verify.
pub struct PowKeys {
    current: PowKey,
    earlier: Vec<PowKey>,
}

impl fmt::Debug for PowKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowKeys").finish_non_exhaustive()
    }
}

impl PowKeys {
    /// Derives the keys.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        Self { current: PowKey::new(current), earlier: fallbacks.iter().map(PowKey::new).collect() }
    }

    /// Makes a challenge for this phone and address. `id` is 128 random bits.
    #[must_use]
    pub fn challenge(
        &self,
        phone: &Pseudonym,
        address: ClientAddress,
        difficulty: Difficulty,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> String {
        let claims = Claims {
            token_type: TOKEN_TYPE.to_owned(),
            sub: self.current.binding(id, phone, address),
            jti: id,
            exp: (now + CHALLENGE_LIFE).timestamp(),
            bits: difficulty.bits(),
        };
        self.current.signing.sign(&claims)
    }

    /// Checks a proof of work. `phones` are the phone's pseudonyms with every key, because the challenge may be older than a
    /// change of `SECRET_KEY`.
    pub fn check(
        &self,
        response: &ChallengeResponse,
        phones: &[Pseudonym],
        address: ClientAddress,
        now: DateTime<Utc>,
    ) -> Result<SpendOnce, PowError> {
        let response = response.expose();
        let (challenge, nonce) = response.rsplit_once('.').ok_or(PowError::Unreadable)?;
        let is_number =
            (1..=MAX_NONCE_DIGITS).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(PowError::Unreadable);
        }
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        let (key, claims) = keys
            .into_iter()
            .find_map(|key| Some((key, key.verify(challenge)?)))
            .ok_or(PowError::Unreadable)?;
        let is_bound_to = |phone: &Pseudonym| {
            bool::from(key.binding(claims.jti, phone, address).as_bytes().ct_eq(claims.sub.as_bytes()))
        };
        if !phones.iter().any(is_bound_to) {
            return Err(PowError::Elsewhere);
        }
        // A challenge made by a clock that was ahead could be valid for longer than its id is remembered.
        let latest = now + CHALLENGE_LIFE + SKEW;
        if claims.exp <= now.timestamp() || claims.exp > latest.timestamp() {
            return Err(PowError::Expired);
        }
        if leading_zero_bits(response) < claims.bits {
            return Err(PowError::TooLittleWork);
        }
        Ok(SpendOnce(claims.jti))
    }
}

/// The keys derived from one secret, one per purpose.
struct PowKey {
    signing: DerivedKey,
    binding: DerivedKey,
}

impl PowKey {
    fn new(secret: &SecretString) -> Self {
        let derive = |purpose: &[u8]| DerivedKey::new(secret, purpose);
        Self { signing: derive(b"loopin-auth/proof/sign"), binding: derive(b"loopin-auth/proof/bind") }
    }

    /// Names the phone and network of a challenge in a form that only this server can verify. It contains the id, so that two
    /// challenges for one phone differ.
    fn binding(&self, id: Uuid, phone: &Pseudonym, address: ClientAddress) -> String {
        let network = address.network();
        let parts = [id.as_bytes().as_slice(), b"/", phone.as_str().as_bytes(), b"/", network.as_bytes()];
        self.binding.mac_hex(&parts)
    }

    /// Returns the claims of a challenge that this key signed.
    fn verify(&self, challenge: &str) -> Option<Claims> {
        let claims: Claims = self.signing.verify(challenge)?;
        (claims.token_type == TOKEN_TYPE).then_some(claims)
    }
}

/// The number of zero bits at the beginning of the SHA-256 of a text.
fn leading_zero_bits(text: &str) -> u32 {
    let mut bits = 0;
    for byte in Sha256::digest(text.as_bytes()) {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests;
