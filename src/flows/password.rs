//! Signing in with a password, and changing it.
//!
//! A guess is charged before it is compared, so that parallel requests get no extra guesses. Then the password is hashed,
//! in a queue: a request that is cancelled in the meantime has only spent its charge. What follows the hashing runs to
//! completion.

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
        access::{Client, SignedIn, TokenPair},
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

/// The audit entry of a sign-in by password.
pub(super) fn signed_in(id: Uuid, tokens: &TokenPair, from: ClientAddress) -> Event {
    Event::by_owner(Action::SignedIn, id).from(from).with("by", "password").with("sid", tokens.sid)
}

/// The outcome of a sign-in by name and password.
#[derive(Debug)]
pub enum Entered {
    /// The user is signed in.
    In(TokenPair),
    /// The name or the password is wrong.
    Wrong,
    /// Both are right, but the account is disabled.
    Disabled,
    /// Too many wrong passwords for this name, or from this address. This one was not compared.
    Refused(BudgetExceeded),
}

/// Charges a guess of a password. Must be called before the password is compared.
///
/// # Errors
/// When the database does not answer: the password must not be compared.
pub(super) async fn claim_password_guess(
    services: &Services,
    name: &Pseudonym,
    from: ClientAddress,
    now: DateTime<Utc>,
) -> Result<Result<BudgetClaim, BudgetExceeded>, Error> {
    budget::claim(services, services.budgets.password(name, from, now), now).await
}

/// Refunds the charge of a right password. If the database fails here, the charge stays and the user is signed in anyway.
pub(super) async fn refund_password_guess(services: &Services, budget_claim: &BudgetClaim) {
    if let Err(error) = budget::refund(services, budget_claim).await {
        tracing::error!(%error, "the charge of a right password could not be returned");
    }
}

/// The audit entry of a signed-in user with too many wrong passwords.
pub(super) fn tried_too_often(who: Uuid, exceeded: &BudgetExceeded, from: ClientAddress) -> Event {
    refused_by(Event::by_owner(Action::SignInRefused, who).from(from), exceeded)
}

fn refused_by(event: Event, exceeded: &BudgetExceeded) -> Event {
    let event = event.with("by", "password").with("budget", exceeded.budget.as_str());
    event.with_known("retry_after", exceeded.retry_after)
}

/// Signs in by name and password. An unknown name costs the same as a wrong password: two statements, one hash and the
/// same budgets, so that time and limits do not reveal which names exist.
///
/// # Errors
/// When the database does not answer: no session is opened.
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
            let event = refusal(services, Action::SignInRefused, &login, None, from);
            services.audit.note(refused_by(event, &exceeded), services.clock.now());
            return Ok(Entered::Refused(exceeded));
        }
    };
    // If the password changes in the meantime, the guess is compared with the new one, so this ends.
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
                let event = refusal(services, Action::SignInRefused, &login, id, from);
                let event = event.with("by", "password").with("reason", "account_disabled");
                services.audit.note(event, services.clock.now());
                return Ok(Entered::Disabled);
            }
            (SignIn::Right(_) | SignIn::Wrong, _) => {
                let event = refusal(services, Action::WrongPassword, &login, id, from);
                services.audit.note(event.with("for", "sign_in"), services.clock.now());
                return Ok(Entered::Wrong);
            }
        };
        let new_hash = if hash.is_current() {
            None
        } else {
            Some(self::hash(services, &Password::known(&typed)).await?)
        };
        let phone = match &login {
            Login::Phone(phone) => Some(phone.clone()),
            Login::Username(_) | Login::Email(_) => None,
        };
        let accepted = AcceptedPassword { id: account.id, phone, hash, new_hash, budget_claim };
        match enter(services, accepted, client.clone(), from).await? {
            Ok(entered) => return Ok(entered),
            Err(unsettled) => budget_claim = unsettled,
        }
    }
}

/// The hash of a name as it was typed, independent of case and of how a phone is written.
fn login_hash(services: &Services, login: &Login) -> Pseudonym {
    match login {
        Login::Username(name) | Login::Email(name) => services.pseudonyms.name(name),
        Login::Phone(phone) => services.pseudonyms.phone(phone),
    }
}

/// The audit entry of a refused sign-in. It holds only a hash of the name that was typed, whether or not the name exists.
fn refusal(
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
#[must_use = "the claim of a right password must be settled"]
struct AcceptedPassword {
    /// The account.
    id: Uuid,
    /// The phone that was typed as the name, if it was one.
    phone: Option<PhoneNumber>,
    /// The hash that the password was compared with.
    hash: PasswordHash,
    /// A hash with today's parameters, if that one has weaker ones.
    new_hash: Option<PasswordHash>,
    budget_claim: BudgetClaim,
}

/// Opens a session after a right password, if the account still has the hash that was compared: the password may have been
/// changed since. If it was, returns the claim unsettled.
async fn enter(
    services: &Arc<Services>,
    accepted: AcceptedPassword,
    client: Client,
    from: ClientAddress,
) -> Result<Result<Entered, BudgetClaim>, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let opened = transaction(|| open_session(&services, &accepted, &client, now)).await?;
        let AcceptedPassword { id, budget_claim, .. } = accepted;
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

/// `None` when the account's hash or phone has changed; `Some(None)` when the account is disabled.
async fn open_session(
    services: &Services,
    accepted: &AcceptedPassword,
    client: &Client,
    now: DateTime<Utc>,
) -> Result<Option<Option<TokenPair>>, Error> {
    let AcceptedPassword { id, phone, hash, new_hash, .. } = accepted;
    let txn = services.store.begin().await?;
    let claimed = store::accounts::claim_with_hash(&txn, *id, Some(hash)).await?;
    // The phone may belong to another account by now.
    let has_phone = |account: &Account| phone.is_none() || account.phone == *phone;
    let Some(account) = claimed.filter(has_phone) else {
        txn.rollback().await?;
        return Ok(None);
    };
    if !account.is_active {
        txn.rollback().await?;
        return Ok(Some(None));
    }
    if let Some(new_hash) = new_hash {
        store::accounts::set_password(&txn, *id, new_hash, account.updated_at).await?;
    }
    let tokens = session::open_by_password(services, &txn, &account, client.clone(), now).await?;
    txn.commit().await?;
    Ok(Some(Some(tokens)))
}

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
    let id = who.account().id;
    let is_first = !who.account().has_password;
    let wrong = move || Event::by_owner(Action::WrongPassword, id).from(from).with("for", "change");
    let mut budget_claim = None;
    let old_hash = if who.account().has_password {
        let Some(old) = old else {
            return Ok(Changed::OldMissing);
        };
        // A stolen session must not allow unlimited guesses.
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
            // Of two parallel changes, the second one's old password is wrong by now.
            let Some(account) = store::accounts::claim_with_hash(&txn, id, old_hash.as_ref()).await? else {
                txn.rollback().await?;
                services.audit.note(wrong(), now);
                return Ok(Changed::OldWrong);
            };
            // The account may have become staff since the request was authenticated.
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

/// The hash of a new password.
pub(super) async fn hash(services: &Services, password: &Password) -> Result<PasswordHash, Error> {
    services.hasher.hash(password, services.random.bytes()).await
}
