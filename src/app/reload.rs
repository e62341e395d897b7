//! SIGHUP: the settings are read again, and those that can change without a restart are in force from the next request on.

use std::sync::Arc;

use poem::{EndpointExt as _, Response, endpoint::BoxEndpoint};

use super::{AppError, Keys, endpoint, in_force::InForce, proof_of_work, providers};
use crate::{
    config::{Config, Problems, Reloaded, SmsSettings},
    flows::{
        Services,
        audit::{self},
        bot_check::BotCheck,
    },
};

/// Reads the settings again.
pub type Reread = Box<dyn Fn() -> Result<Config, Problems> + Send + Sync>;

/// What a reload replaces.
pub(super) struct Reloader {
    pub(super) config: Config,
    pub(super) reread: Reread,
    pub(super) services: InForce<Services>,
    pub(super) endpoint: InForce<BoxEndpoint<'static, Response>>,
}

impl Reloader {
    /// Reads the settings again. If anything is wrong with them, all stay as they are.
    pub(super) async fn reload(&mut self) {
        let read = (self.reread)();
        let planned = read.and_then(|after| {
            let (config, reloaded) = self.config.reloaded(&after)?;
            Ok((config, reloaded, after.warnings))
        });
        match planned {
            Err(Problems(problems)) => {
                for problem in problems {
                    tracing::error!(problem, "SIGHUP: no setting was changed");
                }
            }
            Ok((config, reloaded, warnings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                if let Err(error) = self.replace(config, &reloaded).await {
                    tracing::error!(%error, "SIGHUP: no setting was changed");
                }
            }
        }
    }

    async fn replace(&mut self, config: Config, reloaded: &Reloaded) -> Result<(), AppError> {
        let Reloaded { taken, left } = reloaded;
        if !taken.is_empty() {
            let services = Arc::new(renewed(&self.services.get(), &config, reloaded)?);
            self.endpoint.set(Arc::new(endpoint(&config, Arc::clone(&services)).boxed()));
            self.services.set(Arc::clone(&services));
            self.config = config;
            if let Err(error) = audit::note_settings(&services, &self.config.given).await {
                tracing::warn!(%error, "the change of settings could not be recorded: the next start records it");
            }
        }
        tracing::info!(
            changed = taken.join(" "),
            after_a_restart = Some(left.join(" ")).filter(|names| !names.is_empty()),
            "SIGHUP: the settings were read again"
        );
        Ok(())
    }
}

/// The same services with the keys and the providers of these settings.
fn renewed(services: &Services, config: &Config, reloaded: &Reloaded) -> Result<Services, AppError> {
    let sms = match &config.sms {
        SmsSettings::Providers(settings) if reloaded.has_providers() => {
            Arc::new(providers::room(settings, &services.clock)?)
        }
        SmsSettings::Providers(_) | SmsSettings::TestInbox | SmsSettings::Unknown => {
            Arc::clone(&services.sms)
        }
    };
    let bot_check = match services.bot_check.as_ref() {
        BotCheck::Pow { difficulty, .. } => Arc::new(proof_of_work(config, *difficulty)),
        BotCheck::Off | BotCheck::Provider(_) => Arc::clone(&services.bot_check),
    };
    let keys = Keys::derive(config);
    Ok(Services {
        audit: services.audit.with_pseudonyms(Arc::clone(&keys.pseudonyms)),
        sms,
        reports: config.report_readers.clone(),
        bot_check,
        settings: Arc::new(config.report()),
        otp_keys: keys.otp,
        pseudonyms: keys.pseudonyms,
        devices: keys.devices,
        factor_keys: keys.factors,
        tokens: keys.tokens,
        token_ids: keys.token_ids,
        console: keys.console,
        ..services.clone()
    })
}
