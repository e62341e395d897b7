//! `RateLimit` and `RateLimit-Policy`: what a client is told of the limit that it is closest to, so that it can slow
//! down before it is refused. The syntax is that of draft-ietf-httpapi-ratelimit-headers, revisions 8 and later, whose
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

/// The greatest integer of a structured field (RFC 9651, section 3.3.1).
const GREATEST: u64 = 999_999_999_999_999;

/// How a client stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The name of the limit, which stays the same for good: lower-case words with hyphens.
    pub policy: &'static str,
    /// How much may be asked for in a window.
    pub quota: u64,
    /// How long a window is.
    pub window_seconds: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// Until there is more again.
    pub reset_seconds: u64,
}

/// What the handler of a request tells, on its way to the edge.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<BudgetStatus>>>);

/// Tells the client of a request how it stands with a limit. Of several limits those come first that were told first;
/// what is told again of the same one takes the place of what was told before.
pub fn tell(request: &Request, status: BudgetStatus) {
    let Some(told) = request.data::<Told>() else { return };
    let mut all = told.0.lock().unwrap_or_else(PoisonError::into_inner);
    match all.iter_mut().find(|before| before.policy == status.policy) {
        Some(before) => *before = status,
        None => all.push(status),
    }
}

impl Told {
    /// Makes room in a request for what its handler tells, and keeps hold of it.
    pub(super) fn prepare(request: &mut Request) -> Self {
        let told = Self::default();
        request.extensions_mut().insert(told.clone());
        told
    }

    /// Puts what was told on the answer, if anything was.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        let list = |item: fn(&BudgetStatus) -> String| all.iter().map(item).collect::<Vec<_>>().join(", ");
        for (name, text) in [(RATE_LIMIT, list(limit)), (RATE_LIMIT_POLICY, list(policy))] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Section 4 of the draft: `r` is what is left, `t` when there is more.
fn limit(status: &BudgetStatus) -> String {
    let BudgetStatus { policy, remaining, reset_seconds, .. } = status;
    format!("\"{policy}\";r={};t={}", remaining.min(&GREATEST), reset_seconds.min(&GREATEST))
}

/// Section 3 of the draft: `q` is the quota, `w` its window in seconds.
fn policy(status: &BudgetStatus) -> String {
    let BudgetStatus { policy, quota, window_seconds, .. } = status;
    format!("\"{policy}\";q={};w={}", quota.min(&GREATEST), window_seconds.min(&GREATEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: BudgetStatus = BudgetStatus {
        policy: "requests-by-address",
        quota: 20,
        window_seconds: 3600,
        remaining: 7,
        reset_seconds: 120,
    };

    fn headers_after(all: &[BudgetStatus]) -> Vec<(String, String)> {
        let mut request = Request::default();
        let told = Told::prepare(&mut request);
        for status in all {
            tell(&request, *status);
        }
        let mut headers = HeaderMap::new();
        told.write(&mut headers);
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
        let phone = BudgetStatus { policy: "sends-to-phone", remaining: 0, ..ADDRESS };
        let headers = headers_after(&[ADDRESS, phone, BudgetStatus { remaining: 6, ..ADDRESS }]);
        assert_eq!(headers[0].1, "\"requests-by-address\";r=6;t=120, \"sends-to-phone\";r=0;t=120");
        assert_eq!(headers[1].1, "\"requests-by-address\";q=20;w=3600, \"sends-to-phone\";q=20;w=3600");
    }

    #[test]
    fn no_number_is_longer_than_a_structured_field_takes() {
        let headers = headers_after(&[BudgetStatus { remaining: u64::MAX, quota: u64::MAX, ..ADDRESS }]);
        assert_eq!(headers[0].1, "\"requests-by-address\";r=999999999999999;t=120");
        assert_eq!(headers[1].1, "\"requests-by-address\";q=999999999999999;w=3600");
    }

    #[test]
    fn without_an_edge_nobody_is_told() {
        tell(&Request::default(), ADDRESS);
    }
}
