//! Tests of the counting rules, with the values on both sides of each boundary.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::Tz;

use super::*;
use crate::delivery::{Channel, DeliveryStatus, Price, UnreachableReason};

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn a_percentile_is_within_five_percent_of_the_true_one() {
    // Durations from 0.1 s to 24 h, in an order that has nothing to do with their size.
    for spread in [1_i64, 7, 1_000, 86_000] {
        let mut values: Vec<i64> =
            (0..2_000_i64).map(|n| 101 + (n * 7_919 * spread) % (spread * 1_000)).collect();
        let mut histogram = Histogram::default();
        for value in &values {
            histogram.add(Duration::milliseconds(*value));
        }
        values.sort_unstable();
        for (quantile, rank) in [(Quantile::Median, 1_000), (Quantile::Percentile95, 1_900)] {
            let (exact, read) = (values[rank - 1], histogram.quantile(quantile).unwrap().num_milliseconds());
            assert!(
                (exact - read).abs() * 100 <= exact * 5 + 100,
                "{spread} {quantile:?}: {read} is not {exact}"
            );
        }
    }
}

#[test]
fn the_ends_of_the_histogram() {
    let quantile = |millis: &[i64], quantile| {
        let mut histogram = Histogram::default();
        for value in millis {
            histogram.add(Duration::milliseconds(*value));
        }
        histogram.quantile(quantile).map(|duration| duration.num_milliseconds())
    };
    for (values, median, last, why) in [
        (&[][..], None, None, "nothing"),
        (&[-5_000], Some(50), Some(50), "clocks that differ"),
        (&[0], Some(50), Some(50), "at once"),
        (&[100], Some(50), Some(50), "the last value of the first bucket"),
        (&[101], Some(105), Some(105), "the first of the second"),
        (&[100, 101], Some(50), Some(105), "the lower one of two is the median"),
        (&[100, 101, 101], Some(105), Some(105), "the middle one of three"),
        (&[900_000_000], Some(84_000_000), Some(84_000_000), "longer than a day"),
    ] {
        let (low, high) = (quantile(values, Quantile::Median), quantile(values, Quantile::Percentile95));
        let near = |one: Option<i64>, other: Option<i64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() * 20 <= other,
            (one, other) => one == other,
        };
        assert!(near(low, median) && near(high, last), "{why}: {low:?} {high:?}");
    }
}

#[test]
fn histograms_add_up_and_are_read_back() {
    let (mut one, mut other, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
    for seconds in 0..100 {
        one.add(Duration::seconds(seconds));
        other.add(Duration::seconds(seconds * seconds));
        both.add(Duration::seconds(seconds));
        both.add(Duration::seconds(seconds * seconds));
    }
    one.merge(&other);
    assert_eq!((one.count(), &one), (200, &both));
    assert_eq!(one.buckets().collect::<Histogram>(), both);
}

#[test]
fn amounts_are_read_as_millionths() {
    for (text, micros_of_it) in [
        ("-0.00750", Some(-7_500)),
        ("0.0075", Some(7_500)),
        ("12", Some(12_000_000)),
        (".5", Some(500_000)),
        ("5.", Some(5_000_000)),
        ("-1.2345678", Some(-1_234_567)),
        ("", None),
        ("-", None),
        (".", None),
        ("1,5", None),
        ("1e3", None),
        ("--1", None),
        ("99999999999999", None),
    ] {
        assert_eq!(micros(text), micros_of_it, "{text:?}");
    }
}

fn message(status: DeliveryStatus) -> CountedMessage {
    let at = time("2026-03-14T09:00:00Z");
    CountedMessage {
        group: Group { region: "IN".to_owned(), channel: Channel::Sms, provider: "twilio".to_owned() },
        has_code: true,
        status,
        reason: None,
        created_at: at,
        delivered_at: (status == DeliveryStatus::Delivered).then(|| at + Duration::seconds(4)),
        verified_at: None,
        price: None,
    }
}

#[test]
fn what_a_message_adds() {
    let used_at = Some(time("2026-03-14T09:00:30Z"));
    let price = |amount: &str, unit: &str| Some(Price { amount: amount.to_owned(), unit: unit.to_owned() });
    let mut counts = MessageCounts::default();
    for message in [
        message(DeliveryStatus::Pending),
        CountedMessage { verified_at: used_at, ..message(DeliveryStatus::Sent) },
        CountedMessage {
            verified_at: used_at,
            price: price("-0.0075", "usd"),
            ..message(DeliveryStatus::Delivered)
        },
        CountedMessage {
            verified_at: used_at,
            price: price("-0.0075", "USD"),
            ..message(DeliveryStatus::Undelivered)
        },
        CountedMessage { reason: Some(UnreachableReason::OptedOut), ..message(DeliveryStatus::Failed) },
        CountedMessage { has_code: false, price: price("free", "USD"), ..message(DeliveryStatus::Delivered) },
    ] {
        counts.add(&message);
    }
    let all = counts.0.values().next().unwrap();
    let numbers = (all.messages, all.codes, all.delivered, all.verified, all.lost, all.priced);
    assert_eq!(numbers, (6, 5, 2, 2, 2, 2), "a lost message is not verified, even if its code was used");
    assert_eq!(all.failures, [("opted_out".to_owned(), 1), ("other".to_owned(), 1)].into());
    assert_eq!(all.costs, [("USD".to_owned(), 15_000)].into());
    assert_eq!((all.delivered_in.count(), all.verified_in.count()), (2, 2));
    let mut twice = all.clone();
    twice.merge(all);
    assert_eq!((twice.messages, twice.lost, twice.costs.get("USD")), (12, 4, Some(&30_000)));
    let elsewhere = Group { region: "FR".to_owned(), ..message(DeliveryStatus::Sent).group };
    counts.add(&CountedMessage { group: elsewhere, ..message(DeliveryStatus::Sent) });
    assert_eq!(counts.0.len(), 2);
}

const INDIA: Tz = Tz::Asia__Kolkata;

fn counted(day: &str, at: &str) -> Counted {
    Counted { day: Day::from_date(date(day), INDIA), at: time(at), is_closed: false }
}

fn due_dates(counted: &[Counted], first: &str, zone: Tz, now: &str) -> Vec<String> {
    let days = due(counted, Some(time(first)), zone, time(now));
    days.iter().map(|day| day.date.to_string()).collect()
}

#[test]
fn a_day_is_counted_until_a_day_after_its_end() {
    // In India the 14th ends at 18:30 UTC.
    let (first, day) = ("2026-03-14T09:00:00Z", "2026-03-14");
    for (at, now, is_due, why) in [
        ("2026-03-14T10:00:00Z", "2026-03-14T10:05:00Z", true, "today"),
        ("2026-03-14T18:29:59Z", "2026-03-14T18:30:00Z", true, "it has ended since"),
        ("2026-03-14T18:30:00Z", "2026-03-14T18:35:00Z", false, "yesterday, a moment ago"),
        ("2026-03-14T18:30:00Z", "2026-03-14T19:30:00Z", true, "yesterday, an hour ago"),
        ("2026-03-15T18:29:59Z", "2026-03-15T18:30:00Z", true, "for the last time"),
        ("2026-03-15T18:30:00Z", "2026-03-15T20:30:00Z", false, "that was the last time"),
        ("2026-03-15T18:30:00Z", "2026-04-15T20:30:00Z", false, "long ago"),
        ("2026-03-20T00:00:00Z", "2026-03-16T20:30:00Z", true, "a clock that was ahead"),
    ] {
        let mine = counted(day, at);
        let others = ["2026-03-15", "2026-03-16"].map(|day| Counted { is_closed: true, ..counted(day, at) });
        let due = due_dates(&[mine, others[0], others[1]], first, INDIA, now);
        assert_eq!(due.contains(&day.to_owned()), is_due, "{why}: {due:?}");
        let closed = Counted { is_closed: true, ..mine };
        assert!(!due_dates(&[closed], first, INDIA, now).contains(&day.to_owned()), "closed: {why}");
    }
}

#[test]
fn missing_days_are_counted_newest_first_and_not_all_at_once() {
    let now = "2026-03-14T09:00:00Z";
    assert_eq!(due_dates(&[], now, INDIA, now), ["2026-03-14"]);
    assert_eq!(due(&[], None, INDIA, time(now)).len(), 1, "without messages, today");
    assert_eq!(
        due_dates(&[], "2026-03-12T18:29:59Z", INDIA, now),
        ["2026-03-14", "2026-03-13", "2026-03-12"]
    );
    assert_eq!(due_dates(&[], "2026-03-12T18:30:00Z", INDIA, now), ["2026-03-14", "2026-03-13"]);
    assert_eq!(due_dates(&[], "2027-03-12T18:30:00Z", INDIA, now), ["2026-03-14"], "a message of the future");
    let all = due_dates(&[], "2016-01-01T00:00:00Z", INDIA, now);
    assert_eq!((all.len(), all[0].as_str(), all[30].as_str()), (MOST_DAYS, "2026-03-14", "2026-02-12"));
    let every: Vec<Counted> = (0..1_000)
        .map(|ago| date("2026-03-14") - Duration::days(ago))
        .filter(|day| *day != date("2026-01-05"))
        .map(|day| counted(&day.to_string(), "2026-03-14T08:59:00Z"))
        .collect();
    assert_eq!(due_dates(&every, "2016-01-01T00:00:00Z", INDIA, now), ["2026-03-14", "2026-01-05"]);
}

#[test]
fn another_time_zone_counts_every_open_day_again() {
    let days = ["2026-03-12", "2026-03-13", "2026-03-14"];
    let mut all = days.map(|day| counted(day, "2026-03-20T00:00:00Z"));
    let (first, now) = ("2026-03-12T09:00:00Z", "2026-03-14T09:00:00Z");
    all[0].is_closed = true;
    let now_later = "2026-03-20T00:00:00Z";
    assert!(!due_dates(&all, first, INDIA, now_later).iter().any(|day| days[..2].contains(&day.as_str())));
    let again = due_dates(&all, first, Tz::UTC, now_later);
    assert!(again.contains(&days[1].to_owned()) && again.contains(&days[2].to_owned()), "{again:?}");
    assert!(!again.contains(&days[0].to_owned()), "its messages are gone: {again:?}");
    assert_eq!(due_dates(&[], first, Tz::UTC, now).len(), 3);
}

#[test]
fn a_time_belongs_to_the_day_that_has_begun_for_good() {
    for (zone, at, day) in [
        (INDIA, "2026-03-14T18:29:59Z", "2026-03-14"),
        (INDIA, "2026-03-14T18:30:00Z", "2026-03-15"),
        (Tz::UTC, "2026-03-14T23:59:59Z", "2026-03-14"),
        // The clocks go from 0:01 back to 23:01 of the day before.
        (Tz::America__St_Johns, "2010-11-07T02:30:30Z", "2010-11-06"),
        (Tz::America__St_Johns, "2010-11-07T03:29:59Z", "2010-11-06"),
        (Tz::America__St_Johns, "2010-11-07T03:30:00Z", "2010-11-07"),
    ] {
        let found = Day::at(time(at), zone);
        assert_eq!(found.date, date(day), "{zone} {at}");
        assert!(found.begins_at <= time(at) && time(at) < found.ends_at, "{zone} {at}");
    }
    let changes = Day::from_date(date("2027-03-14"), Tz::America__New_York);
    assert_eq!((changes.ends_at - changes.begins_at).num_hours(), 23);
}

#[test]
fn periods_and_what_they_are_compared_with() {
    let today = date("2026-03-14");
    for (period, begins, before, word) in [
        (Period::Today, "2026-03-14", "2026-03-07", "today"),
        (Period::Week, "2026-03-08", "2026-03-01", "7"),
        (Period::Month, "2026-02-13", "2026-01-14", "30"),
    ] {
        assert_eq!((period.begins(today), period.compared_from(today)), (date(begins), date(before)));
        assert_eq!((period.as_str(), word.parse()), (word, Ok(period)));
    }
    assert_eq!("1".parse::<Period>(), Err(UnknownPeriod));
}

#[test]
fn shares_are_rounded_but_never_to_all_or_none() {
    for (part, whole, permille) in [
        (0, 10, 0),
        (1, 3, 333),
        (2, 3, 667),
        (10, 10, 1_000),
        (99_999, 100_000, 999),
        (1, 100_000, 1),
        (1, 2_000, 1),
        (3, 2_000, 2),
    ] {
        assert_eq!(Share::new(part, whole).unwrap().permille(), permille, "{part} of {whole}");
    }
    assert_eq!(Share::new(0, 0), None);
    let share = |part| Share::new(part, 1_000).unwrap();
    assert_eq!(share(950).since(share(929)), Difference::Higher(21));
    assert_eq!(share(929).since(share(950)), Difference::Lower(21));
    assert_eq!(share(929).since(share(929)), Difference::Same);
}

#[test]
fn a_change_within_the_error_of_the_histogram_is_none() {
    for (now, before, difference) in [
        (1_000, 1_000, Difference::Same),
        (1_100, 1_000, Difference::Same),
        (1_112, 1_000, Difference::Higher(112)),
        (900, 1_000, Difference::Same),
        (899, 1_000, Difference::Lower(101)),
        (0, 0, Difference::Same),
    ] {
        let change = change_of(Duration::milliseconds(now), Duration::milliseconds(before));
        assert_eq!(change, difference, "{now} after {before}");
    }
}

#[test]
fn a_glance_sums_up_both_times_and_keeps_the_page_short() {
    let today = date("2026-03-14");
    let counts = |messages| Counts { messages, delivered: messages, ..Counts::default() };
    let group = |region: &str, provider: &str| Group {
        region: region.to_owned(),
        channel: Channel::Sms,
        provider: provider.to_owned(),
    };
    let days = vec![
        (today, group("IN", "twilio"), counts(5)),
        (date("2026-03-08"), group("IN", "other"), counts(7)),
        (date("2026-03-07"), group("IN", "twilio"), counts(11)),
        (date("2026-03-01"), group("FR", "twilio"), counts(13)),
        (date("2026-02-28"), group("IN", "twilio"), counts(1_000)),
        (date("2026-03-15"), group("IN", "twilio"), counts(1_000)),
    ];
    let glance = Glance::new(days, Period::Week, today);
    let rows: Vec<_> = glance
        .rows
        .iter()
        .map(|(place, row)| {
            (place.region.as_str(), place.provider.as_str(), row.now.messages, row.before.messages)
        })
        .collect();
    // Most messages first. France has none in the period.
    assert_eq!(rows, [("IN", "other", 7, 0), ("IN", "twilio", 5, 11)]);
    assert_eq!((glance.all.now.messages, glance.all.before.messages), (12, 24));
    assert_eq!(glance.others, None);
    let many: Vec<_> =
        (0..50).map(|n| (today, group(&format!("{n}"), "twilio"), counts(i64::from(n) + 1))).collect();
    let glance = Glance::new(many, Period::Today, today);
    assert_eq!((glance.rows.len(), glance.rows[0].1.now.messages), (40, 50));
    let (places, others) = glance.others.unwrap();
    assert_eq!((places, others.now.messages), (10, 55));
}
