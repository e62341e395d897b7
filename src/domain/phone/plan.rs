//! The world's numbering plans, asked with whole numbers only.
//!
//! The patterns are those of the `phonenumber` crate, which carries libphonenumber's data. Its own parser and its own
//! `is_valid` are not used: they strip digits that belong to the number (+241 06 03 12 34 comes out as +2416031234),
//! they drop leading zeros before they look (Côte d'Ivoire, Benin, the Congo), and they are content when a pattern fits
//! the beginning of a number. So the patterns are taken over into a database of our own, tied to both ends.
//!
//! To change: a new plan comes with a new version of the crate, and what cannot wait for one stands in
//! `NEWER_MOBILES`; which kinds of line are taken is decided in `line_in` alone.

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Database, Descriptor, loader};
use std::sync::LazyLock;

/// What a numbering plan says a number is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// A person's: mobile, mobile or fixed line (where the plan does not tell them apart), internet telephony, personal.
    Personal,
    /// In the plan, but nobody's pocket: fixed line, premium rate, toll-free, shared cost, pager, UAN, voicemail.
    Other,
}

/// The longest number of E.164, country code included (ITU-T E.164, 6.2.1). Some plans have longer ones that can be
/// dialled at home only.
pub(super) const LONGEST: usize = 15;

/// Series that have become mobile since the crate's data (libphonenumber 9.0.33) was made: a country code, and a
/// pattern of whole national numbers that are mobile besides those of the crate. One row for a country code.
///
/// - India, all of 796 and 797: mobile in libphonenumber since 9.0.42, and taken from the plan `IN` of 9.0.43. The
///   crate still has 796, 7971 and 79791 to 79796 as fixed line. Delete the row once the crate's data is at least
///   9.0.42: then a test fails.
const NEWER_MOBILES: [(u16, &str); 1] = [(91, r"79[67]\d{7}")];

/// Built at the first use, once for the process. It compiles a pattern when a number first asks for it and keeps the
/// last hundred, so numbers of a country in daily use cost microseconds and no mix of countries fills the memory.
static PLANS: LazyLock<Database> = LazyLock::new(|| {
    let plans = (1..=999).filter_map(|code| DATABASE.by_code(&code)).flatten().map(whole).collect();
    // Their syntax was checked once already, so this does not fail; if it did, the crate's looser patterns are better
    // than none. A test sees to it that ours are in use.
    Database::from(plans).unwrap_or_else(|_| DATABASE.clone())
});

/// The plan of a region by its two letters, if the data has one.
pub(super) fn of_region(region: &str) -> Option<&'static Metadata> {
    PLANS.by_id(region)
}

/// Takes the country code off international digits: `916205829376` is `91` and `6205829376`. No country code is the
/// beginning of another, so there is one way at most.
pub(super) fn split(digits: &str) -> Option<(&str, &str)> {
    // "01".parse() would be country code 1.
    if digits.starts_with('0') {
        return None;
    }
    (1..=3)
        .filter_map(|length| digits.split_at_checked(length))
        .find(|(code, _)| code.parse().is_ok_and(|code: u16| PLANS.region(&code).is_some()))
}

/// What these international digits are, exactly as they stand; `None` when no plan has them.
pub(super) fn line(digits: &str) -> Option<Line> {
    found(digits).map(|(_, line)| line)
}

/// The region whose plan has these international digits, by its two letters.
pub(super) fn region(digits: &str) -> Option<&'static str> {
    found(digits).map(|(plan, _)| plan.id())
}

/// The plan that has these digits, and what they are in it.
fn found(digits: &str) -> Option<(&'static Metadata, Line)> {
    if digits.len() > LONGEST {
        return None;
    }
    let (code, national) = split(digits)?;
    let plans = PLANS.by_code(&code.parse::<u16>().ok()?)?;
    if let [only] = plans.as_slice() {
        return line_in(only, national).map(|line| (*only, line));
    }
    // Several regions share the code. As libphonenumber has it: the first whose leading digits fit decides, and of
    // those without leading digits the first that has the number.
    for plan in plans {
        match plan.leading_digits() {
            Some(leading) if leading.is_match(national) => {
                return line_in(plan, national).map(|line| (plan, line));
            }
            Some(_) => {}
            None => {
                if let Some(line) = line_in(plan, national) {
                    return Some((plan, line));
                }
            }
        }
    }
    None
}

/// Reads digits dialled inside the region of `plan`: with the national prefix (and the carrier's code some countries
/// put behind it) or without. The answer is international digits.
///
/// Where the plan has both readings the one without the prefix holds, as in libphonenumber.
pub(super) fn national(digits: &str, plan: &Metadata) -> Option<(String, Line)> {
    [without_prefix(digits, plan), Some(digits.to_owned())]
        .into_iter()
        .flatten()
        .map(|national| format!("{}{national}", plan.country_code()))
        .find_map(|number| line(&number).map(|line| (number, line)))
}

/// How many of these digits the region dials to get abroad, if they begin so.
pub(super) fn way_abroad(digits: &str, plan: &Metadata) -> Option<usize> {
    let prefix = plan.international_prefix()?.find(digits)?;
    Some(prefix.end())
}

/// Drops the national prefix, or rewrites it by the plan's rule: at home an Argentine mobile is `011 15 …`, abroad it
/// is `9 11 …`; in Bermuda seven digits want their `441`.
fn without_prefix(digits: &str, plan: &Metadata) -> Option<String> {
    let prefix = plan.national_prefix_for_parsing()?;
    let found = prefix.captures(digits)?;
    let last_group = found.get(found.len() - 1);
    match plan.national_prefix_transform_rule() {
        Some(rule) if last_group.is_some() => Some(prefix.replace(digits, rule).into_owned()),
        _ => digits.get(found.get(0)?.end()..).map(str::to_owned),
    }
}

/// What the national number is in this one plan. The order of the questions is libphonenumber's, since patterns overlap.
fn line_in(plan: &Metadata, national: &str) -> Option<Line> {
    let kinds = plan.descriptors();
    let is = |kind: Option<&Descriptor>| kind.is_some_and(|kind| kind.is_match(national));
    if !is(Some(kinds.general())) {
        None
    } else if is(kinds.premium_rate()) || is(kinds.toll_free()) || is(kinds.shared_cost()) {
        Some(Line::Other)
    } else if is(kinds.voip()) || is(kinds.personal_number()) {
        Some(Line::Personal)
    } else if is(kinds.pager()) || is(kinds.uan()) || is(kinds.voicemail()) {
        Some(Line::Other)
    } else if is(kinds.mobile()) {
        // Also where the pattern of fixed lines fits as well.
        Some(Line::Personal)
    } else if is(kinds.fixed_line()) {
        Some(Line::Other)
    } else {
        None
    }
}

/// A copy of a plan with what is needed here, its patterns tied to the ends.
fn whole(plan: &Metadata) -> loader::Metadata {
    let kinds = plan.descriptors();
    let kind_and = |kind: Option<&Descriptor>, newer: Option<&str>| {
        kind.map(|kind| {
            let pattern = kind.national_number().as_str();
            let pattern = newer.map_or(pattern.to_owned(), |newer| format!("{pattern}|{newer}"));
            loader::Descriptor {
                national_number: Some(format!("{}$", from_start(&pattern))),
                possible_length: kind.possible_length().to_vec(),
                ..loader::Descriptor::default()
            }
        })
    };
    let kind = |kind: Option<&Descriptor>| kind_and(kind, None);
    let newer_mobiles =
        NEWER_MOBILES.into_iter().find_map(|(code, newer)| (code == plan.country_code()).then_some(newer));
    // A plan with a plain prefix does not repeat it as a pattern.
    let home_prefix =
        plan.national_prefix_for_parsing().map_or(plan.national_prefix(), |it| Some(it.as_str()));
    loader::Metadata {
        id: Some(plan.id().to_owned()),
        country_code: Some(plan.country_code()),
        main_country_for_code: plan.is_main_country_for_code(),
        general: kind(Some(kinds.general())),
        fixed_line: kind(kinds.fixed_line()),
        mobile: kind_and(kinds.mobile(), newer_mobiles),
        toll_free: kind(kinds.toll_free()),
        premium_rate: kind(kinds.premium_rate()),
        shared_cost: kind(kinds.shared_cost()),
        personal_number: kind(kinds.personal_number()),
        voip: kind(kinds.voip()),
        pager: kind(kinds.pager()),
        uan: kind(kinds.uan()),
        voicemail: kind(kinds.voicemail()),
        leading_digits: plan.leading_digits().map(|it| from_start(it.as_str())),
        international_prefix: plan.international_prefix().map(|it| from_start(it.as_str())),
        national_prefix_for_parsing: home_prefix.map(from_start),
        national_prefix_transform_rule: plan.national_prefix_transform_rule().map(str::to_owned),
        ..loader::Metadata::default()
    }
}

/// Ties a pattern to the start. `\d` would mean the digits of every script, which no number here has, and takes
/// longer to compile.
fn from_start(pattern: &str) -> String {
    format!("^(?:{})", pattern.replace(r"\d", "[0-9]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_is_tied_to_both_ends() {
        let mut plans = 0;
        for plan in (1..=999).filter_map(|code| PLANS.by_code(&code)).flatten() {
            plans += 1;
            let kinds = plan.descriptors();
            for kind in [
                Some(kinds.general()),
                kinds.fixed_line(),
                kinds.mobile(),
                kinds.toll_free(),
                kinds.premium_rate(),
                kinds.shared_cost(),
                kinds.personal_number(),
                kinds.voip(),
                kinds.pager(),
                kinds.uan(),
                kinds.voicemail(),
            ]
            .into_iter()
            .flatten()
            {
                // Compiles at its first use, and would panic there.
                assert!(!kind.national_number().is_match("x"), "{}", plan.id());
                let pattern = kind.national_number().as_str();
                assert!(pattern.starts_with("^(?:") && pattern.ends_with(")$"), "{}", plan.id());
            }
            for pattern in
                [plan.leading_digits(), plan.international_prefix(), plan.national_prefix_for_parsing()]
                    .into_iter()
                    .flatten()
            {
                assert!(!pattern.is_match("x") || pattern.is_match(""), "{}", plan.id());
            }
        }
        assert!(plans > 250, "{plans} plans");
    }

    #[test]
    fn newer_mobiles_are_still_wanting_in_the_crates_data() {
        for (code, newer) in NEWER_MOBILES {
            let ours = PLANS.by_code(&code).unwrap();
            let theirs = DATABASE.by_code(&code).unwrap();
            let has = |plans: &[&Metadata], number: &str| {
                plans
                    .iter()
                    .filter_map(|plan| plan.descriptors().mobile())
                    .any(|mobile| mobile.is_match(number))
            };
            // Every beginning of five digits, as finely as plans are cut.
            let wanting = (10_000..100_000)
                .flat_map(|start| ["00000", "23456", "99999"].map(|end| format!("{start}{end}")))
                .any(|number| has(&ours, &number) && !has(&theirs, &number));
            assert!(
                wanting,
                "the crate's data has +{code} {newer} now (or it is not of ten digits): delete the row"
            );
        }
    }

    #[test]
    fn no_country_code_begins_another() {
        let codes: Vec<String> =
            (1..=999_u16).filter(|code| PLANS.region(code).is_some()).map(|code| code.to_string()).collect();
        for code in &codes {
            assert!(!codes.iter().any(|other| other != code && other.starts_with(code.as_str())), "{code}");
        }
    }
}
