//! `reset-password`: a new password in the place of a forgotten one, with the code of `forgot-password`. An account without a password
//! gets its first one: the code proves the same as that of `confirm`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Error, Services, blocks,
    budget::GuessOutcome,
    events,
    forgot_password::{find_owner, name_hash, why_not},
    guess::{Attempt, CodeRefused},
    in_background, notice, password, run_to_completion,
};
use crate::{
    domain::{
        account::Account,
        address::ClientAddress,
        audit::{Action, Event},
        credentials::{Login, Password, PasswordHash},
        events::EndReason,
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
    },
    sms::Notice,
    store::{self, Txn, accounts::PhoneProof, otp::Consumed, sessions::Ending},
};

/// A new password, and the code that allows it.
#[derive(Debug)]
pub struct NewPassword {
    /// The name.
    pub login: Login,
    /// The code.
    pub code: OtpCode,
    /// The new password. It is not like the name.
    pub password: Password,
    /// The languages of the user, for the notice.
    pub languages: Vec<String>,
}

/// The outcome of `reset-password`.
#[derive(Debug)]
pub enum Reset {
    /// The password is set, and all sessions are ended.
    Done,
    /// The code is refused.
    Code(CodeRefused),
    /// The code is right, but the password is like a name of the account. The code stays valid.
    Password(Vec<String>),
}

/// Takes the code and sets the password.
///
/// # Errors
/// When the database does not answer: the old password stays. [`Error::Blocked`] when the address is blocked.
pub async fn reset(services: &Arc<Services>, new: NewPassword, from: ClientAddress) -> Result<Reset, Error> {
    run_to_completion(services, move |services| async move {
        let now = services.clock.now();
        let name = name_hash(&services, &new.login);
        let attempt = match Attempt::begin(&services, &name, from, now).await? {
            Ok(attempt) => attempt,
            Err(refused) => return Ok(Reset::Code(refused)),
        };
        let owner = find_guessed(&services, &new.login, now).await?;
        let key = owner.as_ref().map(|(account, phone)| ChallengeKey::reset_password(phone, account.id));
        let right = match attempt.judge(&services, key, &new.code).await? {
            Ok(right) => right,
            Err(refused) => return Ok(Reset::Code(refused)),
        };
        let as_wrong = Reset::Code(right.as_wrong());
        let Some((account, phone)) = &owner else { return Ok(as_wrong) };
        let hash = password::hash(&services, &new.password).await?;
        let request = Request { account: account.id, password: &new.password, hash: &hash, from };
        let redeemed = right.redeem(&services, |txn, consumed| set(&services, request, txn, consumed, now));
        Ok(match redeemed.await? {
            Err(refused) => Reset::Code(refused),
            Ok(Set::Done) => {
                let (id, phone, sending) = (account.id, phone.clone(), Arc::clone(&services));
                in_background(&services, async move {
                    notice::send(&sending, Notice::PasswordChanged, phone, id, &new.languages, now).await;
                });
                Reset::Done
            }
            Ok(Set::LikeAName(errors)) => Reset::Password(errors),
            Ok(Set::Changed) => as_wrong,
        })
    })
    .await
}

/// The account whose code is guessed at, if the code can be right.
async fn find_guessed(
    services: &Services,
    login: &Login,
    now: DateTime<Utc>,
) -> Result<Option<(Account, PhoneNumber)>, Error> {
    let Some((account, phone)) = find_owner(services, login, now).await?.ok() else {
        return Ok(None);
    };
    // Without a statement. A refusal would tell that the name has an account.
    let is_blocked = blocks::is_shut_out(services, Some(&phone), now).await?;
    Ok((!is_blocked).then_some((account, phone)))
}

/// A password whose code is right.
#[derive(Clone, Copy)]
struct Request<'a> {
    /// The account that the code was sent for.
    account: Uuid,
    password: &'a Password,
    hash: &'a PasswordHash,
    from: ClientAddress,
}

/// What became of it.
enum Set {
    Done,
    /// The password is like a name of the account.
    LikeAName(Vec<String>),
    /// The account has changed since the code was sent, and may not get a password by it any more.
    Changed,
}

async fn set(
    services: &Services,
    Request { account: id, password, hash, from }: Request<'_>,
    txn: Txn,
    consumed: Consumed,
    now: DateTime<Utc>,
) -> Result<(Set, GuessOutcome), Error> {
    // Dropping the transaction rolls it back.
    let (proof, used_after) = (PhoneProof::Code(&consumed), services.used_after(now));
    let claimed = store::owners::claim_by_phone(&txn, proof, used_after, now).await?;
    let may_have_one = |account: &Account| account.id == id && why_not(services, account, now).is_none();
    let Some(account) = claimed.filter(may_have_one) else {
        return Ok((Set::Changed, GuessOutcome::Refund));
    };
    // Only now: before the right code the answer would tell what the names are.
    if let Err(errors) = password.check_names(&account.names()) {
        return Ok((Set::LikeAName(errors), GuessOutcome::RefundAndKeep));
    }
    store::accounts::set_new_password(&txn, id, hash, now).await?;
    let ended =
        events::close_sessions(services, &txn, Ending::all(id), EndReason::PasswordChanged, now).await?;
    txn.commit().await?;
    let event = Event::by_owner(Action::PasswordChanged, id).phone(consumed.phone()).from(from);
    let event = event.with("by", "code").with("ended", ended).with("first", !account.has_password);
    services.audit.note(event, now);
    tracing::info!(user_id = %id, ended, "password set by a code");
    Ok((Set::Done, GuessOutcome::Used { was_known: true }))
}
