//! `signup`: a code for a new user, or for one who has not completed the profile.

use std::sync::Arc;

use super::{
    CodeRequest, Error, SendOutcome, Services,
    bot_check::BotChallenge,
    request_code::{CodeRequested, request_code},
    run_to_completion,
    signups::{self, Entry},
};
use crate::domain::{budget::BudgetExceeded, lead::Source};

/// The outcome of `signup`.
#[derive(Debug)]
pub enum Signup {
    /// A code was requested.
    Code {
        /// What became of the message.
        sending: SendOutcome,
        /// Whether the phone already has an account whose profile is not complete.
        unfinished: bool,
    },
    /// The phone has an account with a complete profile: the user should log in.
    Registered,
    /// The account is disabled.
    Disabled,
    /// The phone has no account, and gets none.
    Closed,
    /// Too many such requests came from this address.
    Refused(BudgetExceeded),
    /// The caller must solve a challenge first.
    BotCheckRequired(BotChallenge),
    /// The provider of the bot check does not answer.
    BotCheckUnavailable,
}

/// Requests a code to sign up with.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn signup(services: &Arc<Services>, request: CodeRequest) -> Result<Signup, Error> {
    run_to_completion(services, |services| async move {
        let hides_accounts = services.hides_accounts;
        let requested = request_code(&services, &request, Source::Signup, |account, entry| match account {
            Some(account) if !account.is_active => Some((Signup::Disabled, "account_disabled")),
            // Also if newer terms are to be accepted: the user logs in for that.
            Some(account) if !account.profile.lacks_fields() => {
                Some((Signup::Registered, "already_registered"))
            }
            // Where accounts are hidden, everybody gets a code, and the right one is refused.
            None if entry == Entry::Refused && !hides_accounts => Some((Signup::Closed, "signup_closed")),
            Some(_) | None => None,
        });
        let requested = requested.await?;
        if let CodeRequested::Refused(Signup::Closed) = &requested {
            signups::record_waiting(&services, &request.phone, services.clock.now()).await?;
        }
        Ok(match requested {
            CodeRequested::Code { sending, has_account } => Signup::Code { sending, unfinished: has_account },
            CodeRequested::Refused(refused) => refused,
            CodeRequested::RateLimited(exceeded) => Signup::Refused(exceeded),
            CodeRequested::Challenge(challenge) => Signup::BotCheckRequired(challenge),
            CodeRequested::BotCheckUnavailable => Signup::BotCheckUnavailable,
        })
    })
    .await
}
