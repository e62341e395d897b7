//! The keys that the secrets of the settings give.

use std::sync::Arc;

use crate::{
    config::{Config, TokenSettings},
    domain::{
        access::TokenKeys, console::ConsoleKeys, device::DeviceKeys, otp::OtpKeys, pseudonym::Pseudonyms,
        second_factor::FactorKeys, token_ids::TokenIds,
    },
};

/// All keys of the services. A proof of work has its own.
pub(super) struct Keys {
    pub(super) otp: Arc<OtpKeys>,
    pub(super) pseudonyms: Arc<Pseudonyms>,
    pub(super) devices: Arc<DeviceKeys>,
    pub(super) factors: Arc<FactorKeys>,
    pub(super) tokens: Arc<TokenKeys>,
    pub(super) token_ids: Arc<TokenIds>,
    pub(super) console: Arc<ConsoleKeys>,
}

impl Keys {
    pub(super) fn derive(config: &Config) -> Self {
        let (current, fallbacks) = (&config.secret_key, config.secret_key_fallbacks.as_slice());
        Self {
            otp: Arc::new(OtpKeys::derive(current, fallbacks)),
            pseudonyms: Arc::new(Pseudonyms::derive(current, fallbacks)),
            devices: Arc::new(DeviceKeys::derive(current, fallbacks)),
            factors: Arc::new(FactorKeys::derive(current, fallbacks)),
            tokens: Arc::new(token_keys(&config.tokens)),
            token_ids: Arc::new(TokenIds::derive(current, fallbacks)),
            console: Arc::new(ConsoleKeys::derive(current, fallbacks)),
        }
    }
}

fn token_keys(settings: &TokenSettings) -> TokenKeys {
    TokenKeys::new(settings.signing.clone(), settings.previous.clone(), settings.policy.clone())
}
