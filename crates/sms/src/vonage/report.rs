//! Reads Vonage's status reports and verifies their signatures:
//! <https://developer.vonage.com/en/getting-started/concepts/webhooks#signed-webhooks>.
//!
//! `Authorization: Bearer` holds a JWT, HS256 with the account's signature secret. Its claim `payload_hash` is SHA-256
//! of the body in hex, which binds it to this report. Not confirmed against a live account: that claim, the words of the
//! statuses, and that a repeated report is signed anew. All are in this file only.

use std::fmt::{self, Write as _};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    errors::{ERRORS, code_in},
    is_id, request, scalar,
};
use crate::{Forged, Provider, ProviderText, Report, ReportOf};
use domain::{
    delivery::{
        Channel,
        DeliveryStatus::{self, Delivered, Sent, Undelivered},
        Price,
    },
    phone::PhoneNumber,
};

/// The most that the time of a signature may be off.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// More than the longest price that Vonage writes.
const LONGEST_AMOUNT: usize = 19;

/// Reads reports. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct VonageReports {
    api_key: Option<String>,
    signature_secret: SecretString,
}

impl fmt::Debug for VonageReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VonageReports").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    /// Unix seconds.
    iat: i64,
    payload_hash: String,
    /// The account.
    api_key: Option<String>,
}

impl VonageReports {
    /// For reports about this account that are signed with `VONAGE_SIGNATURE_SECRET`.
    #[must_use]
    pub fn new(api_key: Option<String>, signature_secret: SecretString) -> Self {
        Self { api_key, signature_secret }
    }

    /// Reads a report. `authorization` is the value of that header. `None` means that the body contains no status of a
    /// message.
    ///
    /// # Errors
    /// [`Forged`] without a valid signature.
    pub(crate) fn read(
        &self,
        authorization: &str,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<Report>, Forged> {
        self.check(authorization, body, now)?;
        let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
        Ok(body.and_then(|body| report(&body)))
    }

    fn check(&self, authorization: &str, body: &[u8], now: DateTime<Utc>) -> Result<(), Forged> {
        let (scheme, token) = authorization.trim().split_once(' ').ok_or(Forged)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Forged);
        }
        // The algorithm is ours: a token that names another one is refused.
        let mut validation = Validation::new(Algorithm::HS256);
        // The library reads the system's clock. The time is checked below.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(self.signature_secret.expose_secret().as_bytes());
        let claims: Claims = decode(token.trim(), &key, &validation).map_err(|_| Forged)?.claims;
        let issued_at = DateTime::from_timestamp(claims.iat, 0).ok_or(Forged)?;
        let is_ours = claims.api_key.is_none() || self.api_key.is_none() || claims.api_key == self.api_key;
        let hash = hex(&Sha256::digest(body));
        let is_of_body = claims.payload_hash.to_ascii_lowercase().as_bytes().ct_eq(hash.as_bytes());
        let is_recent = (now - issued_at).abs() <= TOLERANCE;
        if is_recent && is_ours && bool::from(is_of_body) { Ok(()) } else { Err(Forged) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn report(body: &Map<String, Value>) -> Option<Report> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let status = status_of(text("status")?)?;
    let channel = match text("channel").unwrap_or("sms") {
        "sms" => Channel::Sms,
        "whatsapp" => Channel::WhatsApp,
        _ => return None,
    };
    let error = body.get("error").filter(|_| status.is_lost());
    let error_code = error.and_then(|error| code_in(error.get("type"), error.get("title")));
    let words = error.and_then(|error| error.get("detail").or_else(|| error.get("title"))?.as_str());
    Some(Report {
        provider: Provider::Vonage,
        of: ReportOf::Provider {
            id: text("message_uuid").filter(|id| is_id(id))?.to_owned(),
            attempt: text("client_ref").and_then(request::attempt_of),
            to: text("to").and_then(|to| PhoneNumber::from_e164(&format!("+{}", to.trim_start_matches('+')))),
            channel,
        },
        status,
        error_code,
        error_text: words.and_then(ProviderText::read),
        reason: error_code.and_then(|code| ERRORS.reason_of(code)),
        price: body.get("usage").and_then(price),
    })
}

fn status_of(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "submitted" => Sent,
        "delivered" | "read" => Delivered,
        "rejected" | "undeliverable" => Undelivered,
        _ => return None,
    })
}

/// Vonage writes what it charged as a positive number; our rows keep a charge as a negative one.
fn price(usage: &Value) -> Option<Price> {
    let amount = scalar(usage.get("price")?)?;
    let unit = usage.get("currency")?.as_str()?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = amount.split_once('.').unwrap_or((&amount, "0"));
    let is_amount = amount.len() <= LONGEST_AMOUNT && is_digits(whole) && is_digits(fraction);
    let is_unit = unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_amount && is_unit).then(|| Price { amount: format!("-{amount}"), unit: unit.to_ascii_uppercase() })
}
