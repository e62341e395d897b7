//! The texts that can go to India: whether each has its template id, and the list of them in the form to register there.

use std::fmt::Write as _;

use super::{Finding, fine, warning};
use crate::{
    config::{Config, SmsSettings},
    sms::{INDIA, Registration, Texts},
};

const ABOUT: &str = "India";

/// The texts, if numbers of India get messages. Texts that cannot be read are another finding.
fn texts(config: &Config) -> Option<Texts> {
    let is_served = config.destinations.serve(INDIA);
    is_served.then(|| Texts::load(config.texts.clone()).ok()).flatten()
}

fn registrations<'a>(config: &Config, texts: &'a Texts) -> Vec<Registration<'a>> {
    texts.registrations(config.otp.length.digits(), config.otp.life.num_minutes())
}

/// Whether a provider for numbers of India takes the ids of the texts.
fn takes_ids(config: &Config) -> bool {
    match &config.sms {
        SmsSettings::Providers(settings) => {
            let order = INDIA.parse().map_or(&[][..], |india| settings.routes.order_of(india));
            order.iter().any(|provider| provider.takes_dlt_ids())
        }
        // It is not known yet who will send.
        SmsSettings::TestInbox | SmsSettings::Unknown => true,
    }
}

/// Whether the texts have the ids that a domestic route needs.
pub(super) fn check(config: &Config) -> Option<Finding> {
    let texts = texts(config)?;
    if !takes_ids(config) {
        return Some(fine(
            ABOUT,
            "no provider for IN takes ids of the registry (DLT) by its API: what is registered is set up at the provider, see \
             docs/INDIA.md",
        ));
    }
    let registrations = registrations(config, &texts);
    let missing = registrations.iter().filter(|text| text.template_id.is_none()).count();
    let all = registrations.len();
    Some(match (config.texts.dlt_entity_id.is_some(), missing) {
        (false, _) => fine(
            ABOUT,
            "SMS_DLT_ENTITY_ID is not set, which a domestic route needs: see docs/INDIA.md and the texts below",
        ),
        (true, 0) => fine(ABOUT, format!("SMS_DLT_ENTITY_ID is set, and all {all} texts have a template id")),
        (true, missing) => warning(
            ABOUT,
            format!(
                "{missing} of {all} texts have no template id: register them as shown below, and add their ids"
            ),
        ),
    })
}

/// The list of texts, for the end of the output.
pub(super) fn list(config: &Config) -> Option<String> {
    let texts = texts(config)?;
    let mut list = "\nThe texts that can go to India, in the form to register:\n".to_owned();
    for Registration { file, key, template, characters, is_unicode, template_id } in
        registrations(config, &texts)
    {
        let state = match template_id {
            Some(id) => format!("template id {id}, "),
            None if takes_ids(config) => format!("no template id (dlt.{key}), "),
            None => String::new(),
        };
        let alphabet = if is_unicode { "Unicode" } else { "not Unicode" };
        let lines = template.replace('\n', "\n  ");
        // Writing to a `String` does not fail.
        let _ = write!(list, "\n{key} of {file}: {state}{characters} characters, {alphabet}\n  {lines}\n");
    }
    Some(list)
}
