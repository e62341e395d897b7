//! Tokens: what they claim, who may read them, and how a refresh token is followed by the next.
//!
//! JWT (RFC 7519) with the algorithm pinned (RFC 8725). jsonwebtoken asks the system for the time, so its own expiry
//! check is off and [`TokenKeys::read`] compares with the time that it is given.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::{Account, Role};

/// How long after its first use a refresh token still answers the same successor, so that parallel and repeated
/// requests agree.
pub const ROTATION_GRACE: Duration = Duration::seconds(30);

/// A longer text is no token of ours and is not even decoded.
const MAX_TOKEN_BYTES: usize = 4096;

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
    /// The role of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The verified phone, in access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// The e-mail address, in access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Always false where there is an address: none is ever proved here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The username, in access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The configured issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The configured audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
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
pub enum TokenFault {
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
    /// `iss`, where configured.
    pub issuer: Option<String>,
    /// `aud`, where configured.
    pub audience: Option<String>,
}

/// The key that signs and verifies, with the rules for both.
pub struct TokenKeys {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    policy: TokenPolicy,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A session as far as tokens are concerned.
#[derive(Debug, Clone)]
pub struct Session {
    /// `sid` of the claims.
    pub id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// What it may do: never more than how it was opened allows.
    pub role: Role,
    /// The newest refresh token.
    pub refresh_jti: Uuid,
    /// When that was issued: the moment its parent was first used.
    pub refresh_issued_at: DateTime<Utc>,
    /// The refresh token that the newest one replaced, while the newest has not been used.
    pub parent_jti: Option<Uuid>,
    /// When the session dies of disuse.
    pub expires_at: DateTime<Utc>,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Session {
    /// A session that opens now.
    #[must_use]
    pub fn open(
        id: Uuid,
        refresh_jti: Uuid,
        account_id: Uuid,
        role: Role,
        life: Duration,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            account_id,
            role,
            refresh_jti,
            refresh_issued_at: now,
            parent_jti: None,
            expires_at: now + life,
            ended_at: None,
        }
    }

    /// The session as it is once a new refresh token has followed the presented one.
    #[must_use]
    pub fn rotated(&self, presented: Uuid, successor: Uuid, life: Duration, now: DateTime<Utc>) -> Self {
        Self {
            refresh_jti: successor,
            refresh_issued_at: now,
            parent_jti: Some(presented),
            expires_at: now + life,
            ..self.clone()
        }
    }

    /// What presenting this refresh token means for the session.
    ///
    /// A token is single use. A repetition within [`ROTATION_GRACE`] gets the successor that the first use got. Later,
    /// as long as that successor was never used (the answer was lost on the way), a new successor takes its place.
    /// Everything else is a token that was retired: somebody kept a copy (RFC 9700, section 4.14.2).
    #[must_use]
    pub fn rotation(&self, presented: Uuid, now: DateTime<Utc>) -> Rotation {
        if presented == self.refresh_jti {
            Rotation::Advance
        } else if Some(presented) != self.parent_jti {
            Rotation::Retired
        } else if now - self.refresh_issued_at <= ROTATION_GRACE {
            Rotation::Repeat
        } else {
            Rotation::Advance
        }
    }
}

/// What presenting a refresh token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// A new successor is issued, and the presented token becomes its parent.
    Advance,
    /// The successor that was issued already is the answer.
    Repeat,
    /// The token was retired: its session ends.
    Retired,
}

/// Somebody whose access token is good, now. Only [`admit`] makes one, so whoever holds one has been let in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    session: Session,
    account: Account,
}

impl SignedIn {
    /// Her session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Her account, as it was when she was let in.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }
}

/// The session behind a token is over, or the token claims what the session does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked;

/// Lets the holder of an access token in, if the session row still says what the token claims.
///
/// # Errors
/// When the session or the account is gone, ended or disabled, or is not the one of the claims.
pub fn admit(claims: &Claims, found: Option<(Session, Account)>) -> Result<SignedIn, Revoked> {
    let (session, account) = found.ok_or(Revoked)?;
    let agrees = session.account_id == claims.user_id
        && account.id == claims.user_id
        && claims.role.as_deref() == Some(session.role.as_str());
    if agrees && session.ended_at.is_none() && account.is_active {
        Ok(SignedIn { session, account })
    } else {
        Err(Revoked)
    }
}

/// An access token and a refresh token. `Debug` shows neither.
pub struct TokenPair {
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

/// Signing failed. With a checked key it cannot, so nobody is told more.
#[derive(Debug, thiserror::Error)]
#[error("a token could not be signed")]
pub struct SigningFault(#[from] jsonwebtoken::errors::Error);

impl TokenKeys {
    /// HS256 with a shared secret.
    #[must_use]
    pub fn hs256(secret: &SecretString, policy: TokenPolicy) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["exp"]);
        if let Some(issuer) = &policy.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        match &policy.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            None => validation.validate_aud = false,
        }
        let bytes = secret.expose_secret().as_bytes();
        Self {
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
            validation,
            policy,
        }
    }

    /// How long tokens live.
    #[must_use]
    pub fn policy(&self) -> &TokenPolicy {
        &self.policy
    }

    /// The pair that a session is answered with: a new access token, and the session's newest refresh token, which
    /// is the same text however often it is asked for.
    ///
    /// # Errors
    /// Never with the keys that [`TokenKeys::hs256`] makes.
    pub fn issue(
        &self,
        session: &Session,
        account: &Account,
        access_jti: Uuid,
        now: DateTime<Utc>,
    ) -> Result<TokenPair, SigningFault> {
        let access = Claims {
            role: Some(session.role.as_str().to_owned()),
            phone_number: account.phone.as_ref().map(|phone| phone.full().to_owned()),
            email: account.email.clone(),
            email_verified: account.email.as_ref().map(|_| false),
            username: account.username.clone(),
            ..self.claims(TokenType::Access, session, access_jti, now, now + self.policy.access_life)
        };
        let refresh = self.claims(
            TokenType::Refresh,
            session,
            session.refresh_jti,
            session.refresh_issued_at,
            session.expires_at,
        );
        Ok(TokenPair {
            access: self.sign(&access)?,
            refresh: self.sign(&refresh)?,
            expires_in: self.policy.access_life.num_seconds(),
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
            role: None,
            phone_number: None,
            email: None,
            email_verified: None,
            username: None,
            iss: self.policy.issuer.clone(),
            aud: self.policy.audience.clone(),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<SecretString, SigningFault> {
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)?.into())
    }

    /// Reads a token of one kind, and looks at the time.
    ///
    /// # Errors
    /// [`TokenFault::Expired`] only for a token that is ours in every other respect.
    pub fn read(&self, token: &str, expected: TokenType, now: DateTime<Utc>) -> Result<Claims, TokenFault> {
        let claims = self.read_any_age(token)?;
        if claims.token_type != expected {
            return Err(TokenFault::Invalid);
        }
        // "On or after which the JWT MUST NOT be accepted" (RFC 7519, section 4.1.4).
        if claims.exp <= now.timestamp() {
            return Err(TokenFault::Expired);
        }
        Ok(claims)
    }

    /// Reads a token of either kind and any age: what `logout` needs to know whose session to end.
    ///
    /// # Errors
    /// [`TokenFault::Invalid`] for everything that this server did not sign.
    pub fn read_any_age(&self, token: &str) -> Result<Claims, TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Invalid);
        }
        jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation)
            .map(|data| data.claims)
            .map_err(|_| TokenFault::Invalid)
    }
}

#[cfg(test)]
mod tests;
