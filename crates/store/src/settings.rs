//! The settings of the database connection.

use std::time::Duration;

use secrecy::SecretString;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://…`, `postgres://…` or `postgresql://…`, TLS parameters included.
    pub url: SecretString,
    /// The most connections that are open at once.
    pub max_connections: u32,
    /// How long a request waits for a connection before it fails.
    pub acquire_timeout: Duration,
    /// What stands between the server and PostgreSQL. `None`: it is detected.
    pub pooler: Option<Pooler>,
}

/// What stands between the server and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// No pooler.
    None,
    /// A pooler in session mode: each client keeps one backend while it is connected.
    Session,
    /// A pooler in transaction mode: each transaction can get another backend, so no state of a session is used.
    Transaction,
}
