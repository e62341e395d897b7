//! What the answers of the operator's endpoint mean. It has no error codes of its own: the HTTP status says who must act,
//! and a body `{"error": {"reason": "not_mobile"}}` blames the number with a reason of our API.

use serde_json::Value;

use crate::{
    SendError, UnreachableReason,
    client::answer::Answer,
    provider_error::{Errors, Hints, ProviderError},
};

const ENDPOINT: &str = "the endpoint of SMS_WEBHOOK_URL";

/// What refusals of the endpoint mean.
pub(crate) const ERRORS: Errors = Errors {
    provider: ENDPOINT,
    known: &[],
    filtered: &[],
    pumping: &[],
    hints: Hints {
        credentials: "the endpoint refuses our signature: compare SMS_WEBHOOK_SECRET on both sides",
        not_found: "there is nothing at SMS_WEBHOOK_URL: check its path",
        timed_out: "the endpoint timed out while it waited for our request",
        too_many: "the endpoint had too many requests at once",
        refused: "the endpoint refused the message: see its log",
        not_the_api: "the endpoint redirects, or does not answer with 2xx: check SMS_WEBHOOK_URL",
        own_error: "the endpoint has an error: see its log",
        failed_at_once: "the endpoint took the message and failed at once: see its log",
        not_connected: "no connection: check SMS_WEBHOOK_URL, the network, DNS and certificates; a private address needs \
             HOOKS_ALLOW_PRIVATE_NETWORKS=true",
        unserved: "the endpoint does not send to this number: see its log",
        not_set_up: "the settings lack SMS_WEBHOOK_URL or SMS_WEBHOOK_SECRET",
        unknown: "it was slow, cut the connection or has an error: see the log of the endpoint",
    },
};

/// Classifies an answer that is not a success, or a success with an error inside.
pub(super) fn of(answer: &Answer, error: Option<&Value>) -> ProviderError {
    let blamed = error.and_then(|error| error.get("reason")).and_then(Value::as_str);
    let reason: Option<UnreachableReason> = blamed.and_then(|word| word.parse().ok());
    let is_certain = !answer.status.is_server_error();
    if let Some(reason) = reason.filter(|_| is_certain) {
        let error = SendError::Unreachable { reason, provider_code: None };
        return ProviderError { error, hint: "the endpoint says that the number cannot get messages" };
    }
    let inner = error.and_then(|error| error.get("http_code")).and_then(Value::as_u64);
    let inner = inner.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    let status = answer.status.as_u16();
    // A success with an error inside and without a status is a refusal.
    let status = if answer.status.is_success() { inner.unwrap_or(422) } else { status };
    ERRORS.of_answer(status, None, answer.retry_after.map(|seconds| seconds.max(1)))
}
