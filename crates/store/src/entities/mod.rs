//! The rows, as SeaORM sees them. Private to the store: no other room knows that they exist.
//!
//! The schema is made by the migrations alone; a test selects every column named here from a migrated database.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod budget;
pub(super) mod challenge;
pub(super) mod event_interest;
pub(super) mod lead;
pub(super) mod lease;
pub(super) mod message;
pub(super) mod session;
