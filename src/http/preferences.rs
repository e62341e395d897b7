//! How a client wants its code to be delivered: channel, platform and languages.

use poem::{
    Request,
    http::{HeaderValue, header},
};

use super::fields::{self, Field, FieldErrors};
use crate::{domain::delivery::ChannelPolicy, flows::DeliveryPreferences};

/// Limits of `Accept-Language`, well above what real clients send.
const MAX_LANGUAGES: usize = 16;
const MAX_TAG_LENGTH: usize = 35;

/// Reads the delivery preferences of a request for a code; none if a field has an error.
pub fn delivery_preferences(
    request: &Request,
    channel: &Field<fields::Channel>,
    platform: &Field<fields::Platform>,
    channels: &ChannelPolicy,
    errors: &mut FieldErrors,
) -> Option<DeliveryPreferences> {
    let channel = errors.check("channel", fields::channel(channel, channels));
    let platform = errors.check("platform", fields::platform(platform));
    let (channel, platform) = channel.zip(platform)?;
    Some(DeliveryPreferences { channel, platform, languages: languages(request) })
}

/// Reads a language tag (BCP 47), such as `pt-BR`. An underscore is taken for a hyphen.
pub fn language_tag(text: &str) -> Result<String, fields::ErrorMessages> {
    let tag = text.trim().replace('_', "-");
    if is_tag(&tag) {
        return Ok(tag);
    }
    Err(vec![format!(
        "Locale must be a language tag of at most {MAX_TAG_LENGTH} characters, such as en or pt-BR"
    )])
}

fn is_tag(tag: &str) -> bool {
    (1..=MAX_TAG_LENGTH).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The tags of `Accept-Language`, the preferred ones first (RFC 9110, section 12.5.4). Invalid ones are skipped.
pub fn languages(request: &Request) -> Vec<String> {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).map(HeaderValue::as_bytes);
    let header = String::from_utf8_lossy(header.unwrap_or_default());
    let mut ranges: Vec<(f32, &str)> = header
        .split(',')
        .take(MAX_LANGUAGES)
        .filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight: f32 =
                weight.trim().strip_prefix(['q', 'Q'])?.trim().strip_prefix('=')?.trim().parse().ok()?;
            let tag = tag.trim();
            (is_tag(tag) && weight > 0.0).then_some((weight, tag))
        })
        .collect();
    // The sort is stable: tags of the same weight keep their order.
    ranges.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    ranges.into_iter().map(|(_, tag)| tag.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_come_in_the_order_of_their_weight() {
        for (header, expected) in [
            ("hi", vec!["hi"]),
            ("en;q=0.8, hi-IN, fr;q=0.9", vec!["hi-IN", "fr", "en"]),
            ("en-GB,en;q=0.9,*;q=0.5", vec!["en-GB", "en"]),
            ("hi;q=0, en;Q=0.5", vec!["en"]),
            ("hi;q=nan, ta;level=1, नेपाली, , en;q=1.0", vec!["en"]),
            ("", vec![]),
        ] {
            let request = Request::builder().header(header::ACCEPT_LANGUAGE, header).finish();
            assert_eq!(languages(&request), expected, "{header}");
        }
        assert!(languages(&Request::builder().finish()).is_empty());
        let many = Request::builder().header(header::ACCEPT_LANGUAGE, "hi,".repeat(500)).finish();
        assert_eq!(languages(&many).len(), MAX_LANGUAGES);
    }
}
