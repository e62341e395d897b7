//! Where the database is, and what stands before it.

use std::time::Duration;

use secrecy::SecretString;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://…`, `postgres://…` or `postgresql://…`, TLS parameters included.
    pub url: SecretString,
    /// The most connections that are open at once.
    pub max_connections: u32,
    /// How long a request waits for a connection before it is told that the database does not answer.
    pub acquire_timeout: Duration,
    /// What stands between the server and PostgreSQL. `None`: it is found out.
    pub pooler: Option<Pooler>,
}

/// What stands between the server and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing that pools connections.
    None,
    /// A pooler that gives each client a backend of its own for as long as it is connected.
    Session,
    /// A pooler that gives each transaction a backend. Nothing that belongs to a session is relied on.
    Transaction,
}
