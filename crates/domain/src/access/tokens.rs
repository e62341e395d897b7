//! Tokens: what they claim, and who may read them.
//!
//! JWT (RFC 7519) with the algorithm pinned by the key (RFC 8725).

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{
    Session, jws,
    keys::{SigningError, SigningKey, VerifyingKey},
};
use crate::{account::Account, clocks::SKEW};

/// Which of the two kinds a token is. One never passes for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// Shown with every request.
    Access,
    /// Shown once, for the next pair.
    Refresh,
}

/// What a token says. The names are SimpleJWT's, because other services read them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Claims {
    /// `access` or `refresh`.
    pub token_type: TokenType,
    /// The account.
    pub user_id: Uuid,
    /// The session.
    pub sid: Uuid,
    /// The token itself.
    pub jti: Uuid,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Expires at, in seconds since 1970. A token without it is no token.
    pub exp: i64,
    /// Not valid before, in seconds since 1970. Our tokens never have it; another service that signs with the same key may set it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The role of the session.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The verified phone, in access tokens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// The e-mail address, in access tokens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Always false where there is an address: none is ever proved here.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The username, in access tokens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The configured issuer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The configured audience.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
}

/// A claim that is there has a value: null is none, and of a wrong type.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(claim: D) -> Result<Option<T>, D::Error> {
    T::deserialize(claim).map(Some)
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("token_type", &self.token_type)
            .field("user_id", &self.user_id)
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not ours, altered, of the other kind, or no token at all.
    Invalid,
    /// Ours, but its time is over.
    Expired,
}

/// How long tokens live and whom they name.
#[derive(Debug, Clone)]
pub struct TokenPolicy {
    /// The life of an access token.
    pub access_life: Duration,
    /// The life of a refresh token, counted anew at each refresh.
    pub refresh_life: Duration,
    /// The life of a session however often it is refreshed.
    pub session_max: Duration,
    /// `iss`, where configured.
    pub issuer: Option<String>,
    /// `aud`, where configured.
    pub audience: Option<String>,
}

impl TokenPolicy {
    /// When a session that opened then and is used now dies of disuse, or of age.
    #[must_use]
    pub fn expiry(&self, opened: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        (now + self.refresh_life).min(opened + self.session_max)
    }
}

/// The key that signs, all that verify, and the rules for both.
pub struct TokenKeys {
    signing: SigningKey,
    /// The signing one comes first, because it is asked for most.
    verifying: Vec<VerifyingKey>,
    policy: TokenPolicy,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys")
            .field("verifying", &self.verifying)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// An access token and a refresh token. `Debug` shows neither.
pub struct TokenPair {
    /// The session that they belong to.
    pub sid: Uuid,
    /// For every request.
    pub access: SecretString,
    /// For the next pair.
    pub refresh: SecretString,
    /// The life of the access token in seconds.
    pub expires_in: i64,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// `others` verify beside the key that signs: what signed before, and what will sign soon.
    #[must_use]
    pub fn new(signing: SigningKey, others: Vec<VerifyingKey>, policy: TokenPolicy) -> Self {
        let mut verifying = vec![signing.verifying().clone()];
        for key in others {
            if verifying.iter().all(|known| known.kid() != key.kid()) {
                verifying.push(key);
            }
        }
        Self { signing, verifying, policy }
    }

    /// All keys that verify, the signing one first. Their public halves are for everybody.
    #[must_use]
    pub fn verifying(&self) -> &[VerifyingKey] {
        &self.verifying
    }

    /// How long tokens live.
    #[must_use]
    pub fn policy(&self) -> &TokenPolicy {
        &self.policy
    }

    /// The pair that a session is answered with: a new access token, and the session's newest refresh token, which
    /// says the same, `jti` and all, however often it is asked for. It is the same text, too, except with ES256, whose
    /// signatures differ each time.
    ///
    /// # Errors
    /// Never with a key that was tried when it was read.
    pub fn issue(
        &self,
        session: &Session,
        account: &Account,
        access_jti: Uuid,
        now: DateTime<Utc>,
    ) -> Result<TokenPair, SigningError> {
        // However young a session stays by its use, no token outlives it.
        let access_end = (now + self.policy.access_life).min(session.expires_at);
        let access = Claims {
            role: Some(session.role.as_str().to_owned()),
            phone_number: account.phone.as_ref().map(|phone| phone.full().to_owned()),
            email: account.email.clone(),
            email_verified: account.email.as_ref().map(|_| false),
            username: account.username.clone(),
            ..self.claims(TokenType::Access, session, access_jti, now, access_end)
        };
        let refresh = self.claims(
            TokenType::Refresh,
            session,
            session.refresh_jti,
            session.refresh_issued_at,
            session.expires_at,
        );
        Ok(TokenPair {
            sid: session.id,
            access: self.sign(&access)?,
            refresh: self.sign(&refresh)?,
            expires_in: (access_end - now).num_seconds(),
        })
    }

    fn claims(
        &self,
        token_type: TokenType,
        session: &Session,
        jti: Uuid,
        iat: DateTime<Utc>,
        exp: DateTime<Utc>,
    ) -> Claims {
        Claims {
            token_type,
            user_id: session.account_id,
            sid: session.id,
            jti,
            iat: iat.timestamp(),
            exp: exp.timestamp(),
            nbf: None,
            role: None,
            phone_number: None,
            email: None,
            email_verified: None,
            username: None,
            iss: self.policy.issuer.clone(),
            aud: self.policy.audience.clone(),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<SecretString, SigningError> {
        Ok(jws::sign(&self.signing, claims)?.into())
    }

    /// Reads a token of one kind, and looks at the time.
    ///
    /// # Errors
    /// [`TokenError::Expired`] only for a token that is ours in every other respect.
    pub fn read(&self, token: &str, expected: TokenType, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let claims = self.read_any_age(token)?;
        if claims.token_type != expected {
            return Err(TokenError::Invalid);
        }
        // "Before which the JWT MUST NOT be accepted" (RFC 7519, section 4.1.5).
        if claims.nbf.is_some_and(|begin| begin > now.timestamp()) {
            return Err(TokenError::Invalid);
        }
        // Of a clock that was wrong: an access token would be good for longer than it may be. The session goes on, so an app
        // refreshes; a refresh token is measured by the session's row.
        if expected == TokenType::Access && claims.iat > (now + SKEW).timestamp() {
            return Err(TokenError::Expired);
        }
        // "On or after which the JWT MUST NOT be accepted" (RFC 7519, section 4.1.4).
        if claims.exp <= now.timestamp() {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// Reads a token of either kind and any age: what `logout` needs to know whose session to end.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] for everything that none of these keys signed, or for others.
    pub fn read_any_age(&self, token: &str) -> Result<Claims, TokenError> {
        let claims: Claims = jws::open(token, &self.verifying).ok_or(TokenError::Invalid)?;
        let fits = |wanted: &Option<String>, said: &Option<String>| wanted.is_none() || wanted == said;
        if fits(&self.policy.issuer, &claims.iss) && fits(&self.policy.audience, &claims.aud) {
            Ok(claims)
        } else {
            Err(TokenError::Invalid)
        }
    }
}
