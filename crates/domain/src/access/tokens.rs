//! Access and refresh tokens: their claims, and how they are issued and read. They are JWTs (RFC 7519); the key fixes the
//! algorithm (RFC 8725).

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{
    OptionalClaim, Session, jws,
    keys::{SigningError, SigningKey, VerifyingKey},
};
use crate::{
    account::{Account, Role},
    clocks::SKEW,
    terms::TermsVersion,
};

/// The kind of a token. One kind is never valid as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// Sent with every request.
    Access,
    /// Sent once, to get the next pair.
    Refresh,
}

/// A valid access token. Only [`TokenKeys::read_access`] creates this value, so having one proves the check. It says nothing
/// about the session: that may have ended.
#[derive(Debug, Clone)]
pub struct AccessToken {
    claims: Claims,
}

impl AccessToken {
    /// The session.
    #[must_use]
    pub fn session(&self) -> Uuid {
        self.claims.sid
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> Uuid {
        self.claims.user_id
    }

    /// Whether `user_id` and `sub` name this account. Tokens of earlier versions have no `sub`.
    #[must_use]
    pub fn names_only(&self, account: Uuid) -> bool {
        self.claims.user_id == account && self.claims.sub.is_none_or(|sub| sub == account)
    }

    /// Whether the session had no rights but those of a user.
    #[must_use]
    pub fn is_of_user(&self) -> bool {
        self.has_role(Role::User)
    }

    #[cfg(test)]
    pub(crate) fn from_claims(claims: Claims) -> Self {
        Self { claims }
    }

    pub(super) fn has_role(&self, role: Role) -> bool {
        self.claims.role.as_deref() == Some(role.as_str())
    }
}

/// The claims of a token. The names are those of SimpleJWT, because other services read them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Claims {
    /// `access` or `refresh`.
    pub token_type: TokenType,
    /// The account.
    pub user_id: Uuid,
    /// The account again, in access tokens: libraries that know only the registered claims read this one (RFC 7519, section 4.1.2).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub sub: Option<Uuid>,
    /// The session.
    pub sid: Uuid,
    /// The token itself.
    pub jti: Uuid,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Expires at, in seconds since 1970. Required.
    pub exp: i64,
    /// Not valid before, in seconds since 1970. Our tokens do not have it, but another service with the same key may set it.
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
    /// Always false: this server never verifies addresses. In access tokens with an address, and where the settings ask for it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The username, in access tokens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The id in the system that the account was moved from, in access tokens, where the settings ask for it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name of the profile, in access tokens, where the settings ask for it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language that the client asked for when it signed in, in access tokens, where the settings ask for it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Whether the account has a verified phone, in access tokens of guests, and where the settings ask for it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub phone_verified: Option<bool>,
    /// Whether the profile lacks something, in access tokens, where the settings ask for it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub needs_profile_completion: Option<bool>,
    /// The configured issuer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The configured audience.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
}

/// Refuses null in a claim that is present: it has the wrong type.
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
    /// It is not a token of this server, was altered, or is of the other kind.
    Invalid,
    /// It is valid except for its time.
    Expired,
}

/// The lifetimes, issuer, audience and further claims of tokens, and how many sessions an account has.
#[derive(Debug, Clone)]
pub struct TokenPolicy {
    /// The lifetime of an access token.
    pub access_life: Duration,
    /// The lifetime of a refresh token, which begins again with each refresh.
    pub refresh_life: Duration,
    /// The maximum lifetime of a session, however often it is refreshed.
    pub session_max: Duration,
    /// `iss`, if configured.
    pub issuer: Option<String>,
    /// `aud`, if configured.
    pub audience: Option<String>,
    /// The claims of access tokens that are not in all of them.
    pub claims: Vec<OptionalClaim>,
    /// How many live sessions an account may have; a new one ends the one that was used longest ago.
    pub most_sessions: u64,
    /// Where this server is, without a slash at the end, if that is also the issuer: clients can then discover the keys.
    pub discovered_at: Option<String>,
    /// The terms that users have to accept, if there are any. Until then a profile is not complete.
    pub terms: Option<TermsVersion>,
}

impl TokenPolicy {
    /// Whether access tokens have this claim.
    #[must_use]
    pub fn has(&self, claim: OptionalClaim) -> bool {
        self.claims.contains(&claim)
    }

    /// When a session that was opened at `opened` and is used now expires.
    #[must_use]
    pub fn expiry(&self, opened: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        (now + self.refresh_life).min(opened + self.session_max)
    }
}

/// The key that signs, all keys that verify, and the policy.
pub struct TokenKeys {
    signing: SigningKey,
    /// The signing key comes first, because it is used most.
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
    /// Their session.
    pub sid: Uuid,
    /// The access token.
    pub access: SecretString,
    /// The refresh token.
    pub refresh: SecretString,
    /// The lifetime of the access token in seconds.
    pub expires_in: i64,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// `others` verify too: the keys that signed before, and the key that will sign next.
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

    /// All keys that verify, the signing key first. Their public halves are published.
    #[must_use]
    pub fn verifying(&self) -> &[VerifyingKey] {
        &self.verifying
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &TokenPolicy {
        &self.policy
    }

    /// Issues a new access token and the session's newest refresh token. The refresh token has the same claims each time,
    /// `jti` included. It is even the same text, except with ES256, whose signatures differ each time.
    ///
    /// # Errors
    /// Never: every key was tested when it was read.
    pub fn issue(
        &self,
        session: &Session,
        account: &Account,
        access_jti: Uuid,
        now: DateTime<Utc>,
    ) -> Result<TokenPair, SigningError> {
        // An access token never outlives its session.
        let access_end = (now + self.policy.access_life).min(session.expires_at);
        let has = |claim| self.policy.has(claim);
        let access = Claims {
            sub: Some(session.account_id),
            role: Some(session.role.as_str().to_owned()),
            phone_number: account.phone.as_ref().map(|phone| phone.full().to_owned()),
            email: account.email.clone(),
            email_verified: (account.email.is_some() || has(OptionalClaim::EmailVerified)).then_some(false),
            username: account.username.clone(),
            external_id: account.external_id.clone().filter(|_| has(OptionalClaim::ExternalId)),
            name: account.profile.name.clone().filter(|_| has(OptionalClaim::Name)),
            locale: session.client.locale.clone().filter(|_| has(OptionalClaim::Locale)),
            phone_verified: (session.role == Role::Guest || has(OptionalClaim::PhoneVerified))
                .then_some(account.phone.is_some()),
            needs_profile_completion: has(OptionalClaim::NeedsProfileCompletion)
                .then_some(account.needs_completion(self.policy.terms.as_ref())),
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
            sub: None,
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
            external_id: None,
            name: None,
            locale: None,
            phone_verified: None,
            needs_profile_completion: None,
            iss: self.policy.issuer.clone(),
            aud: self.policy.audience.clone(),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<SecretString, SigningError> {
        Ok(jws::sign(&self.signing, claims)?.into())
    }

    /// Reads a token of one kind and checks its times.
    ///
    /// # Errors
    /// [`TokenError::Expired`] only for a token that is valid in every other respect.
    pub fn read(&self, token: &str, expected: TokenType, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let claims = self.read_any_age(token)?;
        if claims.token_type != expected {
            return Err(TokenError::Invalid);
        }
        // "Before which the JWT MUST NOT be accepted" (RFC 7519, section 4.1.5).
        if claims.nbf.is_some_and(|begin| begin > now.timestamp()) {
            return Err(TokenError::Invalid);
        }
        // An access token issued by a clock that was ahead would be valid too long. It counts as expired, so an app
        // refreshes and the session continues. For a refresh token, the session's row decides.
        if expected == TokenType::Access && claims.iat > (now + SKEW).timestamp() {
            return Err(TokenError::Expired);
        }
        // "On or after which the JWT MUST NOT be accepted" (RFC 7519, section 4.1.4).
        if claims.exp <= now.timestamp() {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// Reads an access token and checks its times.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_access(&self, token: &str, now: DateTime<Utc>) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { claims: self.read(token, TokenType::Access, now)? })
    }

    /// Reads a token of either kind without checking its times. `logout` uses it to find the session.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] when none of these keys signed the token, or its issuer or audience differs.
    pub fn read_any_age(&self, token: &str) -> Result<Claims, TokenError> {
        let claims: Claims = jws::verify(token, &self.verifying).ok_or(TokenError::Invalid)?;
        let fits =
            |required: &Option<String>, claim: &Option<String>| required.is_none() || required == claim;
        if fits(&self.policy.issuer, &claims.iss) && fits(&self.policy.audience, &claims.aud) {
            Ok(claims)
        } else {
            Err(TokenError::Invalid)
        }
    }
}
