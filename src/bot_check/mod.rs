//! Verifies tokens of Cloudflare Turnstile and hCaptcha with the providers' `siteverify` endpoints.
//!
//! The client is not the one of `outbound`, for the reason that is given there: the address is the provider's own, and what takes
//! its place (`BOT_PROOF_URL`) may be a private gateway.
//!
//! This module knows the providers' wire formats and error codes. It must not know phones, limits or the database. Only a
//! clear success of the provider counts as one. Use cases decide when a token is required, and `http` what a client is told.
//!
//! To add
//! 1. an error code: add a row to the table in `answer.rs` that says who causes it, and a line to the tests;
//! 2. a provider: add a variant of [`Provider`]; the compiler shows all places that need a decision.

mod answer;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, time::Duration};

use reqwest::{Client, redirect};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use url::Url;
use uuid::{Builder, Uuid};

use crate::domain::bot_check::ChallengeResponse;

use self::answer::Answer;

/// How long all tries for one token may take, bodies included. The server's own deadline is longer, so that there is time
/// left for the database, the message and the response.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of that time connecting may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// We close connections that are idle for longer: one that the provider closes first can lose a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of tries for one token.
const MAX_TRIES: u32 = 2;

/// The invalid token of [`SiteVerify::probe`].
const INVALID_TOKEN: &str = "loopin-auth-doctor";

/// A provider that verifies tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>
    Turnstile,
    /// <https://docs.hcaptcha.com/#verify-the-user-response-server-side>
    HCaptcha,
}

impl Provider {
    /// The name in settings, responses and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Turnstile => "turnstile",
            Self::HCaptcha => "hcaptcha",
        }
    }

    /// The documented URL of its endpoint.
    #[must_use]
    pub fn default_url(self) -> &'static str {
        match self {
            Self::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
            Self::HCaptcha => "https://api.hcaptcha.com/siteverify",
        }
    }

    /// Longer tokens are refused without asking the provider. hCaptcha documents no limit.
    fn max_token_chars(self) -> usize {
        match self {
            Self::Turnstile => 2048,
            Self::HCaptcha => usize::MAX,
        }
    }

    /// Whether a request can be repeated. A token is valid for one request; only Turnstile recognises a repetition, by its
    /// `idempotency_key`.
    fn is_idempotent(self) -> bool {
        match self {
            Self::Turnstile => true,
            Self::HCaptcha => false,
        }
    }

    /// Whether a secret is one of the provider's documented test secrets, which accept every token.
    #[must_use]
    pub fn is_for_tests(self, secret: &SecretString) -> bool {
        let secret = secret.expose_secret();
        let digits = secret.strip_prefix("0x").unwrap_or(secret);
        match self {
            // `1x…AA` accepts all tokens, `2x…AA` none, `3x…AA` reports all as used.
            Self::Turnstile => {
                let digits = secret.get(2..).and_then(|rest| rest.strip_suffix("AA")).unwrap_or("-");
                ["1x", "2x", "3x"].iter().any(|prefix| secret.starts_with(prefix)) && is_zeros(digits)
            }
            Self::HCaptcha => is_zeros(digits),
        }
    }
}

fn is_zeros(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte == b'0')
}

/// The settings of a [`SiteVerify`]. `Debug` shows no secret.
#[derive(Clone)]
pub struct ProviderSettings {
    /// `BOT_PROOF`
    pub provider: Provider,
    /// `BOT_PROOF_SITE_KEY`: public; clients need it to show the provider's widget.
    pub site_key: String,
    /// `BOT_PROOF_SECRET`
    pub secret: SecretString,
    /// `BOT_PROOF_URL`
    pub url: Url,
    /// `BOT_PROOF_HOSTNAMES`: the sites on which a token can be made; empty allows all.
    pub hostnames: Vec<String>,
    /// `BOT_PROOF_ACTION`: the action that a token must be for, if the provider supports actions.
    pub action: Option<String>,
    /// How long all tries for one token may take; see [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
}

impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("provider", &self.provider)
            .field("url", &self.url.as_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The HTTP client cannot be created, most likely because there are no CA certificates.
#[derive(Debug, Error)]
#[error("the HTTP client for bot proof could not be created")]
pub struct SetupError(#[source] reqwest::Error);

/// The provider's verdict on a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted.
    Human,
    /// Refused. The word is the provider's error code, or our own reason.
    Refused(&'static str),
    /// The provider refuses this server's settings. The word is its error code.
    Misconfigured(&'static str),
    /// It does not answer, or its response is unreadable.
    Away(&'static str),
}

/// A client of a provider. There is one per process, because it reuses connections. `Debug` shows no secret.
pub struct SiteVerify {
    client: Client,
    settings: ProviderSettings,
}

impl fmt::Debug for SiteVerify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteVerify").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SiteVerify {
    /// Creates the client. It does not contact the provider.
    pub fn new(settings: ProviderSettings) -> Result<Self, SetupError> {
        let client = Client::builder()
            .user_agent("loopin-auth")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A redirect would send the secret to another server. A proxy in the environment is not one of our settings.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError)?;
        Ok(Self { client, settings })
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.settings.provider
    }

    /// The site key, with which clients show the widget.
    #[must_use]
    pub fn site_key(&self) -> &str {
        &self.settings.site_key
    }

    /// The action that clients must pass to the widget, if any.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        self.settings.action.as_deref()
    }

    /// Verifies a token. `request_id` is random; the provider recognises a repeated request by it. Logs problems for the
    /// operator.
    pub async fn verify(&self, token: &ChallengeResponse, from: IpAddr, request_id: Uuid) -> Verdict {
        let verdict = if token.expose().chars().count() > self.settings.provider.max_token_chars() {
            Verdict::Refused("too-long")
        } else {
            self.ask(token.expose(), Some(from), request_id).await.verdict
        };
        self.report(verdict);
        verdict
    }

    /// Sends an invalid token, for the `doctor` command: a provider that accepts our secret refuses only the token. Logs
    /// nothing.
    pub async fn probe(&self, request_id: Uuid) -> Verdict {
        self.ask(INVALID_TOKEN, None, request_id).await.verdict
    }

    async fn ask(&self, token: &str, from: Option<IpAddr>, request_id: Uuid) -> TryOutcome {
        let deadline = Instant::now() + self.settings.timeout;
        let mut tries = 1;
        loop {
            let is_last = tries == MAX_TRIES || !self.settings.provider.is_idempotent();
            // If the request can be repeated, the first try gets half of the time.
            let until = if is_last { deadline } else { deadline - self.settings.timeout / 2 };
            let outcome = match timeout_at(until, self.try_once(token, from, request_id)).await {
                Ok(outcome) => outcome,
                Err(_) => TryOutcome::away("time-out", false),
            };
            // A request that did not reach the provider can always be repeated.
            let may_repeat = tries < MAX_TRIES && (!is_last || outcome.was_not_sent);
            let is_away = matches!(outcome.verdict, Verdict::Away(_));
            if !is_away || !may_repeat || Instant::now() >= deadline {
                return outcome;
            }
            tries += 1;
        }
    }

    async fn try_once(&self, token: &str, from: Option<IpAddr>, request_id: Uuid) -> TryOutcome {
        let settings = &self.settings;
        let from = from.map(|address| address.to_string());
        let mut form = vec![("secret", settings.secret.expose_secret()), ("response", token)];
        form.extend(from.as_deref().map(|from| ("remoteip", from)));
        // As a version 4 UUID (RFC 9562), which a provider may expect of a random id.
        let request_id = Builder::from_random_bytes(request_id.into_bytes()).into_uuid().to_string();
        match settings.provider {
            Provider::Turnstile => form.push(("idempotency_key", &request_id)),
            Provider::HCaptcha => form.push(("sitekey", &settings.site_key)),
        }
        match self.client.post(settings.url.clone()).form(&form).send().await {
            Ok(response) => {
                let answer = Answer::from_response(response).await;
                TryOutcome { verdict: answer.verdict(settings), was_not_sent: false }
            }
            Err(error) if error.is_connect() => TryOutcome::away("no-connection", true),
            Err(error) if error.is_timeout() => TryOutcome::away("time-out", false),
            Err(_) => TryOutcome::away("no-answer", false),
        }
    }

    fn report(&self, verdict: Verdict) {
        let provider = self.settings.provider.as_str();
        match verdict {
            Verdict::Human => tracing::debug!(provider, "bot proof given"),
            Verdict::Refused(why) => tracing::debug!(provider, why, "bot proof refused"),
            Verdict::Misconfigured(why) => {
                tracing::error!(provider, why, "bot proof: the provider refuses us, see BOT_PROOF_SECRET");
            }
            Verdict::Away(why) => tracing::warn!(provider, why, "bot proof: the provider does not answer"),
        }
    }
}

/// The outcome of one try.
struct TryOutcome {
    verdict: Verdict,
    /// The request did not reach the provider.
    was_not_sent: bool,
}

impl TryOutcome {
    fn away(why: &'static str, was_not_sent: bool) -> Self {
        Self { verdict: Verdict::Away(why), was_not_sent }
    }
}
