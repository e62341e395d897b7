//! `login`: a code for a user who has an account.

use std::sync::Arc;

use super::{
    CodeRequest, Error, SendOutcome, Services,
    bot_check::BotChallenge,
    request_code::{CodeRequested, request_code},
    run_to_completion,
};
use crate::domain::{budget::BudgetExceeded, lead::Source};

/// The outcome of `login`.
#[derive(Debug)]
pub enum Login {
    /// A code was requested; what became of the message.
    Code(SendOutcome),
    /// The phone has no account: the user should sign up.
    Unknown,
    /// The account is disabled.
    Disabled,
    /// Too many such requests came from this address.
    Refused(BudgetExceeded),
    /// The caller must solve a challenge first.
    BotCheckRequired(BotChallenge),
    /// The provider of the bot check does not answer.
    BotCheckUnavailable,
}

/// Requests a code to log in with.
///
/// # Errors
/// When the database does not answer: nothing was sent.
pub async fn login(services: &Arc<Services>, request: CodeRequest) -> Result<Login, Error> {
    run_to_completion(services, |services| async move {
        let hides_accounts = services.hides_accounts;
        let requested = request_code(&services, &request, Source::Login, |account, _| match account {
            None if !hides_accounts => Some((Login::Unknown, "no_account")),
            Some(account) if !account.is_active => Some((Login::Disabled, "account_disabled")),
            Some(_) | None => None,
        });
        Ok(match requested.await? {
            CodeRequested::Code { sending, .. } => Login::Code(sending),
            CodeRequested::Refused(refused) => refused,
            CodeRequested::RateLimited(exceeded) => Login::Refused(exceeded),
            CodeRequested::Challenge(challenge) => Login::BotCheckRequired(challenge),
            CodeRequested::BotCheckUnavailable => Login::BotCheckUnavailable,
        })
    })
    .await
}
