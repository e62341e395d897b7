//! Sessions of the admin console: signing in, the session behind a cookie, signing out. The session's row is one like any
//! other, so whatever ends the sessions of an account ends this one too.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Error, Services,
    password::{self, Entered},
    run_to_completion, session,
};
use crate::{
    domain::{
        access::{self, Client, SignedIn},
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        budget::BudgetExceeded,
        console::{self, ConsoleCookie},
        credentials::Login,
        phone::PhoneNumber,
        roles::StaffPermission,
    },
    store::{self, Txn},
};

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
    /// The name or the password is wrong, or the account has no rights here.
    Wrong,
    /// Both are right, but the account is disabled.
    Disabled,
    /// Too many wrong passwords. This one was not compared.
    Refused(BudgetExceeded),
}

/// Signs a member of staff in.
///
/// # Errors
/// When the database does not answer: no session is opened.
pub async fn sign_in(
    services: &Arc<Services>,
    login: Login,
    typed: SecretString,
    client: Client,
    from: ClientAddress,
) -> Result<ConsoleSignIn, Error> {
    let tokens = match password::sign_in(services, login, typed, client.clone(), from).await? {
        Entered::In(tokens) => tokens,
        Entered::Wrong => return Ok(ConsoleSignIn::Wrong),
        Entered::Disabled => return Ok(ConsoleSignIn::Disabled),
        Entered::Refused(exceeded) => return Ok(ConsoleSignIn::Refused(exceeded)),
    };
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let txn = services.store.begin().await?;
        let found = store::sessions::find_with_account(&txn, tokens.sid).await?;
        store::sessions::close(&txn, tokens.sid, now).await?;
        let entered = match found {
            Some((_, account)) if account.role > Role::User => {
                ConsoleSignIn::In(open(&services, &txn, &account, client, now).await?)
            }
            Some(_) | None => ConsoleSignIn::Wrong,
        };
        txn.commit().await?;
        Ok(entered)
    })
    .await
}

async fn open(
    services: &Services,
    txn: &Txn,
    account: &Account,
    client: Client,
    now: DateTime<Utc>,
) -> Result<ConsoleCookie, Error> {
    let cookie = ConsoleCookie::new(services.random.id(now), services.random.bytes());
    let session = console::open_session(&cookie, account, account.role, client, now);
    store::sessions::open(txn, &session, now).await?;
    Ok(cookie)
}

/// Ends a session of the console.
///
/// # Errors
/// When the database does not answer: the session may stay alive.
pub async fn sign_out(services: &Arc<Services>, who: &SignedIn) -> Result<(), Error> {
    let id = who.session().id;
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        Ok(store::sessions::close(&services.store, id, now).await?)
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
    let event = Event::new(Action::PhoneShown, permission.actor()).phone(phone).from(permission.from());
    let event = match account {
        Some(id) => event.about(id),
        None => event,
    };
    services.audit.note(event, services.clock.now());
}
