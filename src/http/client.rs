//! From where somebody asks, as far as she is shown it again in the list of her sessions.

use poem::{Request, http::header};

use crate::domain::access::Client;

/// The name that an app gives its device.
const DEVICE_NAME: &str = "x-device-name";

/// How much is kept of what a device says of itself, in characters.
const LONGEST_DEVICE: usize = 200;

/// The client of a request: `X-Device-Name`, else `User-Agent`; and the address of the connection.
#[must_use]
pub fn of(request: &Request) -> Client {
    let text =
        |name: &str| request.headers().get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let named = text(DEVICE_NAME).or_else(|| text(header::USER_AGENT.as_str())).unwrap_or_default();
    let address =
        request.remote_addr().as_socket_addr().map(|address| address.ip().to_canonical().to_string());
    Client {
        device: named.trim().chars().filter(|c| !c.is_control()).take(LONGEST_DEVICE).collect(),
        address: address.unwrap_or_default(),
    }
}
