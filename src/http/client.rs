//! The client of a request, as the list of sessions shows it to the user.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use poem::{Request, http::header};

use super::{client_ip, preferences::languages};
use crate::domain::access::Client;

/// The device name that an app sends.
const DEVICE_NAME: &str = "x-device-name";

/// The longest device name that is stored, in characters.
const LONGEST_DEVICE: usize = 200;

/// The client of a request: `X-Device-Name`, else `User-Agent`; its address, and the language that it prefers.
#[must_use]
pub fn from_request(request: &Request) -> Client {
    let text =
        |name: &str| request.headers().get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let named = text(DEVICE_NAME).and_then(decode_name);
    let agent = text(header::USER_AGENT.as_str()).map(Cow::from);
    let names = [named, agent].into_iter().flatten().map(|name| displayable(&name));
    Client {
        device: names.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
        address: client_ip::from_request(request).to_string(),
        locale: languages(request).into_iter().next(),
    }
}

/// Decodes a device name: as it is, or in the ASCII form of RFC 8187, section 3.2, such as
/// `UTF-8''%E0%A4%97%E0%A5%8C%E0%A4%B0%E0%A4%B5`, because most clients cannot send other scripts in a header.
fn decode_name(value: &str) -> Option<Cow<'_, str>> {
    let mut parts = value.trim().splitn(3, '\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_language), Some(encoded)) if charset.eq_ignore_ascii_case("UTF-8") => {
            percent_decode_str(encoded).decode_utf8().ok()
        }
        _ => Some(value.into()),
    }
}

/// A name without invisible characters, and without those that change the direction of the text.
fn displayable(name: &str) -> String {
    let is_invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().filter(|c| !is_invisible(*c)).take(LONGEST_DEVICE).collect();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn device(name: &[u8]) -> String {
        let mut request = Request::builder().header(header::USER_AGENT, "Loopin/1.0").finish();
        request.headers_mut().insert(DEVICE_NAME, HeaderValue::from_bytes(name).unwrap());
        from_request(&request).device
    }

    #[test]
    fn a_name_of_any_script_comes_in_ascii_or_as_it_is() {
        for (value, expected) in [
            ("Asha's phone", "Asha's phone"),
            ("100%25 mine", "100%25 mine"),
            ("a+b", "a+b"),
            ("गौरव का फ़ोन", "गौरव का फ़ोन"),
            ("UTF-8''%E0%A4%97%E0%A5%8C%E0%A4%B0%E0%A4%B5", "गौरव"),
            ("utf-8'hi'%e0%a4%97%e0%a5%8c%e0%a4%b0%e0%a4%b5", "गौरव"),
            ("UTF-8''Asha%27s%20phone", "Asha's phone"),
            // `encodeURIComponent` leaves quotes and parentheses as they are, and a plus is a plus.
            ("UTF-8''Asha's%20(a+b)", "Asha's (a+b)"),
            ("UTF-8''100%25%20%F0%9F%93%B1", "100% 📱"),
            ("UTF-8''a%00b%0Ac%E2%80%AEd", "abcd"),
            // Not a text, or nothing to show.
            ("UTF-8''%FF%FE", "Loopin/1.0"),
            ("UTF-8''%E0%A4", "Loopin/1.0"),
            ("UTF-8''", "Loopin/1.0"),
            ("UTF-8''%20%00", "Loopin/1.0"),
            // Other character sets are not supported, and a single quote is just a quote.
            ("ISO-8859-1''%E9", "ISO-8859-1''%E9"),
            ("UTF-8's phone", "UTF-8's phone"),
        ] {
            assert_eq!(device(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(device(b"\xff"), "Loopin/1.0");
        assert_eq!(device(format!("UTF-8''{}", "%E0%A4%97".repeat(300)).as_bytes()), "ग".repeat(200));
    }
}
