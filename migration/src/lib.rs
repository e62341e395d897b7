//! The schema of loopin-auth, as append-only migrations that run on SQLite and on PostgreSQL.
//!
//! To change the schema: add a file `mYYYYMMDD_NNNNNN_what.rs`, list it last in [`Migrator`], and write both
//! directions. Never edit a released migration: a database that ran it does not run it again. Expand first (a new
//! nullable column) and contract in a later release, so that two versions can serve at once.

#![forbid(unsafe_code)]

pub use sea_orm_migration::MigratorTrait;

pub mod audit_guard;
mod search_words;

mod m20261121_000001_accounts;
mod m20261121_000002_challenges;
mod m20261121_000003_leads;
mod m20261121_000004_messages;
mod m20261121_000005_event_interests;
mod m20261121_000006_deliveries;
mod m20261121_000007_passwords;
mod m20261121_000008_users;
mod m20261121_000009_budgets;
mod m20261121_000010_audit;
mod m20261121_000011_safety;
mod m20261127_000012_retention;
mod m20261127_000013_cap_alarms;
mod m20261127_000014_second_factors;
mod m20261127_000015_search;
mod m20261127_000016_leads;
mod m20261127_000017_delivery_days;
mod m20261127_000018_blocks;
mod m20261127_000019_audit_indexes;
mod m20261127_000020_interests;

use sea_orm_migration::prelude::*;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_accounts::Migration),
            Box::new(m20261121_000002_challenges::Migration),
            Box::new(m20261121_000003_leads::Migration),
            Box::new(m20261121_000004_messages::Migration),
            Box::new(m20261121_000005_event_interests::Migration),
            Box::new(m20261121_000006_deliveries::Migration),
            Box::new(m20261121_000007_passwords::Migration),
            Box::new(m20261121_000008_users::Migration),
            Box::new(m20261121_000009_budgets::Migration),
            Box::new(m20261121_000010_audit::Migration),
            Box::new(m20261121_000011_safety::Migration),
            Box::new(m20261127_000012_retention::Migration),
            Box::new(m20261127_000013_cap_alarms::Migration),
            Box::new(m20261127_000014_second_factors::Migration),
            Box::new(m20261127_000015_search::Migration),
            Box::new(m20261127_000016_leads::Migration),
            Box::new(m20261127_000017_delivery_days::Migration),
            Box::new(m20261127_000018_blocks::Migration),
            Box::new(m20261127_000019_audit_indexes::Migration),
            Box::new(m20261127_000020_interests::Migration),
        ]
    }
}
