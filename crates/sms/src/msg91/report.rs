//! Reads MSG91's status reports: <https://msg91.com/help/how-can-i-get-the-delivery-reports-on-my-webhook-url>.
//!
//! They are set up in MSG91's panel and are not signed. The address has a secret instead, and request id and number must
//! both match a message of ours. Version 2 is a form with a list of reports, version 3 a JSON object; version 4 names no
//! message, so it is read and changes nothing.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::{
    errors::{ERRORS, code_of_report},
    is_id, scalar,
};
use crate::{Forged, Provider, ProviderText, Report, ReportOf};
use domain::{
    delivery::DeliveryStatus::{Delivered, Failed, Undelivered},
    phone::PhoneNumber,
};

/// The field of a form of version 2.
const FORM_FIELD: &str = "data";

/// Reads reports. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Msg91Reports {
    secret: SecretString,
}

impl fmt::Debug for Msg91Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Msg91Reports").finish_non_exhaustive()
    }
}

impl Msg91Reports {
    /// For reports to the address that ends with `MSG91_STATUS_SECRET`.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self { secret }
    }

    /// Reads reports. `secret` is the last part of the path.
    ///
    /// # Errors
    /// [`Forged`] with another secret.
    pub(crate) fn read(&self, secret: &str, body: &[u8]) -> Result<Vec<Report>, Forged> {
        let is_ours = secret.as_bytes().ct_eq(self.secret.expose_secret().as_bytes());
        if !bool::from(is_ours) {
            return Err(Forged);
        }
        Ok(reports(body))
    }
}

fn reports(body: &[u8]) -> Vec<Report> {
    let json: Option<Value> = match serde_json::from_slice(body) {
        Ok(json) => Some(json),
        Err(_) => form_urlencoded::parse(body)
            .find(|(name, _)| name == FORM_FIELD)
            .and_then(|(_, value)| serde_json::from_str(&value).ok()),
    };
    let mut found = Vec::new();
    if let Some(json) = &json {
        collect(json, &mut found);
    }
    found
}

/// The reports in a list, in an object with a list of its own (version 2), or in a single object (version 3). All of them: MSG91
/// does not report twice, and the size of the body limits how many there are.
fn collect(json: &Value, found: &mut Vec<Report>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(object) => match (object.get("report"), object.get("requestId")) {
            (Some(Value::Array(items)), Some(id)) => {
                let ours = items.iter().filter_map(Value::as_object).filter_map(|item| report(id, item));
                found.extend(ours);
            }
            (_, Some(id)) => found.extend(report(id, object)),
            (_, None) => {}
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn report(id: &Value, item: &Map<String, Value>) -> Option<Report> {
    let text = |key: &str| item.get(key).and_then(scalar);
    let id = scalar(id).filter(|id| is_id(id))?;
    let number = text("number")?;
    let to = PhoneNumber::from_e164(&format!("+{}", number.trim_start_matches('+')))?;
    let code: u32 = text("status")?.parse().ok()?;
    let status = match code {
        1 => Delivered,
        // Refused before the carrier had it.
        9 | 16 | 17 | 25 => Failed,
        2 => Undelivered,
        _ => return None,
    };
    let words = ["failedReason", "desc"].into_iter().filter_map(text).collect::<Vec<_>>().join(" ");
    let error_code = status.is_lost().then(|| code_of_report(code, &words));
    Some(Report {
        provider: Provider::Msg91,
        of: ReportOf::Recipient { id, to },
        status,
        error_code,
        error_text: ProviderText::read(&words).filter(|_| status.is_lost()),
        reason: error_code.and_then(|code| ERRORS.reason_of(code)),
        price: None,
    })
}
