//! The settings of a Twilio account.

use std::{fmt, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::senders::{Senders, WhatsApp};
use domain::delivery::Channel;

/// The settings for [`super::Twilio::new`]. Its `Debug` shows neither the account nor a secret nor a sender.
#[derive(Clone)]
pub struct TwilioSettings {
    /// `TWILIO_ACCOUNT_SID`: `AC` and 32 hex digits.
    pub account_sid: String,
    /// The credentials for the API.
    pub credentials: Credentials,
    /// The senders by destination country.
    pub senders: Senders,
    /// The WhatsApp settings, if WhatsApp is enabled.
    pub whatsapp: Option<WhatsApp>,
    /// `TWILIO_VOICE_NUMBER`: the caller's number in E.164, if calls are enabled.
    pub voice_number: Option<String>,
    /// The address for Twilio's reports: `/api/twilio/status` under `PUBLIC_BASE_URL`. Only set if reports can be
    /// verified, which needs the auth token.
    pub status_callback: Option<Url>,
    /// `TWILIO_RISK_CHECK`: Twilio's own protection against SMS pumping; not sent if not set.
    pub risk_check: Option<RiskCheck>,
    /// `TWILIO_API_BASE_URL`: `http` or `https`. A path is kept, user and password are refused.
    pub api_base_url: Url,
    /// The deadline for all tries of one message; see [`crate::DEFAULT_TIMEOUT`].
    pub timeout: Duration,
    /// The limit of concurrent requests; see [`crate::DEFAULT_MAX_IN_FLIGHT`].
    pub max_in_flight: usize,
    /// Whether the circuit breaker is on. `RATE_LIMITS_ENABLED=false` switches it off.
    pub breaker: bool,
}

impl TwilioSettings {
    /// Whether they have what this channel needs.
    #[must_use]
    pub fn is_set_up_for(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.senders != Senders::default(),
            Channel::WhatsApp => self.whatsapp.is_some(),
            Channel::Call => self.voice_number.is_some(),
        }
    }
}

impl fmt::Debug for TwilioSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioSettings").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The credentials for Twilio. Its `Debug` shows nothing.
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

/// The value of Twilio's field `RiskCheck`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskCheck {
    /// Twilio blocks messages that look like SMS pumping.
    Enable,
    /// Twilio does not block them, whatever the account's setting is.
    Disable,
}
