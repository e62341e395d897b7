//! The second factor of staff: setting one up by a link, taking a code at a sign-in, and resetting a lost one.
//!
//! An attempt is counted before its code is judged, in its own commit, so that parallel requests get no extra attempts. A code
//! is used up in the transaction that opens the session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, events, run_to_completion, session, transaction};
use crate::{
    domain::{
        access::SignedIn,
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Actor, Event},
        events::EndReason,
        roles::{AdminPermission, may_control_own},
        second_factor::{
            CLOSED_FOR, Closed, EnrolmentToken, Factor, FactorCode, FactorPolicy, FactorProof, FactorSecret,
            Judged, LINK_LIFE, LinkState, OWN_LINK_LIFE, RECOVERY_CODES, RecoveryCode, Rights, judge,
        },
    },
    store::{self, Txn, second_factors::UsedFactor, sessions::Ending},
};

/// How often an attempt is claimed when the second step is reset at the same time.
const TRIES: usize = 3;

/// The outcome of judging a code. The attempt is counted unless the step is closed or there is no factor.
#[derive(Debug)]
pub(super) enum CodeCheck {
    /// It is right, if it can be used up.
    Right(FactorProof),
    /// It is wrong, or was used before.
    Wrong(WrongCode),
    /// Not judged: too many wrong codes.
    Closed(Closed),
    /// The account has no second factor.
    NotEnrolled,
    /// The secret cannot be decrypted.
    Unreadable,
}

/// What follows a wrong code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongCode {
    /// How many wrong codes are left before the second step closes.
    pub left: i64,
    /// The closure that this code caused.
    pub closed: Option<Closed>,
}

/// Counts an attempt and judges a code. `place` is where it was given, for the audit log.
///
/// # Errors
/// When the database does not answer: the code must not be accepted.
pub(super) async fn check(
    services: &Services,
    account_id: Uuid,
    code: &FactorCode,
    place: &'static str,
    from: ClientAddress,
) -> Result<CodeCheck, Error> {
    let now = services.clock.now();
    let factor = match claim_attempt(services, account_id, now).await? {
        Ok(factor) => factor,
        Err(refused) => {
            if let CodeCheck::Closed(closed) = refused {
                let event = Event::by_stranger(Action::SignInRefused).about(account_id).from(from);
                let event = event.with("by", place).with("reason", "second_factor_closed");
                services.audit.note(event.with_known("until", until(closed)), now);
            }
            return Ok(refused);
        }
    };
    Ok(match judge(&factor, code, &services.factor_keys, services.random.bytes(), now) {
        Judged::Right(proof) => CodeCheck::Right(proof),
        Judged::Wrong => CodeCheck::Wrong(note_wrong(services, &factor, place, from, now)),
        Judged::Unreadable => {
            tracing::error!(user_id = %account_id, "a second factor cannot be decrypted: its SECRET_KEY is not listed");
            CodeCheck::Unreadable
        }
    })
}

/// Counts an attempt, or says why none may be made.
async fn claim_attempt(
    services: &Services,
    account_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Result<Factor, CodeCheck>, Error> {
    let db = &services.store;
    for _ in 0..TRIES {
        if let Some(factor) = store::second_factors::claim_attempt(db, account_id, now).await? {
            return Ok(Ok(factor));
        }
        let Some(factor) = store::second_factors::find(db, account_id).await? else {
            return Ok(Err(CodeCheck::NotEnrolled));
        };
        if let Some(closed) = factor.closed(now) {
            if factor.closed_until.is_some_and(|until| until > now + CLOSED_FOR) {
                tracing::warn!(ahead = "second_factor", "a stored time is in the future: it counts as now");
                store::second_factors::shorten_closure(db, account_id, now + CLOSED_FOR).await?;
            }
            return Ok(Err(CodeCheck::Closed(closed)));
        }
    }
    Ok(Err(CodeCheck::Closed(Closed::Until(now + CLOSED_FOR))))
}

/// Notes a wrong code, and the closure that it caused.
fn note_wrong(
    services: &Services,
    factor: &Factor,
    place: &'static str,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> WrongCode {
    let event = |action| Event::by_stranger(action).about(factor.account_id).from(from);
    let (left, closed) = (factor.left(now), factor.closed(now));
    let wrong = event(Action::WrongSecondFactor).with("for", place);
    services.audit.note(wrong.with("left", left), now);
    if let Some(closed) = closed {
        let until = until(closed);
        tracing::warn!(user_id = %factor.account_id, ?until, "wrong codes closed the second step of an account");
        services.audit.note(event(Action::SecondFactorClosed).with_known("until", until), now);
    }
    WrongCode { left, closed }
}

fn until(closed: Closed) -> Option<DateTime<Utc>> {
    match closed {
        Closed::Until(until) => Some(until),
        Closed::UntilReset => None,
    }
}

/// A code that could not be used up: another request used it, or the factor was reset meanwhile.
pub(super) async fn note_used_before(
    services: &Services,
    account_id: Uuid,
    place: &'static str,
    from: ClientAddress,
) -> Result<WrongCode, Error> {
    let found = store::second_factors::find(&services.store, account_id).await?;
    let wrong = found.map(|factor| note_wrong(services, &factor, place, from, services.clock.now()));
    Ok(wrong.unwrap_or(WrongCode { left: 0, closed: None }))
}

/// The rights of a session that is opened in this transaction, which holds the account.
pub(super) async fn rights(
    services: &Services,
    txn: &Txn,
    account: &Account,
    used: Option<&UsedFactor>,
) -> Result<Rights, Error> {
    if used.is_some() {
        return Ok(Rights::of_second_factor(account.role));
    }
    if account.role <= Role::User {
        return Ok(Rights::of_user());
    }
    let is_enrolled = store::second_factors::find(txn, account.id).await?.is_some();
    Ok(Rights::of_password(services.factor_policy, account.role, is_enrolled))
}

/// Notes that a recovery code was used.
pub(super) fn note_recovery(
    services: &Services,
    account_id: Uuid,
    used: &UsedFactor,
    from: ClientAddress,
    now: DateTime<Utc>,
) {
    if let Some(left) = used.recovery_codes_left() {
        let event = Event::by_owner(Action::RecoveryCodeUsed, account_id).from(from);
        services.audit.note(event.with("left", left), now);
    }
}

/// What an enrolment link offers.
#[derive(Debug)]
pub enum Offer {
    /// The link works.
    Live {
        /// The secret for the authenticator app.
        secret: FactorSecret,
        /// The name of the account in the app.
        name: String,
    },
    /// The link was used.
    Used,
    /// The link is older than its time.
    Expired,
    /// There is no such link: it was mistyped, or a newer one has replaced it. Or it may not set up a factor any more.
    Unknown,
}

/// Looks up a link. It only reads.
pub async fn offer(services: &Services, token: &EnrolmentToken) -> Result<Offer, Error> {
    let Some(link) = store::second_factors::find_link(&services.store, token).await? else {
        return Ok(Offer::Unknown);
    };
    match link.state(services.clock.now()) {
        LinkState::Used => return Ok(Offer::Used),
        LinkState::Expired => return Ok(Offer::Expired),
        LinkState::Live => {}
    }
    let found = store::accounts::find_with_hash(&services.store, link.account_id).await?;
    Ok(match found {
        Some((account, _)) if token.may_enrol(&account, services.factor_policy) => {
            Offer::Live { secret: services.factor_keys.offered(account.id, token), name: name_of(&account) }
        }
        Some(_) | None => Offer::Unknown,
    })
}

fn name_of(account: &Account) -> String {
    let name = account.username.as_ref().or(account.email.as_ref());
    name.cloned().unwrap_or_else(|| account.id.to_string())
}

/// The outcome of an enrolment.
#[derive(Debug)]
pub enum Enrolled {
    /// The account has a second factor, and these recovery codes, which are never shown again.
    Done(Vec<RecoveryCode>),
    /// The code is not that of the offered secret.
    WrongCode,
    /// The link does not work any more.
    Over(Offer),
}

/// Sets up the second factor of a link's account, after the first code of its app. Its sessions with rights end: they were opened
/// without the factor.
///
/// # Errors
/// When the database does not answer: nothing is set up.
pub async fn enrol(
    services: &Arc<Services>,
    token: EnrolmentToken,
    code: FactorCode,
    from: ClientAddress,
) -> Result<Enrolled, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let secret = match offer(&services, &token).await? {
            Offer::Live { secret, .. } => secret,
            over => return Ok(Enrolled::Over(over)),
        };
        let step = match &code {
            FactorCode::App(digits) => secret.step_of(digits, now),
            FactorCode::Recovery(_) => None,
        };
        let Some(step) = step else { return Ok(Enrolled::WrongCode) };
        let codes: Vec<RecoveryCode> =
            (0..RECOVERY_CODES).map(|_| RecoveryCode::new(services.random.bytes())).collect();
        let chosen = Chosen { token, secret, step, codes };
        if transaction(|| set_up(&services, &chosen, from, now)).await? {
            return Ok(Enrolled::Done(chosen.codes));
        }
        // Another request used the link, or it ended at this moment.
        Ok(Enrolled::Over(match offer(&services, &chosen.token).await? {
            Offer::Live { .. } => Offer::Used,
            over => over,
        }))
    })
    .await
}

/// What is set up.
struct Chosen {
    token: EnrolmentToken,
    secret: FactorSecret,
    step: i64,
    codes: Vec<RecoveryCode>,
}

async fn set_up(
    services: &Services,
    chosen: &Chosen,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let Chosen { token, secret, step, codes } = chosen;
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let Some(link) = store::second_factors::find_link(&txn, token).await? else {
        return Ok(false);
    };
    let id = link.account_id;
    let claimed = store::owners::claim(&txn, id).await?;
    let Some(account) = claimed.filter(|account| token.may_enrol(account, services.factor_policy)) else {
        return Ok(false);
    };
    let keys = &services.factor_keys;
    let sealed = keys.seal(id, secret, services.random.bytes());
    if !store::second_factors::consume_link(&txn, token, &sealed, *step, now).await? {
        return Ok(false);
    }
    let hashes = codes.iter().map(|code| keys.recovery_hash(id, code)).collect();
    store::second_factors::insert_recovery_codes(&txn, id, hashes).await?;
    let (sessions, reason) = (Ending::Privileged(id), EndReason::SecondFactorChanged);
    let ended = events::close_sessions(services, &txn, sessions, reason, now).await?;
    let event = Event::by_owner(Action::SecondFactorEnrolled, account.id).from(from);
    services.audit.write(&txn, event.with("ended", ended), now).await?;
    txn.commit().await?;
    tracing::info!(user_id = %id, ended, "a second factor was set up");
    Ok(true)
}

/// The outcome of a reset.
#[derive(Debug)]
pub enum Reset {
    /// The account has no second factor, and its sessions with rights have ended.
    Done {
        /// The link that sets up a new one.
        link: EnrolmentToken,
        /// Whether there was one before.
        was_reset: bool,
    },
    /// There is no such account.
    NotFound,
    /// The account is not one of staff: it needs no second factor.
    NotStaff,
    /// No admin resets their own second factor: a stolen session could.
    Own,
}

/// Removes the second factor of an account and makes a link for a new one. Every lock of the second step ends.
///
/// # Errors
/// When the database does not answer: the factor stays.
pub async fn reset(
    services: &Arc<Services>,
    account_id: Uuid,
    permission: AdminPermission,
) -> Result<Reset, Error> {
    run_to_completion(services, move |services| async move {
        if permission.actor() == Actor::Staff(account_id) {
            return Ok(Reset::Own);
        }
        let token = EnrolmentToken::new(services.random.bytes());
        transaction(|| remove(&services, account_id, &token, permission)).await
    })
    .await
}

async fn remove(
    services: &Services,
    id: Uuid,
    token: &EnrolmentToken,
    permission: AdminPermission,
) -> Result<Reset, Error> {
    let now = services.clock.now();
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    match store::owners::claim(&txn, id).await? {
        None => return Ok(Reset::NotFound),
        Some(account) if account.role <= Role::User => return Ok(Reset::NotStaff),
        Some(_) => {}
    }
    let had_one = store::second_factors::purge(&txn, id).await?;
    store::second_factors::open_link(&txn, id, token, now + LINK_LIFE).await?;
    let (sessions, reason) = (Ending::Privileged(id), EndReason::SecondFactorChanged);
    let ended = events::close_sessions(services, &txn, sessions, reason, now).await?;
    let event = Event::new(Action::SecondFactorReset, permission.actor()).about(id).from(permission.from());
    services.audit.write(&txn, event.with("enrolled", had_one).with("ended", ended), now).await?;
    txn.commit().await?;
    tracing::info!(user_id = %id, ended, "a second factor was reset");
    Ok(Reset::Done { link: token.clone(), was_reset: had_one })
}

/// Makes the first link of an account that this transaction created. The caller commits.
pub(super) async fn insert_link(
    services: &Services,
    txn: &Txn,
    account_id: Uuid,
    now: DateTime<Utc>,
) -> Result<EnrolmentToken, Error> {
    let token = EnrolmentToken::new(services.random.bytes());
    store::second_factors::open_link(txn, account_id, &token, now + LINK_LIFE).await?;
    Ok(token)
}

/// The outcome of asking for a link for the own account.
#[derive(Debug)]
pub enum OwnLink {
    /// The link, which the user follows at once.
    Made(EnrolmentToken),
    /// The account has a second factor: an admin resets it.
    Enrolled,
    /// The factor is required, so the password alone sets up none.
    Required,
    /// The user must give the password again.
    RecentAuthRequired,
    /// The session has ended.
    Ended,
}

/// Makes a link for the account of a member of staff who gave the password again, where the factor is optional.
///
/// # Errors
/// When the database does not answer: no link is made.
pub async fn own_link(
    services: &Arc<Services>,
    who: SignedIn,
    from: ClientAddress,
) -> Result<OwnLink, Error> {
    run_to_completion(services, move |services| async move {
        if services.factor_policy == FactorPolicy::Required {
            return Ok(OwnLink::Required);
        }
        let token = EnrolmentToken::own(services.random.bytes());
        transaction(|| make_own_link(&services, &who, &token, from)).await
    })
    .await
}

async fn make_own_link(
    services: &Services,
    who: &SignedIn,
    token: &EnrolmentToken,
    from: ClientAddress,
) -> Result<OwnLink, Error> {
    let (now, id) = (services.clock.now(), who.account().id);
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    store::owners::claim(&txn, id).await?;
    let Some((session, account)) = session::recheck(services, &txn, who).await? else {
        return Ok(OwnLink::Ended);
    };
    if account.role <= Role::User || may_control_own(&session, &account).is_err() {
        return Ok(OwnLink::Ended);
    }
    if !session.has_recent_auth(now) {
        return Ok(OwnLink::RecentAuthRequired);
    }
    if store::second_factors::find(&txn, id).await?.is_some() {
        return Ok(OwnLink::Enrolled);
    }
    store::second_factors::open_link(&txn, id, token, now + OWN_LINK_LIFE).await?;
    let event = Event::by_owner(Action::EnrolmentLinkMade, id).from(from);
    services.audit.write(&txn, event, now).await?;
    txn.commit().await?;
    Ok(OwnLink::Made(token.clone()))
}
