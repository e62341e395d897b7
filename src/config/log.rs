//! What is logged.

use super::reader::Reader;
use crate::telemetry::{LogFilter, LogLevel};

/// `RUST_LOG`, else `LOG_LEVEL`, else `DEBUG`. All are checked, so that the list of problems is complete.
pub(super) fn filter(reader: &mut Reader<'_>) -> LogFilter {
    let mut level = if reader.flag("DEBUG", false) { LogLevel::Debug } else { LogLevel::Info };
    if let Some(text) = reader.text("LOG_LEVEL") {
        match text.parse() {
            Ok(given) => level = given,
            Err(error) => reader.problem(format!("LOG_LEVEL {error}")),
        }
    }
    let mut filter = LogFilter::at(level);
    if let Some(text) = reader.text("RUST_LOG") {
        match text.parse() {
            Ok(given) => filter = given,
            Err(error) => reader.problem(format!("RUST_LOG {error}")),
        }
    }
    filter
}
