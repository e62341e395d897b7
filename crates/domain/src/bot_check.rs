//! Bot proof: what is asked of a request that looks like a program's, and the answer that needs nobody else, a proof of
//! work.
//!
//! A challenge is a signed text (JWT, RFC 7519) that names an end, an id, and how much work is asked for. It is bound to
//! one phone and one network by an HMAC that says nothing of either, so work that was done for one phone from one
//! address is of no use anywhere else. Its key is derived from `SECRET_KEY` for this alone, and its `token_type` is its
//! own: no other token of ours passes for a challenge, and no challenge for another token.
//!
//! The answer is the challenge, a full stop, and a number (1 to 20 digits), chosen so that the SHA-256 of that whole text
//! begins with as many zero bits as the challenge asks for. That it is used once is for the database to hold: a proof
//! that was accepted hands out the id to be spent.

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

/// The longest `challenge_response`, in characters. Ours have some 270, Turnstile's up to 2,048, hCaptcha's more than
/// that at times.
pub const MAX_RESPONSE_CHARS: usize = 4096;

/// As many digits as the greatest number of 64 bits has.
const MAX_NONCE_DIGITS: usize = 20;

/// The `token_type` of a challenge.
const TOKEN_TYPE: &str = "pow";

/// How much work is asked for: the zero bits that the hash must begin with. One bit more is twice the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difficulty(u32);

impl Difficulty {
    /// Less is no work even for a cheap phone.
    pub const LEAST: u32 = 8;
    /// More would take a cheap phone longer than a challenge lives.
    pub const MOST: u32 = 24;
    /// 131,072 hashes on average: about a second for an app on a cheap phone. `docs/BOT_PROOF.md` has what was measured.
    pub const DEFAULT: u32 = 17;

    /// Takes [`Self::LEAST`] to [`Self::MOST`].
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

/// What a client sent as `challenge_response`. `Debug` shows nothing: a provider's token is worth something until it is
/// used.
#[derive(Clone)]
pub struct ChallengeResponse(SecretString);

/// Why a text is no answer of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Nothing is in it.
    #[error("Challenge response must not be empty")]
    Empty,
    /// It is longer than any.
    #[error("Challenge response must be at most {MAX_RESPONSE_CHARS} characters long")]
    TooLong,
}

impl ChallengeResponse {
    /// Takes a text of up to [`MAX_RESPONSE_CHARS`] characters.
    ///
    /// # Errors
    /// When it is empty or longer.
    pub fn parse(text: &str) -> Result<Self, ResponseError> {
        if text.is_empty() {
            return Err(ResponseError::Empty);
        }
        if text.chars().count() > MAX_RESPONSE_CHARS {
            return Err(ResponseError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// The text, for whoever judges it.
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

/// Why an answer to a challenge proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowError {
    /// No challenge of ours with a number behind it, or one that was altered.
    Unreadable,
    /// A challenge for another phone, or for another network.
    Elsewhere,
    /// Its two minutes are over.
    Expired,
    /// The hash begins with fewer zero bits than the challenge asks for.
    TooLittleWork,
}

/// The id of a challenge that was answered rightly. Whoever lets the request in has to spend it, and may only go on when
/// nobody had spent it before.
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
    /// Whom it is for: [`PowKey::binding`].
    sub: String,
    jti: Uuid,
    /// The end, in seconds since 1970.
    exp: i64,
    /// The zero bits that are asked for.
    bits: u32,
}

/// The keys of challenges, derived from `SECRET_KEY` and its fallbacks: the first signs, all verify.
pub struct PowKeys {
    current: PowKey,
    earlier: Vec<PowKey>,
}

impl fmt::Debug for PowKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKeys").finish_non_exhaustive()
    }
}

impl PowKeys {
    /// Derives the keys.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        Self { current: PowKey::new(current), earlier: fallbacks.iter().map(PowKey::new).collect() }
    }

    /// A challenge for this phone from this address. `id` is 128 random bits.
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

    /// Judges an answer. `phones` are the phone's pseudonyms, by every key: a challenge may be older than a change of
    /// `SECRET_KEY`.
    ///
    /// # Errors
    /// [`PowError`] says which of its properties is missing.
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
        let (key, claims) =
            keys.into_iter().find_map(|key| Some((key, key.open(challenge)?))).ok_or(PowError::Unreadable)?;
        let is_for = |phone: &Pseudonym| {
            bool::from(key.binding(claims.jti, phone, address).as_bytes().ct_eq(claims.sub.as_bytes()))
        };
        if !phones.iter().any(is_for) {
            return Err(PowError::Elsewhere);
        }
        // One of a clock that was wrong could be answered for longer than its proof is remembered.
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

/// One key for each thing that is done with it.
struct PowKey {
    signing: DerivedKey,
    binding: DerivedKey,
}

impl PowKey {
    fn new(secret: &SecretString) -> Self {
        let derive = |what: &[u8]| DerivedKey::new(secret, what);
        Self { signing: derive(b"loopin-auth/proof/sign"), binding: derive(b"loopin-auth/proof/bind") }
    }

    /// Whom a challenge is for, so that only this server can tell. The id is in it so that two challenges for one phone
    /// do not look alike.
    fn binding(&self, id: Uuid, phone: &Pseudonym, address: ClientAddress) -> String {
        let network = address.network();
        let parts = [id.as_bytes().as_slice(), b"/", phone.as_str().as_bytes(), b"/", network.as_bytes()];
        self.binding.phone_hash(&parts)
    }

    /// What a challenge says, if this key signed it.
    fn open(&self, challenge: &str) -> Option<Claims> {
        let claims: Claims = self.signing.open(challenge)?;
        (claims.token_type == TOKEN_TYPE).then_some(claims)
    }
}

/// The zero bits that the SHA-256 of a text begins with.
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
