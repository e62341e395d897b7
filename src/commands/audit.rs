//! `loopin-auth audit`: prints the audit log, and follows it. Reads only; dropping old months is for `flows`.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io::{self, Write},
    net::IpAddr,
    str::FromStr,
    time::Duration as StdDuration,
};

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    clock::Clock,
    config::Config,
    domain::{
        address::ClientAddress,
        audit::{Action, Entry, Filter, Place},
        calendar::start_of_day,
        phone::PhoneNumber,
        pseudonym::Pseudonyms,
    },
    store::{self, Store, StoreError, Unready},
};

/// How many entries are read at once.
const PAGE: u64 = 500;

/// How often somebody who follows is told what is new.
const POLL: StdDuration = StdDuration::from_millis(500);

/// How far back is looked for what is new: an entry is written a moment after it happened, and one of a request that
/// waited for its provider half a minute after.
const LATE: i64 = 60;

/// What was said on the command line.
#[derive(Debug)]
pub struct Said {
    /// From when on.
    pub since: Option<Since>,
    /// Of which kind.
    pub action: Option<Action>,
    /// About which account, or by it.
    pub user: Option<Uuid>,
    /// About which phone, as a person writes it.
    pub phone: Option<String>,
    /// From which address.
    pub address: Option<IpAddr>,
    /// How many at most, the newest.
    pub limit: u64,
    /// Whether to go on with what is new.
    pub follow: bool,
    /// Whether as JSON, an entry a line.
    pub json: bool,
}

impl Said {
    fn why_nothing(&self) -> &'static str {
        let Self { since, action, user, phone, address, .. } = self;
        let has_condition =
            since.is_some() || action.is_some() || user.is_some() || phone.is_some() || address.is_some();
        if has_condition { "no entry of the audit log fits all conditions" } else { "the audit log is empty" }
    }
}

/// From when on: so long ago, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// From the beginning of this day.
    Day(NaiveDate),
    /// From this time on.
    Time(DateTime<Utc>),
}

/// It is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be like 30m, 2h or 7d, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z")]
pub struct NoTime;

impl FromStr for Since {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        let unit = text.chars().next_back().ok_or(NoTime)?;
        let number: u32 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or(NoTime)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(NoTime),
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

/// Why nothing, or no more, is printed.
#[derive(Debug, Error)]
pub enum RequestError {
    /// There is no table to read.
    #[error("the database is not migrated: run `loopin-auth migrate` first")]
    NoSchema,
    /// The number is none.
    #[error("--phone: {0}")]
    Phone(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database, before it was used.
    #[error("the database cannot be used")]
    Unready(#[from] Unready),
    /// Whoever reads has gone, or the disk is full.
    #[error("the entries cannot be printed")]
    Print(#[from] io::Error),
}

/// Prints the entries that are asked for, the newest last, and goes on if that is asked for. Whoever reads only the
/// beginning has what she wants. That there is nothing to print goes to `notes`, which no program reads.
///
/// # Errors
/// See [`RequestError`].
pub async fn print(
    config: &Config,
    said: &Said,
    clock: &Clock,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> Result<(), RequestError> {
    match Printer::new(config, said, clock).await?.run(said, clock, out, notes).await {
        Err(RequestError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
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
    async fn new(config: &Config, said: &Said, clock: &Clock) -> Result<Self, RequestError> {
        let phones = match &said.phone {
            Some(text) => {
                let phone = PhoneNumber::parse(text, config.region)
                    .map_err(|error| RequestError::Phone(error.to_string()))?;
                let pseudonyms = Pseudonyms::derive(&config.secret_key, &config.secret_key_fallbacks);
                Some(pseudonyms.phone_with_all(&phone))
            }
            None => None,
        };
        let Some(store) = Store::look(&config.database).await? else { return Err(RequestError::NoSchema) };
        if !store.find_migrations().await?.pending.is_empty() {
            return Err(RequestError::NoSchema);
        }
        let since = said.since.map(|since| since.time(clock.now(), config.zone));
        let filter = Filter {
            since,
            action: said.action,
            user_id: said.user,
            phones,
            address: said.address.map(ClientAddress::new),
        };
        Ok(Self { store, filter, zone: config.zone, is_json: said.json })
    }

    async fn run(
        &self,
        said: &Said,
        clock: &Clock,
        out: &mut impl Write,
        notes: &mut impl Write,
    ) -> Result<(), RequestError> {
        // Before reading: what is written meanwhile is found when following.
        let started = clock.now();
        let entries = self.newest(said.limit).await?;
        for entry in &entries {
            self.line(entry, out)?;
        }
        out.flush()?;
        if entries.is_empty() {
            writeln!(notes, "{}", said.why_nothing())?;
        }
        if said.follow { self.follow(&entries, started, out).await } else { Ok(()) }
    }

    /// The newest so many, oldest first.
    async fn newest(&self, limit: u64) -> Result<Vec<Entry>, RequestError> {
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

    /// Prints what is new, until nobody reads any more. Entries are not written in the order in which things happened, so
    /// the last minute is looked through each time for what was not there before.
    async fn follow(
        &self,
        printed: &[Entry],
        started: DateTime<Utc>,
        out: &mut impl Write,
    ) -> Result<(), RequestError> {
        let late = Duration::seconds(LATE);
        let mut seen: BTreeSet<Place> = printed.iter().map(Entry::place).collect();
        // What the limit left out is not new.
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
            writeln!(out, "{}", in_json(entry))
        } else {
            writeln!(out, "{}", self.in_text(entry))
        }
    }

    /// `2026-11-21 14:56:53.589 +0530  signed_in  person 0199…  …`
    fn in_text(&self, entry: &Entry) -> String {
        let at = entry.at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M:%S%.3f %z");
        let mut line = format!("{at}  {:21}  {}", entry.action, entry.actor_kind);
        let mut tell = |name: &str, value: &dyn Display| line.extend([" ", name, "=", &value.to_string()]);
        if let Some(id) = entry.actor_id.filter(|id| Some(*id) != entry.user_id) {
            tell("by", &id);
        }
        if let Some(id) = entry.user_id {
            tell("user", &id);
        }
        if let Some(phone) = &entry.phone_masked {
            tell("phone", phone);
        }
        if let Some(address) = &entry.address {
            tell("from", address);
        }
        for (name, value) in entry.detail.iter() {
            match value {
                Value::String(text) => tell(name, text),
                // All settings are for the program; a person reads what changed.
                _ if name == "settings" => {}
                _ => tell(name, value),
            }
        }
        line
    }
}

/// Every column by its name; what is not there is null.
fn in_json(entry: &Entry) -> Value {
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
            assert_eq!(text.parse::<Since>(), Err(NoTime), "{text}");
        }
    }
}
