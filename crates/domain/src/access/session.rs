//! Sessions: what opens one, how one refresh token follows another, and who is let in.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{Claims, TokenPolicy};
use crate::{
    account::{Account, Role},
    address::ClientAddress,
    clocks::is_ahead,
};

/// How long after its first use a refresh token still answers the same successor, so that parallel and repeated
/// requests agree.
pub const ROTATION_GRACE: Duration = Duration::seconds(30);

/// How long a proof of who holds a session holds: for changing the phone, setting a first password, leaving.
pub const RECENT_AUTH_LIFE: Duration = Duration::minutes(10);

/// How many sessions of an account live at once; the oldest goes first.
pub const MOST_SESSIONS: u64 = 20;

/// The ids that a new session gets.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// `sid` of the claims.
    pub session: Uuid,
    /// `jti` of its first refresh token.
    pub refresh_jti: Uuid,
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
    /// How its holder came in.
    pub opened_by: OpenedBy,
    /// When that was.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub last_used_at: DateTime<Utc>,
    /// What its holder sees of it in the list of her sessions.
    pub client: Client,
    /// When its holder last proved who she is: by signing in, a code or the password.
    pub recent_auth_at: Option<DateTime<Utc>>,
}

/// How the holder of a session came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenedBy {
    /// By a code to her phone.
    Code,
    /// By her password.
    Password,
}

impl OpenedBy {
    /// The name in the row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Password => "password",
        }
    }

    /// Reads the name in the row.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Code, Self::Password].into_iter().find(|way| way.as_str() == name)
    }
}

/// From where somebody asks, as far as she is shown it again: nothing is decided by it. Its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The device's name, as it says itself.
    pub device: String,
    /// Its network address.
    pub address: String,
}

impl Client {
    /// The network address, as the audit log keeps it.
    #[must_use]
    pub fn origin(&self) -> Option<ClientAddress> {
        self.address.parse().ok().map(ClientAddress::new)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Session {
    /// A session that opens now. By a code it is a user's, whoever she is: who can read somebody's messages has no rights
    /// of staff by it.
    #[must_use]
    pub fn open(
        ids: NewSession,
        account: &Account,
        opened_by: OpenedBy,
        client: Client,
        policy: &TokenPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: ids.session,
            account_id: account.id,
            role: match opened_by {
                OpenedBy::Code => Role::User,
                OpenedBy::Password => account.role,
            },
            refresh_jti: ids.refresh_jti,
            refresh_issued_at: now,
            parent_jti: None,
            expires_at: policy.expiry(now, now),
            ended_at: None,
            opened_by,
            created_at: now,
            last_used_at: now,
            client,
            recent_auth_at: Some(now),
        }
    }

    /// Whether its holder proved who she is a short while ago: what a stolen token alone must not do, asks for that.
    #[must_use]
    pub fn has_recent_auth(&self, now: DateTime<Utc>) -> bool {
        self.recent_auth_at.is_some_and(|at| now - at <= RECENT_AUTH_LIFE)
    }

    /// Whether a clock that was wrong wrote some of it.
    #[must_use]
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        [self.created_at, self.last_used_at, self.refresh_issued_at]
            .into_iter()
            .chain(self.recent_auth_at)
            .any(|at| is_ahead(at, now))
    }

    /// The session as it would be had all of it happened by now.
    #[must_use]
    pub fn until(self, now: DateTime<Utc>, policy: &TokenPolicy) -> Self {
        let created_at = self.created_at.min(now);
        Self {
            created_at,
            last_used_at: self.last_used_at.min(now),
            refresh_issued_at: self.refresh_issued_at.min(now),
            recent_auth_at: self.recent_auth_at.map(|at| at.min(now)),
            expires_at: self.expires_at.min(policy.expiry(created_at, now)),
            ..self
        }
    }

    /// The session as it is once a new refresh token has followed the presented one.
    #[must_use]
    pub fn rotated(
        &self,
        presented: Uuid,
        successor: Uuid,
        policy: &TokenPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            refresh_jti: successor,
            refresh_issued_at: now,
            parent_jti: Some(presented),
            expires_at: policy.expiry(self.created_at, now),
            last_used_at: now,
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
