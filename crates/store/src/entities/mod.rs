//! The tables as SeaORM entities. Private to this crate.
//!
//! Only the migrations create the schema. A test selects every column named here from a migrated database.

pub(super) mod account;
pub(super) mod api_key;
pub(super) mod audit;
pub(super) mod block;
pub(super) mod budget;
pub(super) mod challenge;
pub(super) mod counted_day;
pub(super) mod delivery_day;
pub(super) mod event_interest;
pub(super) mod imported_row;
pub(super) mod interest_count;
pub(super) mod invitation;
pub(super) mod lead;
pub(super) mod lead_note;
pub(super) mod lease;
pub(super) mod merged_account;
pub(super) mod message;
pub(super) mod outbox;
pub(super) mod provider_order;
pub(super) mod recovery_code;
pub(super) mod search_word;
pub(super) mod second_factor;
pub(super) mod session;
pub(super) mod used_token;
pub(super) mod verification;
pub(super) mod version;

use std::collections::BTreeMap;

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};

/// Counts by name, a JSON object in the row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub(super) struct Counts(pub(super) BTreeMap<String, i64>);
