//! Vonage's error codes and what they mean: <https://developer.vonage.com/api-errors/messages>. The same codes are in
//! refusals and in reports.

use serde_json::Value;

use super::scalar;
use crate::{
    Outcome,
    UnreachableReason::{Blocked, Invalid, NotMobile, OptedOut, RegionNotAllowed},
    provider_error::{
        Category::{self, Operator, Recipient, Temporary},
        Errors, Hints,
    },
};

const CREDENTIALS: &str = "wrong credentials: check VONAGE_API_KEY and VONAGE_API_SECRET";
const VONAGE_ERROR: &str = "Vonage has an error on its side: see vonageapi.statuspage.io";
const NO_MONEY: &str = "the account has no credit: top it up in the Vonage dashboard";

/// What Vonage's refusals mean.
pub(crate) const ERRORS: Errors = Errors {
    provider: "Vonage",
    known: KNOWN,
    filtered: &[1210],
    pumping: &[1470],
    hints: Hints {
        credentials: CREDENTIALS,
        not_found: "there is no such API: check VONAGE_API_BASE_URL",
        timed_out: "Vonage timed out while it waited for our request",
        too_many: "we sent too many requests at once for our account",
        refused: "look the code up at https://developer.vonage.com/api-errors/messages",
        not_the_api: "not an answer of Vonage's API: check VONAGE_API_BASE_URL",
        own_error: VONAGE_ERROR,
        failed_at_once: "Vonage took the message and failed at once: look it up in its log",
        not_connected: "no connection: check VONAGE_API_BASE_URL, the network, DNS and the CA certificates",
        unserved: "Vonage does not send to this country: see its country guide, or name another provider in SMS_PROVIDERS",
        not_set_up: "the settings lack what this channel needs: VONAGE_FROM, or VONAGE_WHATSAPP_FROM and \
             VONAGE_WHATSAPP_TEMPLATE",
        unknown: "it was slow, cut the connection or has an error on its side: see vonageapi.statuspage.io",
    },
};

/// The code of an error. Vonage writes it at the end of the type, `…/api-errors/messages#1120`; reports of some channels
/// write it as the title.
pub(super) fn code_in(kind: Option<&Value>, title: Option<&Value>) -> Option<u32> {
    let fragment = kind.and_then(Value::as_str).and_then(|kind| kind.rsplit_once('#'));
    match fragment {
        Some((_, "low-balance")) => Some(1070),
        Some((_, word)) if word.parse::<u32>().is_ok() => word.parse().ok(),
        Some(_) | None => scalar(title?)?.parse().ok(),
    }
}

#[rustfmt::skip] // One row per line.
const KNOWN: &[(u32, Category, &str)] = &[
    (1000, Temporary(Outcome::NotSent), "we sent too many requests at once for our account"),
    (1010, Operator, "Vonage misses a field of the request: an error in this server"),
    (1020, Operator, "Vonage does not take a field of the request: check VONAGE_FROM"),
    (1021, Operator, "Vonage does not take a tag of the request: an error in this server"),
    (1022, Operator, "Vonage does not take the template: check VONAGE_WHATSAPP_TEMPLATE, whose only variable must be the code"),
    (1030, Temporary(Outcome::Unknown), VONAGE_ERROR),
    (1040, Recipient(Invalid), "it is not a valid number"),
    (1050, Recipient(Blocked), "Vonage sends no messages to this number"),
    (1060, Operator, "the account is suspended: see the Vonage dashboard"),
    (1070, Operator, NO_MONEY),
    (1080, Operator, "the account may not use this API: ask Vonage's support"),
    (1090, Operator, "the text is too long: shorten the product's name"),
    (1100, Temporary(Outcome::NotSent), "Vonage could not pass it on"),
    (1110, Operator, CREDENTIALS),
    (1120, Operator, "this sender is not allowed in the country: check VONAGE_FROM, and register it where that is required"),
    (1130, Operator, "the validity period is out of range: an error in this server"),
    (1140, Operator, "the account may not use this channel: ask Vonage's support"),
    (1150, Operator, "Vonage does not take a field of the request: an error in this server"),
    (1160, Operator, "the account only sends to numbers that were allowed before: add the number, or upgrade the account"),
    (1170, Recipient(Invalid), "it is not a valid number"),
    // The phone is off or has no reception. That may pass, but for the user it is the number that does not work.
    (1180, Recipient(Invalid), "the phone is switched off or out of reach"),
    (1190, Recipient(Invalid), "the number is not in use"),
    (1200, Recipient(Invalid), "the number has changed its carrier and cannot be reached: the carrier must mend it"),
    (1210, Operator, "the carrier's filter took it for spam: register the sender and the text for this country (in India: DLT)"),
    (1220, Temporary(Outcome::Unknown), "the phone was busy"),
    (1230, Temporary(Outcome::Unknown), "the carrier's network has an error"),
    (1240, Recipient(OptedOut), "the user wrote STOP to our sender"),
    (1241, Temporary(Outcome::NotSent), "we sent too many messages to this number"),
    (1250, Recipient(RegionNotAllowed), "the provider has no way to reach this number from our sender: ask Vonage's support"),
    (1260, Recipient(Invalid), "the number cannot be reached"),
    (1270, Recipient(Blocked), "the carrier blocks messages of this kind to the number"),
    (1280, Recipient(Blocked), "the carrier blocks messages to this number"),
    (1290, Recipient(Blocked), "the carrier takes no messages for this number: its prepaid account has no credit"),
    (1300, Recipient(Invalid), "the number is not on WhatsApp"),
    (1310, Recipient(NotMobile), "the phone cannot get such messages"),
    (1320, Temporary(Outcome::Unknown), "Vonage had sent it already"),
    (1330, Temporary(Outcome::Unknown), "the carrier gave no reason"),
    (1340, Operator, "WhatsApp wants an approved template here: check VONAGE_WHATSAPP_TEMPLATE"),
    (1350, Operator, "the account may not use this channel: see the Vonage dashboard"),
    (1360, Temporary(Outcome::NotSent), "it waited too long at the provider"),
    (1370, Operator, "the access to the channel has ended: connect it again in the Vonage dashboard"),
    // Not in that table, and not confirmed.
    (1470, Recipient(Blocked), "the provider took it for fraud: Vonage's Fraud Defender stopped it"),
];
