//! Phone numbers as users write them.

use loopin_auth::domain::phone::{PhoneError, PhoneNumber, Region};
use proptest::prelude::*;

use crate::holds;

const SEPARATORS: &str =
    "[ \u{A0}\u{2009}\u{200B}\u{202F}\u{2060}\u{3000}\\-\u{AD}\u{2011}\u{2013}\u{2212}.()]";

/// Half of them are numbers of a numbering plan, the other half any text.
fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\+91[6-9][0-9]{9}",
        2 => "[6-9][0-9]{9}",
        1 => "0[6-9][0-9]{9}",
        2 => "\\+1(202|415|917)[2-9][0-9]{6}",
        2 => "\\+447[4-9][0-9]{8}",
        1 => "\\+491[5-7][0-9]{8,9}",
        1 => "\\+2410[67][0-9]{6}",
        1 => "\\+2250[157][0-9]{8}",
        1 => "00[1-9][0-9]{6,14}",
        2 => "\\+[0-9]{0,20}",
        2 => "[0-9]{0,20}",
        2 => "[+0-9 ().\\-]{0,40}",
        2 => any::<String>(),
        1 => "\\PC{0,80}",
    ]
}

fn regions() -> impl Strategy<Value = Region> {
    prop::sample::select(vec!["IN", "US", "GB", "GA", "IT", "AU", "SG", "BR"])
        .prop_map(|name| name.parse().expect("a region with a plan"))
}

#[test]
fn a_number_that_was_taken_is_itself_in_every_region() {
    holds(4000, &(written(), regions(), regions()), |(text, here, there)| {
        if let Ok(phone) = PhoneNumber::parse(&text, here) {
            let full = phone.full();
            prop_assert!(full.len() <= 16 && full.starts_with('+'), "{full}");
            prop_assert!(full[1..].bytes().all(|byte| byte.is_ascii_digit()), "{full}");
            prop_assert_eq!(PhoneNumber::parse(full, there), Ok(phone.clone()));
            prop_assert_eq!(PhoneNumber::from_e164(full), Some(phone));
        }
        Ok(())
    });
}

#[test]
fn separators_change_nothing() {
    let between = prop::collection::vec((any::<prop::sample::Index>(), SEPARATORS), 0..12);
    holds(4000, &(written(), regions(), between), |(text, region, between)| {
        let mut longer: Vec<char> = text.chars().collect();
        for (place, separator) in between {
            let place = place.index(longer.len() + 1);
            longer.splice(place..place, separator.chars());
        }
        prop_assume!(longer.len() <= 64);
        let longer: String = longer.into_iter().collect();
        prop_assert_eq!(
            PhoneNumber::parse(&longer, region),
            PhoneNumber::parse(&text, region),
            "{:?}",
            longer
        );
        Ok(())
    });
}

#[test]
fn a_plus_and_two_zeros_are_read_alike_or_refused() {
    let digits = prop_oneof!["91[6-9][0-9]{9}", "1202[2-9][0-9]{6}", "447[4-9][0-9]{8}", "[0-9]{1,16}"];
    holds(4000, &(digits, regions()), |(digits, region)| {
        let zeros = PhoneNumber::parse(&format!("00{digits}"), region);
        if zeros != Err(PhoneError::NoPlus) {
            prop_assert_eq!(zeros, PhoneNumber::parse(&format!("+{digits}"), region));
        }
        Ok(())
    });
}

#[test]
fn what_is_shown_of_a_number_is_its_country_and_its_end() {
    holds(4000, &(written(), regions()), |(text, region)| {
        let from_database = PhoneNumber::from_e164(&text);
        for phone in PhoneNumber::parse(&text, region).ok().into_iter().chain(from_database) {
            let (full, shown) = (phone.full(), phone.to_string());
            prop_assert_eq!(&format!("{phone:?}"), &shown);
            prop_assert_eq!(shown.len(), full.len());
            let hidden: Vec<usize> = shown.match_indices('*').map(|(place, _)| place).collect();
            let (first, last) = (hidden.first().copied(), hidden.last().copied());
            // A plus, a country code of at most three digits, and the last four digits.
            prop_assert!(first.is_some_and(|first| first <= 4), "{shown}");
            prop_assert!(last.is_some_and(|last| shown.len() - 1 - last <= 4), "{shown}");
            prop_assert_eq!(last.unwrap() - first.unwrap() + 1, hidden.len(), "{} has one gap", &shown);
            let agree = full.chars().zip(shown.chars()).all(|(real, shown)| shown == real || shown == '*');
            prop_assert!(agree, "{shown}");
        }
        Ok(())
    });
}
