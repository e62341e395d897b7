//! `login`: a code for somebody who has an account.

use std::sync::Arc;

use super::{Error, Sending, Services, Wish, code, to_its_end};
use crate::{
    domain::{lead::Source, otp::ChallengeKey, phone::PhoneNumber},
    store,
};

/// What became of it.
#[derive(Debug)]
pub enum Login {
    /// A code was asked for.
    Code(Sending),
    /// The phone has no account: she wants to sign up.
    Unknown,
    /// The account was disabled.
    Disabled,
}

/// Asks for a code to log in with.
///
/// # Errors
/// When the database does not answer: then nothing was sent.
pub async fn login(services: &Arc<Services>, phone: PhoneNumber, wish: Wish) -> Result<Login, Error> {
    to_its_end(services, |services| async move {
        let now = services.clock.now();
        match store::accounts::find_by_phone(&services.store, &phone).await? {
            None => Ok(Login::Unknown),
            Some(account) if !account.is_active => Ok(Login::Disabled),
            Some(_) => Ok(Login::Code(
                code::send(&services, ChallengeKey::sign_in(&phone), Some(Source::Login), &wish, now).await?,
            )),
        }
    })
    .await
}
