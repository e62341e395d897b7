//! The world's numbering plans, asked with whole numbers only.
//!
//! They are libphonenumber's, in `plans/plans.json`. libphonenumber's parser is not used: it drops digits that stand
//! behind a country code, so that a number that was written wrong becomes somebody's.
//!
//! To change: `tests/numbering_plans/update.sh` fetches the newest plans, and `tests/numbering_plans/run.sh` compares
//! what is read here with libphonenumber. Which kinds of line are taken is decided in `Plan::line` alone.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use chrono::NaiveDate;
use regex_lite::Regex;
use serde::{Deserialize, Deserializer};

/// What a numbering plan says a number is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// A person's: mobile, mobile or fixed line (where the plan does not tell them apart), internet telephony, personal.
    Personal,
    /// In the plan, but not a person's: fixed line, premium rate, toll-free, shared cost, pager, company, voicemail.
    Other,
}

/// The longest number of E.164, country code included (ITU-T E.164, 6.2.1). Some plans have longer ones that can be
/// dialled at home only.
pub(super) const LONGEST: usize = 15;

/// All plans, by country code; those that share one in libphonenumber's order, the main one first.
struct Plans {
    version: String,
    released: NaiveDate,
    by_code: BTreeMap<String, Vec<Plan>>,
}

/// The file as it is written.
#[derive(Deserialize)]
struct File {
    libphonenumber: String,
    released: String,
    plans: Vec<Plan>,
}

/// Read at the first use, which takes about a millisecond. A test reads the same file, so the empty plans that stand
/// for a broken one are never in use; with them no region would be known, and no server would start.
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

/// The version of libphonenumber that the plans come from, and the day of its release.
pub(super) fn edition() -> (&'static str, NaiveDate) {
    (&PLANS.version, PLANS.released)
}

/// The plan of a region by its two letters, if there is one.
pub(super) fn for_region(region: &str) -> Option<&'static Plan> {
    // The plans of networks that belong to no country share the name 001.
    let is_a_country = region.bytes().all(|byte| byte.is_ascii_uppercase());
    PLANS.by_code.values().flatten().find(|plan| is_a_country && plan.region == region)
}

/// Takes the country code off international digits: `916205829376` is `91` and `6205829376`. No country code is the
/// beginning of another, so there is one way at most.
pub(super) fn split(digits: &str) -> Option<(&str, &str)> {
    (1..=3)
        .filter_map(|length| digits.split_at_checked(length))
        .find(|(code, _)| PLANS.by_code.contains_key(*code))
}

/// The plan that has these international digits, exactly as they stand, and what they are in it; `None` when no plan
/// has them.
pub(super) fn find(digits: &str) -> Option<(&'static Plan, Line)> {
    let (code, national) = split(digits).filter(|_| digits.len() <= LONGEST)?;
    let plans = PLANS.by_code.get(code)?;
    if let [only] = plans.as_slice() {
        return only.line(national).map(|line| (only, line));
    }
    // Several regions share the code. As libphonenumber has it: the first whose leading digits fit decides, and of
    // those without leading digits the first that has the number.
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

/// The numbering plan of a region, or of a network that belongs to none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    region: String,
    country_code: String,
    /// How its numbers begin where several regions share the country code.
    #[serde(default, deserialize_with = "beginning")]
    leading_digits: Option<Pattern>,
    /// What is dialled at home before a national number, with the carrier's code that some countries put behind it.
    #[serde(default, deserialize_with = "beginning")]
    national_prefix: Option<Pattern>,
    /// What takes the place of that prefix, if anything does.
    prefix_becomes: Option<String>,
    /// Whether 00 leads abroad, and nothing else that begins with 00 does.
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
    /// The region's two letters; `001` where there is no region.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The country code.
    pub(super) fn country_code(&self) -> &str {
        &self.country_code
    }

    /// Digits dialled inside the region, with the national prefix or without, as international digits. Whether some
    /// plan has them is not asked.
    pub(super) fn national(&self, digits: &str) -> String {
        format!("{}{}", self.country_code, self.without_prefix(digits))
    }

    /// Drops the national prefix, or rewrites it by the plan's rule: at home an Argentine mobile is `011 15 …`, abroad
    /// it is `9 11 …`; in Bermuda seven digits want their `441`. As in libphonenumber, the prefix stays where what
    /// remains without it is no number, because there it belongs to the number.
    fn without_prefix(&self, digits: &str) -> String {
        let cooldown = || {
            let prefix = self.national_prefix.as_ref()?.regex()?;
            let found = prefix.captures(digits)?;
            let last_group = found.get(found.len() - 1);
            let cooldown = match &self.prefix_becomes {
                Some(rule) if last_group.is_some() => prefix.replace(digits, rule).into_owned(),
                _ => digits.get(found.get(0)?.end()..)?.to_owned(),
            };
            let belongs = self.general.pattern.is_match(digits) && !self.general.pattern.is_match(&cooldown);
            (!belongs && self.general.lengths.contains(&cooldown.len())).then_some(cooldown)
        };
        cooldown().unwrap_or_else(|| digits.to_owned())
    }

    /// What the national number is in this plan. The order of the questions is libphonenumber's, since patterns overlap.
    fn line(&self, national: &str) -> Option<Line> {
        let is = |numbers: &Option<Numbers>| numbers.as_ref().is_some_and(|numbers| numbers.have(national));
        if !self.general.have(national) {
            None
        } else if is(&self.premium_rate) || is(&self.toll_free) || is(&self.shared_cost) {
            Some(Line::Other)
        } else if is(&self.voip) || is(&self.personal) {
            Some(Line::Personal)
        } else if is(&self.pager) || is(&self.company) || is(&self.voicemail) {
            Some(Line::Other)
        } else if is(&self.mobile) {
            // Also where the pattern of fixed lines fits as well.
            Some(Line::Personal)
        } else if is(&self.fixed_line) {
            Some(Line::Other)
        } else {
            None
        }
    }
}

/// Which national numbers are of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    #[serde(deserialize_with = "whole")]
    pattern: Pattern,
    lengths: Vec<usize>,
}

impl Numbers {
    fn have(&self, national: &str) -> bool {
        self.lengths.contains(&national.len()) && self.pattern.is_match(national)
    }
}

/// A pattern that is compiled when a number first asks for it and then kept: all of them together are a few megabytes.
#[derive(Debug)]
struct Pattern {
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(text: String) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    /// A test compiles them all, so there is one.
    fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }

    fn is_match(&self, digits: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(digits))
    }
}

/// Ties a pattern to the start: as it stands it would fit anywhere.
fn beginning<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Pattern>, D::Error> {
    Ok(Some(Pattern::new(format!("^(?:{})", String::deserialize(from)?))))
}

/// Ties a pattern to both ends.
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
