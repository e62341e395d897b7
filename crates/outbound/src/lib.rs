//! Sends signed requests to URLs that the operator chooses: hooks, and the webhook that takes messages. Also reads documents there:
//! the keys of trusted issuers.
//!
//! Requests are signed as Standard Webhooks says (<https://www.standardwebhooks.com>). There is one client, with one rule
//! for addresses: HTTPS in production, no redirects, and no private address unless a setting allows it.
//!
//! The clients of vendors (Twilio, Vonage, MSG91, the bot check) are not here. Their addresses are constants of this program, and
//! what replaces one in the settings is often private on purpose: a gateway in the operator's network, or a stub. They follow no
//! redirect either.
//!
//! This crate knows no message, no phone and no database, and logs nothing: the caller knows what a failure means.

mod client;
mod endpoint;
mod network;
mod signature;
#[cfg(test)]
mod tests;

pub use self::{
    client::{Answer, Client, Failure, MAX_ANSWER_BYTES, Request, SetupError},
    endpoint::{Endpoint, EndpointError, Rules},
    signature::{
        Forged, ID_HEADER, SIGNATURE_HEADER, Secret, SecretError, Secrets, Signed, TIMESTAMP_HEADER,
    },
};
