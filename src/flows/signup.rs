//! `signup`: a code for somebody new, or for somebody who never finished.

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
pub enum Signup {
    /// A code was asked for.
    Code {
        /// What became of that.
        sending: Sending,
        /// Whether the phone has an account already, whose profile is not finished.
        unfinished: bool,
    },
    /// The phone has a finished account: she wants to log in.
    Registered,
    /// The account was disabled.
    Disabled,
    /// Too many such requests came from this address.
    Refused(Refusal),
    /// She is to show that she is no program.
    Proof(AskedProof),
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
    wish: Wish,
    admitted: Admitted,
) -> Result<Signup, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        if let Some(refusal) = device::stranger_refused(&services, &admitted, now) {
            return Ok(Signup::Refused(refusal));
        }
        let address = admitted.asker.address;
        let key = ChallengeKey::sign_in(&phone);
        if !device::is_listed(&services, &phone, now)
            && let Some(sending) = destination::refused(&services, key, address, now)
        {
            return Ok(Signup::Code { sending, unfinished: false });
        }
        let caller = match device::admitted(&services, &phone, &admitted, now).await? {
            Ok(caller) => caller,
            Err(refusal) => return Ok(Signup::Refused(refusal)),
        };
        // A device that was signed in before is no stranger.
        let proof = if caller.device.is_some() {
            None
        } else {
            match proof::demand(&services, &admitted, &phone, now).await? {
                Demand::Met(spend) => spend,
                Demand::Ask(asked) => return Ok(Signup::Proof(asked)),
                Demand::Unavailable => return Ok(Signup::ProofUnavailable),
            }
        };
        // Where nobody is to learn who has an account, everybody is sent a code, and everybody is told the same.
        let shown = caller.account.as_ref().filter(|_| !services.hides_accounts);
        match shown {
            Some(account) if !account.is_active => return Ok(Signup::Disabled),
            Some(account) if !account.profile.needs_completion() => return Ok(Signup::Registered),
            Some(_) | None => {}
        }
        let ask = Ask {
            key: ChallengeKey::sign_in_by(&phone, caller.device),
            source: Some(Source::Signup).filter(|_| caller.fixed.is_none()),
            wish: &wish,
            address,
            device: caller.device,
            is_known: shown.is_some() || caller.device.is_some(),
            is_review: caller.fixed.is_some(),
            proof,
        };
        let sending = code::send(&services, &ask, now).await?;
        if let Some(asked) = proof::asked_again(&services, &sending, &phone, address, now) {
            return Ok(Signup::Proof(asked));
        }
        let wait = if ask.device.is_some() { 0 } else { admitted.wait };
        let sending = sending.not_before(wait);
        Ok(Signup::Code { sending, unfinished: shown.is_some() })
    })
    .await
}
