//! `RateLimit` and `RateLimit-Policy`: the limits that apply to a request, so that a client can slow down before it is
//! refused. Handlers record them, and the edge writes the headers. The syntax is that of draft-ietf-httpapi-ratelimit-headers, revisions 8 and later, whose
//! fields are lists of strings with parameters (RFC 9651).

use std::sync::{Arc, Mutex, PoisonError};

use poem::{
    Request,
    http::{HeaderMap, HeaderName, HeaderValue},
};

/// What is left of a limit.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What the limit is.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// What a client has left of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitStatus {
    /// The name of the limit, lower-case words with hyphens. It never changes.
    pub policy: &'static str,
    /// How much is allowed in a window.
    pub quota: u64,
    /// The length of a window.
    pub window_seconds: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// The seconds until there is more.
    pub reset_seconds: u64,
}

/// The limits that were recorded for one request, shared by its handler and the edge.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordedLimits(Arc<Mutex<Vec<LimitStatus>>>);

/// Records the status of a limit for the response to a request. The headers list limits in the order of their first
/// record; a later record of the same limit replaces the earlier one.
pub fn record(request: &Request, status: LimitStatus) {
    let Some(recorded) = request.data::<RecordedLimits>() else { return };
    let mut all = recorded.0.lock().unwrap_or_else(PoisonError::into_inner);
    match all.iter_mut().find(|before| before.policy == status.policy) {
        Some(before) => *before = status,
        None => all.push(status),
    }
}

impl RecordedLimits {
    /// Attaches an empty list to a request, and returns it.
    pub(super) fn attach(request: &mut Request) -> Self {
        let recorded = Self::default();
        request.extensions_mut().insert(recorded.clone());
        recorded
    }

    /// Writes the headers, if any limit was recorded.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        let list = |item: fn(&LimitStatus) -> String| all.iter().map(item).collect::<Vec<_>>().join(", ");
        for (name, text) in [(RATE_LIMIT, list(limit)), (RATE_LIMIT_POLICY, list(policy))] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Section 4 of the draft: `r` is what is left, `t` the seconds until there is more.
fn limit(status: &LimitStatus) -> String {
    let LimitStatus { policy, remaining, reset_seconds, .. } = status;
    format!("\"{policy}\";r={};t={}", remaining.min(&MAX_INTEGER), reset_seconds.min(&MAX_INTEGER))
}

/// Section 3 of the draft: `q` is the quota, `w` its window in seconds.
fn policy(status: &LimitStatus) -> String {
    let LimitStatus { policy, quota, window_seconds, .. } = status;
    format!("\"{policy}\";q={};w={}", quota.min(&MAX_INTEGER), window_seconds.min(&MAX_INTEGER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: LimitStatus = LimitStatus {
        policy: "requests-by-address",
        quota: 20,
        window_seconds: 3600,
        remaining: 7,
        reset_seconds: 120,
    };

    fn headers_after(all: &[LimitStatus]) -> Vec<(String, String)> {
        let mut request = Request::default();
        let recorded = RecordedLimits::attach(&mut request);
        for status in all {
            record(&request, *status);
        }
        let mut headers = HeaderMap::new();
        recorded.write(&mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn nothing_told_is_nothing_said() {
        assert_eq!(headers_after(&[]), []);
    }

    #[test]
    fn one_limit_is_written_as_the_draft_has_it() {
        assert_eq!(
            headers_after(&[ADDRESS]),
            [
                ("ratelimit".to_owned(), "\"requests-by-address\";r=7;t=120".to_owned()),
                ("ratelimit-policy".to_owned(), "\"requests-by-address\";q=20;w=3600".to_owned()),
            ]
        );
    }

    #[test]
    fn several_are_a_list_and_the_last_word_on_each_counts() {
        let phone = LimitStatus { policy: "sends-to-phone", remaining: 0, ..ADDRESS };
        let headers = headers_after(&[ADDRESS, phone, LimitStatus { remaining: 6, ..ADDRESS }]);
        assert_eq!(headers[0].1, "\"requests-by-address\";r=6;t=120, \"sends-to-phone\";r=0;t=120");
        assert_eq!(headers[1].1, "\"requests-by-address\";q=20;w=3600, \"sends-to-phone\";q=20;w=3600");
    }

    #[test]
    fn no_number_is_longer_than_a_structured_field_takes() {
        let headers = headers_after(&[LimitStatus { remaining: u64::MAX, quota: u64::MAX, ..ADDRESS }]);
        assert_eq!(headers[0].1, "\"requests-by-address\";r=999999999999999;t=120");
        assert_eq!(headers[1].1, "\"requests-by-address\";q=999999999999999;w=3600");
    }

    #[test]
    fn without_an_edge_nobody_is_told() {
        record(&Request::default(), ADDRESS);
    }
}
