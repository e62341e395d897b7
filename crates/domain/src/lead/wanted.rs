//! Which leads a list shows, and in which order: read from a query, with an error for each field that is wrong. A wrong field
//! filters nothing, so that the rest of the list stays.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::{NO_COUNTRY, Source, State};
use crate::{
    calendar::{read_day, start_of_day},
    phone::Region,
    search::Lookup,
};

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// By the last request, the newest first.
    #[default]
    LastNewest,
    /// By the last request, the oldest first.
    LastOldest,
    /// By the first request, the newest first.
    FirstNewest,
    /// By the first request, the oldest first.
    FirstOldest,
}

impl Sort {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::LastNewest, Self::LastOldest, Self::FirstNewest, Self::FirstOldest];

    /// The name in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LastNewest => "-last",
            Self::LastOldest => "last",
            Self::FirstNewest => "-first",
            Self::FirstOldest => "first",
        }
    }
}

/// Which leads are wanted. A lead must satisfy every given field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A number, a part of one, a name, or the id of a lead. The name is the lead's, or that of the account with its phone.
    pub search: Option<Lookup>,
    /// In this state.
    pub state: Option<State>,
    /// Verified, or not.
    pub is_verified: Option<bool>,
    /// With a number of this country: two letters, or [`NO_COUNTRY`].
    pub country: Option<String>,
    /// From this endpoint.
    pub source: Option<Source>,
    /// First request at this time or later.
    pub first_from: Option<DateTime<Utc>>,
    /// First request before this time.
    pub first_before: Option<DateTime<Utc>>,
    /// Last request at this time or later.
    pub last_from: Option<DateTime<Utc>>,
    /// Last request before this time.
    pub last_before: Option<DateTime<Utc>>,
}

/// A filter and an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Which leads.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
}

/// What is wrong with a field of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The name of the parameter.
    pub field: &'static str,
    /// A sentence for the user.
    pub message: String,
}

impl Wanted {
    /// The parameters of a query that filter or sort.
    pub const FIELDS: [&'static str; 10] = [
        "q",
        "state",
        "verified",
        "country",
        "source",
        "first_from",
        "first_to",
        "last_from",
        "last_to",
        "sort",
    ];

    /// Reads the parameters of a query. A parameter that is missing or blank filters nothing. Dates are days of the zone.
    pub fn parse<'a>(
        text: impl Fn(&str) -> Option<&'a str>,
        region: Region,
        zone: Tz,
    ) -> (Self, Vec<FieldProblem>) {
        let mut problems = Vec::new();
        let mut query = Query { text, problems: &mut problems };
        let first = query.days("first_from", "first_to");
        let last = query.days("last_from", "last_to");
        let begins = |day: Option<NaiveDate>| day.map(|day| start_of_day(day, zone));
        let after = |day: Option<NaiveDate>| begins(day.and_then(|day| day.succ_opt()));
        let filter = Filter {
            search: query.read("q", |text| Lookup::parse(text, region).map_err(|error| error.to_string())),
            state: query.read("state", |text| text.parse().map_err(|error| format!("State {error}"))),
            is_verified: query.read("verified", |text| match text {
                "yes" => Ok(true),
                "no" => Ok(false),
                _ => Err("Verified must be yes or no".to_owned()),
            }),
            country: query.read("country", country),
            source: query.read("source", |text| text.parse().map_err(|error| format!("Source {error}"))),
            first_from: begins(first.0),
            first_before: after(first.1),
            last_from: begins(last.0),
            last_before: after(last.1),
        };
        let sort = query.read("sort", |text| {
            let known = Sort::ALL.into_iter().find(|sort| sort.as_str() == text);
            known.ok_or_else(|| format!("Sort must be one of {}", Sort::ALL.map(Sort::as_str).join(", ")))
        });
        (Self { filter, sort: sort.unwrap_or_default() }, problems)
    }
}

/// The parameters of a query, and what is wrong with those that were read.
struct Query<'q, F> {
    text: F,
    problems: &'q mut Vec<FieldProblem>,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> Query<'_, F> {
    fn read<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = (self.text)(field).map(str::trim).filter(|text| !text.is_empty())?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problems.push(FieldProblem { field, message });
                None
            }
        }
    }

    /// Two days, the second of which is not before the first.
    fn days(&mut self, from: &'static str, to: &'static str) -> (Option<NaiveDate>, Option<NaiveDate>) {
        let first = self.read(from, day);
        let last = self.read(to, day);
        if let (Some(first), Some(last)) = (first, last)
            && last < first
        {
            let message = "The last day must not be before the first".to_owned();
            self.problems.push(FieldProblem { field: to, message });
            return (Some(first), None);
        }
        (first, last)
    }
}

fn day(text: &str) -> Result<NaiveDate, String> {
    read_day(text).ok_or_else(|| "A day must be written as YYYY-MM-DD, such as 2026-03-14".to_owned())
}

fn country(text: &str) -> Result<String, String> {
    if text == NO_COUNTRY {
        return Ok(text.to_owned());
    }
    let region: Result<Region, _> = text.parse();
    region.map(|region| region.to_string()).map_err(|error| format!("Country {error}"))
}
