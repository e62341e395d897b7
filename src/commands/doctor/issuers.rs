//! The trusted issuers, and when each of them ends.

use chrono::{DateTime, Duration, Utc};

use super::{Finding, fine, warning};
use crate::{
    config::{Config, Problems},
    domain::issuer::TrustedIssuer,
};

/// The time before the end of an issuer in which there is a warning: its users must be able to sign in without it by then.
const SOON: Duration = Duration::days(14);

/// `None` if there are no issuers, or if the problems of the settings are about them.
pub(super) fn check(config: &Config, problems: &Problems, now: DateTime<Utc>) -> Option<Finding> {
    const ABOUT: &str = "trusted issuers";
    if config.issuers.is_empty() || problems.0.iter().any(|problem| Config::is_about_issuers(problem)) {
        return None;
    }
    let issuers = || config.issuers.iter().map(|known| &known.issuer);
    let list: Vec<String> = issuers().map(|issuer| described(issuer, config, now)).collect();
    let text = format!("{}: {}", list.len(), list.join(", "));
    let needs_work = issuers().any(|issuer| issuer.is_over(now + SOON));
    Some(if needs_work { warning(ABOUT, text) } else { fine(ABOUT, text) })
}

/// The name and the end of an issuer.
fn described(issuer: &TrustedIssuer, config: &Config, now: DateTime<Utc>) -> String {
    let name = &issuer.name;
    let Some(until) = issuer.until else { return format!("{name} (no end)") };
    let end = until.with_timezone(&config.zone).format("%Y-%m-%d %H:%M");
    let zone = config.zone;
    if issuer.is_over(now) {
        format!("{name} (ended {end} {zone}: remove it)")
    } else if issuer.is_over(now + SOON) {
        format!("{name} (until {end} {zone}, which is within {} days)", SOON.num_days())
    } else {
        format!("{name} (until {end} {zone})")
    }
}
