//! Trusted issuers: other systems whose tokens open a session here, once.
//!
//! An issuer is trusted to say who a user is: by the id that the user had there, or, where it proves phones, by the phone.
//! [`TrustedIssuer::judge`] reads that from the claims of a token whose signature is verified
//! ([`UnverifiedToken`]).

mod token;

use chrono::{DateTime, Datelike, Duration, Utc};
use serde_json::{Map, Value};

pub use self::token::{IssuerKey, MAX_FOREIGN_BYTES, UnverifiedToken, Vouched};
use super::{
    access::{KeyAlgorithm, RECENT_AUTH_LIFE},
    account::{Account, Role},
    calendar::LAST_YEAR,
    former_id::FormerId,
    phone::PhoneNumber,
    signups::{Admission, SignupClosed, Signups},
};

/// How far away the end of an issuer may be whose tokens do not say who issued them and for whom.
pub const LEGACY_FOR: Duration = Duration::days(90);

/// The accepted difference between an issuer's clock and ours, where a token would not be valid yet. Its end is not moved: a
/// token that has expired there has expired here.
pub const FOREIGN_SKEW: Duration = Duration::seconds(60);

/// An issuer of tokens, without its keys.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// Its name, for the audit log and the metrics.
    pub name: String,
    /// The `iss` of its tokens. `None` only for a legacy issuer, whose tokens have none.
    pub iss: Option<String>,
    /// One of these must be in `aud`. Empty only for a legacy issuer: `aud` is not looked at.
    pub audiences: Vec<String>,
    /// The only algorithm of its tokens. The header of a token never chooses it.
    pub algorithm: KeyAlgorithm,
    /// Which claims say who the user is.
    pub identity: IdentityClaims,
    /// Whether its tokens may open a new account.
    pub may_create_accounts: bool,
    /// Whether its tokens lack `iss` or `aud`.
    pub is_legacy: bool,
    /// From then on its tokens are refused.
    pub until: Option<DateTime<Utc>>,
}

/// Which claims say who a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityClaims {
    /// The issuer proves phones: the token opens the account of this phone.
    Phone(PhoneClaims),
    /// The id that the user has there.
    Id {
        /// The claim with the id.
        claim: String,
        /// The phone that a new account gets, if the token says that it is verified.
        phone: Option<PhoneClaims>,
    },
}

/// The claims about a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneClaims {
    /// The claim with the number, in E.164.
    pub claim: String,
    /// The claim that must be true. `None` only where every phone of the issuer is proved.
    pub verified: Option<String>,
    /// Whether the issuer writes numbers without their plus.
    pub is_without_plus: bool,
}

/// A phone that a trusted issuer calls verified. Only [`TrustedIssuer::judge`] makes it, so having one proves the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VouchedPhone(PhoneNumber);

impl VouchedPhone {
    /// The phone.
    #[must_use]
    pub fn number(&self) -> &PhoneNumber {
        &self.0
    }
}

/// Who a user is, as an issuer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The owner of this phone.
    Phone(VouchedPhone),
    /// The user with this id.
    Id {
        /// The id.
        id: FormerId,
        /// The phone for a new account.
        phone: Option<VouchedPhone>,
    },
}

impl Who {
    /// The phone that is proved, if there is one.
    #[must_use]
    pub fn phone(&self) -> Option<&VouchedPhone> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::Id { phone, .. } => phone.as_ref(),
        }
    }
}

/// What the claims of a token say.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Who the user is.
    pub who: Who,
    /// When the token expires.
    pub expires_at: DateTime<Utc>,
    /// When it was issued, as far as it says so.
    pub issued_at: Option<DateTime<Utc>>,
}

/// Why a token of another system is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotVouched {
    /// It is not a token that this issuer made for this server and this time, or it does not say who the user is.
    Invalid,
    /// It is valid except for its time.
    Expired,
    /// It may be valid, but the key that it names is not known.
    UnknownKey,
}

impl TrustedIssuer {
    /// Whether a token with this `iss` claims to be this issuer's.
    #[must_use]
    pub fn is_named_by(&self, iss: Option<&Value>) -> bool {
        match (&self.iss, iss) {
            (Some(own), Some(Value::String(iss))) => own == iss,
            (None, None) => true,
            (Some(_) | None, _) => false,
        }
    }

    /// Whether its tokens are still taken.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether its end is further away than a legacy issuer's may be.
    #[must_use]
    pub fn is_legacy_for_too_long(&self, now: DateTime<Utc>) -> bool {
        self.is_legacy && self.until.is_some_and(|until| until - now > LEGACY_FOR)
    }

    /// Whether a user whom this issuer names gets an account here. The one rule about new accounts by token: the issuer must be
    /// one that creates accounts, and sign-ups must be open. A token brings no invitation, so where one is needed it creates none.
    ///
    /// # Errors
    /// [`SignupClosed`] when the user gets none.
    pub fn admit_new_account(&self, signups: Signups) -> Result<Admission, SignupClosed> {
        if self.may_create_accounts { signups.admit(None) } else { Err(SignupClosed) }
    }

    /// Judges the claims of a token that this issuer signed.
    ///
    /// # Errors
    /// [`NotVouched::Expired`] only for a token that is valid in every other respect.
    pub fn judge(&self, claims: &Map<String, Value>, now: DateTime<Utc>) -> Result<Statement, NotVouched> {
        let has_time_claim = |name| claims.contains_key(name);
        let (expires_at, issued_at, begins_at) =
            (time(claims, "exp"), time(claims, "iat"), time(claims, "nbf"));
        let is_readable = |name, time: Option<DateTime<Utc>>| time.is_some() || !has_time_claim(name);
        let is_ahead = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time > now + FOREIGN_SKEW);
        let is_right = !self.is_over(now)
            && self.is_named_by(claims.get("iss"))
            && self.is_meant_for_us(claims.get("aud"))
            && is_readable("iat", issued_at)
            && is_readable("nbf", begins_at)
            && !is_ahead(issued_at)
            && !is_ahead(begins_at);
        if !is_right {
            return Err(NotVouched::Invalid);
        }
        // A token without an end would be valid for ever.
        let expires_at = expires_at.ok_or(NotVouched::Invalid)?;
        let who = self.who(claims).ok_or(NotVouched::Invalid)?;
        if expires_at <= now {
            return Err(NotVouched::Expired);
        }
        Ok(Statement { who, expires_at, issued_at: issued_at.map(|at| at.min(now)) })
    }

    fn is_meant_for_us(&self, aud: Option<&Value>) -> bool {
        let is_ours =
            |aud: &Value| aud.as_str().is_some_and(|aud| self.audiences.iter().any(|own| own == aud));
        match aud {
            _ if self.audiences.is_empty() => true,
            Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(is_ours),
            Some(aud) => is_ours(aud),
            None => false,
        }
    }

    fn who(&self, claims: &Map<String, Value>) -> Option<Who> {
        match &self.identity {
            IdentityClaims::Phone(phone) => phone.read(claims).map(Who::Phone),
            IdentityClaims::Id { claim: name, phone } => {
                let id = match claim(claims, name)? {
                    Value::String(id) => FormerId::parse(id)?,
                    // A number with a fraction or an exponent may be another user's after rounding.
                    Value::Number(id) if id.is_i64() || id.is_u64() => FormerId::parse(&id.to_string())?,
                    _ => return None,
                };
                Some(Who::Id { id, phone: phone.as_ref().and_then(|phone| phone.read(claims)) })
            }
        }
    }
}

impl PhoneClaims {
    /// The phone, if the token says that it is verified.
    fn read(&self, claims: &Map<String, Value>) -> Option<VouchedPhone> {
        let is_verified =
            self.verified.as_ref().is_none_or(|name| claim(claims, name) == Some(&Value::Bool(true)));
        let text = claim(claims, &self.claim)?.as_str()?;
        let digits = match (text.strip_prefix('+'), self.is_without_plus) {
            (Some(digits), _) => digits,
            (None, true) => text,
            // Without its plus a number can be read as one of another country, and so as another person's.
            (None, false) => return None,
        };
        is_verified.then(|| PhoneNumber::from_digits(digits)).flatten().map(VouchedPhone)
    }
}

/// A claim by its name, or by a JSON pointer (RFC 6901) if the name begins with a slash.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut names = path.split('/').map(|name| name.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// A time in seconds since 1970 (RFC 7519, section 2), which may have a fraction.
fn time(claims: &Map<String, Value>, name: &str) -> Option<DateTime<Utc>> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number that does not fit becomes one that is refused"
    )]
    let seconds = match claims.get(name)? {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().map(|number| number.floor() as i64))?
        }
        _ => return None,
    };
    DateTime::from_timestamp(seconds, 0).filter(|at| (1970..=LAST_YEAR).contains(&at.year()))
}

/// Whether a token may open this account: never one of staff, whose rights need a password and a second factor.
#[must_use]
pub fn may_open(account: &Account) -> bool {
    account.role == Role::User
}

/// When the user was last proved to be there, for a session that a token opened. The phone and the account are changed only
/// after a recent proof, and an old token, which may be a stolen one, is none.
///
/// A phone that was proved just now counts from then. A user who has neither a phone nor a password can confirm in no other
/// way, so that the sign-in counts.
#[must_use]
pub fn proved_at(statement: &Statement, account: &Account, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match &statement.who {
        Who::Phone(_) => statement.issued_at.filter(|at| now - *at <= RECENT_AUTH_LIFE),
        Who::Id { .. } if account.phone.is_none() && !account.has_password => Some(now),
        Who::Id { .. } => None,
    }
}

#[cfg(test)]
#[path = "issuer/tests.rs"]
mod tests;
