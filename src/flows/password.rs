//! Signing in with a password, and changing it.
//!
//! A password is charged before it is compared, so that a hundred at once are no hundred tries. Then comes the hashing, which
//! waits its turn: a request that is given up meanwhile has done nothing but spend its charge. Only what follows runs to
//! its end.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Error, Services,
    budget::{self, BudgetClaim},
    run_to_completion, session, transaction,
};
use crate::{
    domain::{
        access::{Client, OpenedBy, SignedIn, TokenPair},
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        credentials::{Login, Password, PasswordHash},
        phone::PhoneNumber,
        pseudonym::Pseudonym,
        sign_in::{SignIn, judge},
    },
    store,
};

pub(super) fn signed_in(id: Uuid, tokens: &TokenPair, from: ClientAddress) -> Event {
    Event::by_owner(Action::SignedIn, id).from(from).with("by", "password").with("sid", tokens.sid)
}

/// What became of a name and a password.
#[derive(Debug)]
pub enum Entered {
    /// She is in.
    In(TokenPair),
    /// One of them is wrong.
    Wrong,
    /// Both are right, and the account was disabled.
    Disabled,
    /// Too many wrong passwords came for this name, or from this address. This one was not looked at.
    Refused(BudgetExceeded),
}

/// Charges a password that may be wrong, before anything is compared.
///
/// # Errors
/// When the database does not answer: then it must not be compared.
pub(super) async fn claim_password_guess(
    services: &Services,
    name: &Pseudonym,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    budget::claim(services, services.budgets.password(name, from, now), now).await
}

/// Gives the charge of a right password back. A database that goes away here takes nothing from whoever was let in: the
/// charge stays.
pub(super) async fn refund_password_guess(services: &Services, budget_claim: &BudgetClaim) {
    if let Err(error) = budget::refund(services, budget_claim).await {
        tracing::error!(%error, "the charge of a right password could not be given back");
    }
}

/// What is noted of somebody who is signed in and tries passwords without end.
pub(super) fn tried_too_often(who: Uuid, exceeded: &BudgetExceeded, from: ClientAddress) -> Event {
    refused_by(Event::by_owner(Action::SignInRefused, who).from(from), exceeded)
}

fn refused_by(event: Event, exceeded: &BudgetExceeded) -> Event {
    let event = event.with("by", "password").with("budget", exceeded.budget.as_str());
    event.with_known("retry_after", exceeded.retry_after)
}

/// Lets somebody in who knows her password. A name that nobody has costs what a wrong password costs: two statements and
/// one hash, and it spends the same budgets.
///
/// # Errors
/// When the database does not answer: then nobody is let in.
pub async fn sign_in(
    services: &Arc<Services>,
    login: Login,
    typed: SecretString,
    client: Client,
    from: ClientAddress,
) -> Result<Entered, Error> {
    let name = login_hash(services, &login);
    let mut budget_claim = match claim_password_guess(services, &name, from, services.clock.now()).await? {
        Ok(budget_claim) => budget_claim,
        Err(exceeded) => {
            let event = refused(services, Action::SignInRefused, &login, None, from);
            services.audit.note(refused_by(event, &exceeded), services.clock.now());
            return Ok(Entered::Refused(exceeded));
        }
    };
    // Whoever loses to a change of the password is judged by the new one, so this ends.
    loop {
        let (found, hash) = match store::accounts::find_credentials(&services.store, &login).await? {
            Some((account, hash)) => (Some(account), hash),
            None => (None, None),
        };
        let is_right = services.hasher.verify(hash.as_ref(), &typed).await;
        let id = found.as_ref().map(|account| account.id);
        let (account, hash) = match (judge(found, is_right), hash) {
            (SignIn::Right(account), Some(hash)) => (account, hash),
            (SignIn::Disabled, _) => {
                refund_password_guess(services, &budget_claim).await;
                let event = refused(services, Action::SignInRefused, &login, id, from);
                let event = event.with("by", "password").with("reason", "account_disabled");
                services.audit.note(event, services.clock.now());
                return Ok(Entered::Disabled);
            }
            (SignIn::Right(_) | SignIn::Wrong, _) => {
                let event = refused(services, Action::WrongPassword, &login, id, from);
                services.audit.note(event.with("for", "sign_in"), services.clock.now());
                return Ok(Entered::Wrong);
            }
        };
        let renewed = if hash.is_current() {
            None
        } else {
            Some(self::hash(services, &Password::known(&typed)).await?)
        };
        let phone = match &login {
            Login::Phone(phone) => Some(phone.clone()),
            Login::Username(_) | Login::Email(_) => None,
        };
        let right = Right { id: account.id, phone, hash, renewed, budget_claim };
        match enter(services, right, client.clone(), from).await? {
            Ok(entered) => return Ok(entered),
            Err(still_held) => budget_claim = still_held,
        }
    }
}

/// What stands for a name as it was typed, without regard to case and to how a phone is written.
fn login_hash(services: &Services, login: &Login) -> Pseudonym {
    match login {
        Login::Username(name) | Login::Email(name) => services.pseudonyms.name(name),
        Login::Phone(phone) => services.pseudonyms.phone(phone),
    }
}

/// What is noted of somebody who is not let in. What she typed as her name stands there as its mark, be it anybody's or not.
fn refused(
    services: &Services,
    action: Action,
    login: &Login,
    id: Option<Uuid>,
    from: ClientAddress,
) -> Event {
    let event = Event { user_id: id, ..Event::by_stranger(action).from(from) };
    match login {
        Login::Username(name) | Login::Email(name) => event.with("name", &services.pseudonyms.name(name)),
        Login::Phone(phone) => event.phone(phone),
    }
}

/// A right password.
struct Right {
    /// Whose.
    id: Uuid,
    /// By which phone she was found, if by one.
    phone: Option<PhoneNumber>,
    /// What it was compared with.
    hash: PasswordHash,
    /// A hash as they are made today, where that one was made with less.
    renewed: Option<PasswordHash>,
    /// What was charged for it.
    budget_claim: BudgetClaim,
}

/// Opens a session for somebody whose password was right, if its hash still is this one: what was right a moment ago may
/// have been changed since, by somebody who shuts others out. Then the charge comes back as it was.
async fn enter(
    services: &Arc<Services>,
    right: Right,
    client: Client,
    from: ClientAddress,
) -> Result<Result<Entered, BudgetClaim>, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let opened = transaction(|| open_session(&services, &right, &client, now)).await?;
        let Right { id, budget_claim, .. } = right;
        let Some(opened) = opened else {
            return Ok(Err(budget_claim));
        };
        let Some(tokens) = opened else {
            refund_password_guess(&services, &budget_claim).await;
            let event = Event::by_stranger(Action::SignInRefused).about(id).from(from);
            services.audit.note(event.with("by", "password").with("reason", "account_disabled"), now);
            return Ok(Ok(Entered::Disabled));
        };
        refund_password_guess(&services, &budget_claim).await;
        services.metrics.sign_in("password");
        services.audit.note(signed_in(id, &tokens, from), now);
        Ok(Ok(Entered::In(tokens)))
    })
    .await
}

/// `None` when the hash, or whose phone it is, has changed; no tokens when the account is disabled.
async fn open_session(
    services: &Services,
    right: &Right,
    client: &Client,
    now: DateTime<Utc>,
) -> Result<Option<Option<TokenPair>>, Error> {
    let Right { id, phone, hash, renewed, .. } = right;
    let txn = services.store.begin().await?;
    let claimed = store::accounts::claim_with_hash(&txn, *id, Some(hash)).await?;
    // The phone may have become somebody else's meanwhile.
    let is_hers = |account: &Account| phone.is_none() || account.phone == *phone;
    let Some(account) = claimed.filter(is_hers) else {
        txn.rollback().await?;
        return Ok(None);
    };
    if !account.is_active {
        txn.rollback().await?;
        return Ok(Some(None));
    }
    if let Some(renewed) = renewed {
        store::accounts::set_password(&txn, *id, renewed, account.updated_at).await?;
    }
    let tokens = session::open(services, &txn, &account, OpenedBy::Password, client.clone(), now).await?;
    txn.commit().await?;
    Ok(Some(Some(tokens)))
}

/// What became of a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It holds, and the other sessions are ended.
    Done,
    /// The old one was not given.
    OldMissing,
    /// The old one is another.
    OldWrong,
    /// Too many wrong ones were tried. This one was not looked at.
    Refused(BudgetExceeded),
    /// It would be the first one, and who holds the session was not proved lately.
    RecentAuthRequired,
    /// It would be the first one of staff: who can read their messages would have their rights by it.
    Staff,
}

/// Sets the first password, or another one, and ends the other sessions. Whoever has a password shows the old one; a
/// first one needs a fresh proof of who holds the session.
///
/// # Errors
/// When the database does not answer: then the old one holds.
pub async fn change(
    services: &Arc<Services>,
    who: SignedIn,
    old: Option<SecretString>,
    new: Password,
    from: ClientAddress,
) -> Result<Changed, Error> {
    let now = services.clock.now();
    let id = who.account().id;
    let is_first = !who.account().has_password;
    let wrong = move || Event::by_owner(Action::WrongPassword, id).from(from).with("for", "change");
    let mut budget_claim = None;
    let old_hash = if who.account().has_password {
        let Some(old) = old else {
            return Ok(Changed::OldMissing);
        };
        // Whoever stole a session must not try passwords without end.
        budget_claim =
            match claim_password_guess(services, &services.pseudonyms.account(id), from, now).await? {
                Ok(budget_claim) => Some(budget_claim),
                Err(exceeded) => {
                    services.audit.note(tried_too_often(id, &exceeded, from), now);
                    return Ok(Changed::Refused(exceeded));
                }
            };
        let found = store::accounts::find_with_hash(&services.store, id).await?;
        let hash = found.and_then(|(_, hash)| hash);
        if !services.hasher.verify(hash.as_ref(), &old).await {
            services.audit.note(wrong(), now);
            return Ok(Changed::OldWrong);
        }
        hash
    } else if who.account().role > Role::User {
        return Ok(Changed::Staff);
    } else if who.session().has_recent_auth(now) {
        None
    } else {
        return Ok(Changed::RecentAuthRequired);
    };
    let hash = hash(services, &new).await?;
    run_to_completion(services, move |services| async move {
        transaction(|| async {
            let txn = services.store.begin().await?;
            // Of two who change it at once the second one's old password is wrong by now.
            let Some(account) = store::accounts::claim_with_hash(&txn, id, old_hash.as_ref()).await? else {
                txn.rollback().await?;
                services.audit.note(wrong(), now);
                return Ok(Changed::OldWrong);
            };
            // She may have become staff since the gate let her in.
            if old_hash.is_none() && account.role > Role::User {
                txn.rollback().await?;
                return Ok(Changed::Staff);
            }
            store::accounts::set_new_password(&txn, id, &hash, now).await?;
            let ended = store::sessions::close_all(&txn, id, Some(who.session().id), now).await?;
            txn.commit().await?;
            if let Some(budget_claim) = &budget_claim {
                refund_password_guess(&services, budget_claim).await;
            }
            let event = Event::by_owner(Action::PasswordChanged, id).from(from);
            services.audit.note(event.with("ended", ended).with("first", is_first), now);
            tracing::info!(user_id = %id, ended, "password changed");
            Ok(Changed::Done)
        })
        .await
    })
    .await
}

pub(super) async fn hash(services: &Services, password: &Password) -> Result<PasswordHash, Error> {
    services.hasher.hash(password, services.random.bytes()).await
}
