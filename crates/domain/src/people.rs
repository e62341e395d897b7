//! The list of people in the admin console: what it is filtered by, and in which order. A filter that cannot be read is left
//! out and named, so that the rest of the list stays.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::{
    account::Role,
    calendar::{read_day, start_of_day},
    phone::Region,
    search::{Lookup, LookupError},
};

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest account first.
    #[default]
    Newest,
    /// The last sign-in by a code first; an account without one counts from its creation.
    LastSignIn,
    /// By the name of the profile; accounts without one come last.
    Name,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Newest, Self::LastSignIn, Self::Name];

    /// The name in queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::LastSignIn => "last-sign-in",
            Self::Name => "name",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == name)
    }
}

/// A filter for accounts. An account must satisfy every given field.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Its numbers, names, e-mail address or id.
    pub lookup: Lookup,
    /// Its role.
    pub role: Option<Role>,
    /// Whether it may be used.
    pub is_active: Option<bool>,
    /// Whether it has a verified phone.
    pub has_phone: Option<bool>,
    /// Whether its profile is completed.
    pub is_complete: Option<bool>,
    /// Created at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Created before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// The order of the list.
    pub order: Order,
}

/// What was typed into the fields of the filter. An empty text means all.
#[derive(Clone, Copy, Default)]
pub struct Typed<'a> {
    /// A number, a part of one, words of a name, or an id.
    pub search: &'a str,
    /// `guest`, `user`, `staff` or `admin`.
    pub role: &'a str,
    /// `active` or `inactive`.
    pub state: &'a str,
    /// `verified` or `none`.
    pub phone: &'a str,
    /// `complete` or `incomplete`.
    pub profile: &'a str,
    /// The first day, `YYYY-MM-DD`.
    pub from: &'a str,
    /// The last day.
    pub to: &'a str,
    /// The name of an [`Order`].
    pub order: &'a str,
}

/// A field of the filter that cannot be read: its name, and a sentence for staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The name of the field.
    pub field: &'static str,
    /// What is wrong.
    pub sentence: String,
}

impl Filter {
    /// Whether it leaves out any account.
    #[must_use]
    pub fn is_set(&self) -> bool {
        let flags = [self.is_active, self.has_phone, self.is_complete];
        self.lookup != Lookup::Everything
            || self.role.is_some()
            || self.created_from.or(self.created_before).is_some()
            || flags.iter().any(Option::is_some)
    }

    /// Reads what was typed, and what is wrong with it.
    #[must_use]
    pub fn read(typed: Typed<'_>, region: Region, zone: Tz) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let lookup = Lookup::parse(typed.search, region).unwrap_or_else(|error: LookupError| {
            problems.push(Problem { field: "search", sentence: error.to_string() });
            Lookup::Everything
        });
        let first = day("from", typed.from, &mut problems);
        let last = day("to", typed.to, &mut problems);
        if let (Some(first), Some(last)) = (first, last)
            && last < first
        {
            let sentence = "The last day is before the first day".to_owned();
            problems.push(Problem { field: "to", sentence });
        }
        let after_last = last.and_then(|day| day.succ_opt());
        let filter = Self {
            lookup,
            role: choice("role", typed.role, Role::parse, &mut problems),
            is_active: choice("state", typed.state, either("active", "inactive"), &mut problems),
            has_phone: choice("phone", typed.phone, either("verified", "none"), &mut problems),
            is_complete: choice("profile", typed.profile, either("complete", "incomplete"), &mut problems),
            created_from: first.map(|day| start_of_day(day, zone)),
            created_before: after_last.map(|day| start_of_day(day, zone)),
            order: choice("order", typed.order, Order::parse, &mut problems).unwrap_or_default(),
        };
        (filter, problems)
    }
}

fn either(yes: &'static str, no: &'static str) -> impl Fn(&str) -> Option<bool> {
    move |text| (text == yes || text == no).then_some(text == yes)
}

fn choice<T>(
    field: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let found = parse(text);
    if found.is_none() {
        problems.push(Problem { field, sentence: "Choose one of the list".to_owned() });
    }
    found
}

fn day(field: &'static str, text: &str, problems: &mut Vec<Problem>) -> Option<NaiveDate> {
    if text.is_empty() {
        return None;
    }
    let day = read_day(text);
    if day.is_none() {
        problems.push(Problem { field, sentence: "Enter a day as YYYY-MM-DD".to_owned() });
    }
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: Typed<'_>) -> (Filter, Vec<Problem>) {
        Filter::read(typed, "IN".parse().unwrap(), chrono_tz::Asia::Kolkata)
    }

    #[test]
    fn every_field_is_read() {
        let (filter, problems) = read(Typed {
            search: "9376",
            role: "staff",
            state: "inactive",
            phone: "verified",
            profile: "incomplete",
            from: "2026-03-01",
            to: "2026-03-02",
            order: "name",
        });
        assert_eq!(problems, []);
        assert!(matches!(filter.lookup, Lookup::Number(_)));
        assert_eq!(filter.role, Some(Role::Staff));
        assert_eq!(
            (filter.is_active, filter.has_phone, filter.is_complete),
            (Some(false), Some(true), Some(false))
        );
        // Days begin in India at 18:30 of the day before in UTC, and the last day is included.
        let shown = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339());
        assert_eq!(shown(filter.created_from).as_deref(), Some("2026-02-28T18:30:00+00:00"));
        assert_eq!(shown(filter.created_before).as_deref(), Some("2026-03-02T18:30:00+00:00"));
        assert_eq!(filter.order, Order::Name);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_left_out() {
        let (filter, problems) = read(Typed {
            search: "a\u{7}b",
            role: "root",
            state: "ACTIVE",
            phone: "yes",
            profile: "no",
            from: "2026-02-30",
            to: "tomorrow",
            order: "id; drop",
        });
        let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["search", "from", "to", "role", "state", "phone", "profile", "order"]);
        assert_eq!(filter.lookup, Lookup::Everything);
        assert_eq!((filter.role, filter.created_from, filter.created_before), (None, None, None));
        assert_eq!(filter.order, Order::Newest);
        for (from, to, wrong) in [
            ("2026-03-02", "2026-03-01", &["to"] as &[&str]),
            ("2026-03-01", "2026-03-01", &[]),
            ("0000-12-31", "9999-01-01", &["from", "to"]),
            ("+12026-01-01", "2026-1-1x", &["from", "to"]),
        ] {
            let (_, problems) = read(Typed { from, to, ..Typed::default() });
            let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
            assert_eq!(fields, wrong, "{from} {to}");
        }
    }
}
