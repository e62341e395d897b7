//! Messages as staff see them in lists and on their own page. Their texts are never stored.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::{
    calendar::read_day,
    delivery::{Channel, DeliveryStatus, Platform, Price, UnreachableReason},
    phone::{PhoneNumber, Region},
    statistics::Day,
};

/// Stands for the country of a number that no country has.
pub const NO_COUNTRY: &str = "--";

/// The country of a number as rows and pages have it: two letters, or `--`.
#[must_use]
pub fn country_of(phone: &PhoneNumber) -> String {
    phone.region().map_or_else(|| NO_COUNTRY.to_owned(), |region| region.to_string())
}

/// What a provider said about a failure: its own words, with its code. `None` without words.
#[must_use]
pub fn said_by_provider(error_code: Option<i64>, error_text: Option<&str>) -> Option<String> {
    let text = error_text?;
    Some(match error_code {
        Some(code) => format!("error {code}: {text}"),
        None => format!("the provider said: {text}"),
    })
}

/// Which messages are wanted. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this status.
    pub status: Option<DeliveryStatus>,
    /// By this channel.
    pub channel: Option<Channel>,
    /// By this provider, as rows keep it.
    pub provider: Option<String>,
    /// With this error of the provider.
    pub error_code: Option<i64>,
    /// To numbers of this country.
    pub country: Option<String>,
    /// Created at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Created before this time.
    pub before: Option<DateTime<Utc>>,
}

/// A field of the filters that cannot be read, and a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterProblem {
    /// The name of the field.
    pub field: &'static str,
    /// What to write instead.
    pub text: &'static str,
}

impl Filter {
    /// Reads the fields `state`, `channel`, `provider`, `error`, `country`, `from` and `to`. A field that cannot be read
    /// filters nothing and is reported, so that the others still show their messages. Days are those of the time zone, both included.
    pub fn parse<'a>(given: impl Fn(&str) -> Option<&'a str>, zone: Tz) -> (Self, Vec<FilterProblem>) {
        let mut problems = Vec::new();
        let mut problem = |field, text| problems.push(FilterProblem { field, text });
        let mut filter = Self::default();
        if let Some(text) = given("state") {
            filter.status = text.parse().ok();
            if filter.status.is_none() {
                problem("state", "Choose one of the states.");
            }
        }
        if let Some(text) = given("channel") {
            filter.channel = text.parse().ok();
            if filter.channel.is_none() {
                problem("channel", "Choose one of the channels.");
            }
        }
        if let Some(text) = given("provider") {
            filter.provider = provider(text);
            if filter.provider.is_none() {
                problem("provider", "Choose one of the providers.");
            }
        }
        if let Some(text) = given("error") {
            filter.error_code = error_code(text);
            if filter.error_code.is_none() {
                problem("error", "Write the provider's code in digits, such as 30003.");
            }
        }
        if let Some(text) = given("country") {
            filter.country = country(text);
            if filter.country.is_none() {
                problem("country", "Write the two letters of a country, such as IN.");
            }
        }
        let mut day = |field| {
            let text = given(field)?;
            let date = read_day(text);
            if date.is_none() {
                problem(field, "Write the day as 2026-03-14.");
            }
            date
        };
        let (from, to) = (day("from"), day("to"));
        filter.since = from.map(|date| Day::from_date(date, zone).begins_at);
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            problem("to", "The last day must not be before the first.");
        } else {
            filter.before = to.map(|date| Day::from_date(date, zone).ends_at);
        }
        (filter, problems)
    }
}

/// A name as rows keep it. Which there are is not known here.
fn provider(text: &str) -> Option<String> {
    let is_name = (1..=16).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_name.then(|| text.to_owned())
}

/// Providers' codes have up to six digits.
fn error_code(text: &str) -> Option<i64> {
    let is_code = text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_code.then(|| text.parse().ok()).flatten()
}

fn country(text: &str) -> Option<String> {
    if text == NO_COUNTRY {
        return Some(text.to_owned());
    }
    text.parse::<Region>().ok().map(|region| region.to_string())
}

/// A message in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The recipient. A list shows it masked.
    pub phone: PhoneNumber,
    /// The channel.
    pub channel: Channel,
    /// The status.
    pub status: DeliveryStatus,
    /// The provider.
    pub provider: String,
    /// The provider's code of the failure.
    pub error_code: Option<i64>,
    /// The provider's words about it.
    pub error_text: Option<String>,
    /// What the failure says about the number.
    pub reason: Option<UnreachableReason>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When the phone received it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When its code was used.
    pub verified_at: Option<DateTime<Utc>>,
}

/// Everything about a message.
#[derive(Debug, Clone)]
pub struct Details {
    /// What a list shows.
    pub listed: Listed,
    /// The delivery that it belongs to.
    pub delivery_id: Option<Uuid>,
    /// Its number within the delivery, from 1.
    pub attempt: i64,
    /// Whether it carries a code.
    pub has_code: bool,
    /// The name of its template.
    pub template: String,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// The language of its text.
    pub language: String,
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// How many segments the provider counts.
    pub segments: Option<i64>,
    /// The price.
    pub price: Option<Price>,
    /// The statuses that it has had since it was created, with their times, oldest first.
    pub reached: Vec<(DeliveryStatus, DateTime<Utc>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(fields: &[(&str, &'static str)]) -> (Filter, Vec<&'static str>) {
        let given = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let (filter, problems) = Filter::parse(given, Tz::Asia__Kolkata);
        (filter, problems.iter().map(|problem| problem.field).collect())
    }

    #[test]
    fn every_field_is_read() {
        let fields = [
            ("state", "failed"),
            ("channel", "call"),
            ("provider", "msg91"),
            ("error", "30003"),
            ("country", "in"),
            ("from", "2026-03-14"),
            ("to", "2026-03-14"),
        ];
        let time = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).ok();
        let expected = Filter {
            status: Some(DeliveryStatus::Failed),
            channel: Some(Channel::Call),
            provider: Some("msg91".to_owned()),
            error_code: Some(30_003),
            country: Some("IN".to_owned()),
            since: time("2026-03-13T18:30:00Z"),
            before: time("2026-03-14T18:30:00Z"),
        };
        assert_eq!(parse(&fields), (expected, vec![]));
        assert_eq!(parse(&[]), (Filter::default(), vec![]));
        assert_eq!(parse(&[("country", "--")]).0.country.as_deref(), Some("--"));
    }

    #[test]
    fn a_wrong_field_is_named_and_the_others_count() {
        for (field, value) in [
            ("state", "gone"),
            ("channel", "fax"),
            ("provider", "MSG 91"),
            ("provider", "a_name_that_is_long"),
            ("error", "30003x"),
            ("error", "-1"),
            ("error", "9999999999"),
            ("country", "XX"),
            ("country", "India"),
            ("from", "14.3.2026"),
            ("from", "2026-02-30"),
            ("to", "2026-3-14"),
        ] {
            let (filter, problems) = parse(&[(field, value)]);
            assert_eq!((filter, problems), (Filter::default(), vec![field]), "{field}={value}");
        }
        let (filter, problems) = parse(&[("from", "2026-03-14"), ("to", "2026-03-13"), ("state", "sent")]);
        assert_eq!(problems, ["to"]);
        assert!(filter.since.is_some() && filter.before.is_none() && filter.status.is_some());
    }
}
