//! The clients of the operator's other servers: hooks, the receiver of events, and trusted issuers.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::AppError;
use crate::{
    config::{Config, KeySettings},
    domain::{access::VerifyingKey, issuer::IssuerKey},
    flows::{
        before_send::Hook,
        exchange::{Issuers, KeyCache, KeyRing},
    },
    hooks::{BeforeSend, EventReceiver, KeySource},
};

pub(super) fn before_send(config: &Config) -> Result<Option<Hook>, AppError> {
    let Some(settings) = config.before_send.clone() else { return Ok(None) };
    let client = outbound::Client::new(config.hook_rules.allow_private_networks)?;
    Ok(Some(Hook::new(BeforeSend::new(client, settings))))
}

pub(super) fn events(config: &Config) -> Result<Option<Arc<EventReceiver>>, AppError> {
    let Some(settings) = config.events.clone() else { return Ok(None) };
    let client = outbound::Client::new(config.hook_rules.allow_private_networks)?;
    Ok(Some(Arc::new(EventReceiver::new(client, settings))))
}

/// Contacts no issuer.
pub(super) fn issuers(config: &Config) -> Result<Issuers, AppError> {
    let known = config.issuers.iter().map(|known| {
        let keys = match &known.keys {
            KeySettings::Secret(secret) => {
                let key = VerifyingKey::secret(secret);
                KeyRing::Secret(Arc::new(vec![IssuerKey::without_name(key)]))
            }
            KeySettings::Published(endpoint) => {
                let client = outbound::Client::new(config.hook_rules.allow_private_networks)?;
                KeyRing::Published(KeyCache::new(KeySource::new(client, endpoint.clone())))
            }
        };
        Ok((known.issuer.clone(), keys))
    });
    Ok(Issuers(known.collect::<Result<_, AppError>>()?))
}

/// Logs which issuers do nothing any more.
pub(super) fn warn_of_ended(config: &Config, now: DateTime<Utc>) {
    for issuer in config.ended_issuers(now) {
        tracing::warn!(issuer, "the end of a trusted issuer has passed: remove it from TRUSTED_ISSUERS_FILE");
    }
}
