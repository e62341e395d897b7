//! What a call says, in `TwiML`: <https://www.twilio.com/docs/voice/twiml/say>.

use std::fmt::Write as _;

use secrecy::ExposeSecret;

use crate::Message;

/// Twilio takes no longer `Twiml`, in characters.
const LONGEST: usize = 4_000;

/// How many times the whole is said.
const TIMES: usize = 2;

/// What stands between the digits in the words of a call.
pub(super) const BETWEEN_DIGITS: &str = ", ";

/// A second of silence, long enough to write a digit down.
const PAUSE: &str = r#"<Pause length="1"/>"#;

/// The document that reads the message out, twice, with a pause around each digit. `None` when it is too long, or
/// when there is no code: nobody is called for anything else.
///
/// The digits are said one by one, because a voice that is given `1097` says a number of its language.
pub(super) fn twiml(message: &Message) -> Option<String> {
    let voice = escaped(&message.text.voice);
    let body = message.text.body.expose_secret();
    let code = message.otp_code.as_ref()?;
    let digits: Vec<String> = code.expose_secret().chars().map(String::from).collect();
    let spelled = digits.join(BETWEEN_DIGITS);
    // Words without the code in them would be a poor call: the code follows.
    let (before, after) = body.split_once(spelled.as_str()).unwrap_or((body, ""));

    let mut once = String::new();
    say(&mut once, &voice, before);
    for digit in &digits {
        say(&mut once, &voice, digit);
        once.push_str(PAUSE);
    }
    // The end of the sentence that the code stood in.
    say(&mut once, &voice, after.trim_start_matches(|character: char| !character.is_alphanumeric()));

    let whole = vec![once; TIMES].join(PAUSE);
    let document = format!("<Response>{whole}</Response>");
    (document.chars().count() <= LONGEST).then_some(document)
}

fn say(document: &mut String, voice: &str, words: &str) {
    let words = words.trim();
    if !words.is_empty() {
        // Writing to a text does not fail.
        let _ = write!(document, r#"<Say language="{voice}">{}</Say>"#, escaped(words));
    }
}

/// For text and attributes. What XML has no place for becomes a space.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push(' '),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
