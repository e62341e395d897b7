//! The settings of review numbers, of recycled numbers, of hiding whether an account exists, of who may sign up,
//! and of the terms that users accept.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::Tz;

use super::reader::Reader;
use crate::domain::{
    calendar::start_of_day,
    otp::{CodeLength, OtpCode},
    phone::{PhoneNumber, Region},
    review::{ReviewNumber, ReviewNumbers},
    signups::Signups,
    terms::TermsVersion,
};

/// Carriers keep a number unused for at least this many days before they assign it again: 47 CFR 52.15(f)(1)(ii).
const MIN_AGING_DAYS: i64 = 45;

const NUMBERS: &str = "OTP_REVIEW_NUMBERS";

/// The values of these settings.
#[derive(Debug, Clone, Default)]
pub struct SafetySettings {
    /// `OTP_REVIEW_NUMBERS`
    pub review: ReviewNumbers,
    /// `PHONE_STALE_DAYS`
    pub stale_after: Option<Duration>,
    /// `HIDE_ACCOUNT_EXISTENCE`
    pub hides_accounts: bool,
    /// `GUESTS`
    pub has_guests: bool,
    /// `SIGNUPS`
    pub signups: Signups,
    /// `TERMS_VERSION`
    pub terms: Option<TermsVersion>,
}

pub(super) fn safety(
    reader: &mut Reader<'_>,
    length: CodeLength,
    region: Region,
    zone: Tz,
) -> SafetySettings {
    SafetySettings {
        review: review(reader, length, region, zone),
        stale_after: stale_after(reader),
        hides_accounts: reader.flag("HIDE_ACCOUNT_EXISTENCE", false),
        has_guests: reader.flag("GUESTS", false),
        signups: signups(reader),
        terms: terms(reader),
    }
}

fn terms(reader: &mut Reader<'_>) -> Option<TermsVersion> {
    match reader.text("TERMS_VERSION")?.parse() {
        Ok(version) => Some(version),
        Err(error) => {
            reader.problem(format!("TERMS_VERSION {error}"));
            None
        }
    }
}

fn signups(reader: &mut Reader<'_>) -> Signups {
    reader.note_default("SIGNUPS", Signups::default().as_str());
    let given = reader.text("SIGNUPS").map_or(Ok(Signups::default()), |text| text.parse());
    given.unwrap_or_else(|_| {
        reader.problem("SIGNUPS must be open, invited or closed");
        Signups::Closed
    })
}

fn stale_after(reader: &mut Reader<'_>) -> Option<Duration> {
    let days = reader.number("PHONE_STALE_DAYS", 0, 0, 3_650);
    if (1..MIN_AGING_DAYS).contains(&days) {
        reader.warn(format!(
            "PHONE_STALE_DAYS is under {MIN_AGING_DAYS}: carriers keep numbers unused for longer than that, so users \
             lose accounts for nothing"
        ));
    }
    (days > 0).then(|| Duration::days(days))
}

/// `+12025550100=4821@2027-01-31`; several are separated by commas.
fn review(reader: &mut Reader<'_>, length: CodeLength, region: Region, zone: Tz) -> ReviewNumbers {
    let mut numbers: Vec<ReviewNumber> = Vec::new();
    // Problems name an item by its position: a phone and its code must not get into a log.
    for (place, item) in reader.list(NUMBERS).iter().enumerate().map(|(place, item)| (place + 1, item)) {
        let Some(((phone, code), date)) =
            item.split_once('@').and_then(|(start, date)| Some((start.split_once('=')?, date)))
        else {
            reader.problem(format!(
                "{NUMBERS}: item {place} must be a number, = and its code, @ and its last day, such as \
                 +12025550100=4821@2027-01-31"
            ));
            continue;
        };
        let phone = PhoneNumber::parse(phone.trim(), region).ok().filter(|_| phone.trim().starts_with('+'));
        let code = OtpCode::parse(code.trim(), length).ok();
        let ends_at = end_of(date.trim(), zone);
        for (is_right, must) in [
            (phone.is_some(), "must begin with a mobile number in E.164, such as +12025550100".to_owned()),
            (code.is_some(), format!("must have a code of {} digits, as OTP_LENGTH says", length.digits())),
            (ends_at.is_some(), "must end with a date, such as 2027-01-31".to_owned()),
        ] {
            if !is_right {
                reader.problem(format!("{NUMBERS}: item {place} {must}"));
            }
        }
        let (Some(phone), Some(code), Some(ends_at)) = (phone, code, ends_at) else {
            continue;
        };
        if numbers.iter().any(|number| number.phone == phone) {
            reader.problem(format!("{NUMBERS}: item {place} names a number that is there already"));
        } else {
            numbers.push(ReviewNumber { phone, code, ends_at });
        }
    }
    ReviewNumbers::new(numbers)
}

/// The end of a day in this time zone.
pub(super) fn end_of(date: &str, zone: Tz) -> Option<DateTime<Utc>> {
    // The form is exact: chrono would accept a year with a sign, and a date without leading zeros.
    let is_exact = date.len() == "2027-01-31".len() && date.starts_with(|first: char| first.is_ascii_digit());
    let date = Some(date).filter(|_| is_exact)?;
    let next = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?.succ_opt()?;
    Some(start_of_day(next, zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, random::Random};

    fn with(name: &'static str, value: &'static str) -> (Config, Vec<String>) {
        let get = move |asked: &str| (asked == name).then(|| value.to_owned());
        let (config, problems) = Config::examine(&get, &Random::seeded(1));
        (config, problems.0)
    }

    #[test]
    fn all_of_it_is_off_until_it_is_asked_for() {
        let (config, _) = with("DEBUG", "false");
        let safety = config.safety;
        assert!(safety.stale_after.is_none() && !safety.hides_accounts);
        assert_eq!(safety.review.ended(DateTime::<Utc>::MAX_UTC).count(), 0);
    }

    #[test]
    fn everybody_may_sign_up_unless_the_setting_says_otherwise() {
        for (value, expected) in [
            ("", Signups::Open),
            ("open", Signups::Open),
            ("invited", Signups::Invited),
            (" CLOSED ", Signups::Closed),
        ] {
            let (config, problems) = with("SIGNUPS", value);
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(config.safety.signups, expected, "{value}");
        }
        for value in ["true", "off", "invitations"] {
            let (_, problems) = with("SIGNUPS", value);
            assert_eq!(problems, ["SIGNUPS must be open, invited or closed"], "{value}");
        }
    }

    #[test]
    fn days_without_use_are_days_and_few_of_them_are_warned_of() {
        for (value, expected, is_warned) in [
            ("0", None, false),
            ("1", Some(1), true),
            ("44", Some(44), true),
            ("45", Some(45), false),
            ("3650", Some(3650), false),
        ] {
            let (config, problems) = with("PHONE_STALE_DAYS", value);
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(config.safety.stale_after.map(|after| after.num_days()), expected, "{value}");
            let warned = config.warnings.iter().any(|warning| warning.starts_with("PHONE_STALE_DAYS"));
            assert_eq!(warned, is_warned, "{value}");
        }
        for value in ["-1", "3651", "half a year"] {
            assert_eq!(with("PHONE_STALE_DAYS", value).1.len(), 1, "{value}");
        }
    }

    #[test]
    fn a_day_ends_where_the_product_lives() {
        for (date, zone, expected) in [
            ("2027-01-31", "Asia/Kolkata", Some("2027-01-31T18:30:00Z")),
            ("2027-01-31", "UTC", Some("2027-02-01T00:00:00Z")),
            // The day after has no midnight: clocks go from 23:59:59 to 1:00.
            ("2018-11-03", "America/Sao_Paulo", Some("2018-11-04T03:00:00Z")),
            ("2027-1-31", "UTC", None),
            ("2027-02-30", "UTC", None),
            ("+027-01-31", "UTC", None),
            ("tomorrow", "UTC", None),
        ] {
            let found = end_of(date, zone.parse().unwrap());
            let expected = expected.map(|text| DateTime::parse_from_rfc3339(text).unwrap().to_utc());
            assert_eq!(found, expected, "{date} {zone}");
        }
    }
}
