//! From where somebody asks, as far as she is shown it again in the list of her sessions.

use poem::{Request, http::header};

use super::client_ip;
use crate::domain::access::Client;

/// The name that an app gives its device.
const DEVICE_NAME: &str = "x-device-name";

/// How much is kept of what a device says of itself, in characters.
const LONGEST_DEVICE: usize = 200;

/// The client of a request: `X-Device-Name`, else `User-Agent`; and its address.
#[must_use]
pub fn of(request: &Request) -> Client {
    let text =
        |name: &str| request.headers().get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let named = [DEVICE_NAME, header::USER_AGENT.as_str()].into_iter().filter_map(text).map(shown);
    Client {
        device: named.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
        address: client_ip::of(request).to_string(),
    }
}

/// A name as it may stand in a list: without what is not shown or would turn the text around.
fn shown(name: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().filter(|c| !is_unseen(*c)).take(LONGEST_DEVICE).collect();
    name.trim().to_owned()
}
