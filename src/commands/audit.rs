//! `loopin-auth audit`: prints and follows the audit log; `audit drop` drops old months.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io::{self, Write},
    net::IpAddr,
    process::ExitCode,
    str::FromStr,
    time::Duration as StdDuration,
};

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use super::{CommandError, Context, NOT_MIGRATED, output, runtime};
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        address::ClientAddress,
        audit::{Action, Actor, Entry, Filter, Month, Place},
        calendar::start_of_day,
        phone::PhoneNumber,
        pseudonym::Pseudonyms,
    },
    flows::audit::{self as audit_log, Dropped},
    store::{self, Store, StoreError, Unready},
};

/// How many entries a query reads.
const PAGE: u64 = 500;

/// How often `--follow` looks for new entries.
const POLL: StdDuration = StdDuration::from_millis(500);

/// How far back `--follow` looks, in seconds: an entry is written shortly after its event, and up to half a minute later if
/// the request waited for the SMS provider.
const LATE: i64 = 60;

/// Which entries are printed, and how.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Start: 30m, 2h or 7d ago, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z
    #[arg(long)]
    pub since: Option<Since>,
    /// One action.
    // The help is not from the doc comment: clap would add all possible names to it.
    #[arg(long, help = "Only this action, such as signed_in or refresh_reused")]
    pub action: Option<Action>,
    /// Only entries about this account or by it (UUID)
    #[arg(long)]
    pub user: Option<Uuid>,
    /// Only entries about this phone: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
    #[arg(long)]
    pub phone: Option<String>,
    /// Only entries from this client address
    #[arg(long)]
    pub address: Option<IpAddr>,
    /// The maximum number of entries: the newest
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Continue with new entries as they are written
    #[arg(long)]
    pub follow: bool,
    /// Print each entry as a line of JSON, with times in UTC
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// The sentence that is printed when there are no entries.
    fn empty_notice(&self) -> &'static str {
        let Self { since, action, user, phone, address, .. } = self;
        let has_condition =
            since.is_some() || action.is_some() || user.is_some() || phone.is_some() || address.is_some();
        if has_condition { "no entry of the audit log fits all conditions" } else { "the audit log is empty" }
    }
}

/// The time of the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(Duration),
    /// The beginning of this day.
    Day(NaiveDate),
    /// This time.
    Time(DateTime<Utc>),
}

/// The text is not a [`Since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be like 30m, 2h or 7d, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z")]
pub struct InvalidSince;

impl FromStr for Since {
    type Err = InvalidSince;

    fn from_str(text: &str) -> Result<Self, InvalidSince> {
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        let unit = text.chars().next_back().ok_or(InvalidSince)?;
        let number: u32 =
            text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or(InvalidSince)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(InvalidSince),
        };
        Ok(Self::Ago(Duration::seconds(i64::from(number) * seconds)))
    }
}

impl Since {
    fn time(self, now: DateTime<Utc>, zone: chrono_tz::Tz) -> DateTime<Utc> {
        match self {
            Self::Ago(long) => now - long,
            Self::Time(time) => time,
            Self::Day(day) => start_of_day(day, zone),
        }
    }
}

/// Why entries cannot be printed.
#[derive(Debug, Error)]
pub enum AuditError {
    /// There is no table to read.
    #[error("the database is not migrated: run `loopin-auth migrate` first")]
    NoSchema,
    /// `--phone` is not a phone number.
    #[error("--phone: {0}")]
    Phone(String),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database cannot be opened.
    #[error("the database cannot be used")]
    Unready(#[from] Unready),
    /// The reader has gone, or the disk is full.
    #[error("the entries cannot be printed")]
    Print(#[from] io::Error),
}

/// Prints entries of the audit log.
///
/// # Errors
/// When the settings are wrong, or an [`AuditError`].
pub fn run(context: &Context, options: &Options) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    if options.phone.is_some() {
        context.require_secret_key("no entry about a phone can be found")?;
    }
    let (mut out, mut notices) = (io::stdout(), io::stderr());
    runtime()?.block_on(print(&config, options, &context.clock, &mut out, &mut notices))?;
    Ok(ExitCode::SUCCESS)
}

/// Drops all months before a month.
///
/// # Errors
/// When the settings are wrong, the month is not over, or the database is not migrated or does not answer.
pub fn drop_months(context: &Context, before: Month) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    let dropped = runtime()?.block_on(async {
        let services = context.services(&config).await?;
        Ok::<_, CommandError>(audit_log::drop_before(&services, before, Actor::Command).await?)
    })?;
    match dropped {
        Dropped::Entries(entries) => {
            output::print(format_args!("dropped {entries} entries of before {before}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Dropped::NotYet(not_yet) => Err(not_yet.into()),
        Dropped::NoSchema => Err(NOT_MIGRATED.into()),
    }
}

/// Prints entries, the newest last, and follows if `--follow` is given. That the reader of `out` has gone is not an error.
/// The notice that there are no entries goes to `notices`, so that programs that read `out` do not see it.
///
/// # Errors
/// See [`AuditError`].
async fn print(
    config: &Config,
    options: &Options,
    clock: &Clock,
    out: &mut impl Write,
    notices: &mut impl Write,
) -> Result<(), AuditError> {
    match Printer::new(config, options, clock).await?.run(options, clock, out, notices).await {
        Err(AuditError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

struct Printer {
    store: Store,
    filter: Filter,
    zone: chrono_tz::Tz,
    is_json: bool,
}

impl Printer {
    async fn new(config: &Config, options: &Options, clock: &Clock) -> Result<Self, AuditError> {
        let phones = match &options.phone {
            Some(text) => {
                let phone = PhoneNumber::parse(text, config.region)
                    .map_err(|error| AuditError::Phone(error.to_string()))?;
                let pseudonyms = Pseudonyms::derive(&config.secret_key, &config.secret_key_fallbacks);
                Some(pseudonyms.phone_with_all(&phone))
            }
            None => None,
        };
        let Some(store) = Store::look(&config.database).await? else { return Err(AuditError::NoSchema) };
        if !store.find_migrations().await?.pending.is_empty() {
            return Err(AuditError::NoSchema);
        }
        let since = options.since.map(|since| since.time(clock.now(), config.zone));
        let filter = Filter {
            since,
            action: options.action,
            user_id: options.user,
            phones,
            address: options.address.map(ClientAddress::new),
            ..Filter::default()
        };
        Ok(Self { store, filter, zone: config.zone, is_json: options.json })
    }

    async fn run(
        &self,
        options: &Options,
        clock: &Clock,
        out: &mut impl Write,
        notices: &mut impl Write,
    ) -> Result<(), AuditError> {
        // Taken before reading, so that `follow` finds what is written meanwhile.
        let started = clock.now();
        let entries = self.newest(options.limit).await?;
        for entry in &entries {
            self.line(entry, out)?;
        }
        out.flush()?;
        if entries.is_empty() {
            writeln!(notices, "{}", options.empty_notice())?;
        }
        if options.follow { self.follow(&entries, started, out).await } else { Ok(()) }
    }

    /// The newest entries, at most `limit`, oldest first.
    async fn newest(&self, limit: u64) -> Result<Vec<Entry>, AuditError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let missing = limit.saturating_sub(u64::try_from(entries.len()).unwrap_or(u64::MAX));
            let size = missing.min(PAGE);
            if size == 0 {
                break;
            }
            let before = entries.last().map(Entry::place);
            let page = store::audit::list_before(&self.store, &self.filter, before, size).await?;
            let is_last = u64::try_from(page.len()).unwrap_or_default() < size;
            entries.extend(page);
            if is_last {
                break;
            }
        }
        entries.reverse();
        Ok(entries)
    }

    /// Prints new entries until the reader has gone. Entries are not written in the order of their events, so each poll
    /// reads the last minute again and prints what it has not seen.
    async fn follow(
        &self,
        printed: &[Entry],
        started: DateTime<Utc>,
        out: &mut impl Write,
    ) -> Result<(), AuditError> {
        let late = Duration::seconds(LATE);
        let mut seen: BTreeSet<Place> = printed.iter().map(Entry::place).collect();
        // Entries that the limit left out are not new.
        let mut from = printed.first().map_or(started - late, |oldest| oldest.at.max(started - late));
        let mut newest = printed.last().map_or(started, |entry| entry.at.max(started));
        loop {
            let filter = self.since(from);
            let mut after = None;
            loop {
                let page = store::audit::list_after(&self.store, &filter, after, PAGE).await?;
                for entry in page.iter().filter(|entry| seen.insert(entry.place())) {
                    self.line(entry, out)?;
                    newest = newest.max(entry.at);
                }
                after = page.last().map(Entry::place);
                if u64::try_from(page.len()).unwrap_or_default() < PAGE {
                    break;
                }
            }
            out.flush()?;
            from = from.max(newest - late);
            seen = seen.split_off(&Place(from, Uuid::nil()));
            tokio::time::sleep(POLL).await;
        }
    }

    fn since(&self, time: DateTime<Utc>) -> Filter {
        let since = self.filter.since.map_or(time, |since| since.max(time));
        Filter { since: Some(since), ..self.filter.clone() }
    }

    fn line(&self, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        if self.is_json {
            writeln!(out, "{}", to_json(entry))
        } else {
            writeln!(out, "{}", self.to_text(entry))
        }
    }

    /// `2026-11-21 14:56:53.589 +0530  signed_in  person 0199…  …`
    fn to_text(&self, entry: &Entry) -> String {
        let at = entry.at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S%.3f %z");
        let mut line = format!("{at}  {:21}  {}", entry.action, entry.actor_kind);
        let mut add = |name: &str, value: &dyn Display| line.extend([" ", name, "=", &value.to_string()]);
        if let Some(id) = entry.actor_id.filter(|id| Some(*id) != entry.user_id) {
            add("by", &id);
        }
        if let Some(id) = entry.user_id {
            add("user", &id);
        }
        if let Some(phone) = &entry.phone_masked {
            add("phone", phone);
        }
        if let Some(address) = &entry.address {
            add("from", address);
        }
        for (name, value) in entry.detail.iter() {
            match value {
                Value::String(text) => add(name, text),
                // The complete settings are for the program; `changed` is for people.
                _ if name == "settings" => {}
                _ => add(name, value),
            }
        }
        line
    }
}

/// All columns by name; missing values are null.
fn to_json(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "at": entry.at.to_rfc3339_opts(SecondsFormat::Micros, false),
        "action": entry.action,
        "actor_kind": entry.actor_kind,
        "actor_id": entry.actor_id.map(|id| id.to_string()),
        "user_id": entry.user_id.map(|id| id.to_string()),
        "phone_mark": entry.phone_mark,
        "phone_masked": entry.phone_masked,
        "address": entry.address,
        "detail": entry.detail.json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_several_ways() {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let zone = chrono_tz::Asia::Kolkata;
        for (text, expected) in [
            ("90s", "2026-11-21T11:58:30Z"),
            ("30m", "2026-11-21T11:30:00Z"),
            ("2h", "2026-11-21T10:00:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
            // Midnight in India.
            ("2026-11-01", "2026-10-31T18:30:00Z"),
            ("2026-11-01T12:00:00+05:30", "2026-11-01T06:30:00Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.time(now, zone), expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for text in ["", "h", "2", "2w", "-2h", "+2h ", "2é", "yesterday", "2026-13-01", "99999999999d"] {
            assert_eq!(text.parse::<Since>(), Err(InvalidSince), "{text}");
        }
    }
}
