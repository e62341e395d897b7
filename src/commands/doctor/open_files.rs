//! The limit of open files, and what the settings need.

use super::{Finding, fine, warning};
use crate::{
    app::room_for_connections,
    config::{Config, SmsSettings},
    sms::DEFAULT_MAX_IN_FLIGHT,
};

const ABOUT: &str = "open files";

/// Open files that a server needs beside the sockets of its messages: listeners, the database, its files.
const OTHER_FILES: u64 = 100;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => return vec![warning(ABOUT, format!("the limit cannot be read: {error}"))],
    };
    let found: Vec<Finding> = connections(config, limit).into_iter().chain(messages(config, limit)).collect();
    if found.is_empty() { vec![fine(ABOUT, format!("up to {limit}"))] } else { found }
}

/// The server says the same at its start, and takes fewer connections.
fn connections(config: &Config, limit: u64) -> Option<Finding> {
    let (wanted, room) = (config.server.max_connections, room_for_connections(limit));
    (room < wanted).then(|| {
        warning(
            ABOUT,
            format!(
                "up to {limit}, which is room for {room} connections, and MAX_CONNECTIONS={wanted}: raise the hard limit \
                 (ulimit -Hn, LimitNOFILE) or lower the setting"
            ),
        )
    })
}

/// A message on its way needs two sockets: that of the waiting client, and one to Twilio.
fn messages(config: &Config, limit: u64) -> Option<Finding> {
    let settings = match &config.sms {
        SmsSettings::Providers(settings) => settings,
        SmsSettings::TestInbox | SmsSettings::Unknown => return None,
    };
    let most = settings.twilio.as_ref().map_or(DEFAULT_MAX_IN_FLIGHT, |twilio| twilio.max_in_flight);
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let needed = most.saturating_mul(2).saturating_add(OTHER_FILES);
    (limit < needed).then(|| {
        warning(
            ABOUT,
            format!(
                "up to {limit}, and TWILIO_MAX_IN_FLIGHT={most} may need {needed}: raise the hard limit (ulimit -Hn, \
                 LimitNOFILE) or lower the setting"
            ),
        )
    })
}
