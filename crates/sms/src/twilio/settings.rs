//! What a Twilio account is set up with.

use std::{fmt, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::senders::{Senders, WhatsApp};

/// How long all tries for one message may take by default, bodies and waits included. The server's own deadline is
/// longer, so that there is time for the database and the way back.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests to Twilio are under way at once by default. More wait for their turn, as long as their deadline
/// lets them: a connection costs memory and a file descriptor, a wait costs next to nothing.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 1024;

/// What [`super::Twilio::new`] needs. Its `Debug` shows neither the account nor a secret nor a sender.
#[derive(Clone)]
pub struct TwilioSettings {
    /// `TWILIO_ACCOUNT_SID`: `AC` and 32 hex digits.
    pub account_sid: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Who messages come from, by the country that they go to.
    pub senders: Senders,
    /// How codes go by WhatsApp, where that is on.
    pub whatsapp: Option<WhatsApp>,
    /// `TWILIO_VOICE_NUMBER`: who calls, where calls are on; a number in E.164.
    pub voice_number: Option<String>,
    /// Where Twilio reports to: `/api/twilio/status` under `PUBLIC_BASE_URL`. Only where its reports can be told from
    /// forged ones, which needs the auth token.
    pub status_callback: Option<Url>,
    /// `TWILIO_RISK_CHECK`: Twilio's own protection against SMS pumping; not mentioned to it when not set.
    pub risk_check: Option<RiskCheck>,
    /// `TWILIO_API_BASE_URL`: `http` or `https`, a path is kept, user and password are refused.
    pub api_base_url: Url,
    /// How long all tries for one message may take; see [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
    /// How many requests are under way at once; see [`DEFAULT_MAX_IN_FLIGHT`].
    pub max_in_flight: usize,
    /// Whether repeated failures stop the asking for a while. `RATE_LIMITS_ENABLED=false` switches that off.
    pub breaker: bool,
}

impl fmt::Debug for TwilioSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioSettings").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Who asks Twilio. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Credentials {
    /// The account SID, or the SID of an API key (`SK` and 32 hex digits).
    pub user: String,
    /// The auth token, or the key's secret.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// `RiskCheck`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskCheck {
    /// Twilio holds back what looks like SMS pumping.
    Enable,
    /// It does not, whatever the account is set to.
    Disable,
}
