//! What a provider answers, and whose fault it is where that is no yes.

use reqwest::{Response, StatusCode};
use serde_json::{Map, Value};

use super::{Provider, ProviderSettings, Verdict};

/// Answers have some hundred bytes. What is longer is not read to its end.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Whose fault an error code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The visitor's: another proof may do.
    Visitor,
    /// Ours: no proof will do until the operator has acted.
    Ours,
    /// The provider's: the same question may do later.
    Provider,
}

/// Every documented error code of both. hCaptcha's documents have changed their words for a token that was used; both are
/// here.
pub(super) const CODES: &[(&str, Whose)] = &[
    ("missing-input-secret", Whose::Ours),
    ("invalid-input-secret", Whose::Ours),
    ("sitekey-secret-mismatch", Whose::Ours),
    ("not-using-dummy-passcode", Whose::Ours),
    ("not-using-dummy-secret", Whose::Ours),
    ("invalid-sitekey", Whose::Ours),
    ("missing-remoteip", Whose::Ours),
    ("invalid-remoteip", Whose::Ours),
    ("bad-request", Whose::Ours),
    ("internal-error", Whose::Provider),
    ("missing-input-response", Whose::Visitor),
    ("invalid-input-response", Whose::Visitor),
    ("expired-input-response", Whose::Visitor),
    ("already-seen-response", Whose::Visitor),
    ("invalid-or-already-seen-response", Whose::Visitor),
    ("timeout-or-duplicate", Whose::Visitor),
];

pub(super) struct Answer {
    status: StatusCode,
    body: Option<Map<String, Value>>,
}

impl Answer {
    pub(super) async fn from_response(response: Response) -> Self {
        Self { status: response.status(), body: read_json(response).await }
    }

    /// What it says. Only `success: true` in a 200, from where and for what it should be, is a yes.
    pub(super) fn verdict(&self, settings: &ProviderSettings) -> Verdict {
        if self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS {
            return Verdict::Away("server-error");
        }
        if self.status.is_redirection() {
            return Verdict::Misconfigured("redirect");
        }
        let success = self.body.as_ref().and_then(|body| body.get("success")).and_then(Value::as_bool);
        match success {
            Some(true) if self.status == StatusCode::OK => self.is_ours(settings),
            Some(false) => self.failure(),
            // A page that something else put in its place, or an answer that no document knows.
            Some(true) | None if self.status.is_success() => Verdict::Away("unreadable"),
            Some(true) | None => Verdict::Misconfigured("refused"),
        }
    }

    /// A good token of somebody else's page, or for another thing, proves nothing here.
    fn is_ours(&self, settings: &ProviderSettings) -> Verdict {
        let hostname = self.text("hostname").unwrap_or_default();
        let is_known = |known: &String| known.eq_ignore_ascii_case(hostname);
        if !settings.hostnames.is_empty() && !settings.hostnames.iter().any(is_known) {
            return Verdict::Refused("other-hostname");
        }
        let is_for = match (settings.provider, settings.action.as_deref()) {
            (Provider::Turnstile, Some(action)) => self.text("action") == Some(action),
            (Provider::Turnstile, None) | (Provider::HCaptcha, _) => true,
        };
        if is_for { Verdict::Human } else { Verdict::Refused("other-action") }
    }

    /// The gravest of the codes. One that no document knows is treated as ours, so that the operator hears of it.
    fn failure(&self) -> Verdict {
        let codes = self.body.as_ref().and_then(|body| body.get("error-codes")).and_then(Value::as_array);
        let codes = codes.map(Vec::as_slice).unwrap_or_default();
        let known: Vec<(&'static str, Whose)> = codes
            .iter()
            .map(|code| {
                let found = CODES.iter().find(|(known, _)| code.as_str() == Some(known));
                found.copied().unwrap_or(("unknown-error-code", Whose::Ours))
            })
            .collect();
        let first = |whose| known.iter().find(|(_, of)| *of == whose).map(|(code, _)| *code);
        if let Some(code) = first(Whose::Ours) {
            Verdict::Misconfigured(code)
        } else if let Some(code) = first(Whose::Provider) {
            Verdict::Away(code)
        } else {
            Verdict::Refused(first(Whose::Visitor).unwrap_or("no-reason-given"))
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.body.as_ref()?.get(key)?.as_str()
    }
}

/// The answer's JSON object. Too long, cut short, or something else: nothing.
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
