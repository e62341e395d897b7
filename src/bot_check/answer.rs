//! Reads a provider's response, and decides who causes a failure.

use reqwest::{Response, StatusCode};
use serde_json::{Map, Value};

use super::{Provider, ProviderSettings, Verdict};

/// Responses have some hundred bytes. Longer ones are not read to the end.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Who causes an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The visitor: another token may be accepted.
    Visitor,
    /// This server: no token is accepted until the operator acts.
    Ours,
    /// The provider: the same request may succeed later.
    Provider,
}

/// All documented error codes of both providers. hCaptcha has renamed its code for a used token; both names are here.
pub(super) const CODES: &[(&str, Cause)] = &[
    ("missing-input-secret", Cause::Ours),
    ("invalid-input-secret", Cause::Ours),
    ("sitekey-secret-mismatch", Cause::Ours),
    ("not-using-dummy-passcode", Cause::Ours),
    ("not-using-dummy-secret", Cause::Ours),
    ("invalid-sitekey", Cause::Ours),
    ("missing-remoteip", Cause::Ours),
    ("invalid-remoteip", Cause::Ours),
    ("bad-request", Cause::Ours),
    ("internal-error", Cause::Provider),
    ("missing-input-response", Cause::Visitor),
    ("invalid-input-response", Cause::Visitor),
    ("expired-input-response", Cause::Visitor),
    ("already-seen-response", Cause::Visitor),
    ("invalid-or-already-seen-response", Cause::Visitor),
    ("timeout-or-duplicate", Cause::Visitor),
];

pub(super) struct Answer {
    status: StatusCode,
    body: Option<Map<String, Value>>,
}

impl Answer {
    pub(super) async fn from_response(response: Response) -> Self {
        Self { status: response.status(), body: read_json(response).await }
    }

    /// The verdict. Only `success: true` with status 200, for an allowed host name and action, is a success.
    pub(super) fn verdict(&self, settings: &ProviderSettings) -> Verdict {
        if self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS {
            return Verdict::Away("server-error");
        }
        if self.status.is_redirection() {
            return Verdict::Misconfigured("redirect");
        }
        let success = self.body.as_ref().and_then(|body| body.get("success")).and_then(Value::as_bool);
        match success {
            Some(true) if self.status == StatusCode::OK => self.check_origin(settings),
            Some(false) => self.failure(),
            // The page of a proxy, or an undocumented response.
            Some(true) | None if self.status.is_success() => Verdict::Away("unreadable"),
            Some(true) | None => Verdict::Misconfigured("refused"),
        }
    }

    /// Refuses valid tokens that were made on another site or for another action.
    fn check_origin(&self, settings: &ProviderSettings) -> Verdict {
        let hostname = self.text("hostname").unwrap_or_default();
        let is_known = |known: &String| known.eq_ignore_ascii_case(hostname);
        if !settings.hostnames.is_empty() && !settings.hostnames.iter().any(is_known) {
            return Verdict::Refused("other-hostname");
        }
        let has_action = match (settings.provider, settings.action.as_deref()) {
            (Provider::Turnstile, Some(action)) => self.text("action") == Some(action),
            (Provider::Turnstile, None) | (Provider::HCaptcha, _) => true,
        };
        if has_action { Verdict::Human } else { Verdict::Refused("other-action") }
    }

    /// The most serious of the codes. An undocumented code counts as ours, so that the operator learns of it.
    fn failure(&self) -> Verdict {
        let codes = self.body.as_ref().and_then(|body| body.get("error-codes")).and_then(Value::as_array);
        let codes = codes.map(Vec::as_slice).unwrap_or_default();
        let known: Vec<(&'static str, Cause)> = codes
            .iter()
            .map(|code| {
                let found = CODES.iter().find(|(known, _)| code.as_str() == Some(known));
                found.copied().unwrap_or(("unknown-error-code", Cause::Ours))
            })
            .collect();
        let first = |cause| known.iter().find(|(_, found)| *found == cause).map(|(code, _)| *code);
        if let Some(code) = first(Cause::Ours) {
            Verdict::Misconfigured(code)
        } else if let Some(code) = first(Cause::Provider) {
            Verdict::Away(code)
        } else {
            Verdict::Refused(first(Cause::Visitor).unwrap_or("no-reason-given"))
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.body.as_ref()?.get(key)?.as_str()
    }
}

/// The JSON object of a response; `None` if it is too long, incomplete or something else.
async fn read_json(mut response: Response) -> Option<Map<String, Value>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).ok()
}
