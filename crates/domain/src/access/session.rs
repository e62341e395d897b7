//! Sessions: how they open, how refresh tokens rotate, and which access tokens are accepted.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{AccessToken, TokenPolicy};
use crate::{
    account::{Account, Role},
    address::ClientAddress,
    clocks::is_ahead,
    rights::{FactorPolicy, Rights},
};

/// How long after its first use a refresh token still returns the same successor, so that parallel and repeated requests
/// agree.
pub const ROTATION_GRACE: Duration = Duration::seconds(30);

/// How long a recent authentication is valid for changing the phone, setting a first password and deleting the account.
pub const RECENT_AUTH_LIFE: Duration = Duration::minutes(10);

/// The ids of a new session.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// `sid` of the claims.
    pub session: Uuid,
    /// `jti` of its first refresh token.
    pub refresh_jti: Uuid,
}

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// `sid` of the claims.
    pub id: Uuid,
    /// Its account.
    pub account_id: Uuid,
    /// Its role, which the way it was opened can limit.
    pub role: Role,
    /// `jti` of the newest refresh token.
    pub refresh_jti: Uuid,
    /// When that token was issued: the first use of its parent.
    pub refresh_issued_at: DateTime<Utc>,
    /// `jti` of the refresh token that the newest one replaced, while the newest has not been used.
    pub parent_jti: Option<Uuid>,
    /// When the session expires if it is not used.
    pub expires_at: DateTime<Utc>,
    /// When it was ended, if it was.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it was opened.
    pub opened_by: OpenedBy,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub last_used_at: DateTime<Utc>,
    /// The client, as the user sees it in the list of sessions.
    pub client: Client,
    /// When the user last authenticated: by signing in, by a code or by the password.
    pub recent_auth_at: Option<DateTime<Utc>>,
    /// Whether a second factor was given when it was opened.
    pub has_second_factor: bool,
}

/// How a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenedBy {
    /// By a code sent to the phone.
    Code,
    /// By the password.
    Password,
    /// In the admin console, by the password and a second factor where one is needed.
    Console,
    /// By a token of a trusted issuer.
    Exchange,
    /// By nothing: for a guest.
    Guest,
}

impl OpenedBy {
    /// All ways.
    pub const ALL: [Self; 5] = [Self::Code, Self::Password, Self::Console, Self::Exchange, Self::Guest];

    /// The stored name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Password => "password",
            Self::Console => "console",
            Self::Exchange => "exchange",
            Self::Guest => "guest",
        }
    }

    /// Reads the stored name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == name)
    }
}

/// The client of a session, for display and for the claim `locale` only: nothing depends on it. `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The name that the device sent.
    pub device: String,
    /// Its network address.
    pub address: String,
    /// The language that it asked for when it signed in: the first one of `Accept-Language`, a BCP 47 tag.
    pub locale: Option<String>,
}

impl Client {
    /// The network address in the form of the audit log.
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
    /// Opens a session now, with the role of a user. A session that may do more gets its rights by [`Self::with_rights`]; one
    /// opened by a code never does, because access to the phone's messages must not give the rights of staff.
    #[must_use]
    pub fn open(
        ids: NewSession,
        account_id: Uuid,
        opened_by: OpenedBy,
        client: Client,
        policy: &TokenPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: ids.session,
            account_id,
            role: Role::User,
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
            has_second_factor: false,
        }
    }

    /// Opens a session of the admin console now, with these rights. Its refresh id is the hash of the cookie's secret.
    #[must_use]
    pub(crate) fn open_console(
        ids: NewSession,
        account: &Account,
        rights: Rights,
        client: Client,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: ids.session,
            account_id: account.id,
            role: rights.role(),
            refresh_jti: ids.refresh_jti,
            refresh_issued_at: now,
            parent_jti: None,
            expires_at,
            ended_at: None,
            opened_by: OpenedBy::Console,
            created_at: now,
            last_used_at: now,
            client,
            recent_auth_at: Some(now),
            has_second_factor: rights.has_second_factor(),
        }
    }

    /// The session with the rights that its sign-in gives.
    #[must_use]
    pub fn with_rights(self, rights: Rights) -> Self {
        Self { role: rights.role(), has_second_factor: rights.has_second_factor(), ..self }
    }

    /// The session as this setting allows it now. Without a second factor that became required since, it has no more than the role
    /// of a user.
    #[must_use]
    pub fn limited(self, policy: FactorPolicy) -> Self {
        let is_limited = policy == FactorPolicy::Required && !self.has_second_factor;
        let role = if is_limited { self.role.min(Role::User) } else { self.role };
        Self { role, ..self }
    }

    /// Whether the user authenticated recently. Operations that a stolen token alone must not allow require it.
    #[must_use]
    pub fn has_recent_auth(&self, now: DateTime<Utc>) -> bool {
        self.recent_auth_at.is_some_and(|at| now - at <= RECENT_AUTH_LIFE)
    }

    /// Whether a time of the session is in the future, because a server's clock was ahead.
    #[must_use]
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        [self.created_at, self.last_used_at, self.refresh_issued_at]
            .into_iter()
            .chain(self.recent_auth_at)
            .any(|at| is_ahead(at, now))
    }

    /// The session with all times limited to now.
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

    /// The session after a new refresh token has replaced the presented one.
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

    /// Decides what happens when this refresh token is presented.
    ///
    /// A token is valid once. A repetition within [`ROTATION_GRACE`] returns the same successor. After that, if the
    /// successor was never used (the response was lost), a new successor replaces it. Any other token is retired: its use
    /// means that a copy exists (RFC 9700, section 4.14.2).
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

/// The result of presenting a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Issue a new successor; the presented token becomes its parent.
    Advance,
    /// Return the existing successor.
    Repeat,
    /// The token is retired: end the session.
    Retired,
}

/// A user with a valid access token. Only [`admit`] creates this value, so having one proves the check.
#[derive(Debug, Clone)]
pub struct SignedIn {
    session: Session,
    account: Account,
}

impl SignedIn {
    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The account at the time of the check.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }
}

/// The session of a token has ended, or the token's claims do not match the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked;

/// Accepts an access token if it matches the session's row, and session and account are active.
pub fn admit(token: &AccessToken, found: Option<(Session, Account)>) -> Result<SignedIn, Revoked> {
    let (session, account) = found.ok_or(Revoked)?;
    let matches = session.id == token.session()
        && token.names_only(session.account_id)
        && account.id == token.account()
        && agrees(token, &session);
    if matches && session.ended_at.is_none() && account.is_active {
        Ok(SignedIn { session, account })
    } else {
        Err(Revoked)
    }
}

/// Whether a token has the role of the session. A guest who has verified a phone is a user at once, and the token says so after the
/// next refresh. What the session may do is never taken from the token.
fn agrees(token: &AccessToken, session: &Session) -> bool {
    let was_guest = session.opened_by == OpenedBy::Guest && session.role == Role::User;
    token.has_role(session.role) || (was_guest && token.has_role(Role::Guest))
}

/// Accepts the cookie of the admin console, of which `secret` is the hash, if its session is live and its account active.
pub fn admit_console(
    secret: Uuid,
    found: Option<(Session, Account)>,
    now: DateTime<Utc>,
) -> Result<SignedIn, Revoked> {
    let (session, account) = found.ok_or(Revoked)?;
    let is_right = session.opened_by == OpenedBy::Console
        && session.account_id == account.id
        && bool::from(session.refresh_jti.as_bytes().ct_eq(secret.as_bytes()));
    if is_right && session.ended_at.is_none() && session.expires_at > now && account.is_active {
        Ok(SignedIn { session, account })
    } else {
        Err(Revoked)
    }
}
