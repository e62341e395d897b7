//! Budgets: each bound, at its edges.

use chrono::{DateTime, Duration, TimeZone, Utc};

use super::*;
use crate::{address::ClientAddress, phone::PhoneNumber, pseudonym::Pseudonyms};

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 21, 6, 0, 0).unwrap()
}

fn after(seconds: i64) -> DateTime<Utc> {
    start() + Duration::seconds(seconds)
}

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

fn key() -> BudgetKey {
    BudgetKey::Proof(uuid::Uuid::nil())
}

/// A row that was charged at these seconds.
fn charged(seconds: &[i64]) -> BudgetRow {
    let mut log: Vec<_> = seconds.iter().map(|second| after(*second)).collect();
    log.sort_by(|one, other| other.cmp(one));
    let cooldown_started_at = log.first().copied();
    BudgetRow {
        count: i64::try_from(log.len()).unwrap(),
        log,
        cooldown_started_at,
        ..BudgetRow::empty(key())
    }
}

fn charge(rules: Vec<Rule>) -> Charge {
    let ends_at = start();
    Charge { key: key(), rules, is_charged: true, is_logged: true, starts_cooldown: false, ends_at }
}

fn wait(rules: Vec<Rule>, row: BudgetRow, now: DateTime<Utc>) -> Option<(Budget, Option<i64>)> {
    decide(&[charge(rules)], &[row], now).map(|refusal| (refusal.budget, refusal.retry_after))
}

#[test]
fn a_window_slides() {
    let rule = || vec![Rule::window(Budget::PhoneSends, limit("3/1h"))];
    let row = || charged(&[0, 600, 1200]);
    assert_eq!(wait(rule(), charged(&[0, 600]), after(1200)), None);
    assert_eq!(wait(rule(), row(), after(1200)), Some((Budget::PhoneSends, Some(2400))));
    assert_eq!(wait(rule(), row(), after(3599)), Some((Budget::PhoneSends, Some(1))));
    assert_eq!(wait(rule(), row(), after(3600)), None);
    // Not three more: the second and the third still count.
    assert_eq!(
        wait(rule(), charged(&[0, 600, 1200, 3600]), after(3600)),
        Some((Budget::PhoneSends, Some(600)))
    );
}

#[test]
fn a_part_of_a_second_is_a_second_to_wait() {
    let rule = vec![Rule::window(Budget::PhoneSends, limit("1/1m"))];
    let now = after(59) + Duration::microseconds(1);
    assert_eq!(wait(rule, charged(&[0]), now), Some((Budget::PhoneSends, Some(1))));
}

#[test]
fn a_count_lasts_until_its_time_or_for_good() {
    let rule = |until| vec![Rule { budget: Budget::PhoneFailures, bound: Bound::Count { most: 2, until } }];
    assert_eq!(wait(rule(None), charged(&[0]), after(1)), None);
    assert_eq!(wait(rule(None), charged(&[0, 1]), after(1)), Some((Budget::PhoneFailures, None)));
    assert_eq!(
        wait(rule(Some(after(10))), charged(&[0, 1]), after(1)),
        Some((Budget::PhoneFailures, Some(9)))
    );
}

#[test]
fn a_cooldown_ends_by_itself_and_can_be_lifted() {
    let rule = || vec![Rule { budget: Budget::Cooldown, bound: Bound::Cooldown(Duration::seconds(30)) }];
    assert_eq!(wait(rule(), charged(&[0]), after(29)), Some((Budget::Cooldown, Some(1))));
    assert_eq!(wait(rule(), charged(&[0]), after(30)), None);
    assert_eq!(wait(rule(), BudgetRow { cooldown_started_at: None, ..charged(&[0]) }, after(1)), None);
}

#[test]
fn a_prefix_closes_half_opens_and_is_held_open() {
    let policy =
        PrefixPolicy { unanswered: limit("3/1h"), forgiven: 2, closed_for: Duration::hours(2), probes: 1 };
    let rule = || vec![Rule { budget: Budget::Prefix, bound: Bound::Open(policy) }];
    assert_eq!(wait(rule(), charged(&[0, 1]), after(2)), None);
    let full = || charged(&[0, 1, 2]);
    // The refusal is about to close it for the full time.
    assert_eq!(wait(rule(), full(), after(3)), Some((Budget::Prefix, Some(7200))));
    let closed = |log: &[i64]| BudgetRow { closed_until: Some(after(100)), ..charged(log) };
    assert_eq!(wait(rule(), closed(&[]), after(40)), Some((Budget::Prefix, Some(60))));
    assert_eq!(wait(rule(), closed(&[]), after(100)), None);
    assert_eq!(wait(rule(), closed(&[100]), after(101)), Some((Budget::Prefix, Some(7200))));
    let held = BudgetRow { held_until: Some(after(50)), ..full() };
    assert_eq!(wait(rule(), held.clone(), after(49)), None);
    assert!(wait(rule(), held, after(50)).is_some());
}

#[test]
fn a_lock_is_told_first_and_then_the_longest_wait() {
    let rules = |budgets: &[(Budget, &str)]| {
        budgets.iter().map(|(budget, text)| Rule::window(*budget, limit(text))).collect::<Vec<_>>()
    };
    let row = || charged(&[0, 1]);
    let cooldown = Rule { budget: Budget::Cooldown, bound: Bound::Cooldown(Duration::seconds(30)) };
    let mut both = rules(&[(Budget::PhoneSends, "2/1h"), (Budget::PhoneSends, "2/24h")]);
    both.push(cooldown);
    assert_eq!(wait(both.clone(), row(), after(2)), Some((Budget::PhoneSends, Some(86_398))));
    both.extend(rules(&[(Budget::PhoneGuesses, "1/1m")]));
    assert_eq!(wait(both, row(), after(2)), Some((Budget::PhoneGuesses, Some(59))));
}

#[test]
fn limits_are_written_as_a_number_and_a_time() {
    for (text, most, seconds, shown) in [
        ("10/24h", 10, 86_400, "10/24h"),
        (" 5 / 1h ", 5, 3600, "5/1h"),
        ("3/90s", 3, 90, "3/90s"),
        ("1/30d", 1, 2_592_000, "1/720h"),
        ("1000/15m", 1000, 900, "1000/15m"),
    ] {
        let limit: Limit = text.parse().unwrap();
        assert_eq!((limit.most, limit.per), (most, Duration::seconds(seconds)), "{text}");
        assert_eq!(limit.to_string(), shown);
        assert_eq!(limit.to_string().parse(), Ok(limit));
    }
    for text in [
        "",
        "10",
        "/1h",
        "10/",
        "0/1h",
        "1001/1h",
        "-1/1h",
        "1/0h",
        "1/31d",
        "1/1w",
        "1/h",
        "1/1",
        "1/1é",
        "1/99999999999h",
    ] {
        assert_eq!(text.parse::<Limit>(), Err(LimitError), "{text}");
    }
}

#[test]
fn no_two_charges_of_a_request_are_to_one_row_and_none_names_the_phone() {
    let pseudonyms = Pseudonyms::derive(&"secret".into(), &[]);
    let phone = PhoneNumber::from_e164("+916205829376").unwrap();
    let phone_hash = pseudonyms.phone(&phone);
    let address = ClientAddress::new("2001:db8::7".parse().unwrap());
    let mut policy = BudgetPolicy { day: Some(100), ..BudgetPolicy::default() };
    policy.countries.insert("IN".to_owned(), 10);
    for device in [None, Some(uuid::Uuid::nil())] {
        let send = MessageCharge {
            phone: &phone,
            phone_hash: &phone_hash,
            address: Some(address),
            device,
            is_known: false,
            resend_after: Duration::seconds(30),
            day: (start().date_naive(), after(1)),
            proof: Some(uuid::Uuid::max()),
        };
        let guess = Guess { phone_hash: &phone_hash, address, device };
        for charges in [policy.send(&send, start()), policy.guess(guess, start())] {
            let mut keys: Vec<_> = charges.iter().map(|charge| charge.key.clone()).collect();
            assert!(keys.iter().all(|key| !format!("{key:?}").contains("6205829376")), "{keys:?}");
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all);
        }
    }
    let prefix = CountryPrefix::new("IN", "+916205").unwrap();
    assert_eq!(BudgetKey::of_prefix(&phone), Some(BudgetKey::Prefix(prefix)));
}

#[test]
fn the_last_fifth_of_a_cap_is_for_those_who_have_an_account() {
    let pseudonyms = Pseudonyms::derive(&"secret".into(), &[]);
    let phone = PhoneNumber::from_e164("+916205829376").unwrap();
    let phone_hash = pseudonyms.phone(&phone);
    let policy = BudgetPolicy { day: Some(11), ..BudgetPolicy::default() };
    let most = |is_known| {
        let send = MessageCharge {
            phone: &phone,
            phone_hash: &phone_hash,
            address: None,
            device: None,
            is_known,
            resend_after: Duration::zero(),
            day: (start().date_naive(), after(1)),
            proof: None,
        };
        let charges = policy.traffic(&send, start());
        charges.iter().flat_map(|charge| charge.rules.clone()).find_map(|rule| match rule.bound {
            Bound::Count { most, .. } => Some(most),
            _ => None,
        })
    };
    assert_eq!((most(false), most(true)), (Some(8), Some(11)));
    assert_eq!((alarm_at(10), alarm_at(11), alarm_at(1)), (8, 8, 1));
}

#[test]
fn a_code_that_staff_send_is_charged_to_the_phone_and_to_no_address() {
    let pseudonyms = Pseudonyms::derive(&"secret".into(), &[]);
    let phone = PhoneNumber::from_e164("+916205829376").unwrap();
    let phone_hash = pseudonyms.phone(&phone);
    let address = ClientAddress::new("203.0.113.7".parse().unwrap());
    let policy = BudgetPolicy { day: Some(100), ..BudgetPolicy::default() };
    let budgets = |address| {
        let send = MessageCharge {
            phone: &phone,
            phone_hash: &phone_hash,
            address,
            device: None,
            is_known: false,
            resend_after: Duration::seconds(30),
            day: (start().date_naive(), after(1)),
            proof: None,
        };
        let charges = policy.send(&send, start());
        let mut budgets: Vec<Budget> =
            charges.iter().flat_map(|charge| &charge.rules).map(|rule| rule.budget).collect();
        budgets.sort();
        budgets.dedup();
        budgets
    };
    let by_staff = [
        Budget::PhoneGuesses,
        Budget::PhoneFailures,
        Budget::Cooldown,
        Budget::PhoneSends,
        Budget::Prefix,
        Budget::Day,
    ];
    assert_eq!(budgets(None), by_staff);
    let mut of_address = budgets(Some(address));
    of_address.retain(|budget| !by_staff.contains(budget));
    assert_eq!(of_address, [Budget::PhoneGuessesFromAddress, Budget::PhoneSendsFromAddress]);
}
