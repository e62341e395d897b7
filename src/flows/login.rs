//! `login`: a code for somebody who has an account.

use std::sync::Arc;

use super::{
    Error, Sending, Services, Wish,
    budget::Admitted,
    code::{self, Ask},
    destination, device,
    proof::{self, AskedProof, Demand},
    to_its_end,
};
use crate::domain::{budget::Refusal, lead::Source, otp::ChallengeKey, phone::PhoneNumber};

/// What became of it.
#[derive(Debug)]
pub enum Login {
    /// A code was asked for.
    Code(Sending),
    /// The phone has no account: she wants to sign up.
    Unknown,
    /// The account was disabled.
    Disabled,
    /// Too many such requests came from this address.
    Refused(Refusal),
    /// She is to show that she is no program.
    Proof(AskedProof),
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
    wish: Wish,
    admitted: Admitted,
) -> Result<Login, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        if let Some(refusal) = device::stranger_refused(&services, &admitted, now) {
            return Ok(Login::Refused(refusal));
        }
        let address = admitted.asker.address;
        let key = ChallengeKey::sign_in(&phone);
        if !device::is_listed(&services, &phone, now)
            && let Some(sending) = destination::refused(&services, key, address, now)
        {
            return Ok(Login::Code(sending));
        }
        let caller = match device::admitted(&services, &phone, &admitted, now).await? {
            Ok(caller) => caller,
            Err(refusal) => return Ok(Login::Refused(refusal)),
        };
        // A device that was signed in before is no stranger.
        let proof = if caller.device.is_some() {
            None
        } else {
            match proof::demand(&services, &admitted, &phone, now).await? {
                Demand::Met(spend) => spend,
                Demand::Ask(asked) => return Ok(Login::Proof(asked)),
                Demand::Unavailable => return Ok(Login::ProofUnavailable),
            }
        };
        // Where nobody is to learn who has an account, everybody is sent a code.
        let is_shown = !services.hides_accounts;
        match &caller.account {
            None if is_shown => return Ok(Login::Unknown),
            Some(account) if is_shown && !account.is_active => return Ok(Login::Disabled),
            Some(_) | None => {}
        }
        let ask = Ask {
            key: ChallengeKey::sign_in_by(&phone, caller.device),
            source: Some(Source::Login).filter(|_| caller.fixed.is_none()),
            wish: &wish,
            address,
            device: caller.device,
            is_known: is_shown || caller.device.is_some(),
            is_review: caller.fixed.is_some(),
            proof,
        };
        let sending = code::send(&services, &ask, now).await?;
        if let Some(asked) = proof::asked_again(&services, &sending, &phone, address, now) {
            return Ok(Login::Proof(asked));
        }
        let wait = if ask.device.is_some() { 0 } else { admitted.wait };
        Ok(Login::Code(sending.not_before(wait)))
    })
    .await
}
