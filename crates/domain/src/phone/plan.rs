//! The world's numbering plans, for lookups of whole numbers.
//!
//! The data is libphonenumber's, in `plans/plans.json`. libphonenumber's parser is not used: it drops digits after a
//! country code, so a mistyped number can become another user's.
//!
//! To update: `tests/numbering_plans/update.sh` fetches the newest plans, and `tests/numbering_plans/run.sh` compares
//! the results of this module with libphonenumber. `Plan::line` alone decides which kinds of numbers are accepted.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use chrono::NaiveDate;
use regex_lite::Regex;
use serde::{Deserialize, Deserializer};

/// The kind of a number in its numbering plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// A personal number: mobile, mobile or fixed line (where the plan does not distinguish them), internet
    /// telephony, personal.
    Personal,
    /// Any other number of the plan: fixed line, premium rate, toll-free, shared cost, pager, company, voicemail.
    Other,
}

/// The longest number in E.164, country code included (ITU-T E.164, 6.2.1). Some plans have longer ones that can only
/// be dialled inside the country.
pub(super) const LONGEST: usize = 15;

/// All plans by country code. Plans that share a code are in libphonenumber's order, the main one first.
struct Plans {
    version: String,
    released: NaiveDate,
    by_code: BTreeMap<String, Vec<Plan>>,
}

/// The format of the file.
#[derive(Deserialize)]
struct File {
    libphonenumber: String,
    released: String,
    plans: Vec<Plan>,
}

/// Loaded at the first use, which takes about a millisecond. A test parses the same file, so the empty fallback for a
/// broken file is never in use; with it no region would be known, and no server would start.
static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let file: Option<File> = serde_json::from_str(include_str!("plans/plans.json")).ok();
    let mut plans = Plans { version: String::new(), released: NaiveDate::MIN, by_code: BTreeMap::new() };
    if let Some(file) = file {
        plans.version = file.libphonenumber;
        plans.released = file.released.parse().unwrap_or_default();
        for plan in file.plans {
            plans.by_code.entry(plan.country_code.clone()).or_default().push(plan);
        }
    }
    plans
});

/// The version of libphonenumber that the plans come from, and its release date.
pub(super) fn edition() -> (&'static str, NaiveDate) {
    (&PLANS.version, PLANS.released)
}

/// The plan of a region, by its two letters.
pub(super) fn for_region(region: &str) -> Option<&'static Plan> {
    // Plans of networks without a country share the name 001.
    let is_a_country = region.bytes().all(|byte| byte.is_ascii_uppercase());
    PLANS.by_code.values().flatten().find(|plan| is_a_country && plan.region == region)
}

/// Splits international digits into country code and national number: `916205829376` into `91` and `6205829376`. No
/// country code is a prefix of another, so there is at most one way.
pub(super) fn split(digits: &str) -> Option<(&str, &str)> {
    (1..=3)
        .filter_map(|length| digits.split_at_checked(length))
        .find(|(code, _)| PLANS.by_code.contains_key(*code))
}

/// The plan that has exactly these international digits, and their kind in it; `None` if no plan has them.
pub(super) fn find(digits: &str) -> Option<(&'static Plan, Line)> {
    let (code, national) = split(digits).filter(|_| digits.len() <= LONGEST)?;
    let plans = PLANS.by_code.get(code)?;
    if let [only] = plans.as_slice() {
        return only.line(national).map(|line| (only, line));
    }
    // Several regions share the code. As in libphonenumber, the first plan with matching leading digits decides;
    // among plans without leading digits it is the first that has the number.
    for plan in plans {
        match &plan.leading_digits {
            Some(leading) if leading.is_match(national) => {
                return plan.line(national).map(|line| (plan, line));
            }
            Some(_) => {}
            None => {
                if let Some(line) = plan.line(national) {
                    return Some((plan, line));
                }
            }
        }
    }
    None
}

/// The numbering plan of a region, or of a network without a country.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    region: String,
    country_code: String,
    /// The leading digits of its numbers, where several regions share the country code.
    #[serde(default, deserialize_with = "beginning")]
    leading_digits: Option<Pattern>,
    /// What is dialled inside the country before a national number, including the carrier code that some countries
    /// add.
    #[serde(default, deserialize_with = "beginning")]
    national_prefix: Option<Pattern>,
    /// The replacement for that prefix, if any.
    prefix_becomes: Option<String>,
    /// Whether 00 is the way to dial abroad and no other dialling prefix begins with 00.
    #[serde(default)]
    pub(super) abroad_by_00: bool,
    general: Numbers,
    premium_rate: Option<Numbers>,
    toll_free: Option<Numbers>,
    shared_cost: Option<Numbers>,
    voip: Option<Numbers>,
    personal: Option<Numbers>,
    pager: Option<Numbers>,
    company: Option<Numbers>,
    voicemail: Option<Numbers>,
    mobile: Option<Numbers>,
    fixed_line: Option<Numbers>,
}

impl Plan {
    /// The region's two letters; `001` for a network without a country.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The country code.
    pub(super) fn country_code(&self) -> &str {
        &self.country_code
    }

    /// Converts digits in national format, with or without the national prefix, to international digits. It does not
    /// check that a plan has them.
    pub(super) fn national(&self, digits: &str) -> String {
        format!("{}{}", self.country_code, self.without_prefix(digits))
    }

    /// Removes the national prefix, or rewrites it by the plan's rule: an Argentine mobile is `011 15 …` inside the
    /// country and `9 11 …` from abroad; in Bermuda seven digits need their `441`. As in libphonenumber, the prefix
    /// stays if the rest alone is not a number, because then it is part of the number.
    fn without_prefix(&self, digits: &str) -> String {
        let rest = || {
            let prefix = self.national_prefix.as_ref()?.regex()?;
            let found = prefix.captures(digits)?;
            let last_group = found.get(found.len() - 1);
            let rest = match &self.prefix_becomes {
                Some(rule) if last_group.is_some() => prefix.replace(digits, rule).into_owned(),
                _ => digits.get(found.get(0)?.end()..)?.to_owned(),
            };
            let belongs = self.general.pattern.is_match(digits) && !self.general.pattern.is_match(&rest);
            (!belongs && self.general.lengths.contains(&rest.len())).then_some(rest)
        };
        rest().unwrap_or_else(|| digits.to_owned())
    }

    /// The kind of the national number. The checks are in libphonenumber's order, because the patterns overlap.
    fn line(&self, national: &str) -> Option<Line> {
        let is =
            |numbers: &Option<Numbers>| numbers.as_ref().is_some_and(|numbers| numbers.contains(national));
        if !self.general.contains(national) {
            None
        } else if is(&self.premium_rate) || is(&self.toll_free) || is(&self.shared_cost) {
            Some(Line::Other)
        } else if is(&self.voip) || is(&self.personal) {
            Some(Line::Personal)
        } else if is(&self.pager) || is(&self.company) || is(&self.voicemail) {
            Some(Line::Other)
        } else if is(&self.mobile) {
            // Even if the pattern of fixed lines also matches.
            Some(Line::Personal)
        } else if is(&self.fixed_line) {
            Some(Line::Other)
        } else {
            None
        }
    }
}

/// The national numbers of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    #[serde(deserialize_with = "whole")]
    pattern: Pattern,
    lengths: Vec<usize>,
}

impl Numbers {
    fn contains(&self, national: &str) -> bool {
        self.lengths.contains(&national.len()) && self.pattern.is_match(national)
    }
}

/// A pattern that is compiled at its first use and then kept. All of them together take a few megabytes.
#[derive(Debug)]
struct Pattern {
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(text: String) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    /// Never `None`, because a test compiles every pattern.
    fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }

    fn is_match(&self, digits: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(digits))
    }
}

/// Anchors a pattern at the start.
fn beginning<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Pattern>, D::Error> {
    Ok(Some(Pattern::new(format!("^(?:{})", String::deserialize(from)?))))
}

/// Anchors a pattern at both ends.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Pattern, D::Error> {
    Ok(Pattern::new(format!("^(?:{})$", String::deserialize(from)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_every_pattern_compiles() {
        let file: File = serde_json::from_str(include_str!("plans/plans.json")).unwrap();
        assert!(file.released.parse::<NaiveDate>().is_ok(), "{}", file.released);
        assert!(file.libphonenumber.starts_with(|first: char| first.is_ascii_digit()));
        assert!(file.plans.len() > 250, "{} plans", file.plans.len());
        for plan in &file.plans {
            let kinds = [
                &plan.premium_rate,
                &plan.toll_free,
                &plan.shared_cost,
                &plan.voip,
                &plan.personal,
                &plan.pager,
                &plan.company,
                &plan.voicemail,
                &plan.mobile,
                &plan.fixed_line,
            ];
            let whole = kinds.into_iter().flatten().chain([&plan.general]).map(|numbers| &numbers.pattern);
            let beginnings = [&plan.leading_digits, &plan.national_prefix].into_iter().flatten();
            for pattern in whole.chain(beginnings) {
                assert!(pattern.regex().is_some(), "{}: {}", plan.region, pattern.text);
            }
        }
    }

    #[test]
    fn no_country_code_begins_another() {
        let codes: Vec<&String> = PLANS.by_code.keys().collect();
        for code in &codes {
            assert!((1..=3).contains(&code.len()) && !code.starts_with('0'), "{code}");
            assert!(!codes.iter().any(|other| other != code && other.starts_with(code.as_str())), "{code}");
        }
    }
}
