//! The tables as SeaORM entities. Private to this crate.
//!
//! Only the migrations create the schema. A test selects every column named here from a migrated database.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod budget;
pub(super) mod challenge;
pub(super) mod event_interest;
pub(super) mod lead;
pub(super) mod lease;
pub(super) mod message;
pub(super) mod recovery_code;
pub(super) mod second_factor;
pub(super) mod session;
