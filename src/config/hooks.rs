//! The settings of hooks, and the one rule for their URLs.

use outbound::{Endpoint, Rules, Secrets};

use super::reader::Reader;
use crate::hooks::{BeforeSendSettings, EventsSettings, OnFailure};

/// The rules for the URLs of an operator's receivers.
pub(super) fn rules(reader: &mut Reader<'_>, is_prod: bool) -> Rules {
    let allow_private_networks = reader.flag("HOOKS_ALLOW_PRIVATE_NETWORKS", false);
    Rules { allow_http: !is_prod, allow_private_networks }
}

/// The hook before sending. `None` without a URL, or with wrong settings.
pub(super) fn before_send(reader: &mut Reader<'_>, rules: Rules) -> Option<BeforeSendSettings> {
    let endpoint = endpoint(reader, "BEFORE_SEND_URL", rules);
    let secrets = secrets(reader, "BEFORE_SEND_SECRET");
    let on_failure = match reader.text("BEFORE_SEND_ON_FAILURE").as_deref() {
        None | Some("allow") => OnFailure::Allow,
        Some("deny") => OnFailure::Deny,
        Some(_) => {
            reader.problem("BEFORE_SEND_ON_FAILURE must be allow or deny");
            OnFailure::Allow
        }
    };
    let (endpoint, secrets) = both(reader, (endpoint, secrets), "BEFORE_SEND_URL", "BEFORE_SEND_SECRET")?;
    Some(BeforeSendSettings { endpoint, secrets, on_failure })
}

/// The receiver of events. `None` without a URL, or with wrong settings.
pub(super) fn events(reader: &mut Reader<'_>, rules: Rules) -> Option<EventsSettings> {
    let endpoint = endpoint(reader, "EVENTS_URL", rules);
    let secrets = secrets(reader, "EVENTS_SECRET");
    let include_phone = reader.flag("EVENTS_INCLUDE_PHONE", false);
    let (endpoint, secrets) = both(reader, (endpoint, secrets), "EVENTS_URL", "EVENTS_SECRET")?;
    Some(EventsSettings { endpoint, secrets, include_phone })
}

/// A URL and its secret. `None` unless both are right.
fn both(
    reader: &mut Reader<'_>,
    given: (Given<Endpoint>, Given<Secrets>),
    url: &'static str,
    secret: &'static str,
) -> Option<(Endpoint, Secrets)> {
    match given {
        (Given::Yes(endpoint), Given::Yes(secrets)) => Some((endpoint, secrets)),
        (Given::Yes(_) | Given::Wrong, Given::No) => {
            reader.problem(format!("{secret} must be set with {url}"));
            None
        }
        (Given::No, Given::Yes(_)) => {
            reader.warn(format!("{secret} has no effect without {url}"));
            None
        }
        (Given::No, Given::No) | (Given::Wrong, _) | (_, Given::Wrong) => None,
    }
}

/// A setting that was read.
enum Given<T> {
    No,
    Yes(T),
    /// Its problem is reported.
    Wrong,
}

fn endpoint(reader: &mut Reader<'_>, name: &'static str, rules: Rules) -> Given<Endpoint> {
    let Some(text) = reader.text(name) else { return Given::No };
    match Endpoint::parse(&text, rules) {
        Ok(endpoint) => Given::Yes(endpoint),
        Err(error) => {
            reader.problem(format!("{name} {error}"));
            Given::Wrong
        }
    }
}

fn secrets(reader: &mut Reader<'_>, name: &'static str) -> Given<Secrets> {
    let Some(text) = reader.text(name) else { return Given::No };
    match text.parse() {
        Ok(secrets) => Given::Yes(secrets),
        Err(error) => {
            reader.problem(format!("{name} {error}"));
            Given::Wrong
        }
    }
}
