//! Builds the SMS providers that the settings name.

use crate::{
    clock::Clock,
    config::{Config, ProviderSettings, Reports},
    sms::{Msg91, Provider, Room, SetupError, Sms, Twilio, Vonage, Webhook},
};

/// Where each provider reports: an address, `played` or `none`; with the name of the provider if there are several.
pub(super) fn report_addresses(config: &Config) -> String {
    let words = config.reports.iter().map(|(provider, reports)| {
        let word = match reports {
            Reports::To(url) => url.as_str(),
            Reports::Played => "played",
            Reports::Never(_) => "none",
        };
        if config.reports.len() == 1 { word.to_owned() } else { format!("{}={word}", provider.as_str()) }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The providers whose settings are complete.
pub(super) fn room(settings: &ProviderSettings, clock: &Clock) -> Result<Room, SetupError> {
    let built = Provider::ALL.into_iter().filter_map(|name| provider(name, settings, clock).transpose());
    Ok(Room::new(settings.routes.clone(), built.collect::<Result<_, _>>()?))
}

/// One provider. `None` if its settings are not complete.
///
/// # Errors
/// [`SetupError`] if its settings cannot be used.
pub fn provider(
    name: Provider,
    settings: &ProviderSettings,
    clock: &Clock,
) -> Result<Option<Sms>, SetupError> {
    let ProviderSettings { twilio, vonage, msg91, webhook, .. } = settings;
    let clock = clock.clone();
    match name {
        Provider::Twilio => {
            let built = twilio.clone().map(|settings| Twilio::new(settings, clock)).transpose()?;
            Ok(built.map(|twilio| Sms::Twilio(Box::new(twilio))))
        }
        Provider::Vonage => {
            let built = vonage.clone().map(|settings| Vonage::new(settings, clock)).transpose()?;
            Ok(built.map(|vonage| Sms::Vonage(Box::new(vonage))))
        }
        Provider::Msg91 => {
            let built = msg91.clone().map(|settings| Msg91::new(settings, clock)).transpose()?;
            Ok(built.map(|msg91| Sms::Msg91(Box::new(msg91))))
        }
        Provider::Webhook => {
            let built = webhook.clone().map(|settings| Webhook::new(settings, clock)).transpose()?;
            Ok(built.map(|webhook| Sms::Webhook(Box::new(webhook))))
        }
        Provider::TestInbox => Ok(None),
    }
}
