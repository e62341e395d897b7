//! `signup`: a code for somebody new, or for somebody who never finished.

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
pub enum Signup {
    /// A code was asked for.
    Code {
        /// What became of that.
        sending: SendOutcome,
        /// Whether the phone has an account already, whose profile is not finished.
        unfinished: bool,
    },
    /// The phone has a finished account: she wants to log in.
    Registered,
    /// The account was disabled.
    Disabled,
    /// Too many such requests came from this address.
    Refused(BudgetExceeded),
    /// She is to show that she is no program.
    Proof(BotChallenge),
    /// Who would judge that is not there.
    ProofUnavailable,
}

/// Asks for a code to sign up with.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
pub async fn signup(
    services: &Arc<Services>,
    phone: PhoneNumber,
    preferences: DeliveryPreferences,
    admitted: CountedRequest,
) -> Result<Signup, Error> {
    run_to_completion(services, |services| async move {
        let now = services.clock.now();
        if let Some(exceeded) = device::stranger_refused(&services, &admitted, now) {
            return Ok(Signup::Refused(exceeded));
        }
        let address = admitted.requester.address;
        let key = ChallengeKey::sign_in(&phone);
        if !device::is_listed(&services, &phone, now)
            && let Some(sending) = destination::refused(&services, key, address, now)
        {
            return Ok(Signup::Code { sending, unfinished: false });
        }
        let caller = match device::admitted(&services, &phone, &admitted, now).await? {
            Ok(caller) => caller,
            Err(exceeded) => return Ok(Signup::Refused(exceeded)),
        };
        // A device that was signed in before is no stranger.
        let proof = if caller.device.is_some() {
            None
        } else {
            match bot_check::require(&services, &admitted, &phone, now).await? {
                Requirement::Passed(spend) => spend,
                Requirement::Challenge(asked) => return Ok(Signup::Proof(asked)),
                Requirement::Unavailable => return Ok(Signup::ProofUnavailable),
            }
        };
        // Where nobody is to learn who has an account, everybody is sent a code, and everybody is told the same.
        let shown = caller.account.as_ref().filter(|_| !services.hides_accounts);
        match shown {
            Some(account) if !account.is_active => return Ok(Signup::Disabled),
            Some(account) if !account.profile.needs_completion() => return Ok(Signup::Registered),
            Some(_) | None => {}
        }
        let request = SendRequest {
            key: ChallengeKey::sign_in_by(&phone, caller.device),
            source: Some(Source::Signup).filter(|_| caller.fixed.is_none()),
            preferences: &preferences,
            address,
            device: caller.device,
            is_known: shown.is_some() || caller.device.is_some(),
            is_review: caller.fixed.is_some(),
            proof,
        };
        let sending = code::send(&services, &request, now).await?;
        if let Some(asked) = bot_check::challenge_if_spent(&services, &sending, &phone, address, now) {
            return Ok(Signup::Proof(asked));
        }
        let wait = if request.device.is_some() { 0 } else { admitted.wait };
        let sending = sending.not_before(wait);
        Ok(Signup::Code { sending, unfinished: shown.is_some() })
    })
    .await
}
