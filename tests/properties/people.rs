//! What users write about themselves is refused with a message or stored unchanged.

use chrono::NaiveDate;
use loopin_auth::domain::{
    credentials::{ClaimedPhone, Email, PersonName, Username},
    profile::{Bio, BirthDate, Gender, Location, Name, PictureHosts, PictureUrls},
};
use proptest::prelude::*;

use crate::holds;

const CASES: u32 = 3000;

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "\\PC{0,160}", "[\\p{L}\\p{M}\u{200C}\u{200D} .'’\\-]{0,110}"]
}

#[test]
fn usernames() {
    let text = prop_oneof!["[ ]?[0-9A-Za-z._+\\-]{0,160}[ ]?", anything()];
    holds(CASES, &text, |text| {
        if let Ok(name) = Username::parse(&text) {
            prop_assert_eq!(Username::parse(name.as_str()), Ok(name.clone()));
            prop_assert!(name.as_str() == text.trim() && !name.as_str().contains('@'));
            // Two spellings of one name have the same key.
            for other in [name.as_str().to_uppercase(), name.as_str().to_lowercase(), name.key()] {
                prop_assert_eq!(Username::parse(&other).map(|other| other.key()), Ok(name.key()));
            }
        }
        Ok(())
    });
}

#[test]
fn addresses_of_mail() {
    let text = prop_oneof![
        "[ ]?[A-Za-z0-9.+_\\-]{1,70}@[A-Za-z0-9.\\-]{1,80}",
        "[A-Z]{1,9}@[a-z]{2,9}\\.(com|in|भारत)",
        anything()
    ];
    holds(CASES, &text, |text| {
        if let Ok(email) = Email::parse(&text) {
            prop_assert!(email.as_str() == text.trim() && email.as_str().len() <= 254);
            prop_assert!(!email.as_str().contains(char::is_control), "{text:?}");
            prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
            prop_assert_eq!(Email::parse(&email.key()).map(|again| again.key()), Ok(email.key()));
            prop_assert_eq!(format!("{email:?}"), "Email(..)");
        }
        Ok(())
    });
}

#[test]
fn names_of_persons() {
    holds(CASES, &anything(), |text| {
        if let Ok(Some(name)) = PersonName::parse(&text) {
            prop_assert_eq!(PersonName::parse(name.as_str()), Ok(Some(name.clone())));
            prop_assert!(!name.as_str().contains(char::is_control));
        }
        match Name::parse(&text, 3) {
            Ok(name) => {
                prop_assert!(name.as_str() == text.trim() && !text.contains(char::is_control));
                prop_assert!((3..=100).contains(&name.as_str().chars().count()));
                prop_assert_eq!(Name::parse(name.as_str(), 3).map(|again| again == name), Ok(true));
            }
            Err(errors) => prop_assert!(!errors.is_empty() && errors.iter().all(|error| !error.is_empty())),
        }
        Ok(())
    });
}

#[test]
fn texts_about_her() {
    holds(CASES, &prop_oneof![anything(), "\\PC{0,520}"], |text| {
        if let Ok(Some(bio)) = Bio::parse(&text) {
            prop_assert!(bio.as_str().chars().count() <= 500);
            prop_assert!(Bio::parse(bio.as_str()).is_ok_and(|again| again == Some(bio)));
        }
        if let Ok(Some(location)) = Location::parse(&text) {
            prop_assert!(location.as_str().chars().count() <= 100);
            prop_assert!(Location::parse(location.as_str()).is_ok_and(|again| again == Some(location)));
        }
        if let Ok(gender) = Gender::parse(&text) {
            prop_assert_eq!(gender.as_str(), text.trim().to_lowercase());
        }
        Ok(())
    });
}

#[test]
fn phones_that_nobody_proved() {
    let region = "IN".parse().expect("a region");
    holds(CASES, &prop_oneof!["[+]?[0-9 ().\\-]{0,40}", anything()], |text| {
        if let Ok(Some(phone)) = ClaimedPhone::parse(&text, region) {
            let again = ClaimedPhone::parse(phone.as_str(), region);
            prop_assert_eq!(
                again.map(|again| again.map(|it| it.as_str().to_owned())),
                Ok(Some(phone.as_str().to_owned()))
            );
        }
        Ok(())
    });
}

#[test]
fn pictures() {
    let one = prop_oneof![
        "https?://[a-z0-9.\\-]{1,30}(:[0-9]{1,6})?(/\\PC{0,30})?",
        "https?://(\\[[0-9a-f:.]{2,30}\\]|[0-9.x]{1,20})/",
        anything(),
    ];
    let some = prop::collection::vec(one, 0..8);
    let hosts = prop::sample::select(vec![PictureHosts::Any, PictureHosts::PublicOnly]);
    holds(CASES, &(some, hosts), |(urls, hosts)| {
        match PictureUrls::parse(&urls, hosts) {
            Ok(taken) => {
                prop_assert_eq!(taken.as_slice().len(), urls.len());
                prop_assert!(PictureUrls::parse(taken.as_slice(), hosts).is_ok_and(|again| again == taken));
                prop_assert!(taken.as_slice().iter().all(|url| url.chars().count() <= 2048));
            }
            Err(errors) => prop_assert!(!errors.is_empty() && errors.len() < 100),
        }
        Ok(())
    });
}

#[test]
fn birth_dates() {
    let text = prop_oneof![
        "(18|19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
        "[0-9]{1,6}-[0-9]{1,3}-[0-9]{1,3}",
        anything()
    ];
    let today =
        (0_i64..200_000).prop_map(|days| NaiveDate::default() + chrono::Duration::days(days - 100_000));
    holds(CASES, &(text, today), |(text, today)| {
        if let Ok(born) = BirthDate::parse(&text, today) {
            prop_assert_eq!(born.date().to_string(), text);
            let years = today.years_since(born.date());
            prop_assert!(years.is_some_and(|years| (18..=120).contains(&years)), "{years:?} on {today}");
        }
        Ok(())
    });
}
