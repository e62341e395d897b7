//! Checks at the start whether a database can be used. The check does not use the pool, which retries and in the end only
//! reports a timeout.

use std::{io::ErrorKind, time::Duration};

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, Connection as _, PgConnection, Row as _, postgres::PgConnectOptions},
};
use secrecy::ExposeSecret;
use thiserror::Error;

use super::{
    DatabaseSettings, Migrations, Store, StoreError,
    error::{driver_error, is_locked},
};

/// The first statement on PostgreSQL.
const FACTS: &str = "SELECT current_database()::text AS database, current_user::text AS role, \
     current_schema()::text AS schema, pg_encoding_to_char(encoding)::text AS encoding, \
     COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create \
     FROM pg_database WHERE datname = current_database()";

/// Why a database cannot be used.
#[derive(Debug, Error)]
pub enum Unready {
    /// It does not answer, or not yet. Waiting can help.
    #[error(transparent)]
    Temporary(StoreError),
    /// The operator has to do something first: what was found, and what to do.
    #[error("{0}")]
    NeedsOperator(String),
}

impl From<StoreError> for Unready {
    fn from(error: StoreError) -> Self {
        from_store(error)
    }
}

/// What PostgreSQL reports about the database and the role.
struct Facts {
    database: String,
    role: String,
    /// The schema in which tables are created; `None` if the role may use no schema of its search path.
    schema: Option<String>,
    may_create: bool,
}

impl Facts {
    fn grant(&self) -> Unready {
        let schema = self.schema.as_deref().unwrap_or("public");
        Unready::NeedsOperator(format!(
            "the role {} must not make tables in the schema {schema} of the database {}: let the database's owner run \
             GRANT USAGE, CREATE ON SCHEMA {} TO {};",
            self.role,
            self.database,
            quoted(schema),
            quoted(&self.role)
        ))
    }

    fn not_the_owner(&self, said: &str) -> Unready {
        Unready::NeedsOperator(format!(
            "{said}: another role made the tables. Migrate with that role, or let it run \
             GRANT ALL ON ALL TABLES IN SCHEMA {} TO {};",
            quoted(self.schema.as_deref().unwrap_or("public")),
            quoted(&self.role)
        ))
    }
}

impl Store {
    /// Checks that the database can be used and runs the migrations that have not run yet. Returns their names. If there are
    /// none, the role needs no right to create tables.
    ///
    /// # Errors
    /// With whether waiting can help, and if not, what to do.
    pub async fn prepare(
        &self,
        settings: &DatabaseSettings,
        patience: Duration,
    ) -> Result<Vec<String>, Unready> {
        let facts = check(settings, patience).await?;
        let at_work = |error: StoreError| match (&facts, refusal_code(&error).as_deref()) {
            (Some(facts), Some("42501")) if driver_said(&error).contains("for schema") => facts.grant(),
            (Some(facts), Some("42501")) => facts.not_the_owner(&driver_said(&error)),
            _ => from_store(error),
        };
        let Migrations { pending, unknown } = self.find_migrations().await.map_err(at_work)?;
        if !unknown.is_empty() {
            return Err(Unready::NeedsOperator(format!(
                "a newer version of loopin-auth has migrated this database ({}): run that version",
                unknown.join(", ")
            )));
        }
        if pending.is_empty() {
            return Ok(pending);
        }
        if let Some(facts) = facts.as_ref().filter(|facts| !facts.may_create) {
            return Err(facts.grant());
        }
        self.migrate().await.map_err(at_work)?;
        Ok(pending)
    }
}

/// Checks that there is a connection, and that the database can be used.
pub(super) async fn probe(settings: &DatabaseSettings) -> Result<(), Unready> {
    check(settings, settings.acquire_timeout).await.map(drop)
}

/// `None` for SQLite, which the first statement checks.
async fn check(settings: &DatabaseSettings, patience: Duration) -> Result<Option<Facts>, Unready> {
    let url = settings.url.expose_secret();
    if url.starts_with("sqlite:") {
        return Ok(None);
    }
    // The URL was checked with the settings. The driver's error is not shown, because it can contain the password.
    let Ok(options) = url.parse::<PgConnectOptions>() else {
        return Err(Unready::NeedsOperator("DATABASE_URL is not understood".to_owned()));
    };
    // PgBouncer refuses the parameter that sqlx sends.
    let options = options.extra_float_digits(None);
    let asking = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        // Not prepared, because some poolers do not support that.
        let row = sqlx::Executor::fetch_one(&mut connection, sqlx::raw_sql(FACTS)).await?;
        connection.close().await?;
        let encoding: String = row.try_get("encoding")?;
        let facts = Facts {
            database: row.try_get("database")?,
            role: row.try_get("role")?,
            schema: row.try_get("schema")?,
            may_create: row.try_get("may_create")?,
        };
        Ok((facts, encoding))
    };
    let patience = patience.min(settings.acquire_timeout);
    let (facts, encoding) = tokio::time::timeout(patience, asking)
        .await
        .map_err(|_| {
            let late = DbErr::Conn(RuntimeErr::Internal("no answer in time".to_owned()));
            Unready::Temporary(StoreError::Unavailable(late))
        })?
        .map_err(|error| from_driver(error, &options))?;
    if encoding != "UTF8" {
        return Err(Unready::NeedsOperator(format!(
            "the database {} has the encoding {encoding}, in which most names cannot be written: make one with \
             CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0; and name it in DATABASE_URL",
            facts.database
        )));
    }
    Ok(Some(facts))
}

/// What an error of connecting to PostgreSQL means.
fn from_driver(error: sqlx::Error, options: &PgConnectOptions) -> Unready {
    let remedy = match &error {
        sqlx::Error::Database(refusal) => {
            let said = refusal.message();
            match refusal.code().as_deref() {
                Some("28P01" | "28000") => Some(
                    "check the user and the password of DATABASE_URL, and pg_hba.conf of the server"
                        .to_owned(),
                ),
                Some("3D000") => Some(no_database(options)),
                // PgBouncer's text for the same error.
                Some("08P01") if said.contains("no such database") => Some(no_database(options)),
                Some("08P01") if said.contains("no such user") => {
                    Some("check the user of DATABASE_URL, and the pooler's list of users".to_owned())
                }
                Some("42501") => Some(format!(
                    "let the database's owner run GRANT CONNECT ON DATABASE {} TO {};",
                    quoted(options.get_database().unwrap_or(options.get_username())),
                    quoted(options.get_username())
                )),
                _ => None,
            }
        }
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => Some(TLS.to_owned()),
        // The text of rustls for an invalid certificate.
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Some(TLS.to_owned()),
        sqlx::Error::Io(error) if error.kind() == ErrorKind::NotFound && options.get_socket().is_none() => {
            Some("check the files that sslrootcert, sslcert and sslkey of DATABASE_URL name".to_owned())
        }
        sqlx::Error::Io(error) if error.kind() == ErrorKind::PermissionDenied => Some(
            "let this program's user read the files and use the socket that DATABASE_URL names".to_owned(),
        ),
        _ => None,
    };
    match (remedy, &error) {
        (Some(remedy), sqlx::Error::Database(refusal)) => {
            Unready::NeedsOperator(format!("PostgreSQL says: {}: {remedy}", refusal.message()))
        }
        (Some(remedy), _) => Unready::NeedsOperator(format!("{error}: {remedy}")),
        (None, _) => {
            let place = options.get_socket().map_or_else(
                || format!("{}:{}", options.get_host(), options.get_port()),
                |path| path.display().to_string(),
            );
            tracing::debug!(place, "no connection");
            from_store(DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(error))).into())
        }
    }
}

const TLS: &str = "check sslmode and sslrootcert of DATABASE_URL, and the server's certificate";

fn no_database(options: &PgConnectOptions) -> String {
    let name = options.get_database().unwrap_or(options.get_username());
    format!(
        "check the name in DATABASE_URL, or run CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0;",
        quoted(name)
    )
}

/// What an error of a statement means. Outages of PostgreSQL are temporary; of those of SQLite only a lock is.
pub(super) fn from_store(error: StoreError) -> Unready {
    let (StoreError::Unavailable(cause) | StoreError::Refused(cause)) = &error else {
        return Unready::NeedsOperator(error.to_string());
    };
    let code = refusal_code(&error).unwrap_or_default();
    let primary = code.parse::<u32>().ok().filter(|_| code.len() != 5).map(|code| code & 0xff);
    let remedy = match primary {
        _ if is_locked(cause) => None,
        Some(26) => Some("the file of DATABASE_URL is no SQLite database: name another one"),
        Some(3 | 8 | 14 | 23) => {
            Some("let this program's user write the file of DATABASE_URL and its folder, which must be there")
        }
        Some(10 | 13) => Some("the disk with the file of DATABASE_URL is full or broken"),
        _ => None,
    };
    match (remedy, &error) {
        (Some(remedy), _) => Unready::NeedsOperator(format!("{}: {remedy}", driver_said(&error))),
        (None, StoreError::Unavailable(_)) => Unready::Temporary(error),
        (None, StoreError::Refused(cause)) => {
            Unready::NeedsOperator(format!("the database refused a statement: {cause}"))
        }
        (None, StoreError::Unreadable { .. }) => Unready::NeedsOperator(error.to_string()),
    }
}

fn refusal_code(error: &StoreError) -> Option<String> {
    let (StoreError::Unavailable(cause) | StoreError::Refused(cause)) = error else { return None };
    match driver_error(cause)? {
        sqlx::Error::Database(refusal) => refusal.code().map(Into::into),
        _ => None,
    }
}

pub(super) fn driver_said(error: &StoreError) -> String {
    let (StoreError::Unavailable(cause) | StoreError::Refused(cause)) = error else {
        return error.to_string();
    };
    match driver_error(cause) {
        Some(sqlx::Error::Database(refusal)) => refusal.message().to_owned(),
        _ => cause.to_string(),
    }
}

/// A name, quoted for SQL.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
