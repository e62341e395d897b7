//! The server as a client meets it: one file per URL, on SQLite and on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

#[path = "../support/mod.rs"]
mod support;

mod auth_complete_profile;
mod auth_deliveries;
mod auth_event_interests;
mod auth_login;
mod auth_logout;
mod auth_profile;
mod auth_refresh;
mod auth_signup;
mod auth_verify_login;
mod auth_verify_otp;
mod channels;
mod codes;
mod dev_inbox;
mod edge;
mod envelope;
mod faults;
mod forge;
mod gate;
mod leads;
mod schema;
mod service;
mod sms;
mod twilio_status;
