//! The settings of limits.

use std::{collections::BTreeMap, str::FromStr as _};

use chrono::Duration;

use super::reader::Reader;
use crate::domain::{
    budget::{ACCEPTED, BudgetPolicy, Limit, LimitError, MOST_OF_A_LIMIT, Odds, Passwords, PrefixPolicy},
    otp::OtpPolicy,
    phone::Region,
};

/// The most failures in a row that NIST SP 800-63B, section 3.2.2, allows.
const NIST_FAILURES: i64 = 100;

/// The upper bound of a daily cap.
const MOST_A_DAY: i64 = 1_000_000_000;

pub(super) fn budgets(reader: &mut Reader<'_>, is_on: bool) -> BudgetPolicy {
    let default = BudgetPolicy::default();
    BudgetPolicy {
        is_on,
        phone_guesses_from_address: limit(
            reader,
            "LIMIT_GUESSES_PER_PHONE_AND_ADDRESS",
            default.phone_guesses_from_address,
        ),
        phone_guesses: limit(reader, "LIMIT_GUESSES_PER_PHONE", default.phone_guesses),
        failures_in_a_row: failures_in_a_row(reader, default.failures_in_a_row),
        address_guesses: limit(reader, "LIMIT_GUESSES_PER_ADDRESS", default.address_guesses),
        phone_sends: limits(reader, "LIMIT_SENDS_PER_PHONE", default.phone_sends),
        phone_sends_from_address: limits(
            reader,
            "LIMIT_SENDS_PER_PHONE_AND_ADDRESS",
            default.phone_sends_from_address,
        ),
        address_requests: limit(reader, "LIMIT_REQUESTS_PER_ADDRESS", default.address_requests),
        device_guesses: limit(reader, "LIMIT_GUESSES_PER_DEVICE", default.device_guesses),
        device_sends: limit(reader, "LIMIT_SENDS_PER_DEVICE", default.device_sends),
        prefix: prefix(reader, default.prefix),
        day: day(reader),
        countries: countries(reader),
        passwords: Passwords {
            name_from_address: limit(
                reader,
                "LIMIT_WRONG_PASSWORDS_PER_NAME_AND_ADDRESS",
                default.passwords.name_from_address,
            ),
            name: limit(reader, "LIMIT_WRONG_PASSWORDS_PER_NAME", default.passwords.name),
            address: limit(reader, "LIMIT_WRONG_PASSWORDS_PER_ADDRESS", default.passwords.address),
        },
        registrations: limit(reader, "LIMIT_REGISTRATIONS_PER_ADDRESS", default.registrations),
        guests: limit(reader, "LIMIT_GUESTS_PER_ADDRESS", default.guests),
    }
}

fn failures_in_a_row(reader: &mut Reader<'_>, default: i64) -> i64 {
    let most = reader.number("LIMIT_FAILURES_IN_A_ROW", default, 1, 100_000);
    if most > NIST_FAILURES {
        reader.warn(format!(
            "LIMIT_FAILURES_IN_A_ROW is above {NIST_FAILURES}, the most that NIST SP 800-63B allows"
        ));
    }
    most
}

/// Checks that the chances of an attacker who guesses codes are acceptable.
pub(super) fn odds(reader: &mut Reader<'_>, is_prod: bool, otp: &OtpPolicy, budgets: &BudgetPolicy) -> Odds {
    let accepted = accepted(reader);
    let odds = Odds::from_policies(otp, budgets);
    // With limits off a guess succeeds for certain, which is reported as a problem of its own.
    if is_prod && budgets.is_on && odds.between_sign_ins > accepted {
        reader.problem(format!(
            "the settings let one in {:.0} accounts be guessed open between two sign-ins, and one in {:.0} is accepted: \
             raise OTP_LENGTH, lower LIMIT_FAILURES_IN_A_ROW, or say so in OTP_ACCEPT_ODDS",
            1.0 / odds.between_sign_ins,
            1.0 / accepted,
        ));
    }
    odds
}

/// `1/50` or `0.02`.
fn accepted(reader: &mut Reader<'_>) -> f64 {
    let Some(text) = reader.text("OTP_ACCEPT_ODDS") else {
        return ACCEPTED;
    };
    let value = match text.split_once('/') {
        Some((one, many)) => one.trim().parse::<f64>().ok().zip(many.trim().parse::<f64>().ok()),
        None => text.parse().ok().map(|value| (value, 1.0)),
    };
    match value.map(|(one, many)| one / many) {
        Some(odds) if odds > 0.0 && odds <= 1.0 => odds,
        _ => {
            reader.problem("OTP_ACCEPT_ODDS must be a chance above 0 and at most 1, such as 1/50 or 0.02");
            ACCEPTED
        }
    }
}

fn limit(reader: &mut Reader<'_>, name: &'static str, default: Limit) -> Limit {
    let Some(text) = reader.text(name) else {
        return default;
    };
    match Limit::from_str(&text) {
        Ok(limit) => limit,
        Err(error) => {
            reader.problem(format!("{name} {error}"));
            default
        }
    }
}

/// Limits separated by commas; all of them apply.
fn limits(reader: &mut Reader<'_>, name: &'static str, default: Vec<Limit>) -> Vec<Limit> {
    let items = reader.list(name);
    if items.is_empty() {
        return default;
    }
    let read: Result<Vec<Limit>, LimitError> = items.iter().map(|item| item.parse()).collect();
    match read {
        Ok(limits) => limits,
        Err(error) => {
            reader.problem(format!("{name}: each limit {error}"));
            default
        }
    }
}

fn prefix(reader: &mut Reader<'_>, default: PrefixPolicy) -> PrefixPolicy {
    let most = i64::try_from(MOST_OF_A_LIMIT).unwrap_or(i64::MAX);
    let size = |number: i64| usize::try_from(number).unwrap_or_default();
    let old = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let unanswered = limit(reader, "LIMIT_UNVERIFIED_SENDS_PER_PREFIX", default.unanswered);
    PrefixPolicy {
        unanswered,
        forgiven: size(reader.number("PREFIX_SENDS_PER_VERIFICATION", old(default.forgiven), 1, most)),
        closed_for: Duration::minutes(reader.number(
            "PREFIX_CLOSED_MINUTES",
            default.closed_for.num_minutes(),
            1,
            43_200,
        )),
        probes: size(reader.number("PREFIX_PROBES", old(default.probes), 1, most)),
    }
}

fn day(reader: &mut Reader<'_>) -> Option<i64> {
    // Zero means "no cap": a cap of zero messages would make no sense.
    Some(reader.number("LIMIT_SENDS_PER_DAY", 0, 0, MOST_A_DAY)).filter(|most| *most > 0)
}

/// `IN:5000,US:100`.
fn countries(reader: &mut Reader<'_>) -> BTreeMap<String, i64> {
    const NAME: &str = "LIMIT_SENDS_PER_DAY_AND_COUNTRY";
    let mut caps = BTreeMap::new();
    for item in reader.list(NAME) {
        let cap = item.split_once(':').and_then(|(region, most)| {
            let region: Region = region.trim().parse().ok()?;
            let most: i64 = most.trim().parse().ok()?;
            (1..=MOST_A_DAY).contains(&most).then(|| (region.to_string(), most))
        });
        match cap {
            Some((region, most)) if !caps.contains_key(&region) => {
                caps.insert(region, most);
            }
            Some((region, _)) => reader.problem(format!("{NAME} names {region} twice")),
            None => reader.problem(format!(
                "{NAME} must be countries by their two letters, each with a number of messages, such as IN:5000,US:100"
            )),
        }
    }
    caps
}
