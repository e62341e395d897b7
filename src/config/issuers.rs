//! `TRUSTED_ISSUERS_FILE`: the other systems whose tokens open a session here, a table of TOML for each.
//!
//! The tables are read key by key, and not by serde, which stops at the first problem and does not know which issuer it is in. No
//! problem repeats a value, because a value can be a secret.

mod table;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use outbound::{Endpoint, Rules};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use self::table::Table;
use super::{
    Config, MIN_SECRET_BYTES,
    files::{self, SmallFile, Unusable},
    is_published,
    reader::Reader,
    safety::end_of,
};
use crate::domain::{
    access::KeyAlgorithm,
    issuer::{IdentityClaims, LEGACY_FOR, PhoneClaims, TrustedIssuer},
};

const SETTING: &str = "TRUSTED_ISSUERS_FILE";

/// The array of tables in the file.
const ISSUER: &str = "issuer";

/// The longest name of an issuer.
const LONGEST_NAME: usize = 40;

/// A trusted issuer and its keys.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The issuer.
    pub issuer: TrustedIssuer,
    /// Its keys.
    pub keys: KeySettings,
}

/// Where the keys of an issuer come from. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub enum KeySettings {
    /// A secret that it shares with this server.
    Secret(SecretString),
    /// It publishes them at this URL.
    Published(Endpoint),
}

/// What an issuer's table is checked against.
struct Others<'a> {
    config: &'a Config,
    is_prod: bool,
}

pub(super) fn issuers(reader: &mut Reader<'_>, config: &Config, is_prod: bool) -> Vec<IssuerSettings> {
    let Some(path) = reader.text(SETTING) else { return Vec::new() };
    let text = match read(&path) {
        Ok(SmallFile { text, is_world_readable }) => {
            if is_world_readable && has_secret(text.expose_secret()) {
                reader.warn(format!("{SETTING}: everybody on this machine can read {path}: chmod 600"));
            }
            text
        }
        Err(why) => {
            reader.problem(format!("{SETTING}: {path} {why}"));
            return Vec::new();
        }
    };
    let text = text.expose_secret();
    let mut file: toml::Table = match text.parse() {
        Ok(file) => file,
        Err(error) => {
            // The message alone: `Display` also shows the line, which can hold a secret.
            let error: toml::de::Error = error;
            let line = error
                .span()
                .map_or(1, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            reader.problem(format!("{SETTING}: {path} is not TOML: line {line}: {}", error.message()));
            return Vec::new();
        }
    };
    let tables = match file.remove(ISSUER) {
        Some(toml::Value::Array(tables)) if !tables.is_empty() => tables,
        Some(_) | None => {
            reader.problem(format!("{SETTING}: {path} has no table [[{ISSUER}]]"));
            return Vec::new();
        }
    };
    for key in file.keys() {
        reader.problem(format!(
            "{SETTING}: {path}: {} is not known: each issuer is a table [[{ISSUER}]]",
            key.escape_debug()
        ));
    }
    let others = Others { config, is_prod };
    let mut known: Vec<IssuerSettings> = Vec::new();
    for (place, table) in (1..).zip(tables) {
        let mut table = Table::new(reader, &format!("{SETTING}: {path}"), place, table);
        let issuer = others.issuer(&mut table);
        if let Some(issuer) = issuer.filter(|_| table.is_right()) {
            if known.iter().any(|other| other.issuer.name == issuer.issuer.name) {
                table.problem("name", "is that of another issuer");
            } else {
                known.push(issuer);
            }
        }
    }
    known
}

impl Others<'_> {
    /// Reads a table. `None` with a problem that is reported.
    fn issuer(&self, table: &mut Table<'_, '_>) -> Option<IssuerSettings> {
        let name = name(table);
        let algorithm = algorithm(table);
        let keys = self.keys(table, algorithm);
        let iss = table.text("iss");
        if iss.is_some() && iss == self.config.tokens.policy.issuer {
            table.problem("iss", "is JWT_ISSUER: this server does not take its own tokens");
        }
        let audiences = table.texts("aud");
        let until = self.until(table);
        let is_legacy = is_legacy(table, iss.is_some() && !audiences.is_empty(), until);
        let may_create_accounts = table.flag("may_create_accounts");
        let identity = identity(table, is_legacy, may_create_accounts);
        table.finish();
        let issuer = TrustedIssuer {
            name: name?,
            iss,
            audiences,
            algorithm: algorithm?,
            identity: identity?,
            may_create_accounts,
            is_legacy,
            until,
        };
        Some(IssuerSettings { issuer, keys: keys? })
    }

    fn keys(&self, table: &mut Table<'_, '_>, algorithm: Option<KeyAlgorithm>) -> Option<KeySettings> {
        let (secret, file, url) = (table.text("secret"), table.text("secret_file"), table.text("jwks_url"));
        let algorithm = algorithm?;
        if algorithm != KeyAlgorithm::Hs256 {
            for (key, given) in [("secret", &secret), ("secret_file", &file)] {
                if given.is_some() {
                    table.problem(key, &format!("must not be set: with {algorithm} the keys are published"));
                }
            }
            let Some(url) = url else {
                table.problem("jwks_url", &format!("must be set with {algorithm}"));
                return None;
            };
            return self.endpoint(table, &url).map(KeySettings::Published);
        }
        if url.is_some() {
            table.problem("jwks_url", "must not be set: a secret of HS256 is never published");
        }
        let secret = match (secret, file) {
            (Some(secret), None) => SecretString::from(secret),
            (None, Some(path)) => match read(&path) {
                Ok(SmallFile { text, is_world_readable }) => {
                    if is_world_readable {
                        table.warn("secret_file", "can be read by everybody on this machine: chmod 600");
                    }
                    without_line_end(text.expose_secret()).to_owned().into()
                }
                Err(why) => {
                    table.problem("secret_file", &format!("names a file that {why}"));
                    return None;
                }
            },
            (None, None) => {
                table.problem("secret", "must be set with HS256, or secret_file");
                return None;
            }
            (Some(_), Some(_)) => {
                table.problem("secret_file", "must not be set beside secret");
                return None;
            }
        };
        self.check_secret(table, &secret);
        Some(KeySettings::Secret(secret))
    }

    fn check_secret(&self, table: &mut Table<'_, '_>, secret: &SecretString) {
        let text = secret.expose_secret();
        if is_published(text) {
            table.problem("secret", "is published on the internet: anyone can sign with it");
        }
        if text.len() < MIN_SECRET_BYTES {
            let why = format!("is shorter than {MIN_SECRET_BYTES} bytes");
            if self.is_prod || text.is_empty() {
                table.problem("secret", &why);
            } else {
                table.warn("secret", &why);
            }
        }
        let own = self.config.tokens.secret.as_ref().map(ExposeSecret::expose_secret);
        if own == Some(text) {
            table.warn(
                "secret",
                "is JWT_SECRET_KEY: every service that checks tokens there could sign tokens of this server",
            );
        }
    }

    /// Keys come by HTTPS only: by HTTP anyone on the way could replace them. A stub on the same machine is the exception, for
    /// development.
    fn endpoint(&self, table: &mut Table<'_, '_>, url: &str) -> Option<Endpoint> {
        let rules = self.config.hook_rules;
        let allow_http = rules.allow_http && rules.allow_private_networks && is_loopback(url);
        match Endpoint::parse(url, Rules { allow_http, ..rules }) {
            Ok(endpoint) => Some(endpoint),
            Err(error) => {
                table.problem("jwks_url", &error.to_string());
                None
            }
        }
    }

    fn until(&self, table: &mut Table<'_, '_>) -> Option<DateTime<Utc>> {
        let text = table.date("until")?;
        let until = read_until(&text, self.config.zone);
        if until.is_none() {
            table.problem("until", "must be a date, such as 2027-01-31, or a time with its offset");
        }
        until
    }
}

fn is_name(text: &str) -> bool {
    let is_name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(is_name_char)
}

/// The name is in the audit log and the metrics.
fn name(table: &mut Table<'_, '_>) -> Option<String> {
    let name = table.required("name")?;
    if is_name(&name) {
        return Some(name);
    }
    table.problem("name", &format!("must be at most {LONGEST_NAME} small letters, digits and hyphens"));
    None
}

fn algorithm(table: &mut Table<'_, '_>) -> Option<KeyAlgorithm> {
    match table.required("algorithm")?.parse() {
        Ok(algorithm) => Some(algorithm),
        Err(error) => {
            table.problem("algorithm", &format!("{error}"));
            None
        }
    }
}

fn is_legacy(table: &mut Table<'_, '_>, is_bound: bool, until: Option<DateTime<Utc>>) -> bool {
    let is_legacy = table.flag("legacy");
    let days = LEGACY_FOR.num_days();
    if !is_bound && !is_legacy {
        table.problem(
            "legacy",
            "must be true where iss or aud is missing: a token for any other service with the same key opens accounts here",
        );
    }
    if is_bound && is_legacy {
        table.problem("legacy", "must not be true where iss and aud are set");
    }
    if is_legacy && until.is_none() {
        table.problem("until", &format!("must be set with legacy, to at most {days} days from now"));
    }
    is_legacy
}

fn identity(table: &mut Table<'_, '_>, is_legacy: bool, may_create: bool) -> Option<IdentityClaims> {
    let (id, phone, verified) =
        (table.text("id_claim"), table.text("phone_claim"), table.text("phone_verified_claim"));
    let (is_proof, is_without_plus) = (table.flag("phone_is_proof"), table.flag("phone_without_plus"));
    if phone.is_none() {
        for (key, is_given) in
            [("phone_verified_claim", verified.is_some()), ("phone_without_plus", is_without_plus)]
        {
            if is_given {
                table.problem(key, "has no effect without phone_claim");
            }
        }
    }
    let phone = phone.map(|claim| PhoneClaims { claim, verified, is_without_plus });
    if is_proof {
        if id.is_some() {
            table.problem("id_claim", "has no effect with phone_is_proof: the phone says who the user is");
        }
        if is_legacy {
            table.problem(
                "phone_is_proof",
                "must not be true with legacy: such a token may be for another service",
            );
        }
        if phone.is_none() {
            table.problem("phone_claim", "must be set with phone_is_proof");
        }
        return phone.map(IdentityClaims::Phone);
    }
    if let Some(phone) = &phone {
        if phone.verified.is_none() {
            table.problem(
                "phone_verified_claim",
                "must be set with phone_claim, unless phone_is_proof is true",
            );
        }
        if !may_create {
            table.warn(
                "phone_claim",
                "has no effect without may_create_accounts: only a new account gets a phone",
            );
        }
    }
    let claim = table.given(id, "id_claim", "must be set, unless phone_is_proof is true")?;
    Some(IdentityClaims::Id { claim, phone })
}

impl Config {
    /// The problems of settings that depend on the time.
    #[must_use]
    pub fn problems_at(&self, now: DateTime<Utc>) -> Vec<String> {
        let too_long = self.issuers.iter().filter(|known| known.issuer.is_legacy_for_too_long(now));
        let sentence = |known: &IssuerSettings| {
            let (name, days) = (&known.issuer.name, LEGACY_FOR.num_days());
            format!(
                "{SETTING}: issuer {name}: until must be at most {days} days from now, because legacy is true"
            )
        };
        too_long.map(sentence).collect()
    }

    /// Whether a problem is about the trusted issuers.
    #[must_use]
    pub fn is_about_issuers(problem: &str) -> bool {
        problem.starts_with(SETTING)
    }

    /// The trusted issuers whose end has passed.
    pub fn ended_issuers(&self, now: DateTime<Utc>) -> impl Iterator<Item = &str> {
        self.issuers
            .iter()
            .filter(move |known| known.issuer.is_over(now))
            .map(|known| known.issuer.name.as_str())
    }
}

/// A day, to its end, or a time.
fn read_until(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    end_of(text, zone).or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
}

fn is_loopback(url: &str) -> bool {
    match Url::parse(url).as_ref().map(Url::host) {
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        Ok(Some(Host::Domain(name))) => name == "localhost",
        Ok(None) | Err(_) => false,
    }
}

/// Whether the text of a file sets a secret.
fn has_secret(text: &str) -> bool {
    text.lines().any(|line| {
        line.trim_start().strip_prefix("secret").is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

/// One line end at the end of a file of a secret does not belong to it.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// A file. The error continues its name.
fn read(path: &str) -> Result<SmallFile, String> {
    files::read(path).map_err(|unusable| match unusable {
        Unusable::NotSmall => "is not a file of at most 64 KiB".to_owned(),
        Unusable::Unreadable(error) => format!("cannot be read: {error}"),
    })
}
