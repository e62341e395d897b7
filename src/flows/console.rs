//! Sessions of the admin console: signing in by two steps, the session behind a cookie, signing out. The session's row is one like any
//! other, so whatever ends the sessions of an account ends this one too.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Error, Services, blocks, events,
    password::{self, AcceptedPassword, Attempt, ClaimedAccount, Compared},
    run_to_completion,
    second_factor::{self, CodeCheck, WrongCode},
    session, transaction,
};
use crate::{
    domain::{
        access::{self, Client, OpenedBy, SignedIn},
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        console::{self, ConsoleCookie},
        credentials::Login,
        events::EndReason,
        phone::PhoneNumber,
        roles::StaffPermission,
        second_factor::{AfterPassword, Closed, FactorCode, FactorProof, Rights},
        users::Search,
    },
    store::{self, Txn, second_factors::UsedFactor, sessions::Ending},
};

/// How a session of the console is opened, for the audit log and the metrics.
const BY: &str = "console";

/// A new cookie, which opens nothing yet.
#[must_use]
pub fn new_cookie(services: &Services) -> ConsoleCookie {
    ConsoleCookie::new(services.random.bits(), services.random.bytes())
}

/// The session behind a cookie; `None` when it opens none. `is_use` says whether the request counts as use: requests that a
/// page's script repeats do not, so that an open page does not keep a session alive.
///
/// # Errors
/// When the database does not answer: nothing may be shown.
pub async fn find(
    services: &Services,
    cookie: &ConsoleCookie,
    is_use: bool,
) -> Result<Option<SignedIn>, Error> {
    let now = services.clock.now();
    let found = session::find(services, cookie.session(), now).await?;
    let Ok(who) = access::admit_console(cookie.hash(), found, now) else {
        return Ok(None);
    };
    if blocks::is_shut_out(services, who.account().phone.as_ref(), now).await? {
        return Ok(None);
    }
    if is_use {
        let expires_at = console::expiry(who.session(), now);
        // Another request may have ended the session since.
        if !store::sessions::set_used(&services.store, who.session().id, expires_at, now).await? {
            return Ok(None);
        }
    }
    Ok(Some(who))
}

/// The outcome of the first step of the sign-in.
#[derive(Debug)]
pub enum ConsoleSignIn {
    /// The user is signed in, with this cookie.
    In(ConsoleCookie),
    /// The password is right. With this cookie the user gives a code of the second factor.
    Code(ConsoleCookie),
    /// The password is right, and the account needs a second factor but has none.
    Enrolment,
    /// The name or the password is wrong, or the account has no rights here.
    Wrong,
    /// Both are right, but the account is disabled.
    Disabled,
    /// Too many wrong passwords. This one was not compared.
    Refused(BudgetExceeded),
}

/// The browser that signs in.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// As the list of sessions shows it.
    pub client: Client,
    /// Its address.
    pub from: ClientAddress,
    /// The session of its cookie, which the new one replaces.
    pub session: Option<Uuid>,
}

/// The first step of the sign-in: name and password of a member of staff.
///
/// # Errors
/// When the database does not answer: no session is opened.
pub async fn sign_in(
    services: &Arc<Services>,
    login: Login,
    typed: SecretString,
    visitor: Visitor,
) -> Result<ConsoleSignIn, Error> {
    let attempt = match Attempt::begin(services, login, typed, visitor.from).await? {
        Ok(attempt) => attempt,
        Err(exceeded) => return Ok(ConsoleSignIn::Refused(exceeded)),
    };
    // If the password changes in the meantime, the guess is compared with the new one, so this ends.
    loop {
        let accepted = match attempt.compare(services, BY).await? {
            Compared::Right(accepted) => accepted,
            // Only staff learn that their password is right.
            Compared::Wrong | Compared::Disabled(Role::Guest | Role::User) => {
                return Ok(ConsoleSignIn::Wrong);
            }
            Compared::Disabled(Role::Staff | Role::Admin) => return Ok(ConsoleSignIn::Disabled),
        };
        if let Some(entered) = enter(services, accepted, visitor.clone()).await? {
            return Ok(entered);
        }
    }
}

/// Opens a session after a right password. `None` when the password was changed since it was compared.
async fn enter(
    services: &Arc<Services>,
    accepted: AcceptedPassword,
    visitor: Visitor,
) -> Result<Option<ConsoleSignIn>, Error> {
    run_to_completion(services, move |services| async move {
        let (now, id) = (services.clock.now(), accepted.account.id);
        let Some(entered) = transaction(|| open_first(&services, &accepted, &visitor, now)).await? else {
            return Ok(None);
        };
        let refused = |reason: &'static str| {
            let event = Event::by_stranger(Action::SignInRefused).about(id).from(visitor.from);
            services.audit.note(event.with("by", BY).with("reason", reason), now);
        };
        match &entered {
            ConsoleSignIn::In(cookie) => note_signed_in(&services, id, cookie, None, visitor.from),
            ConsoleSignIn::Enrolment => refused("not_enrolled"),
            ConsoleSignIn::Disabled => refused("account_disabled"),
            ConsoleSignIn::Wrong => refused("not_staff"),
            ConsoleSignIn::Code(_) | ConsoleSignIn::Refused(_) => {}
        }
        // The guess of an account without rights stays charged, like that of a wrong password.
        if !matches!(entered, ConsoleSignIn::Wrong) {
            accepted.refund(&services).await;
        }
        Ok(Some(entered))
    })
    .await
}

async fn open_first(
    services: &Services,
    accepted: &AcceptedPassword,
    visitor: &Visitor,
    now: DateTime<Utc>,
) -> Result<Option<ConsoleSignIn>, Error> {
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let account = match password::claim_account(&txn, accepted).await? {
        ClaimedAccount::Active(account) => account,
        ClaimedAccount::Disabled => return Ok(Some(ConsoleSignIn::Disabled)),
        ClaimedAccount::Changed => return Ok(None),
    };
    if account.role <= Role::User {
        return Ok(Some(ConsoleSignIn::Wrong));
    }
    let is_enrolled = store::second_factors::find(&txn, account.id).await?.is_some();
    let next = services.factor_policy.after_password(account.role, is_enrolled);
    if next == AfterPassword::Enrolment {
        return Ok(Some(ConsoleSignIn::Enrolment));
    }
    // Until the code is given these are the rights of a user.
    let rights = Rights::of_password(services.factor_policy, account.role, is_enrolled);
    let cookie = open(services, &txn, &account, rights, visitor, now).await?;
    txn.commit().await?;
    Ok(Some(match next {
        AfterPassword::Code => ConsoleSignIn::Code(cookie),
        AfterPassword::Nothing | AfterPassword::Enrolment => ConsoleSignIn::In(cookie),
    }))
}

/// Opens a session with a new id, in place of the browser's earlier one.
async fn open(
    services: &Services,
    txn: &Txn,
    account: &Account,
    rights: Rights,
    visitor: &Visitor,
    now: DateTime<Utc>,
) -> Result<ConsoleCookie, Error> {
    if let Some(earlier) = visitor.session {
        let (earlier, reason) = (Ending::One(earlier), EndReason::Replaced);
        events::close_sessions(services, txn, earlier, reason, now).await?;
    }
    let cookie = ConsoleCookie::new(services.random.id(now), services.random.bytes());
    let session = console::open_session(&cookie, account, rights, visitor.client.clone(), now);
    session::insert(services, txn, &session, account.phone.as_ref(), now).await?;
    Ok(cookie)
}

fn note_signed_in(
    services: &Services,
    id: Uuid,
    cookie: &ConsoleCookie,
    second_factor: Option<&'static str>,
    from: ClientAddress,
) {
    services.metrics.sign_in(BY);
    let event = Event::by_owner(Action::SignedIn, id).from(from).with("by", BY);
    let event = event.with("sid", cookie.session()).with_known("second_factor", second_factor);
    services.audit.note(event, services.clock.now());
}

/// Whether a session waits for the second step of its sign-in.
#[must_use]
pub fn is_waiting(who: &SignedIn) -> bool {
    who.session().opened_by == OpenedBy::Console && who.session().role == Role::User
}

/// The outcome of the second step of the sign-in.
#[derive(Debug)]
pub enum SecondStep {
    /// The user is signed in, with this cookie.
    In(ConsoleCookie),
    /// The code is wrong, or was used before.
    Wrong(WrongCode),
    /// Not judged: too many wrong codes.
    Closed(Closed),
    /// The account has no second factor any more.
    NotEnrolled,
    /// The server cannot decrypt the factor.
    Unreadable,
    /// The session of the first step has ended, or the account lost its rights.
    Ended,
}

/// The second step of the sign-in: a code of the second factor.
///
/// # Errors
/// When the database does not answer: no session is opened.
pub async fn second_step(
    services: &Arc<Services>,
    who: SignedIn,
    code: FactorCode,
    visitor: Visitor,
) -> Result<SecondStep, Error> {
    run_to_completion(services, move |services| async move {
        let (now, id) = (services.clock.now(), who.account().id);
        if !is_waiting(&who) || who.account().role <= Role::User {
            return Ok(SecondStep::Ended);
        }
        let proof = match second_factor::check(&services, id, &code, BY, visitor.from).await? {
            CodeCheck::Right(proof) => proof,
            CodeCheck::Wrong(wrong) => return Ok(SecondStep::Wrong(wrong)),
            CodeCheck::Closed(closed) => return Ok(SecondStep::Closed(closed)),
            CodeCheck::NotEnrolled => return Ok(SecondStep::NotEnrolled),
            CodeCheck::Unreadable => return Ok(SecondStep::Unreadable),
        };
        match transaction(|| open_second(&services, &who, &proof, &visitor, now)).await? {
            Second::In(cookie, used) => {
                note_signed_in(&services, id, &cookie, Some(proof.name()), visitor.from);
                second_factor::note_recovery(&services, id, &used, visitor.from, now);
                Ok(SecondStep::In(cookie))
            }
            Second::Used => {
                let wrong = second_factor::note_used_before(&services, id, BY, visitor.from).await?;
                Ok(SecondStep::Wrong(wrong))
            }
            Second::Ended => Ok(SecondStep::Ended),
        }
    })
    .await
}

enum Second {
    In(ConsoleCookie, UsedFactor),
    /// Another request used the code.
    Used,
    Ended,
}

async fn open_second(
    services: &Services,
    who: &SignedIn,
    proof: &FactorProof,
    visitor: &Visitor,
    now: DateTime<Utc>,
) -> Result<Second, Error> {
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    store::owners::claim(&txn, who.account().id).await?;
    let Some((_, account)) =
        session::recheck(services, &txn, who).await?.filter(|(_, account)| account.role > Role::User)
    else {
        return Ok(Second::Ended);
    };
    let Some(used) = store::second_factors::consume(&txn, proof).await? else {
        return Ok(Second::Used);
    };
    let (first, reason) = (Ending::One(who.session().id), EndReason::Replaced);
    events::close_sessions(services, &txn, first, reason, now).await?;
    let rights = Rights::of_second_factor(account.role);
    let cookie = open(services, &txn, &account, rights, visitor, now).await?;
    txn.commit().await?;
    Ok(Second::In(cookie, used))
}

/// Ends a session of the console.
///
/// # Errors
/// When the database does not answer: the session may stay alive.
pub async fn sign_out(services: &Arc<Services>, who: &SignedIn) -> Result<(), Error> {
    let id = who.session().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let (session, reason) = (Ending::One(id), EndReason::LoggedOut);
        events::close_sessions_alone(&services, session, reason, now).await?;
        Ok(())
    })
    .await
}

/// Records that a member of staff opened a page that shows a whole number.
pub fn note_shown(
    services: &Services,
    phone: &PhoneNumber,
    account: Option<Uuid>,
    permission: StaffPermission,
) {
    let event = Event { user_id: account, ..shown(permission).phone(phone) };
    services.audit.note(event, services.clock.now());
}

fn shown(permission: StaffPermission) -> Event {
    Event::new(Action::PhoneShown, permission.actor()).from(permission.from())
}

/// Records that a member of staff saw the unverified number of an account. It may be a text that is no number.
pub fn note_unverified_shown(services: &Services, claimed: &str, account: Uuid, permission: StaffPermission) {
    let event = shown(permission).about(account).with("number", "unverified");
    let event = Event { phone: PhoneNumber::from_e164(claimed), ..event };
    services.audit.note(event, services.clock.now());
}

/// Records that a member of staff saw every number of an account: the verified one, the unverified one, and one that it lost.
pub fn note_account_shown(services: &Services, account: &Account, permission: StaffPermission) {
    let id = account.id;
    if let Some(phone) = &account.phone {
        note_shown(services, phone, Some(id), permission);
    }
    if let Some(claimed) = &account.claimed_phone {
        note_unverified_shown(services, claimed, id, permission);
    }
    if let Some(phone) = &account.former_phone {
        let event = shown(permission).about(id).phone(phone).with("number", "former");
        services.audit.note(event, services.clock.now());
    }
}

/// Records that a member of staff got a list of accounts with whole numbers: one entry for all of them. It has the number that was
/// searched for, if it was one; other texts may be names.
pub fn note_list_shown(services: &Services, accounts: usize, search: &Search, permission: StaffPermission) {
    if accounts == 0 {
        return;
    }
    let in_force = [("search", !search.words().is_empty()), ("external_id", search.former_id().is_some())];
    let filters: Vec<&'static str> =
        in_force.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name).collect();
    let event = Event::new(Action::PhonesShown, permission.actor()).from(permission.from());
    let accounts = u64::try_from(accounts).unwrap_or(u64::MAX);
    let event = event.with("list", "users").with("accounts", accounts).with("filters", filters.as_slice());
    services.audit.note(Event { phone: search.phone().cloned(), ..event }, services.clock.now());
}

/// Records that a member of staff opened the page of a phone. The script of the page sends the token to refresh it.
#[must_use]
pub fn note_page_opened(
    services: &Services,
    who: &SignedIn,
    phone: &PhoneNumber,
    account: Option<Uuid>,
    permission: StaffPermission,
) -> String {
    note_shown(services, phone, account, permission);
    services.console.shown_token(who.session().id, phone, services.clock.now())
}

/// The token for the next refresh of the page of a phone. Without a valid one this request is recorded like an opening: it may
/// come from anything.
#[must_use]
pub fn note_page_refreshed(
    services: &Services,
    who: &SignedIn,
    phone: &PhoneNumber,
    account: Option<Uuid>,
    token: &str,
    permission: StaffPermission,
) -> String {
    if services.console.was_shown(who.session().id, phone, token, services.clock.now()) {
        return token.to_owned();
    }
    note_page_opened(services, who, phone, account, permission)
}
