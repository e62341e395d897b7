//! The languages that a client prefers.

use poem::{
    Request,
    http::{HeaderValue, header},
};

/// More languages than a person reads, and longer tags than there are, are somebody's game.
const MOST_LANGUAGES: usize = 16;
const LONGEST_TAG: usize = 35;

/// The tags of `Accept-Language`, the best first (RFC 9110, section 12.5.4). What cannot be read is passed over.
pub fn languages(request: &Request) -> Vec<String> {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).map(HeaderValue::as_bytes);
    let header = String::from_utf8_lossy(header.unwrap_or_default());
    let mut ranges: Vec<(f32, &str)> = header
        .split(',')
        .take(MOST_LANGUAGES)
        .filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight: f32 =
                weight.trim().strip_prefix(['q', 'Q'])?.trim().strip_prefix('=')?.trim().parse().ok()?;
            let tag = tag.trim();
            let is_tag = (1..=LONGEST_TAG).contains(&tag.len())
                && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (is_tag && weight > 0.0).then_some((weight, tag))
        })
        .collect();
    // Of two that weigh the same, the first stays first.
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
        assert_eq!(languages(&many).len(), MOST_LANGUAGES);
    }
}
