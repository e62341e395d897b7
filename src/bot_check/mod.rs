//! Asking others whether a request is a person's: Cloudflare's Turnstile and hCaptcha, over their `siteverify`.
//!
//! This room knows the providers' wire formats and what their error codes mean. It knows no phone, no budget and no
//! database, and it decides nothing but this: only a clear yes of the provider is a yes. Who is asked when, and what a
//! client is told, is for the verbs and the doors.
//!
//! To add
//! 1. an error code: one row in the table of `answer.rs`, with whose fault it is and a line in the tests;
//! 2. a provider: a variant of [`Provider`]; every match on it stops compiling until someone has decided.

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

/// How long all tries for one proof may take, bodies included. The server's own deadline is longer, so that there is time
/// left for the database, the message and the way back.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Of these, how long a connection may take to stand, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that lie unused for longer are closed by us: one that the provider closes first would lose a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often one proof is asked for, at most.
const MAX_TRIES: u32 = 2;

/// A text that is no token of anybody: what [`SiteVerify::probe`] asks with.
const NO_TOKEN: &str = "loopin-auth-doctor";

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>
    Turnstile,
    /// <https://docs.hcaptcha.com/#verify-the-user-response-server-side>
    HCaptcha,
}

impl Provider {
    /// As settings, answers and logs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Turnstile => "turnstile",
            Self::HCaptcha => "hcaptcha",
        }
    }

    /// Where it is asked, by its own documents.
    #[must_use]
    pub fn default_url(self) -> &'static str {
        match self {
            Self::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
            Self::HCaptcha => "https://api.hcaptcha.com/siteverify",
        }
    }

    /// Longer tokens are none, and not worth asking about. hCaptcha names no limit.
    fn max_token_chars(self) -> usize {
        match self {
            Self::Turnstile => 2048,
            Self::HCaptcha => usize::MAX,
        }
    }

    /// Whether a question may be put twice. Each token is good for one question; only Turnstile knows a repeated one
    /// again, by its `idempotency_key`.
    fn may_be_asked_again(self) -> bool {
        match self {
            Self::Turnstile => true,
            Self::HCaptcha => false,
        }
    }

    /// Whether a secret is one of those that the provider's documents give to everybody, for tests. With them every token
    /// is good.
    #[must_use]
    pub fn is_for_tests(self, secret: &SecretString) -> bool {
        let secret = secret.expose_secret();
        let digits = secret.strip_prefix("0x").unwrap_or(secret);
        match self {
            // `1x…AA` passes all, `2x…AA` none, `3x…AA` says that each token was used.
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

/// What [`SiteVerify::new`] needs. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct ProviderSettings {
    /// `BOT_PROOF`
    pub provider: Provider,
    /// `BOT_PROOF_SITE_KEY`: public; clients show the provider's widget with it.
    pub site_key: String,
    /// `BOT_PROOF_SECRET`
    pub secret: SecretString,
    /// `BOT_PROOF_URL`
    pub url: Url,
    /// `BOT_PROOF_HOSTNAMES`: where a proof may have been made; empty is anywhere.
    pub hostnames: Vec<String>,
    /// `BOT_PROOF_ACTION`: what a proof must have been made for, where the provider knows actions.
    pub action: Option<String>,
    /// How long all tries for one proof may take; see [`DEFAULT_TIMEOUT`].
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

/// Why there is no [`SiteVerify`]. Found at start.
#[derive(Debug, Error)]
#[error("the HTTP client for the bot proof could not be made")]
pub struct SetupError(#[source] reqwest::Error);

/// What the provider said of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A clear yes.
    Human,
    /// A clear no; the word is the provider's, or ours where it was not even asked.
    Refused(&'static str),
    /// It refuses us: something of ours is to mend. The word is the provider's.
    Misconfigured(&'static str),
    /// It did not answer, or not in a way that can be read.
    Away(&'static str),
}

/// A provider to ask. One per process: it keeps its connections. Its `Debug` shows no secret.
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
    /// Makes the one client, without a word to the provider.
    ///
    /// # Errors
    /// When the client cannot be made, most likely for want of CA certificates.
    pub fn new(settings: ProviderSettings) -> Result<Self, SetupError> {
        let client = Client::builder()
            .user_agent("loopin-auth")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A redirect would carry the secret to wherever it points; a proxy in the environment is no setting of ours.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError)?;
        Ok(Self { client, settings })
    }

    /// Who is asked.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.settings.provider
    }

    /// What clients show the widget with.
    #[must_use]
    pub fn site_key(&self) -> &str {
        &self.settings.site_key
    }

    /// What the widget is to be told that it is for, if anything.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        self.settings.action.as_deref()
    }

    /// Asks about a token. `question` is a random id of this question, by which it is known again if it has to be repeated.
    /// Logs what the operator should know.
    pub async fn verify(&self, token: &ChallengeResponse, from: IpAddr, question: Uuid) -> Verdict {
        let verdict = if token.expose().chars().count() > self.settings.provider.max_token_chars() {
            Verdict::Refused("too-long")
        } else {
            self.ask(token.expose(), Some(from), question).await.verdict
        };
        self.report(verdict);
        verdict
    }

    /// Asks about a token that is none, for the operator's command: a provider that answers and takes our secret refuses
    /// just that token. Logs nothing.
    pub async fn probe(&self, question: Uuid) -> Verdict {
        self.ask(NO_TOKEN, None, question).await.verdict
    }

    async fn ask(&self, token: &str, from: Option<IpAddr>, question: Uuid) -> Told {
        let deadline = Instant::now() + self.settings.timeout;
        let mut tries = 1;
        loop {
            let is_last = tries == MAX_TRIES || !self.settings.provider.may_be_asked_again();
            // Whoever may be asked again gets a half of the time at first.
            let until = if is_last { deadline } else { deadline - self.settings.timeout / 2 };
            let told = match timeout_at(until, self.try_once(token, from, question)).await {
                Ok(told) => told,
                Err(_) => Told::away("time-out", false),
            };
            // What never left the house may be said again to anybody.
            let may_repeat = tries < MAX_TRIES && (!is_last || told.was_not_asked);
            let is_away = matches!(told.verdict, Verdict::Away(_));
            if !is_away || !may_repeat || Instant::now() >= deadline {
                return told;
            }
            tries += 1;
        }
    }

    async fn try_once(&self, token: &str, from: Option<IpAddr>, question: Uuid) -> Told {
        let settings = &self.settings;
        let from = from.map(|address| address.to_string());
        let mut form = vec![("secret", settings.secret.expose_secret()), ("response", token)];
        form.extend(from.as_deref().map(|from| ("remoteip", from)));
        // In the form of a version 4 (RFC 9562), as a provider may expect of a random one.
        let question = Builder::from_random_bytes(question.into_bytes()).into_uuid().to_string();
        match settings.provider {
            Provider::Turnstile => form.push(("idempotency_key", &question)),
            Provider::HCaptcha => form.push(("sitekey", &settings.site_key)),
        }
        match self.client.post(settings.url.clone()).form(&form).send().await {
            Ok(response) => {
                let answer = Answer::from_response(response).await;
                Told { verdict: answer.verdict(settings), was_not_asked: false }
            }
            Err(error) if error.is_connect() => Told::away("no-connection", true),
            Err(error) if error.is_timeout() => Told::away("time-out", false),
            Err(_) => Told::away("no-answer", false),
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

/// What came of one question.
struct Told {
    verdict: Verdict,
    /// No word reached the provider.
    was_not_asked: bool,
}

impl Told {
    fn away(why: &'static str, was_not_asked: bool) -> Self {
        Self { verdict: Verdict::Away(why), was_not_asked }
    }
}
