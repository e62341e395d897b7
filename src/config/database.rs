//! The settings of the database.

use std::time::Duration;

use super::reader::Reader;
use crate::store::{DatabaseSettings, DatabaseUrl, Pooler};

/// The default in `dev`.
const DEFAULT: &str = "sqlite://loopin-auth.sqlite3";

/// Parameters of libpq that the driver does not support. Only these appear in warnings: any other text may be a part of a
/// password.
const UNSUPPORTED: [&str; 12] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "passfile",
    "pgbouncer",
    "schema",
    "sslcrl",
    "sslnegotiation",
    "target_session_attrs",
];

/// The settings, and the URL without its password.
pub(super) fn database(reader: &mut Reader<'_>, is_prod: bool) -> (DatabaseSettings, String) {
    let given = reader.text("DATABASE_URL");
    if is_prod && given.is_none() {
        reader.problem(
            "DATABASE_URL must be set in prod: postgres://user:password@host:5432/name, or sqlite:///folder/file for a \
             single server",
        );
    }
    // In prod there is none.
    reader.note_default("DATABASE_URL", if is_prod { "" } else { DEFAULT });
    let text = given.unwrap_or_else(|| DEFAULT.to_owned());
    if is_prod && (text.contains(":memory:") || text.contains("mode=memory")) {
        reader.problem("DATABASE_URL must not be a database in memory in prod");
    }
    let (url, shown) = match DatabaseUrl::parse(&text) {
        Ok(read) => {
            for name in &read.ignored {
                let name = UNSUPPORTED.into_iter().find(|known| known == name).unwrap_or("one");
                reader.warn(format!("DATABASE_URL has a parameter that is not used: {name}"));
            }
            (read.url, read.shown)
        }
        Err(error) => {
            reader.problem(format!("DATABASE_URL {error}"));
            // An invalid URL is never passed to a driver.
            ("sqlite::memory:".into(), "a URL that is not understood".to_owned())
        }
    };
    let max_connections = reader.number("DATABASE_MAX_CONNECTIONS", 16, 1, 1000);
    let settings = DatabaseSettings {
        url,
        max_connections: u32::try_from(max_connections).unwrap_or(16),
        acquire_timeout: Duration::from_secs(3),
        pooler: pooler(reader),
    };
    (settings, shown)
}

/// The connection pooler, if the operator names one.
fn pooler(reader: &mut Reader<'_>) -> Option<Pooler> {
    let given = reader.text("DATABASE_POOLER")?;
    match given.as_str() {
        "none" => Some(Pooler::None),
        "session" => Some(Pooler::Session),
        "transaction" => Some(Pooler::Transaction),
        _ => {
            reader.problem("DATABASE_POOLER must be none, session or transaction");
            None
        }
    }
}
