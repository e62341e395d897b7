//! Setting the first password of an account, and changing it. A change compares the old password first, and that is a guess like
//! one of a sign-in.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{Error, Services, budget::BudgetClaim, events, password, run_to_completion, transaction};
use crate::{
    domain::{
        access::SignedIn,
        account::Role,
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        credentials::{OldCosts, Password, PasswordHash},
        events::EndReason,
        roles::may_control_own,
    },
    store::{self, sessions::Ending},
};

/// The outcome of a change of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The password is changed, and the other sessions are ended.
    Done,
    /// The old password is missing.
    OldMissing,
    /// The old password is wrong.
    OldWrong,
    /// Too many wrong passwords were tried. This one was not compared.
    Refused(BudgetExceeded),
    /// A first password needs a recent confirmation.
    RecentAuthRequired,
    /// Staff cannot set a first password: a person who reads their messages would get the rights of staff.
    Staff,
    /// The account has more rights than this session.
    Forbidden,
}

/// Sets the first password, or changes it, and ends the other sessions. A change needs the old password; a first password
/// needs a recent confirmation.
///
/// # Errors
/// When the database does not answer: the old password stays.
pub async fn change(
    services: &Arc<Services>,
    who: SignedIn,
    old: Option<SecretString>,
    new: Password,
    from: ClientAddress,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    if let Some(refused) = refused(&who, now) {
        return Ok(refused);
    }
    let compared = match old {
        _ if !who.account().has_password => None,
        None => return Ok(Changed::OldMissing),
        Some(old) => match compare(services, &who, &old, from, now).await? {
            Ok(compared) => Some(compared),
            Err(refused) => return Ok(refused),
        },
    };
    let hash = password::hash(services, &new).await?;
    run_to_completion(services, move |services| async move {
        let changed = transaction(|| set(&services, &who, compared.as_ref(), &hash, from, now)).await?;
        if let (Changed::Done, Some(compared)) = (changed, &compared) {
            password::refund_password_guess(&services, &compared.budget_claim).await;
        }
        Ok(changed)
    })
    .await
}

/// What can be refused before a guess is charged or compared, so that a session without the rights learns nothing about the
/// password.
fn refused(who: &SignedIn, now: DateTime<Utc>) -> Option<Changed> {
    let (session, account) = (who.session(), who.account());
    if !account.has_password && account.role > Role::User {
        Some(Changed::Staff)
    } else if may_control_own(session, account).is_err() {
        Some(Changed::Forbidden)
    } else if !account.has_password && !session.has_recent_auth(now) {
        Some(Changed::RecentAuthRequired)
    } else {
        None
    }
}

/// The old password was right.
struct Compared {
    hash: Option<PasswordHash>,
    budget_claim: BudgetClaim,
}

/// Charges a guess and compares the old password: a stolen session must not allow unlimited guesses.
async fn compare(
    services: &Services,
    who: &SignedIn,
    old: &SecretString,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Result<Compared, Changed>, Error> {
    let id = who.account().id;
    let name = services.pseudonyms.account(id);
    let budget_claim = match password::claim_password_guess(services, &name, from, now).await? {
        Ok(budget_claim) => budget_claim,
        Err(exceeded) => {
            services.audit.note(password::tried_too_often(id, &exceeded, from), now);
            return Ok(Err(Changed::Refused(exceeded)));
        }
    };
    let found = store::accounts::find_with_hash(&services.store, id).await?;
    let hash = found.and_then(|(_, hash)| hash);
    // The time tells the owner nothing that they do not know.
    if !services.hasher.verify(hash.as_ref(), old, OldCosts::default()).await {
        services.audit.note(wrong(id, from), now);
        return Ok(Err(Changed::OldWrong));
    }
    Ok(Ok(Compared { hash, budget_claim }))
}

fn wrong(id: Uuid, from: ClientAddress) -> Event {
    Event::by_owner(Action::WrongPassword, id).from(from).with("for", "change")
}

async fn set(
    services: &Services,
    who: &SignedIn,
    compared: Option<&Compared>,
    hash: &PasswordHash,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Changed, Error> {
    let (id, is_first) = (who.account().id, compared.is_none());
    let old_hash = compared.and_then(|compared| compared.hash.as_ref());
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    // Of two parallel changes, the second one's old password is wrong by now.
    let Some(account) = store::accounts::claim_with_hash(&txn, id, old_hash).await? else {
        services.audit.note(wrong(id, from), now);
        return Ok(Changed::OldWrong);
    };
    // The account may have got more rights since the request was authenticated.
    if is_first && account.role > Role::User {
        return Ok(Changed::Staff);
    }
    if may_control_own(who.session(), &account).is_err() {
        return Ok(Changed::Forbidden);
    }
    store::accounts::set_new_password(&txn, id, hash, now).await?;
    let others = Ending::All { account_id: id, except: Some(who.session().id) };
    let ended = events::close_sessions(services, &txn, others, EndReason::PasswordChanged, now).await?;
    txn.commit().await?;
    let event = Event::by_owner(Action::PasswordChanged, id).from(from);
    services.audit.note(event.with("ended", ended).with("first", is_first), now);
    tracing::info!(user_id = %id, ended, "password changed");
    Ok(Changed::Done)
}
