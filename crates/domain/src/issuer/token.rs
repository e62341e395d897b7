//! Tokens of other systems: the keys of an issuer, and the proof that it signed a token.
//!
//! The order matters. A token of ours is refused before anything else is looked at ([`UnverifiedToken::is_ours`]). Then the
//! issuer is found by `iss`, and with it the one algorithm and the keys. Only then are claims believed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{NotVouched, Statement, TrustedIssuer};
use crate::{
    access::{KeyAlgorithm, TokenPolicy, VerifyingKey, fingerprint, signature_only},
    token_ids::TokenIds,
};

/// Longer tokens are refused unread. An issuer's clients send theirs in a header, and most servers take no longer ones.
pub const MAX_FOREIGN_BYTES: usize = 8 * 1024;

/// The most keys of a set that are read.
const MOST_KEYS: usize = 100;

/// How many keys are tried for a token that names none.
const MOST_TRIED: usize = 8;

/// The types of tokens that are taken. `at+jwt` is an access token (RFC 9068).
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// A key of an issuer.
#[derive(Debug, Clone)]
pub struct IssuerKey {
    /// Its name in the headers of tokens. Without one it is tried for every token.
    kid: Option<String>,
    key: VerifyingKey,
}

impl IssuerKey {
    /// A key that is no part of a set.
    #[must_use]
    pub fn without_name(key: VerifyingKey) -> Self {
        Self { kid: None, key }
    }

    /// Reads the public keys of a JWK set (RFC 7517) that sign with this algorithm. Other keys are left out: a set may hold
    /// keys for other uses, and of kinds that are not known here.
    #[must_use]
    pub fn from_set(set: &Value, algorithm: KeyAlgorithm) -> Vec<Self> {
        let keys = set.get("keys").and_then(Value::as_array);
        keys.into_iter().flatten().filter_map(|jwk| Self::from_jwk(jwk, algorithm)).take(MOST_KEYS).collect()
    }

    fn from_jwk(jwk: &Value, algorithm: KeyAlgorithm) -> Option<Self> {
        let text = |name| jwk.get(name).map(Value::as_str);
        let fits = |name, wanted| text(name).is_none_or(|found| found == Some(wanted));
        if !fits("use", "sig") || !fits("alg", algorithm.as_str()) {
            return None;
        }
        let kid = match text("kid") {
            None => None,
            Some(kid) => Some(kid?.to_owned()),
        };
        Some(Self { kid, key: VerifyingKey::from_jwk(jwk, algorithm)? })
    }

    fn is_named(&self, kid: Option<&str>) -> bool {
        match (&self.kid, kid) {
            (Some(own), Some(kid)) => own == kid,
            (None, _) | (_, None) => true,
        }
    }
}

/// A token of another system, before anything about it is proved. `Debug` shows nothing of it.
pub struct UnverifiedToken<'a> {
    text: &'a str,
    /// The header and the claims, as they are signed.
    signed: &'a str,
    algorithm: Option<KeyAlgorithm>,
    kid: Option<String>,
    claims: Map<String, Value>,
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedToken").finish_non_exhaustive()
    }
}

/// What a trusted issuer says in a token. Only [`UnverifiedToken::vouch`] makes it, so having one proves the check.
#[derive(Debug, Clone)]
pub struct Vouched {
    issuer: String,
    statement: Statement,
    hash: String,
}

impl Vouched {
    /// The name of the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The hash by which the token is recognised when it is sent again. It is that of what is signed: anyone can write a
    /// second valid signature of ECDSA below the same claims.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Reads a JWT. `None` if it is none, or of a kind that is never taken.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        if text.len() > MAX_FOREIGN_BYTES {
            return None;
        }
        let (signed, _) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = object(header)?;
        // Extensions in `crit` must be understood (RFC 7515, section 4.1.11), and none is. No member may be null.
        if header.contains_key("crit") || header.values().any(Value::is_null) {
            return None;
        }
        let text_of = |name| header.get(name).map(Value::as_str);
        if let Some(typ) = text_of("typ") {
            TYPES.iter().find(|known| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(known)))?;
        }
        let kid = match text_of("kid") {
            None => None,
            Some(kid) => Some(kid?.to_owned()),
        };
        let algorithm = text_of("alg").flatten().and_then(|name| name.parse().ok());
        Some(Self { text, signed, algorithm, kid, claims: object(claims)? })
    }

    /// Whether it is, or was made from, a token of this server. Such a token never opens a session, also with a right signature: with
    /// a secret that another system shares it would be valid there and here.
    #[must_use]
    pub fn is_ours(&self, ids: &TokenIds, policy: &TokenPolicy) -> bool {
        let text = |name| self.claims.get(name).and_then(Value::as_str);
        self.claims.contains_key("sid")
            || text("jti").is_some_and(|jti| ids.is_ours(jti))
            || policy.issuer.is_some() && text("iss") == policy.issuer.as_deref()
    }

    /// Whether it claims to be of this issuer, and to be signed as this issuer signs.
    #[must_use]
    pub fn may_be_of(&self, issuer: &TrustedIssuer) -> bool {
        self.algorithm == Some(issuer.algorithm) && issuer.is_named_by(self.claims.get("iss"))
    }

    /// Whether one of these keys may have signed it.
    #[must_use]
    pub fn names_one_of(&self, keys: &[IssuerKey]) -> bool {
        keys.iter().any(|key| key.is_named(self.kid.as_deref()))
    }

    /// Verifies the signature and judges the claims.
    ///
    /// # Errors
    /// Why the token is refused.
    pub fn vouch(
        &self,
        issuer: &TrustedIssuer,
        keys: &[IssuerKey],
        now: DateTime<Utc>,
    ) -> Result<Vouched, NotVouched> {
        if !self.may_be_of(issuer) {
            return Err(NotVouched::Invalid);
        }
        if !self.names_one_of(keys) {
            return Err(NotVouched::UnknownKey);
        }
        let named = keys.iter().filter(|key| key.is_named(self.kid.as_deref()));
        // A key of another algorithm must never see the token: a public key is no secret of HMAC.
        let named = named.filter(|key| key.key.algorithm() == issuer.algorithm).take(MOST_TRIED);
        let validation = signature_only(issuer.algorithm.as_jwt_algorithm());
        let is_signed = |key: &IssuerKey| {
            jsonwebtoken::decode::<Map<String, Value>>(self.text, key.key.decoding(), &validation).is_ok()
        };
        if !named.into_iter().any(is_signed) {
            return Err(NotVouched::Invalid);
        }
        let statement = issuer.judge(&self.claims, now)?;
        let hash = fingerprint(self.signed.as_bytes());
        Ok(Vouched { issuer: issuer.name.clone(), statement, hash })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
