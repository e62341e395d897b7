//! The admin console through its pages, as a browser without JavaScript uses it, on SQLite and on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod blocks;
#[allow(dead_code, reason = "pages to come need it")]
mod browser;
mod dashboard;
mod desk;
mod enrolment;
mod filters;
mod gate;
mod guests;
mod interests;
mod invitations;
mod leads;
mod leads_export;
mod lists;
mod messages;
mod people;
mod people_acts;
mod people_merge;
mod people_move;
mod phones;
mod routes;
mod second_step;
mod sign_in;
mod twilio;
mod verdict_blocks;
mod verdict_messages;
mod verdict_refusals;
mod verdict_sign_ins;
