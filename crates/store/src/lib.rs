//! All SQL, for SQLite and PostgreSQL. No other crate knows that there is a database.
//!
//! This crate decides no rule and has no clock: what a statement compares with is an argument, and what it finds is
//! returned as a value of the domain. Unless a function says more, it fails with [`StoreError`] when the database does not
//! answer.
//!
//! To add a query:
//! 1. name it with one of the words `find`, `list`, `count`, `insert`, `open`, `claim`, `consume`, `set`, `update`,
//!    `settle`, `close`, `purge`, in the file of the table that it touches;
//! 2. take `&impl ConnectionTrait`, so that it runs alone or inside a transaction; a lookup returns
//!    `Result<Option<T>>`, so that an outage is never "not found";
//! 3. where two requests can race, let one guarded statement decide and check its row count: never read, decide and
//!    write back;
//! 4. test it on SQLite and on PostgreSQL, through HTTP where a request can reach it.

mod answer;
mod connection;
mod database_url;
mod entities;
mod error;
mod former_ids;
mod parts;
mod postgres;
mod settings;
mod sqlite;
mod start;
mod traced;

pub mod accounts;
pub mod api_keys;
pub mod audit;
pub mod backup;
pub mod blocks;
pub mod budgets;
pub mod guests;
pub mod imports;
pub mod interests;
pub mod invitations;
pub mod leads;
pub mod leases;
pub mod lookup;
pub mod merges;
pub mod messages;
pub mod original;
pub mod otp;
pub mod outbox;
pub mod owners;
pub mod people;
pub mod prefixes;
pub mod profiles;
pub mod provider_orders;
pub mod renumbering;
pub mod search;
pub mod second_factors;
pub mod sends;
pub mod sessions;
pub mod sign_ins;
pub mod statistics;
pub mod used_tokens;
pub mod users;
pub mod verifications;
pub mod versions;

pub use connection::{Migrations, Planning, Repeating, Store, Txn};
pub use database_url::{DatabaseUrl, UrlError};
pub use error::StoreError;
pub use settings::{DatabaseSettings, Pooler};
pub use start::Unready;

#[cfg(test)]
mod tests;
