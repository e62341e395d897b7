//! `signup`: a code for somebody new, or for somebody who never finished.

use std::sync::Arc;

use super::{Error, Sending, Services, Wish, code, to_its_end};
use crate::{
    domain::{lead::Source, otp::ChallengeKey, phone::PhoneNumber},
    store,
};

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
}

/// Asks for a code to sign up with.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
pub async fn signup(services: &Arc<Services>, phone: PhoneNumber, wish: Wish) -> Result<Signup, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        let account = store::accounts::find_by_phone(&services.store, &phone).await?;
        match &account {
            Some(account) if !account.is_active => return Ok(Signup::Disabled),
            Some(account) if !account.profile.needs_completion() => return Ok(Signup::Registered),
            Some(_) | None => {}
        }
        let sending =
            code::send(&services, ChallengeKey::sign_in(&phone), Some(Source::Signup), &wish, now).await?;
        Ok(Signup::Code { sending, unfinished: account.is_some() })
    })
    .await
}
