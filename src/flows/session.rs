//! The life of a session: how it opens, `refresh` and `logout`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Error, Services, blocks, events, run_to_completion};
use crate::{
    domain::{
        access::{
            Claims, Client, NewSession, OpenedBy, Rotation, Session, SignedIn, TokenError, TokenPair,
            TokenType,
        },
        account::Account,
        address::ClientAddress,
        audit::{Action, Event},
        events::{EndReason, Fact},
        issuer::Vouched,
        phone::PhoneNumber,
        second_factor::Rights,
    },
    store::{
        self, Txn,
        otp::Consumed,
        sessions::{Ending, Exchange},
    },
};

/// Opens a session for a user who signs in by code, and issues its first tokens. `_consumed` proves that this transaction
/// consumed a right code.
pub(super) async fn open_by_code(
    services: &Services,
    txn: &Txn,
    _consumed: &Consumed,
    account: &Account,
    client: Client,
    now: DateTime<Utc>,
) -> Result<TokenPair, Error> {
    open(services, txn, account, (OpenedBy::Code, Rights::of_user()), client, now).await
}

/// A session for a user who signs in by code, before the account is known: it is in no database yet.
pub(super) fn new_by_code(services: &Services, client: Client, now: DateTime<Utc>) -> Session {
    new(services, Uuid::nil(), OpenedBy::Code, client, now).with_rights(Rights::of_user())
}

/// Issues the first tokens of such a session, once the database has it. `_consumed` proves that a right code was consumed with
/// it.
pub(super) fn tokens_by_code(
    services: &Services,
    _consumed: &Consumed,
    session: Session,
    account: &Account,
    now: DateTime<Utc>,
) -> Result<TokenPair, Error> {
    let session = Session { account_id: account.id, ..session };
    Ok(services.tokens.issue(&session, account, services.new_jti(), now)?)
}

fn new(
    services: &Services,
    account_id: Uuid,
    opened_by: OpenedBy,
    client: Client,
    now: DateTime<Utc>,
) -> Session {
    let ids = NewSession { session: services.random.id(now), refresh_jti: services.new_jti() };
    Session::open(ids, account_id, opened_by, client, services.tokens.policy(), now)
}

/// Opens a session for a user who signs in by password, and issues its first tokens. The caller compared the password with
/// the hash that the account still has, or created the account in this transaction.
pub(super) async fn open_by_password(
    services: &Services,
    txn: &Txn,
    account: &Account,
    rights: Rights,
    client: Client,
    now: DateTime<Utc>,
) -> Result<TokenPair, Error> {
    open(services, txn, account, (OpenedBy::Password, rights), client, now).await
}

/// Opens a session for a user whom a trusted issuer names, and issues its first tokens. `proved_at` is when the user was last
/// proved to be there.
pub(super) async fn open_by_exchange(
    services: &Services,
    txn: &Txn,
    (_vouched, proved_at): (&Vouched, Option<DateTime<Utc>>),
    account: &Account,
    client: Client,
    now: DateTime<Utc>,
) -> Result<TokenPair, Error> {
    let session = new(services, account.id, OpenedBy::Exchange, client, now).with_rights(Rights::of_user());
    let session = Session { recent_auth_at: proved_at, ..session };
    insert(services, txn, &session, account.phone.as_ref(), now).await?;
    Ok(services.tokens.issue(&session, account, services.new_jti(), now)?)
}

/// Opens the session of a new guest, and issues its first tokens. The caller created the account in this transaction.
pub(super) async fn open_for_guest(
    services: &Services,
    txn: &Txn,
    account: &Account,
    client: Client,
    now: DateTime<Utc>,
) -> Result<TokenPair, Error> {
    open(services, txn, account, (OpenedBy::Guest, Rights::of_guest()), client, now).await
}

/// Inserts a session, and ends the one that was used longest ago if there are too many.
///
/// The transaction holds the account ([`store::owners::claim`] and its like, or the statement that created it), so that
/// parallel sign-ins leave at most as many alive as the settings allow.
///
/// # Errors
/// [`Error::Blocked`] when `phone`, that of the account, is blocked: the transaction must be rolled back.
pub(super) async fn insert(
    services: &Services,
    txn: &Txn,
    session: &Session,
    phone: Option<&PhoneNumber>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let opened = store::sessions::open(txn, session, phone, now).await?;
    if opened.is_blocked {
        return Err(Error::Blocked);
    }
    events::write_of(services, txn, session.account_id, &[Fact::session_started(session)], now).await?;
    let most = services.tokens.policy().most_sessions;
    if opened.others >= most {
        let oldest = Ending::Oldest { new: session, left: most.saturating_sub(1) };
        let ended = events::close_sessions(services, txn, oldest, EndReason::TooMany, now).await?;
        tracing::info!(user_id = %session.account_id, ended, "too many sessions: the oldest are ended");
    }
    Ok(())
}

/// Opens a session. The tokens must not leave the server before the commit.
async fn open(
    services: &Services,
    txn: &Txn,
    account: &Account,
    (opened_by, rights): (OpenedBy, Rights),
    client: Client,
    now: DateTime<Utc>,
) -> Result<TokenPair, Error> {
    let session = new(services, account.id, opened_by, client, now).with_rights(rights);
    insert(services, txn, &session, account.phone.as_ref(), now).await?;
    Ok(services.tokens.issue(&session, account, services.new_jti(), now)?)
}

/// A session and its account, with the rights that the settings allow now. Times in the future, which a wrong clock wrote,
/// count as now and are corrected in the row.
pub(super) async fn find(
    services: &Services,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<(Session, Account)>, Error> {
    let Some((session, account)) = store::sessions::find_with_account(&services.store, id).await? else {
        return Ok(None);
    };
    if !session.is_ahead(now) {
        return Ok(Some((session.limited(services.factor_policy), account)));
    }
    tracing::warn!(ahead = "session", "a stored time is in the future: it counts as now");
    let session = session.until(now, services.tokens.policy());
    store::sessions::correct_future_times(&services.store, &session).await?;
    Ok(Some((session.limited(services.factor_policy), account)))
}

/// Reads session and account again, in a transaction that holds the account, with the rights that the settings allow now.
/// `None` when the session has ended or the account was disabled since the request was authenticated.
pub(super) async fn recheck(
    services: &Services,
    txn: &Txn,
    who: &SignedIn,
) -> Result<Option<(Session, Account)>, Error> {
    let found = store::sessions::find_with_account(txn, who.session().id).await?;
    let live = found.filter(|(session, account)| session.ended_at.is_none() && account.is_active);
    Ok(live.map(|(session, account)| (session.limited(services.factor_policy), account)))
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefused {
    /// Not signed by this server, altered, or of the wrong type.
    Invalid,
    /// It has expired.
    Expired,
    /// Its session has ended, or its account is disabled.
    Revoked,
}

impl From<TokenError> for TokenRefused {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::Invalid,
            TokenError::Expired => Self::Expired,
        }
    }
}

/// The outcome of `refresh`.
#[derive(Debug)]
pub enum Refreshed {
    /// The next pair of tokens.
    Tokens(TokenPair),
    /// The refresh token is refused.
    Refused(TokenRefused),
    /// The account is disabled.
    Disabled,
}

/// Exchanges a refresh token for the next pair of tokens.
///
/// # Errors
/// When the database does not answer: the token stays valid. When the account's phone is blocked.
pub async fn refresh(
    services: &Arc<Services>,
    token: SecretString,
    from: ClientAddress,
) -> Result<Refreshed, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        match services.tokens.read(token.expose_secret(), TokenType::Refresh, now) {
            Ok(claims) => rotate(&services, &claims, from, now).await,
            Err(error) => Ok(Refreshed::Refused(error.into())),
        }
    })
    .await
}

async fn rotate(
    services: &Services,
    claims: &Claims,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Refreshed, Error> {
    let (sid, user_id, presented) = (claims.sid, claims.user_id, claims.jti);
    if let Some(tokens) = rotate_at_once(services, claims, now).await? {
        return Ok(Refreshed::Tokens(tokens));
    }
    // A request that loses the race below finds the winner's successor in the next round, so this ends.
    loop {
        let (session, account) = match find(services, sid, now).await? {
            Some((session, account)) if session.account_id == user_id => (session, account),
            Some(_) | None => return Ok(Refreshed::Refused(TokenRefused::Revoked)),
        };
        // Checked first, because disabling an account also ends its sessions.
        if !account.is_active {
            return Ok(Refreshed::Disabled);
        }
        // So does a block.
        if blocks::is_shut_out(services, account.phone.as_ref(), now).await? {
            return Err(Error::Blocked);
        }
        if session.ended_at.is_some() {
            return Ok(Refreshed::Refused(TokenRefused::Revoked));
        }
        // Token and row may have a later end than the settings allow now: they date from when sessions could live longer.
        if services.tokens.policy().expiry(session.created_at, now).min(session.expires_at) <= now {
            return Ok(Refreshed::Refused(TokenRefused::Expired));
        }
        let session = match session.rotation(presented, now) {
            Rotation::Repeat => session,
            Rotation::Advance => match advance(services, &session, presented, now).await? {
                Some(rotated) => rotated,
                None => continue,
            },
            Rotation::Retired => {
                let reason = EndReason::TokenReused;
                events::close_sessions_alone(services, Ending::One(sid), reason, now).await?;
                let event = Event::by_stranger(Action::RefreshReused).about(user_id);
                services.audit.note(event.from(from).with("sid", sid), now);
                services.metrics.refresh_reused();
                tracing::warn!(%sid, %user_id, "a retired refresh token was used: its session is ended");
                return Ok(Refreshed::Refused(TokenRefused::Revoked));
            }
        };
        let tokens = services.tokens.issue(&session, &account, services.new_jti(), now)?;
        return Ok(Refreshed::Tokens(tokens));
    }
}

/// The usual case in one statement: the newest token of a session that is not near its longest life. `None` when it is another
/// case; nothing has changed then.
async fn rotate_at_once(
    services: &Services,
    claims: &Claims,
    now: DateTime<Utc>,
) -> Result<Option<TokenPair>, Error> {
    let policy = services.tokens.policy();
    let exchange = Exchange {
        session: claims.sid,
        account: claims.user_id,
        presented: claims.jti,
        successor: services.new_jti(),
        expires_at: now + policy.refresh_life,
        opened_after: now + policy.refresh_life - policy.session_max,
    };
    let Some((session, account)) = store::sessions::rotate(&services.store, exchange, now).await? else {
        return Ok(None);
    };
    let session = session.limited(services.factor_policy);
    Ok(Some(services.tokens.issue(&session, &account, services.new_jti(), now)?))
}

async fn advance(
    services: &Services,
    session: &Session,
    presented: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Session>, Error> {
    let policy = services.tokens.policy();
    let rotated = session.rotated(presented, services.new_jti(), policy, now);
    let won = store::sessions::set_rotated(&services.store, session, &rotated, now).await?;
    Ok(won.then_some(rotated))
}

/// Ends the sessions of these tokens, of either type and any age. A token that this server did not sign is ignored: logout
/// succeeds anyway.
///
/// # Errors
/// When the database does not answer: the sessions may stay alive.
pub async fn logout(services: &Arc<Services>, tokens: Vec<SecretString>) -> Result<(), Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        for token in &tokens {
            if let Ok(claims) = services.tokens.read_any_age(token.expose_secret()) {
                let (session, reason) = (Ending::One(claims.sid), EndReason::LoggedOut);
                events::close_sessions_alone(&services, session, reason, now).await?;
            }
        }
        Ok(())
    })
    .await
}
