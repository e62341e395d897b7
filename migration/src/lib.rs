//! The schema of loopin-auth, as append-only migrations that run on SQLite and on PostgreSQL.
//!
//! To change the schema: add a file `mYYYYMMDD_NNNNNN_what.rs`, list it last below, and write both
//! directions. Never edit a released migration: a database that ran it does not run it again. Expand first (a new
//! nullable column) and contract in a later release, so that two versions can serve at once.

#![forbid(unsafe_code)]

pub use runner::{MigratorTrait, Step};

pub mod audit_guard;
pub mod lock;
mod runner;
mod search_words;

/// Declares the module of each step. Its name is the step's, by which a database remembers it.
macro_rules! steps {
    ($($name:ident,)*) => {
        $(mod $name;)*

        fn steps() -> Vec<Step> {
            vec![$(Step { name: stringify!($name), migration: Box::new($name::Migration) },)*]
        }
    };
}

steps! {
    m20261121_000001_accounts,
    m20261121_000002_challenges,
    m20261121_000003_leads,
    m20261121_000004_messages,
    m20261121_000005_event_interests,
    m20261121_000006_deliveries,
    m20261121_000007_passwords,
    m20261121_000008_users,
    m20261121_000009_budgets,
    m20261121_000010_audit,
    m20261121_000011_safety,
    m20261127_000012_retention,
    m20261127_000013_cap_alarms,
    m20261127_000014_second_factors,
    m20261127_000015_search,
    m20261127_000016_leads,
    m20261127_000017_delivery_days,
    m20261127_000018_blocks,
    m20261127_000019_audit_indexes,
    m20261127_000020_interests,
    m20261127_000021_sign_in,
    m20261127_000022_storage,
    m20261128_000023_partial_indexes,
    m20261128_000024_live_sessions,
    m20261128_000025_outbox,
    m20261128_000026_error_texts,
    m20261128_000027_adaptive_routing,
    m20261128_000028_external_ids,
    m20261128_000029_imports,
    m20261128_000030_used_tokens,
    m20261128_000031_versions,
    m20261128_000032_terms,
    m20261128_000034_invitations,
    m20261128_000036_api_keys,
    m20261128_000037_verifications,
    m20261128_000038_merged_accounts,
    m20261128_000040_session_locales,
    m20261128_000041_guests,
}

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Step> {
        steps()
    }
}
