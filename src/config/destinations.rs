//! The settings of which numbers can get messages. They are not limits, so they apply even if limits are off.

use std::collections::BTreeSet;

use super::reader::Reader;
use crate::domain::{
    destination::{Beginning, Destinations},
    phone::Region,
};

const COUNTRIES: &str = "SMS_ALLOWED_COUNTRIES";
const BLOCKED: &str = "SMS_BLOCKED_PREFIXES";
const ALLOWED: &str = "SMS_ALLOWED_PREFIXES";

pub(super) fn destinations(reader: &mut Reader<'_>) -> Destinations {
    let countries = countries(reader);
    let (blocked, allowed) = (beginnings(reader, BLOCKED), beginnings(reader, ALLOWED));
    for both in blocked.intersection(&allowed) {
        reader.problem(format!("{BLOCKED} and {ALLOWED} both name {both}"));
    }
    Destinations { countries, blocked, allowed }
}

fn countries(reader: &mut Reader<'_>) -> BTreeSet<String> {
    let read = reader.list(COUNTRIES).into_iter().map(|item| item.parse::<Region>());
    match read.collect::<Result<Vec<Region>, _>>() {
        Ok(regions) => regions.iter().map(Region::to_string).collect(),
        Err(error) => {
            reader.problem(format!("{COUNTRIES}: each {error}"));
            BTreeSet::new()
        }
    }
}

fn beginnings(reader: &mut Reader<'_>, name: &'static str) -> BTreeSet<Beginning> {
    let read = reader.list(name).into_iter().map(|item| item.parse::<Beginning>());
    read.collect::<Result<_, _>>().unwrap_or_else(|error| {
        reader.problem(format!("{name} {error}"));
        BTreeSet::new()
    })
}
