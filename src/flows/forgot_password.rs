//! `forgot-password`: a code with which the owner of a name sets a new password.
//!
//! The answer must not tell whether an account has the name, and neither must the time that it takes. So it is made without looking
//! for the account: it depends on the budgets of the name and of the address, and on the row of the name, which every name gets. The
//! account is looked for after the answer, and then the message is sent. Whatever stops it goes to the audit log alone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    DeliveryPreferences, Error, Services,
    asked_by::AskedBy,
    before_send::BotProof,
    blocks,
    bot_check::{self, BotChallenge, ChallengeResponse, Proof, Requirement},
    budget::{self, CountedRequest},
    code::{self, SendRequest},
    device, in_background, run_to_completion,
};
use crate::{
    domain::{
        account::{Account, Role},
        address::ClientAddress,
        audit::{Action, Event},
        budget::{Budget, BudgetExceeded},
        credentials::Login,
        otp::{Challenge, ChallengeKey, ChallengeRow, Purpose},
        phone::PhoneNumber,
        pseudonym::Pseudonym,
    },
    store::{self, otp::OpenedName},
};

/// A request for a new password, counted and with all of its fields.
#[derive(Debug)]
pub struct Forgotten {
    /// The count of its address.
    pub counted: CountedRequest,
    /// The name.
    pub login: Login,
    /// How the message is to be sent.
    pub preferences: DeliveryPreferences,
    /// The answer to a bot challenge, if the client got one before.
    pub challenge_response: Option<ChallengeResponse>,
}

/// The outcome of `forgot-password`.
#[derive(Debug)]
pub enum Asked {
    /// If an account has the name, a code is on its way.
    Taken {
        /// Seconds until a code for this name expires.
        expires_in: i64,
        /// Seconds until the next code may be requested.
        resend_in: i64,
    },
    /// A budget of the name or of the address is used up.
    Refused(BudgetExceeded),
    /// The caller must solve a challenge first.
    BotCheckRequired(BotChallenge),
    /// The provider of the bot check does not answer.
    BotCheckUnavailable,
}

/// The hash of a name, independent of case and of how a phone is written. It is never that of a phone.
pub(super) fn name_hash(services: &Services, login: &Login) -> Pseudonym {
    match login {
        Login::Username(name) | Login::Email(name) => services.pseudonyms.name(name),
        Login::Phone(phone) => services.pseudonyms.name(phone.full()),
    }
}

/// Takes a request, and sends the code after the answer, if there is an account.
///
/// # Errors
/// When the database does not answer: nothing is sent. [`Error::Blocked`] when the address is blocked.
pub async fn ask(services: &Arc<Services>, request: Forgotten) -> Result<Asked, Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        let (name, address) = (name_hash(&services, &request.login), request.counted.address);
        if let Some(exceeded) = request.counted.exceeded {
            return Ok(refused(&services, &name, address, &exceeded, now));
        }
        blocks::check_address(&services, address, || event(&name), now).await?;
        let response = request.challenge_response.as_ref();
        let required = bot_check::require(&services, &request.counted, response, (&name).into(), now);
        match required.await? {
            Requirement::Passed(proof) => open(&services, request, name, proof, now).await,
            Requirement::Challenge(challenge) => Ok(Asked::BotCheckRequired(challenge)),
            Requirement::Unavailable => Ok(Asked::BotCheckUnavailable),
        }
    })
    .await
}

/// Charges the request and opens the row of the name, whether an account has it or not.
async fn open(
    services: &Arc<Services>,
    Forgotten { counted, login, preferences, .. }: Forgotten,
    name: Pseudonym,
    proof: Proof,
    now: DateTime<Utc>,
) -> Result<Asked, Error> {
    let address = counted.address;
    let charges = services.budgets.name_request(&name, address, proof.spend, now);
    let budget_claim = match budget::claim(services, charges, now).await? {
        Ok(budget_claim) => budget_claim,
        Err(exceeded) => return Ok(refused(services, &name, address, &exceeded, now)),
    };
    let opening = services.otp.opening_of_name(services.random.bits(), &services.otp_keys, now);
    let opened = store::otp::open_name(&services.store, &name, &opening).await?;
    let (row, wait) = match opened.ok_or(Error::Collision)? {
        OpenedName::Open(row) => {
            // The hook before sending can demand no challenge: the client has its answer.
            let bot_proof = if proof.is_given { BotProof::Given } else { BotProof::Impossible };
            let sending = Arc::clone(services);
            let code = Code { name, login, preferences, address, bot_proof, now };
            in_background(services, async move { send_or_log(&sending, &code).await });
            (row, budget_claim.wait(now))
        }
        OpenedName::TooSoon(row) => {
            budget::refund(services, &budget_claim).await?;
            forget_future_time(services, &name, &row, now).await?;
            (row, 0)
        }
    };
    Ok(Asked::Taken {
        expires_in: row.seconds_left(now),
        resend_in: row.wait_left(&services.otp, now).max(wait).max(counted.wait),
    })
}

fn event(name: &Pseudonym) -> Event {
    let event = Event::by_stranger(Action::CodeRefused).with("name", name);
    event.with("purpose", Purpose::ResetPassword.as_str())
}

/// The outcome when a budget is used up. A bot proof that was spent before needs a new one.
fn refused(
    services: &Services,
    name: &Pseudonym,
    address: ClientAddress,
    exceeded: &BudgetExceeded,
    now: DateTime<Utc>,
) -> Asked {
    if exceeded.budget == Budget::Proof {
        bot_check::note_failed(services, name.into(), address, "spent", now);
        let challenge = bot_check::new_challenge(services, name, address, now);
        return challenge.map_or(Asked::BotCheckUnavailable, Asked::BotCheckRequired);
    }
    let event = event(name).from(address).with("budget", exceeded.budget.as_str());
    services.audit.note(event.with_known("retry_after", exceeded.retry_after), now);
    Asked::Refused(*exceeded)
}

/// Lets the cooldown begin now, if a wrong clock wrote that it began in the future.
async fn forget_future_time(
    services: &Services,
    name: &Pseudonym,
    row: &Challenge,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if let Some(ahead) = row.sent_ahead(now) {
        let of_name = ChallengeRow::Name(name);
        store::otp::set_sent(&services.store, of_name, row.id, (ahead, Some(now))).await?;
    }
    Ok(())
}

/// A code that no client waits for.
struct Code {
    name: Pseudonym,
    login: Login,
    preferences: DeliveryPreferences,
    address: ClientAddress,
    bot_proof: BotProof,
    now: DateTime<Utc>,
}

async fn send_or_log(services: &Services, code: &Code) {
    if let Err(error) = send(services, code).await {
        tracing::error!(%error, "the code for a forgotten password could not be sent");
    }
}

/// Sends the code, with all limits of its phone. What becomes of it is in the audit log.
async fn send(services: &Services, code: &Code) -> Result<(), Error> {
    let Code { name, login, preferences, address, bot_proof, now } = code;
    let (account, phone) = match find_owner(services, login, *now).await? {
        Ok(found) => found,
        Err(NoOwner { account, reason }) => {
            let event = Event { user_id: account, ..event(name) };
            services.audit.note(event.from(*address).with("reason", reason), *now);
            return Ok(());
        }
    };
    let request = SendRequest {
        key: ChallengeKey::reset_password(&phone, account.id),
        invitation: None,
        source: None,
        preferences,
        asked_by: AskedBy::Client(*address),
        device: None,
        is_known: true,
        is_proved: true,
        is_review: false,
        proof: None,
        bot_proof: *bot_proof,
    };
    code::send(services, &request, *now).await?;
    Ok(())
}

/// Why a name gets no code.
pub(super) struct NoOwner {
    account: Option<Uuid>,
    reason: &'static str,
}

/// The account of a name that may get a new password by a code, and its phone. One statement, whatever the outcome.
pub(super) async fn find_owner(
    services: &Services,
    login: &Login,
    now: DateTime<Utc>,
) -> Result<Result<(Account, PhoneNumber), NoOwner>, Error> {
    // An account that was not used for too long counts as none: its number may have another owner by now.
    let found = store::accounts::find_by_login(&services.store, login, services.used_after(now)).await?;
    let Some(account) = found else {
        return Ok(Err(NoOwner { account: None, reason: "no_account" }));
    };
    if let Some(reason) = why_not(services, &account, now) {
        return Ok(Err(NoOwner { account: Some(account.id), reason }));
    }
    Ok(match account.phone.clone() {
        Some(phone) => Ok((account, phone)),
        None => Err(NoOwner { account: Some(account.id), reason: "no_phone" }),
    })
}

/// Why an account may not get a new password by a code, if it may not.
pub(super) fn why_not(services: &Services, account: &Account, now: DateTime<Utc>) -> Option<&'static str> {
    let is_listed =
        account.phone.as_ref().is_some_and(|phone| device::is_review_number(services, phone, now));
    if account.role > Role::User {
        // A person who reads their messages would get the rights of staff.
        Some("staff")
    } else if !account.is_active {
        Some("account_disabled")
    } else if is_listed || account.is_review {
        // Its code is known to others.
        Some("review_number")
    } else {
        None
    }
}
