//! Signing in with a password.
//!
//! A guess is charged before it is compared, so that parallel requests get no extra guesses. Then the password is hashed,
//! in a queue: a request that is cancelled in the meantime has only spent its charge. What follows the hashing runs to
//! completion.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Error, Services, blocks,
    budget::{self, BudgetClaim},
    old_hashes, run_to_completion,
    second_factor::{self, CodeCheck},
    session, transaction,
};
use crate::{
    domain::{
        access::{Client, TokenPair},
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        credentials::{Login, Password, PasswordHash},
        phone::PhoneNumber,
        pseudonym::Pseudonym,
        second_factor::{FactorCode, FactorProof},
        sign_in::{SignIn, judge},
    },
    store::{self, Txn, second_factors::UsedFactor},
};

/// The audit entry of a sign-in by password.
pub(super) fn signed_in(id: Uuid, tokens: &TokenPair, from: ClientAddress) -> Event {
    Event::by_owner(Action::SignedIn, id).from(from).with("by", BY).with("sid", tokens.sid)
}

/// How a session of the API is opened here, for the audit log and the metrics.
const BY: &str = "password";

/// The outcome of a sign-in by name and password.
#[derive(Debug)]
pub enum Entered {
    /// The user is signed in. Without the second factor that the account needs, the session has the rights of a user.
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
    let event = event.with("by", BY).with("budget", exceeded.budget.as_str());
    event.with_known("retry_after", exceeded.retry_after)
}

/// The attempt to sign in with a name and a password, for the API and for the console. Its guess is charged.
#[derive(Debug)]
#[must_use = "the password is not compared yet"]
pub(super) struct Attempt {
    login: Login,
    typed: SecretString,
    from: ClientAddress,
    budget_claim: Arc<BudgetClaim>,
}

/// The outcome of comparing a password.
#[derive(Debug)]
pub(super) enum Compared {
    /// It is right.
    Right(AcceptedPassword),
    /// The name or the password is wrong.
    Wrong,
    /// Both are right, but the account is disabled. It has this role.
    Disabled(Role),
}

impl Attempt {
    /// Charges a guess. An unknown name costs the same as a known one: two statements, one hash and the same budgets, so that
    /// time and limits do not reveal which names exist.
    ///
    /// # Errors
    /// [`Error::Blocked`] when the address is blocked: nothing is charged or compared.
    pub(super) async fn begin(
        services: &Services,
        login: Login,
        typed: SecretString,
        from: ClientAddress,
    ) -> Result<Result<Self, BudgetExceeded>, Error> {
        let refused = || refusal(services, Action::SignInRefused, &login, None, from).with("by", BY);
        blocks::check_address(services, from, refused, services.clock.now()).await?;
        let name = login_hash(services, &login);
        Ok(match claim_password_guess(services, &name, from, services.clock.now()).await? {
            Ok(budget_claim) => Ok(Self { login, typed, from, budget_claim: Arc::new(budget_claim) }),
            Err(exceeded) => {
                let event = refusal(services, Action::SignInRefused, &login, None, from);
                services.audit.note(refused_by(event, &exceeded), services.clock.now());
                Err(exceeded)
            }
        })
    }

    /// Compares the password with the account's hash. The caller calls this again when the hash was changed before the session
    /// could be opened ([`claim_account`]): the guess is then compared with the new one.
    pub(super) async fn compare(&self, services: &Services, place: &'static str) -> Result<Compared, Error> {
        let Self { login, typed, from, budget_claim } = self;
        let (found, hash) = match store::accounts::find_credentials(&services.store, login).await? {
            Some((account, hash)) => (Some(account), hash),
            None => (None, None),
        };
        let left = old_hashes::left(services).await?;
        let is_right = services.hasher.verify(hash.as_ref(), typed, left).await;
        let id = found.as_ref().map(|account| account.id);
        let role = found.as_ref().map_or(Role::User, |account| account.role);
        let (account, hash) = match (judge(found, is_right), hash) {
            (SignIn::Right(account), Some(hash)) => (account, hash),
            (SignIn::Disabled, _) => {
                refund_password_guess(services, budget_claim).await;
                let event = refusal(services, Action::SignInRefused, login, id, *from);
                let event = event.with("by", BY).with("reason", "account_disabled");
                services.audit.note(event, services.clock.now());
                return Ok(Compared::Disabled(role));
            }
            (SignIn::Right(_) | SignIn::Wrong, _) => {
                let event = refusal(services, Action::WrongPassword, login, id, *from);
                services.audit.note(event.with("for", place), services.clock.now());
                return Ok(Compared::Wrong);
            }
        };
        let new_hash =
            if hash.is_current() { None } else { Some(self::hash(services, &Password::known(typed)).await?) };
        let phone = match login {
            Login::Phone(phone) => Some(phone.clone()),
            Login::Username(_) | Login::Email(_) => None,
        };
        let budget_claim = Arc::clone(budget_claim);
        Ok(Compared::Right(AcceptedPassword { account, phone, hash, new_hash, budget_claim }))
    }
}

/// Signs in by name and password, and with a code of the second factor if one is given. A missing or wrong code opens a session
/// with the rights of a user.
///
/// # Errors
/// When the database does not answer: no session is opened. [`Error::Blocked`] when the address is blocked, or, after the right
/// password, the account's phone.
pub async fn sign_in(
    services: &Arc<Services>,
    login: Login,
    typed: SecretString,
    code: Option<FactorCode>,
    client: Client,
    from: ClientAddress,
) -> Result<Entered, Error> {
    let attempt = match Attempt::begin(services, login, typed, from).await? {
        Ok(attempt) => attempt,
        Err(exceeded) => return Ok(Entered::Refused(exceeded)),
    };
    // If the password changes in the meantime, the guess is compared with the new one, so this ends.
    loop {
        let accepted = match attempt.compare(services, "sign_in").await? {
            Compared::Right(accepted) => accepted,
            Compared::Wrong => return Ok(Entered::Wrong),
            Compared::Disabled(_) => return Ok(Entered::Disabled),
        };
        if let Some(entered) = enter(services, accepted, code.clone(), client.clone(), from).await? {
            return Ok(entered);
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
#[derive(Debug)]
#[must_use = "the claim of a right password must be settled"]
pub(super) struct AcceptedPassword {
    /// The account at the time of the comparison.
    pub(super) account: Box<Account>,
    /// The phone that was typed as the name, if it was one.
    phone: Option<PhoneNumber>,
    /// The hash that the password was compared with.
    hash: PasswordHash,
    /// A hash with today's parameters, if that one has weaker ones.
    new_hash: Option<PasswordHash>,
    budget_claim: Arc<BudgetClaim>,
}

impl AcceptedPassword {
    /// Refunds the guess.
    pub(super) async fn refund(&self, services: &Services) {
        refund_password_guess(services, &self.budget_claim).await;
    }
}

/// The account of a right password, in the transaction that opens its session.
#[derive(Debug)]
pub(super) enum ClaimedAccount {
    /// It is locked until the transaction ends.
    Active(Box<Account>),
    /// It is disabled.
    Disabled,
    /// Its hash or phone has changed since the password was compared.
    Changed,
}

/// Locks the account of a right password if it still has the hash that was compared: the password may have been changed since.
/// An outdated hash is replaced.
pub(super) async fn claim_account(txn: &Txn, accepted: &AcceptedPassword) -> Result<ClaimedAccount, Error> {
    let AcceptedPassword { account, phone, hash, new_hash, .. } = accepted;
    let claimed = store::accounts::claim_with_hash(txn, account.id, Some(hash)).await?;
    // The phone may belong to another account by now.
    let has_phone = |account: &Account| phone.is_none() || account.phone == *phone;
    let Some(account) = claimed.filter(has_phone) else {
        return Ok(ClaimedAccount::Changed);
    };
    if !account.is_active {
        return Ok(ClaimedAccount::Disabled);
    }
    if let Some(new_hash) = new_hash {
        store::accounts::set_password(txn, account.id, new_hash, account.updated_at).await?;
    }
    Ok(ClaimedAccount::Active(Box::new(account)))
}

/// Judges the code and opens a session. `None` when the password was changed since it was compared.
async fn enter(
    services: &Arc<Services>,
    accepted: AcceptedPassword,
    code: Option<FactorCode>,
    client: Client,
    from: ClientAddress,
) -> Result<Option<Entered>, Error> {
    run_to_completion(services, move |services| async move {
        let (now, id) = (services.clock.now(), accepted.account.id);
        // A code of a user who has no rights is not judged, and counts nothing.
        let code = code.filter(|_| accepted.account.role > Role::User);
        let proof = match code {
            Some(code) => match second_factor::check(&services, id, &code, BY, from).await? {
                CodeCheck::Right(proof) => Some(proof),
                CodeCheck::Wrong(_)
                | CodeCheck::Closed(_)
                | CodeCheck::NotEnrolled
                | CodeCheck::Unreadable => None,
            },
            None => None,
        };
        let opened = transaction(|| open_session(&services, &accepted, proof.as_ref(), &client, now)).await;
        if let Err(Error::Blocked) = opened {
            accepted.refund(&services).await;
            let event = Event::by_stranger(Action::SignInRefused).about(id).from(from);
            services.audit.note(event.with("by", BY).with("reason", "blocked"), now);
        }
        let opened = match opened? {
            Outcome::Opened(opened) => opened,
            Outcome::Changed => return Ok(None),
            Outcome::Disabled => {
                accepted.refund(&services).await;
                let event = Event::by_stranger(Action::SignInRefused).about(id).from(from);
                services.audit.note(event.with("by", BY).with("reason", "account_disabled"), now);
                return Ok(Some(Entered::Disabled));
            }
        };
        accepted.refund(&services).await;
        services.metrics.sign_in(BY);
        let event = signed_in(id, &opened.tokens, from);
        match (&proof, &opened.used) {
            (Some(proof), Some(used)) => {
                services.audit.note(event.with("second_factor", proof.name()), now);
                second_factor::note_recovery(&services, id, used, from, now);
            }
            (Some(_), None) => {
                second_factor::note_used_before(&services, id, BY, from).await?;
                services.audit.note(event, now);
            }
            (None, _) => services.audit.note(event, now),
        }
        Ok(Some(Entered::In(opened.tokens)))
    })
    .await
}

/// A session that was opened.
struct Opened {
    tokens: TokenPair,
    /// The code that was used up for it.
    used: Option<UsedFactor>,
}

enum Outcome {
    Opened(Opened),
    /// The account's hash or phone has changed.
    Changed,
    /// The account is disabled.
    Disabled,
}

async fn open_session(
    services: &Services,
    accepted: &AcceptedPassword,
    proof: Option<&FactorProof>,
    client: &Client,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let account = match claim_account(&txn, accepted).await? {
        ClaimedAccount::Active(account) => account,
        ClaimedAccount::Disabled => return Ok(Outcome::Disabled),
        ClaimedAccount::Changed => return Ok(Outcome::Changed),
    };
    let used = match proof {
        Some(proof) => store::second_factors::consume(&txn, proof).await?,
        None => None,
    };
    let rights = second_factor::rights(services, &txn, &account, used.as_ref()).await?;
    let tokens = session::open_by_password(services, &txn, &account, rights, client.clone(), now).await?;
    txn.commit().await?;
    Ok(Outcome::Opened(Opened { tokens, used }))
}

/// The hash of a new password.
pub(super) async fn hash(services: &Services, password: &Password) -> Result<PasswordHash, Error> {
    services.hasher.hash(password, services.random.bytes()).await
}
