//! Reads Twilio's delivery reports and verifies their signatures:
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.
//!
//! The signature is base64 of HMAC-SHA1, keyed with the auth token, over the URL that Twilio called and every field
//! of the form. The URL is built from `PUBLIC_BASE_URL`, which Twilio was given, because a proxy may change the
//! address that reaches this server. New and empty fields are signed too, so none is left out.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::{errors::ERRORS, words};
use crate::{Forged, Provider, ProviderText, Report, ReportOf};
use domain::{
    delivery::{Attempt, Channel, DeliveryStatus, Price},
    phone::PhoneNumber,
};

/// The path of the report endpoint under `PUBLIC_BASE_URL`.
const STATUS_PATH: &str = "/api/twilio/status";

/// The parameters of the address that name the message. Reports may arrive before the provider's id of it is stored.
const DELIVERY_ID: &str = "delivery_id";
const ATTEMPT: &str = "attempt";

/// The address for the reports about this message.
pub(crate) fn address_for(attempt: Attempt, base: &Url) -> Url {
    let mut address = base.clone();
    address
        .query_pairs_mut()
        .append_pair(DELIVERY_ID, &attempt.delivery_id.to_string())
        .append_pair(ATTEMPT, &attempt.number.to_string());
    address
}

/// The message that the address of a report names.
fn attempt_of(target: &str) -> Option<Attempt> {
    let (_, query) = target.split_once('?')?;
    let value =
        |name| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
    let delivery_id = value(DELIVERY_ID)?.parse::<Uuid>().ok()?;
    Some(Attempt { delivery_id, number: value(ATTEMPT)?.parse().ok()? })
}

/// Reads reports. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Callbacks {
    base: Url,
    auth_token: SecretString,
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

impl Callbacks {
    /// For reports sent to `PUBLIC_BASE_URL` and signed with `TWILIO_AUTH_TOKEN`.
    #[must_use]
    pub fn new(public_base_url: Url, auth_token: SecretString) -> Self {
        Self { base: public_base_url, auth_token }
    }

    /// The address for Twilio's reports. `None` if `PUBLIC_BASE_URL` cannot be a base.
    #[must_use]
    pub fn status_url(&self) -> Option<Url> {
        let [plain, _] = self.urls(STATUS_PATH)?;
        Url::parse(&plain).ok()
    }

    /// Reads a report. `target` is the path and query that Twilio requested, `form` is the raw body. `None` means
    /// that the report contains no status of a message.
    ///
    /// # Errors
    /// [`Forged`] without a valid signature.
    pub fn read(&self, target: &str, signature: &str, form: &[u8]) -> Result<Option<Report>, Forged> {
        let form = Form(form_urlencoded::parse(form).collect());
        self.check(target, signature, &form)?;
        Ok(form.report(attempt_of(target)))
    }

    fn check(&self, target: &str, signature: &str, form: &Form<'_>) -> Result<(), Forged> {
        let signature = STANDARD.decode(signature.trim()).map_err(|_| Forged)?;
        let fields = form.signed();
        let urls = self.urls(target).ok_or(Forged)?;
        let is_signed = |url: &String| {
            let key = self.auth_token.expose_secret().as_bytes();
            let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return false };
            mac.update(url.as_bytes());
            mac.update(fields.as_bytes());
            // Compares in constant time.
            mac.verify_slice(&signature).is_ok()
        };
        if urls.iter().any(is_signed) { Ok(()) } else { Err(Forged) }
    }

    /// The URL that Twilio called, with and without the port. Twilio signs sometimes one and sometimes the other, and
    /// its own libraries accept both.
    fn urls(&self, target: &str) -> Option<[String; 2]> {
        let (scheme, host) = (self.base.scheme(), self.base.host_str()?);
        let path = self.base.path().trim_end_matches('/');
        let bare = format!("{scheme}://{host}{path}{target}");
        let port = self.base.port_or_known_default()?;
        let with_port = format!("{scheme}://{host}:{port}{path}{target}");
        Some(if self.base.port().is_some() { [with_port, bare] } else { [bare, with_port] })
    }
}

/// A posted form.
struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Form<'_> {
    /// All names and values in the signed order: by name, then by value, each pair once.
    fn signed(&self) -> String {
        let pairs: BTreeSet<(&str, &str)> =
            self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()
    }

    /// A field that exists and is not empty.
    fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, value)| field == name && !value.is_empty());
        found.map(|(_, value)| value.as_ref())
    }

    fn report(&self, attempt: Option<Attempt>) -> Option<Report> {
        let to = self.text("To").unwrap_or_default();
        let (id, status, channel, to) = if let Some(id) = self.text("CallSid") {
            (id, words::call_status(self.text("CallStatus")?)?, Channel::Call, to)
        } else {
            let id = self.text("MessageSid").or_else(|| self.text("SmsSid"))?;
            let word = self.text("MessageStatus").or_else(|| self.text("SmsStatus"))?;
            let (channel, to) = match to.strip_prefix("whatsapp:") {
                Some(to) => (Channel::WhatsApp, to),
                None => (Channel::Sms, to),
            };
            (id, words::message_status(word)?, channel, to)
        };
        if !words::is_id(id) {
            return None;
        }
        let to = PhoneNumber::from_e164(to);
        let error_code = self.error_code(status);
        Some(Report {
            provider: Provider::Twilio,
            of: ReportOf::Provider { id: id.to_owned(), attempt, to, channel },
            status,
            error_code,
            error_text: error_code.and(self.text("ErrorMessage")).and_then(ProviderText::read),
            reason: error_code.and_then(|code| ERRORS.reason_of(code)),
            price: self.price(),
        })
    }

    /// Twilio's error code of a failed message. On any other message a code is a warning, which says nothing about
    /// the number.
    fn error_code(&self, status: DeliveryStatus) -> Option<u32> {
        let code = self.text("ErrorCode")?.parse().ok().filter(|code| *code != 0);
        code.filter(|_| status.is_lost())
    }

    fn price(&self) -> Option<Price> {
        let (amount, unit) = (self.text("Price")?, self.text("PriceUnit")?);
        let is_unit = unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_alphabetic());
        (words::is_amount(amount) && is_unit)
            .then(|| Price { amount: amount.to_owned(), unit: unit.to_ascii_uppercase() })
    }
}
