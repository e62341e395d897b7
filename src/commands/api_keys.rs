//! `loopin-auth api-keys`: the keys of other services.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{CommandError, Context, output::print, runtime};
use crate::{
    domain::{
        api_key::{ApiKey, KeyLimits, KeyName, Scope},
        budget::MOST_OF_A_LIMIT,
        phone::Region,
    },
    flows::api_keys::{self, Made, NewKey},
};

/// The most messages of a day.
const MOST_OF_A_DAY: i64 = 1_000_000;

/// A key to create.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The name of the service, which staff see beside what it asks for
    #[arg(long, value_parser = KeyName::parse)]
    pub name: KeyName,
    /// What the key allows: verifications, introspect; can be given again
    #[arg(long = "scope", required = true, value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// The most codes in an hour
    #[arg(long, default_value_t = KeyLimits::default().sends_per_hour, value_parser = in_an_hour())]
    pub sends_per_hour: i64,
    /// The most wrong codes in an hour, at all phones
    #[arg(long, default_value_t = KeyLimits::default().wrong_codes_per_hour, value_parser = in_an_hour())]
    pub wrong_codes_per_hour: i64,
    /// The most codes in a day of `TIME_ZONE`
    #[arg(long, default_value_t = KeyLimits::default().sends_per_day, value_parser = clap::value_parser!(i64).range(1..=MOST_OF_A_DAY))]
    pub sends_per_day: i64,
    /// A country that the key may send to, such as IN; can be given again. Without one: all of `SMS_ALLOWED_COUNTRIES`
    #[arg(long = "country")]
    pub countries: Vec<Region>,
    /// Print the key and its limits as JSON
    #[arg(long)]
    pub json: bool,
}

fn in_an_hour() -> clap::builder::RangedI64ValueParser {
    clap::value_parser!(i64).range(1..=i64::try_from(MOST_OF_A_LIMIT).unwrap_or(i64::MAX))
}

fn scope(text: &str) -> Result<Scope, String> {
    let names = Scope::ALL.map(Scope::as_str).join(" or ");
    Scope::named(text).ok_or_else(|| format!("must be {names}"))
}

/// Creates a key and prints it.
///
/// # Errors
/// When the settings are wrong, the database is not migrated or does not answer, or the name is taken.
pub fn create(context: &Context, options: Options) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let (is_json, new) = (options.json, new(options));
    let made = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        Ok::<_, CommandError>(api_keys::make(&services, new).await?)
    })?;
    let Made::Done(key, secret) = made else {
        return Err("a live key has this name: end it first, or choose another".into());
    };
    let secret = secret.expose().expose_secret();
    print(if is_json { format!("{}\n", line(&key, Some(secret))) } else { said(&key, secret) })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints all keys, live and ended.
///
/// # Errors
/// When the settings are wrong, or the database is not migrated or does not answer.
pub fn list(context: &Context, is_json: bool) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let keys = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        Ok::<_, CommandError>(api_keys::list(&services).await?)
    })?;
    let lines = || keys.iter().map(|key| line(key, None).to_string() + "\n").collect();
    print(if is_json { lines() } else { table(&keys, config.zone) })?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the live key with this name.
///
/// # Errors
/// When the settings are wrong, the database is not migrated or does not answer, or there is no such key.
pub fn end(context: &Context, name: &KeyName) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let is_ended = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        Ok::<_, CommandError>(api_keys::end(&services, name.clone()).await?)
    })?;
    if !is_ended {
        return Err("no live key has this name: `loopin-auth api-keys list`".into());
    }
    print(format_args!("the key of {name} is ended\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn new(options: Options) -> NewKey {
    let Options { name, mut scopes, sends_per_hour, wrong_codes_per_hour, sends_per_day, countries, json: _ } =
        options;
    scopes.sort_by_key(|scope| scope.as_str());
    scopes.dedup();
    NewKey {
        name,
        scopes,
        limits: KeyLimits { sends_per_hour, wrong_codes_per_hour, sends_per_day, countries },
    }
}

/// What is printed about a new key. The key stands alone in its line.
#[must_use]
pub fn said(key: &ApiKey, secret: &str) -> String {
    format!(
        "The API key of {}. It is shown only now: keep it where the service keeps its secrets.\n{secret}\n",
        key.name
    )
}

/// The keys, one per line.
#[must_use]
pub fn table(keys: &[ApiKey], zone: chrono_tz::Tz) -> String {
    let mut table = format!(
        "{:<24}{:<26}{:>7}{:>7}{:>9}  {:<12}{:<27}{:<27}ENDED\n",
        "NAME", "SCOPES", "SENDS", "WRONG", "PER DAY", "COUNTRIES", "CREATED", "LAST USED"
    );
    let local = |time: DateTime<Utc>| time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
    for key in keys {
        let KeyLimits { sends_per_hour, wrong_codes_per_hour, sends_per_day, .. } = key.limits;
        let countries =
            if key.limits.countries.is_empty() { "all".to_owned() } else { countries(key).join(",") };
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), local);
        let row = format!(
            "{:<24}{:<26}{sends_per_hour:>7}{wrong_codes_per_hour:>7}{sends_per_day:>9}  {countries:<12}{:<27}{used:<27}{}",
            key.name.as_str(),
            scopes(key).join(","),
            local(key.created_at),
            key.ended_at.map(local).unwrap_or_default(),
        );
        table.push_str(row.trim_end());
        table.push('\n');
    }
    table
}

fn scopes(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.iter().map(|scope| scope.as_str()).collect()
}

fn countries(key: &ApiKey) -> Vec<String> {
    key.limits.countries.iter().map(ToString::to_string).collect()
}

/// A key as JSON. The secret is known only when it is created.
fn line(key: &ApiKey, secret: Option<&str>) -> Value {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, false);
    let mut line = json!({
        "name": key.name.as_str(),
        "scopes": scopes(key),
        "sends_per_hour": key.limits.sends_per_hour,
        "wrong_codes_per_hour": key.limits.wrong_codes_per_hour,
        "sends_per_day": key.limits.sends_per_day,
        "countries": countries(key),
        "created_at": time(key.created_at),
        "last_used_at": key.last_used_at.map(time),
        "ended_at": key.ended_at.map(time),
    });
    if let (Some(line), Some(secret)) = (line.as_object_mut(), secret) {
        line.insert("key".to_owned(), secret.into());
    }
    line
}
