//! Reads `DATABASE_URL` and checks it before a driver sees it: the errors of drivers repeat a URL with its password.

use std::fmt::Write as _;

use sea_orm::sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use secrecy::SecretString;
use url::{ParseError, Url};

/// The parameters of a PostgreSQL URL that the driver knows.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The values of `sslmode`.
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// A valid URL. Its `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct DatabaseUrl {
    /// For the driver.
    pub url: SecretString,
    /// For display: without password and parameters.
    pub shown: String,
    /// Parameters that the driver does not know. They are not passed on.
    pub ignored: Vec<String>,
}

/// What is wrong with a URL. Each text continues a sentence that begins with `DATABASE_URL`, and none repeats a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error("must begin with sqlite:, postgres:// or postgresql://")]
    Scheme,
    /// Probably a password with special characters.
    #[error(
        "has a user or a password that is not percent-encoded: write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A \
         and % as %25"
    )]
    NotEncoded,
    /// Spaces and line feeds.
    #[error("must not hold a space or a line break; in a password write a space as %20")]
    Space,
    /// The driver connects to one host.
    #[error("must name one host, not several")]
    SeveralHosts,
    /// The host is missing.
    #[error(
        "names no host: write postgres://user:password@host:5432/name, or ?host=/directory after the name for a Unix socket"
    )]
    NoHost,
    /// The port is not a number, or too large.
    #[error("must have a number from 1 to 65535 as its port; a : in a password is written as %3A")]
    Port,
    /// An unknown `sslmode`.
    #[error("must have disable, allow, prefer, require, verify-ca or verify-full as its sslmode")]
    SslMode,
    /// Anything else.
    #[error("is not understood: write postgres://user:password@host:5432/name")]
    Postgres,
    /// A path or a parameter that the SQLite driver refuses.
    #[error("is not understood: write sqlite://file, or sqlite:///folder/file")]
    Sqlite,
}

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.starts_with("sqlite:") {
            text.parse::<SqliteConnectOptions>().map_err(|_| UrlError::Sqlite)?;
            return Ok(Self { url: text.into(), shown: text.to_owned(), ignored: Vec::new() });
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(UrlError::Scheme);
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Space);
        }
        postgres(scheme, rest)
    }
}

fn postgres(scheme: &str, rest: &str) -> Result<DatabaseUrl, UrlError> {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    // The host ends at the first of these characters. An @ after it probably belongs to the password.
    let holds_stray_at = query.split('&').any(|pair| pair.contains('@') && !is_known(pair));
    if rest.contains('#') || path.contains('@') || holds_stray_at {
        return Err(UrlError::NotEncoded);
    }
    let (user, place) =
        authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let hosts: Vec<&str> = pairs
        .iter()
        .filter(|(name, _)| name == "host" || name == "hostaddr")
        .map(|(_, host)| &**host)
        .collect();
    if place.contains(',') || hosts.iter().any(|host| host.contains(',') && !host.starts_with('/')) {
        return Err(UrlError::SeveralHosts);
    }
    let has_place = !place.is_empty() && !place.starts_with(':');
    if !has_place && hosts.iter().all(|host| host.is_empty()) {
        return Err(UrlError::NoHost);
    }
    check_parameters(&pairs)?;
    // A URL with a user needs a host. The `host` parameter overrides it.
    let host = if has_place { String::new() } else { "localhost".to_owned() };
    let user_at = user.map(|user| format!("{user}@")).unwrap_or_default();
    let mut url =
        Url::parse(&format!("{scheme}://{user_at}{host}{place}/{path}")).map_err(|error| match error {
            ParseError::InvalidPort => UrlError::Port,
            _ => UrlError::Postgres,
        })?;
    if url.port() == Some(0) {
        return Err(UrlError::Port);
    }
    let shown = shown(&url, if has_place { "" } else { &host }, hosts.last().copied());
    let (known, ignored): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| is_known(name));
    if ignored.is_empty() {
        url.set_query(Some(query).filter(|query| !query.is_empty()));
    } else if !known.is_empty() {
        url.query_pairs_mut().extend_pairs(known);
    }
    url.as_str().parse::<PgConnectOptions>().map_err(|_| UrlError::Postgres)?;
    let ignored = ignored.into_iter().map(|(name, _)| name).collect();
    Ok(DatabaseUrl { url: url.as_str().into(), shown, ignored })
}

/// Whether the driver knows this parameter, written alone or with its value.
fn is_known(parameter: &str) -> bool {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'))
}

fn check_parameters(pairs: &[(String, String)]) -> Result<(), UrlError> {
    for (name, value) in pairs {
        match name.as_str() {
            "port" if !value.parse::<u16>().is_ok_and(|port| port > 0) => return Err(UrlError::Port),
            "sslmode" | "ssl-mode" if !SSL_MODES.contains(&value.as_str()) => return Err(UrlError::SslMode),
            _ => {}
        }
    }
    Ok(())
}

/// The URL without the password, with the host that is used.
fn shown(url: &Url, made_up: &str, host: Option<&str>) -> String {
    let mut shown = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        let hidden = if url.password().is_some() { ":****" } else { "" };
        let _ = write!(shown, "{}{hidden}@", url.username());
    }
    let place = url.host_str().filter(|place| *place != made_up).unwrap_or_default();
    shown.push_str(place);
    if let Some(port) = url.port() {
        let _ = write!(shown, ":{port}");
    }
    shown.push_str(url.path());
    if let Some(host) = host {
        let _ = write!(shown, "?host={host}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_is_understood_is_shown_without_its_password() {
        for (text, shown) in [
            ("postgres://db.example.com/loopin", "postgres://db.example.com/loopin"),
            ("postgres://me:hunter2@db:5433/loopin", "postgres://me:****@db:5433/loopin"),
            ("postgresql://me:hunter2@db/loopin?sslmode=require", "postgresql://me:****@db/loopin"),
            ("postgres://me@db/loopin?password=hunter2", "postgres://me@db/loopin"),
            ("postgres://db/loopin?user=me%40team&password=hunter2@b", "postgres://db/loopin"),
            // The last @ before the host separates it, as in every URL parser.
            ("postgres://me:hunter2@hunter2@db/loopin", "postgres://me:****@db/loopin"),
            ("postgres://me:hunter2:hunter2@db/loopin", "postgres://me:****@db/loopin"),
            ("postgres://:hunter2@db/loopin", "postgres://:****@db/loopin"),
            ("postgres://me:hunter2@[::1]:5432/loopin", "postgres://me:****@[::1]:5432/loopin"),
            (
                "postgres://me:hunter2@/loopin?host=/cloudsql/a:b:c",
                "postgres://me:****@/loopin?host=/cloudsql/a:b:c",
            ),
            ("postgres:///loopin?host=/run/postgresql&user=me", "postgres:///loopin?host=/run/postgresql"),
            (
                "postgres://me:hunter2@%2Frun%2Fpostgresql/loopin",
                "postgres://me:****@%2Frun%2Fpostgresql/loopin",
            ),
            ("sqlite:///var/lib/loopin.sqlite3?mode=rwc", "sqlite:///var/lib/loopin.sqlite3?mode=rwc"),
            ("sqlite::memory:", "sqlite::memory:"),
        ] {
            let read = DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.shown, shown);
            assert!(!format!("{read:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_says_why_and_repeats_nothing() {
        for (text, error) in [
            ("postgres://u:hunter2/x@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:hunter2#x@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:hunter2?x@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:hunter2?x=y@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:12/hunter2@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:p@hunter2/w#rd@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:p@hunter2/word@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:p@hunter2?word@127.0.0.1/x", UrlError::NotEncoded),
            ("postgres://u:hunter2 x@127.0.0.1/x", UrlError::Space),
            ("postgres://u:hunter2\n@127.0.0.1/x", UrlError::Space),
            ("postgres://u:hunter2@127.0.0.1:port/x", UrlError::Port),
            ("postgres://u:hunter2@127.0.0.1:70000/x", UrlError::Port),
            ("postgres://u:hunter2@127.0.0.1/x?port=0", UrlError::Port),
            ("postgres://u:hunter2@one,two/x", UrlError::SeveralHosts),
            ("postgres://u:hunter2@one:5432,two:5432/x", UrlError::SeveralHosts),
            ("postgres://u:hunter2@/x?host=one,two", UrlError::SeveralHosts),
            ("postgres://u:hunter2@/x", UrlError::NoHost),
            ("postgres://u:hunter2@:5432/x", UrlError::NoHost),
            ("postgres:///x", UrlError::NoHost),
            ("postgres://u:hunter2@one/x?sslmode=on", UrlError::SslMode),
            ("postgres://u:hunter2@o<ne/x", UrlError::Postgres),
            ("postgres:u:hunter2@one/x", UrlError::Scheme),
            ("mysql://u:hunter2@one/x", UrlError::Scheme),
            ("u:hunter2", UrlError::Scheme),
            ("sqlite://x?hunter2=rwc", UrlError::Sqlite),
        ] {
            let found = DatabaseUrl::parse(text).map(|read| read.shown);
            assert_eq!(found, Err(error), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn the_driver_gets_the_socket_and_only_what_it_knows() {
        let text = "postgres://me:p%2Fw@/loopin?host=/cloudsql/a:b:c&channel_binding=require&sslmode=disable";
        let read = DatabaseUrl::parse(text).unwrap();
        assert_eq!(read.ignored, ["channel_binding"]);
        let options: PgConnectOptions = read.url.expose_secret().parse().unwrap();
        assert_eq!(
            options.get_socket().map(|path| path.display().to_string()).as_deref(),
            Some("/cloudsql/a:b:c")
        );
        assert_eq!((options.get_username(), options.get_database()), ("me", Some("loopin")));
        // A URL that needs no change is not changed.
        let text = "postgresql://me:hunter2@db/loopin?sslmode=verify-full&sslrootcert=/ca.pem";
        assert_eq!(DatabaseUrl::parse(text).unwrap().url.expose_secret(), text);
    }
}
