//! `login`: a code for somebody who has an account.

use std::sync::Arc;

use super::{
    DeliveryPreferences, Error, SendOutcome, Services,
    bot_check::{self, BotChallenge, Requirement},
    budget::CountedRequest,
    code::{self, SendRequest},
    destination, device, run_to_completion,
};
use crate::domain::{budget::BudgetExceeded, lead::Source, otp::ChallengeKey, phone::PhoneNumber};

/// What became of it.
#[derive(Debug)]
pub enum Login {
    /// A code was asked for.
    Code(SendOutcome),
    /// The phone has no account: she wants to sign up.
    Unknown,
    /// The account was disabled.
    Disabled,
    /// Too many such requests came from this address.
    Refused(BudgetExceeded),
    /// She is to show that she is no program.
    Proof(BotChallenge),
    /// Who would judge that is not there.
    ProofUnavailable,
}

/// Asks for a code to log in with.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
pub async fn login(
    services: &Arc<Services>,
    phone: PhoneNumber,
    preferences: DeliveryPreferences,
    admitted: CountedRequest,
) -> Result<Login, Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        if let Some(exceeded) = device::stranger_refused(&services, &admitted, now) {
            return Ok(Login::Refused(exceeded));
        }
        let address = admitted.requester.address;
        let key = ChallengeKey::sign_in(&phone);
        if !device::is_listed(&services, &phone, now)
            && let Some(sending) = destination::refused(&services, key, address, now)
        {
            return Ok(Login::Code(sending));
        }
        let caller = match device::admitted(&services, &phone, &admitted, now).await? {
            Ok(caller) => caller,
            Err(exceeded) => return Ok(Login::Refused(exceeded)),
        };
        // A device that was signed in before is no stranger.
        let proof = if caller.device.is_some() {
            None
        } else {
            match bot_check::require(&services, &admitted, &phone, now).await? {
                Requirement::Passed(spend) => spend,
                Requirement::Challenge(asked) => return Ok(Login::Proof(asked)),
                Requirement::Unavailable => return Ok(Login::ProofUnavailable),
            }
        };
        // Where nobody is to learn who has an account, everybody is sent a code.
        let is_shown = !services.hides_accounts;
        match &caller.account {
            None if is_shown => return Ok(Login::Unknown),
            Some(account) if is_shown && !account.is_active => return Ok(Login::Disabled),
            Some(_) | None => {}
        }
        let request = SendRequest {
            key: ChallengeKey::sign_in_by(&phone, caller.device),
            source: Some(Source::Login).filter(|_| caller.fixed.is_none()),
            preferences: &preferences,
            address,
            device: caller.device,
            is_known: is_shown || caller.device.is_some(),
            is_review: caller.fixed.is_some(),
            proof,
        };
        let sending = code::send(&services, &request, now).await?;
        if let Some(asked) = bot_check::challenge_if_spent(&services, &sending, &phone, address, now) {
            return Ok(Login::Proof(asked));
        }
        let wait = if request.device.is_some() { 0 } else { admitted.wait };
        Ok(Login::Code(sending.not_before(wait)))
    })
    .await
}
