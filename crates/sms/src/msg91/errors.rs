//! MSG91's errors and what they mean. Its current API names many errors in words only, so the words are mapped to its
//! older numbers. Numbers from 9001 are ours, for words that never had one.
//!
//! From general knowledge, but for 418 and the statuses of reports (2 to 25), which its help pages name.

use reqwest::StatusCode;

use crate::{
    Outcome,
    UnreachableReason::{Blocked, Invalid},
    client::answer::Answer,
    provider_error::{
        Category::{self, Operator, Recipient, Temporary},
        Errors, Hints,
    },
};

use super::scalar;

const CREDENTIALS: &str = "the key is wrong: check MSG91_AUTH_KEY";
const MSG91_ERROR: &str = "MSG91 has an error on its side: see its panel";
const NO_TEMPLATE: &str = "MSG91 does not know the template: check MSG91_TEMPLATE_ID";
/// As the HTTP status says.
const TOO_MANY: u32 = 429;
const TOO_MANY_REQUESTS: &str = "we sent too many requests at once for our account";
const NOT_MSG91: &str = "not an answer of MSG91's API: check MSG91_API_BASE_URL";

/// The text differs from the template that is registered with the regulator.
const DLT_TEXT: u32 = 9001;
/// The header (the sender) is not registered, or not for this entity or template.
const DLT_HEADER: u32 = 9002;
/// The entity is not registered.
const DLT_ENTITY: u32 = 9003;
/// A success that is not MSG91's.
pub(super) const NOT_THE_API: u32 = 9004;
/// The template is not registered.
const DLT_TEMPLATE: u32 = 9005;
/// The entity has not registered MSG91 as its telemarketer, which sends for it.
const DLT_TELEMARKETER: u32 = 9006;

/// What MSG91's refusals mean.
pub(crate) const ERRORS: Errors = Errors {
    provider: "MSG91",
    known: KNOWN,
    filtered: &[DLT_TEXT, DLT_HEADER, DLT_ENTITY, DLT_TEMPLATE, DLT_TELEMARKETER],
    pumping: &[],
    hints: Hints {
        credentials: CREDENTIALS,
        not_found: "there is no such API: check MSG91_API_BASE_URL",
        timed_out: "MSG91 timed out while it waited for our request",
        too_many: TOO_MANY_REQUESTS,
        refused: "MSG91 refused it without a reason that this version knows: see Failed Logs in its panel",
        not_the_api: NOT_MSG91,
        own_error: MSG91_ERROR,
        failed_at_once: "MSG91's answer was empty or was cut: the message may have gone out",
        not_connected: "no connection: check MSG91_API_BASE_URL, the network, DNS and the CA certificates",
        unserved: "MSG91 does not send to this country: name another provider in SMS_PROVIDERS",
        not_set_up: "the settings lack what this message needs: MSG91 sends codes by SMS only, with MSG91_TEMPLATE_ID",
        unknown: "it was slow, cut the connection or has an error on its side: see MSG91's panel",
    },
};

/// Words of an error, in lower case, and the number that they stand for. The first one that fits is taken.
const WORDS: &[(&str, u32)] = &[
    ("whitelist", 418),
    ("auth", 207),
    ("balance", 301),
    ("credit", 301),
    ("banned", 303),
    ("expired", 302),
    ("generated twice", 311),
    ("flow", 400),
    ("template", 400),
    ("sender", 203),
    ("mobile", 202),
    ("number", 202),
];

/// Words of a failed report, in lower case and with spaces. They come from the carriers' DLT platforms. The first one that
/// fits is taken: a header can be "not registered for template".
const DLT_WORDS: &[(&str, u32)] = &[
    ("telemarketer", DLT_TELEMARKETER),
    ("pe tm", DLT_TELEMARKETER),
    ("header", DLT_HEADER),
    ("sender", DLT_HEADER),
    ("template not found", DLT_TEMPLATE),
    ("template inactive", DLT_TEMPLATE),
    ("template blacklisted", DLT_TEMPLATE),
    ("invalid template", DLT_TEMPLATE),
    ("template", DLT_TEXT),
    ("entity", DLT_ENTITY),
    ("peid", DLT_ENTITY),
];

/// The numbers of those platforms, each with its last one:
/// <https://support.exotel.com/support/solutions/articles/3000120944-dlt-platform-error-codes-in-india>.
const DLT_NUMBERS: &[(u32, u32, u32)] = &[
    (600, 604, DLT_ENTITY),
    (605, 605, DLT_TELEMARKETER),
    (610, 619, DLT_TELEMARKETER),
    (620, 623, DLT_HEADER),
    (630, 632, DLT_TEMPLATE),
    (633, 633, DLT_TEXT),
    (634, 634, DLT_HEADER),
    (635, 636, DLT_TEXT),
    (637, 637, DLT_TEMPLATE),
];

/// The code of a refusal: a number of MSG91, or the one that its words stand for.
pub(super) fn code_in(answer: &Answer) -> Option<u32> {
    // Its words can name the number of requests, which says nothing about the user's number.
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Some(TOO_MANY);
    }
    let number = ["apiError", "code"].into_iter().find_map(|key| answer.code(key));
    let known = number.filter(|number| KNOWN.iter().any(|(known, ..)| known == number));
    known.or_else(|| {
        let words = ["message", "errors"].into_iter().find_map(|key| answer.field(key).and_then(scalar))?;
        find(WORDS, &words)
    })
}

/// The code of a failed report: by its words or number about DLT, else its status.
pub(super) fn code_of_report(status: u32, reason: &str) -> u32 {
    find(DLT_WORDS, reason).or_else(|| dlt_number(reason)).unwrap_or(status)
}

fn dlt_number(reason: &str) -> Option<u32> {
    let numbers = reason.split(|character: char| !character.is_ascii_digit());
    let mut numbers = numbers.filter_map(|digits| digits.parse::<u32>().ok());
    numbers.find_map(|number| {
        let row = DLT_NUMBERS.iter().find(|(first, last, _)| (*first..=*last).contains(&number));
        row.map(|(.., code)| *code)
    })
}

fn find(table: &[(&str, u32)], words: &str) -> Option<u32> {
    let words = words.to_ascii_lowercase().replace(['_', '-'], " ");
    table.iter().find(|(word, _)| words.contains(word)).map(|(_, code)| *code)
}

#[rustfmt::skip] // One row per line.
const KNOWN: &[(u32, Category, &str)] = &[
    (2, Temporary(Outcome::Unknown), "the carrier gave no reason"),
    (9, Recipient(Blocked), "the number is on the do-not-disturb list: use a transactional template"),
    (16, Operator, "the carrier rejected it: compare sender and text with the registered template"),
    (17, Recipient(Blocked), "MSG91 blocks messages to this number: see the blocked numbers in its panel"),
    (25, Operator, "the carrier rejected it: compare sender and text with the registered template"),
    (201, Operator, CREDENTIALS),
    (202, Recipient(Invalid), "it is not a valid number"),
    (203, Operator, "MSG91 does not take the sender: see the template in its panel"),
    (207, Operator, CREDENTIALS),
    (208, Operator, "MSG91 has blocked this server's address: ask its support"),
    (301, Operator, "the account has no credit: top it up in MSG91's panel"),
    (302, Operator, "the account has expired: see MSG91's panel"),
    (303, Operator, "the account is banned: ask MSG91's support"),
    (306, Temporary(Outcome::NotSent), "MSG91's route is not available"),
    (311, Temporary(Outcome::Unknown), "MSG91 had the same request before"),
    (400, Operator, NO_TEMPLATE),
    (418, Operator, "MSG91 does not allow this server's address: add it to the IP whitelist of the key in its panel"),
    (TOO_MANY, Temporary(Outcome::NotSent), TOO_MANY_REQUESTS),
    (601, Temporary(Outcome::Unknown), MSG91_ERROR),
    (DLT_TEXT, Operator, "the text differs from the registered template: compare the template in MSG91's panel with the one at the DLT platform"),
    (DLT_HEADER, Operator, "the header is not registered for this template: check the sender at the DLT platform and in MSG91's panel"),
    (DLT_ENTITY, Operator, "the entity is not known to the carrier: check the entity id at the DLT platform and in MSG91's panel"),
    (NOT_THE_API, Operator, NOT_MSG91),
    (DLT_TEMPLATE, Operator, "the template is not registered, or not active: check its DLT id in MSG91's panel"),
    (DLT_TELEMARKETER, Operator, "MSG91 may not send for our entity: add it as telemarketer at the DLT platform"),
];
