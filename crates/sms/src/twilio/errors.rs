//! Twilio's error codes and what they mean, from its error dictionary, <https://www.twilio.com/docs/api/errors>. Twilio
//! adds codes and splits old ones without notice.

use crate::{
    Outcome,
    UnreachableReason::{Blocked, Invalid, NotMobile, OptedOut, RegionNotAllowed},
    provider_error::{
        Category::{self, Operator, Recipient, Temporary},
        Errors, Hints,
    },
};

/// The hint for a 401.
const CREDENTIALS: &str =
    "wrong credentials: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or the API key's SID and secret";

/// The hint for a 5xx.
const TWILIO_ERROR: &str = "Twilio has an error on its side: see status.twilio.com";

/// The hint for a country without a sender.
pub(super) const UNSERVED: &str =
    "no sender for this country: name one in TWILIO_SENDERS, or one for * (all others)";

/// What Twilio's refusals mean.
pub(crate) const ERRORS: Errors = Errors {
    provider: "Twilio",
    known: KNOWN,
    filtered: &FILTERED,
    pumping: &PUMPING,
    hints: Hints {
        credentials: CREDENTIALS,
        not_found: "our account does not exist there: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL",
        timed_out: "Twilio timed out while it waited for our request",
        too_many: "we sent too many requests at once for our account",
        refused: "look the code up at https://www.twilio.com/docs/api/errors",
        not_the_api: "not an answer of Twilio's API: check TWILIO_API_BASE_URL",
        own_error: TWILIO_ERROR,
        failed_at_once: "Twilio took the message and failed at once: look it up in its log",
        not_connected: "no connection: check TWILIO_API_BASE_URL, the network, DNS and the CA certificates",
        unserved: UNSERVED,
        not_set_up: "the settings lack what this channel needs: TWILIO_WHATSAPP_SENDER and TWILIO_WHATSAPP_CONTENT_SID, or \
             TWILIO_VOICE_NUMBER",
        unknown: "it was slow, cut the connection or has an error on its side: see status.twilio.com",
    },
};

/// Messages that Twilio blocked as suspected SMS pumping. A fraudster who earns by our messages would also earn by
/// the next one.
const PUMPING: [u32; 3] = [30450, 30453, 60410];

/// Stopped by a filter of a carrier or of WhatsApp, because of its text, template or sender.
const FILTERED: [u32; 3] = [30007, 63013, 63049];

/// The codes that the response to a created message can contain, in order, each with its cause in words that staff understand,
/// and after a colon what the operator can do. Nothing else in the program says what a code means. 602xx to 606xx are Twilio Verify's, for an
/// account that sends through its fraud guard.
#[rustfmt::skip] // One row per line.
const KNOWN: &[(u32, Category, &str)] = &[
    (10001, Operator, "the account is not active: see the Twilio console"),
    (10002, Operator, "a trial account cannot do this: upgrade it"),
    (10004, Temporary(Outcome::NotSent), "we made as many calls at once as the account may make: ask Twilio's support for more"),
    (10005, Operator, "the account may not make calls: see the Twilio console"),
    (13223, Recipient(Invalid), "it is not a number that can be called"),
    (13224, Recipient(Invalid), "it is not a number that can be called"),
    (13225, Recipient(Blocked), "Twilio does not call this number"),
    (13226, Recipient(Invalid), "the number has no country code that exists"),
    (13227, Recipient(RegionNotAllowed), "our account at the provider calls no numbers of this country: allow it in Twilio's voice geo permissions"),
    (20001, Operator, "Twilio does not know a field of the request: an error in this server"),
    (20003, Operator, CREDENTIALS),
    (20005, Operator, "the account is not active: see the Twilio console"),
    (20006, Operator, "access denied: the credentials belong to another account"),
    (20008, Operator, "our credentials are test credentials: set the live ones"),
    (20403, Operator, "the account may not use this: see the Twilio console"),
    (20404, Operator, "our account does not exist there: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL"),
    (20422, Operator, "Twilio does not take a field of the request: check the senders and templates"),
    (20429, Temporary(Outcome::NotSent), "we sent too many requests at once for our account"),
    (20500, Temporary(Outcome::Unknown), TWILIO_ERROR),
    (20503, Temporary(Outcome::Unknown), TWILIO_ERROR),
    (21201, Operator, "the call had no recipient: an error in this server"),
    (21202, Recipient(NotMobile), "it is a premium number"),
    (21203, Recipient(RegionNotAllowed), "our account at the provider calls no numbers of this country: allow it in Twilio's voice geo permissions"),
    (21205, Operator, "an address in the request is not valid: check PUBLIC_BASE_URL"),
    (21208, Operator, "the call's time-out is not valid: an error in this server"),
    (21210, Operator, "the caller's number is not yours: check TWILIO_VOICE_NUMBER"),
    (21211, Recipient(Invalid), "it is not a valid number"),
    (21212, Operator, "the sender is not valid: check TWILIO_PHONE_NUMBER, TWILIO_SENDERS or TWILIO_VOICE_NUMBER"),
    (21213, Operator, "the call has no caller's number: set TWILIO_VOICE_NUMBER"),
    (21214, Recipient(Invalid), "the number cannot be reached"),
    (21215, Recipient(RegionNotAllowed), "our account at the provider calls no numbers of this country: allow it in Twilio's voice geo permissions"),
    (21216, Recipient(Blocked), "Twilio does not call this number: for +1 the account needs a primary customer profile"),
    (21217, Recipient(Invalid), "it is not a valid number"),
    (21219, Operator, "a trial account only sends to numbers verified with Twilio: upgrade it"),
    (21265, Recipient(NotMobile), "it is a short code"),
    (21266, Recipient(Invalid), "it is our own sender's number"),
    (21267, Operator, "a trial account sends from no alphanumeric sender: set a number"),
    (21268, Recipient(NotMobile), "it is a premium or information service"),
    (21407, Recipient(NotMobile), "this kind of number takes no SMS"),
    (21408, Recipient(RegionNotAllowed), "our account at the provider sends no messages to this country: allow it in Twilio's messaging geo permissions"),
    (21601, Operator, "the sender cannot send SMS: check TWILIO_PHONE_NUMBER"),
    (21602, Operator, "the message had no text: an error in this server"),
    (21603, Operator, "there is no sender: set TWILIO_PHONE_NUMBER or TWILIO_MESSAGING_SERVICE_SID"),
    (21604, Operator, "the message had no recipient: an error in this server"),
    (21605, Operator, "the text is too long: shorten the product's name"),
    (21606, Operator, "the sender is not yours or cannot send SMS there: check TWILIO_PHONE_NUMBER"),
    (21607, Operator, "a trial account only sends from its trial number: upgrade it"),
    (21608, Operator, "a trial account only sends to numbers verified with Twilio: upgrade it"),
    (21609, Operator, "Twilio cannot report to this address: check PUBLIC_BASE_URL, a public host without an underscore"),
    (21610, Recipient(OptedOut), "the user wrote STOP to our number: only START from that phone lifts it"),
    (21611, Temporary(Outcome::NotSent), "the sender's queue is full: more senders or a messaging service send faster"),
    // Twilio names the country's rules for senders and networks that it cannot reach, which are hardly ever the
    // user's problem.
    (21612, Recipient(RegionNotAllowed), "the provider has no way to reach this number from our sender: see Twilio's SMS guidelines of the country"),
    (21614, Recipient(NotMobile), "it is not a mobile number"),
    (21616, Operator, "the sender matches several numbers: write TWILIO_PHONE_NUMBER as +…"),
    (21617, Operator, "the text is over 1,600 characters: shorten the product's name"),
    (21618, Operator, "Twilio does not send this text: see its messaging policy"),
    (21619, Operator, "the message had no text: an error in this server"),
    (21624, Operator, "the validity period is out of range: an error in this server"),
    (21626, Operator, "Twilio does not know an event to report: an error in this server"),
    (21627, Temporary(Outcome::Unknown), "the carrier has an error on its side"),
    (21635, Recipient(NotMobile), "it is a landline"),
    (21654, Operator, "there is no template: set TWILIO_WHATSAPP_CONTENT_SID"),
    (21655, Operator, "our account has no such template: check TWILIO_WHATSAPP_CONTENT_SID"),
    (21656, Operator, "the template takes other variables: its first must be the code, and its only one"),
    (21657, Operator, "this sender is not allowed in the country: see Twilio's SMS guidelines"),
    (21658, Operator, "a field of the request is too long: shorten the product's name"),
    (21659, Operator, "the sender is not a Twilio number: check TWILIO_PHONE_NUMBER"),
    (21660, Operator, "the sender belongs to another account: check TWILIO_PHONE_NUMBER and TWILIO_ACCOUNT_SID"),
    (21661, Operator, "the sender cannot send SMS: check TWILIO_PHONE_NUMBER"),
    (21701, Operator, "our account has no such messaging service: check TWILIO_MESSAGING_SERVICE_SID"),
    (21702, Operator, "the messaging service may not send: see the Twilio console"),
    (21703, Operator, "the messaging service has no sender: add one in the Twilio console"),
    (21704, Operator, "the messaging service has no sender: add one in the Twilio console"),
    (21705, Operator, "it is not a messaging service: check TWILIO_MESSAGING_SERVICE_SID"),
    (21730, Temporary(Outcome::NotSent), "Twilio is under maintenance"),
    (21900, Operator, "the entity id for India is not valid: ask Twilio's support, which keeps it"),
    (21901, Operator, "the template id for India is not valid: ask Twilio's support, which keeps it"),
    (21910, Operator, "the sender is of another channel than the number: check TWILIO_WHATSAPP_SENDER"),
    (30001, Temporary(Outcome::NotSent), "Twilio's queue is full"),
    (30002, Operator, "the account is suspended: see the Twilio console"),
    // The phone is off or has no reception. That may pass, but for the user it is the number that does not work.
    (30003, Recipient(Invalid), "the phone is switched off or out of reach"),
    (30004, Recipient(Blocked), "the carrier blocks messages to this number"),
    (30005, Recipient(Invalid), "the number is not in use"),
    (30006, Recipient(NotMobile), "it is a landline, or its carrier takes no messages"),
    // The filter rejects the text or the sender, so another number of the user would not help.
    (30007, Operator, "the carrier's filter took it for spam: register the sender and the text for this country (in India: DLT)"),
    (30008, Temporary(Outcome::Unknown), "the carrier gave no reason: in India compare the sender and the text with those registered"),
    (30017, Temporary(Outcome::Unknown), "the carrier's network was overloaded"),
    (30022, Temporary(Outcome::NotSent), "we sent more than the carrier takes at once of this US A2P 10DLC campaign"),
    (30023, Operator, "we sent more than the carrier takes in a day of this US A2P 10DLC brand: raise its tier"),
    (30024, Operator, "our sender is not registered with the carriers of this country: ask Twilio's support"),
    (30032, Operator, "our sender is not registered with the carriers of this country: verify the toll-free sender in the Twilio console"),
    (30034, Operator, "our sender is not registered with the carriers of this country: register a campaign for US A2P 10DLC"),
    (30036, Temporary(Outcome::NotSent), "it waited too long at the provider"),
    (30037, Operator, "the account may not send: see the Twilio console"),
    (30038, Operator, "this account may not send codes: ask Twilio's support"),
    (30040, Operator, "our sender is not registered with the carriers of this country: see Twilio's SMS guidelines of the country"),
    (30042, Operator, "our sender's name is too generic: choose another"),
    (30410, Temporary(Outcome::Unknown), "the carrier did not answer Twilio"),
    (30450, Recipient(Blocked), "the provider took it for fraud: Twilio suspects SMS pumping"),
    (30453, Recipient(Blocked), "the provider took it for fraud: Twilio's protection against fraud stopped it"),
    (30500, Temporary(Outcome::Unknown), TWILIO_ERROR),
    (60005, Temporary(Outcome::Unknown), "the carrier has an error on its side"),
    (60200, Recipient(Invalid), "it is not a valid number"),
    (60205, Recipient(NotMobile), "it is a landline"),
    (60238, Recipient(Blocked), "Twilio does not send to this number"),
    (60410, Recipient(Blocked), "the provider took it for fraud: Twilio blocks numbers like this for some hours, as suspected SMS pumping"),
    (60605, Recipient(RegionNotAllowed), "our account at the provider sends no messages to this country: allow it in Twilio's geo permissions"),
    (60728, Temporary(Outcome::NotSent), "we sent more than the account may send in an hour: ask Twilio's support for more"),
    (63001, Operator, "WhatsApp does not know the account: see the sender in the Twilio console"),
    (63002, Operator, "WhatsApp does not know the sender: check TWILIO_WHATSAPP_SENDER"),
    (63003, Recipient(Invalid), "the number is not on WhatsApp"),
    (63005, Operator, "WhatsApp does not take the template's content"),
    (63007, Operator, "the sender is not a WhatsApp sender of this account: check TWILIO_WHATSAPP_SENDER"),
    (63008, Operator, "the WhatsApp sender is not set up: see the Twilio console"),
    (63009, Temporary(Outcome::Unknown), "WhatsApp has an error on its side"),
    (63010, Temporary(Outcome::Unknown), TWILIO_ERROR),
    (63012, Temporary(Outcome::Unknown), "WhatsApp has an error on its side"),
    (63013, Operator, "it breaks WhatsApp's policy: see the sender and the template in WhatsApp Manager"),
    (63014, Recipient(OptedOut), "the user blocked our WhatsApp sender"),
    (63015, Operator, "a sandbox only writes to phones that joined it: set a WhatsApp sender of your own"),
    (63016, Operator, "WhatsApp wants an approved template here: check TWILIO_WHATSAPP_CONTENT_SID"),
    (63017, Temporary(Outcome::NotSent), "we sent too many messages at once for our account"),
    (63018, Temporary(Outcome::NotSent), "we sent more than this WhatsApp sender may send: raise its limit in WhatsApp Manager"),
    (63020, Operator, "WhatsApp holds the business account back: see WhatsApp Manager"),
    (63021, Operator, "WhatsApp does not take the template's content"),
    (63022, Operator, "the WhatsApp sender's name is not verified: see WhatsApp Manager"),
    (63024, Recipient(Invalid), "the number is not on WhatsApp, or its WhatsApp is too old"),
    (63027, Operator, "WhatsApp has no such template in this language: check TWILIO_WHATSAPP_CONTENT_SID"),
    (63028, Operator, "the template takes other variables: its first must be the code, and its only one"),
    (63029, Temporary(Outcome::Unknown), "the phone could not load the template"),
    (63030, Operator, "WhatsApp does not take a field of the request: see the template in the Twilio console"),
    (63031, Recipient(Invalid), "it is our own sender's number"),
    (63032, Recipient(Blocked), "WhatsApp does not let this user get it"),
    (63038, Operator, "we sent more than the account may send in a day: ask Twilio's support for more"),
    (63040, Operator, "WhatsApp refused the template: see WhatsApp Manager"),
    (63041, Operator, "WhatsApp paused the template: see WhatsApp Manager"),
    (63042, Operator, "WhatsApp switched the template off: see WhatsApp Manager"),
    (63049, Operator, "WhatsApp took it for advertising: use a template of the category authentication"),
    (70051, Operator, "access denied: check the credentials, and the permissions of a restricted API key"),
    (572_002, Operator, "a trial account sends to each verified number from the number assigned to it: upgrade it"),
    (572_005, Operator, "a trial account only sends to numbers verified with Twilio: upgrade it"),
];
