//! Builds the `TwiML` of a call: <https://www.twilio.com/docs/voice/twiml/say>.

use std::fmt::Write as _;

use secrecy::ExposeSecret;

use crate::{Message, text::spelled};

/// The longest `Twiml` that Twilio accepts, in characters.
const LONGEST: usize = 4_000;

/// How many times the whole text is said.
const TIMES: usize = 2;

/// One second of silence, enough time to write a digit down.
const PAUSE: &str = r#"<Pause length="1"/>"#;

/// The document that reads the message out twice, with a pause after each digit. `None` if it is too long, or if the
/// message has no code: calls are only made for codes.
///
/// The digits are said one by one, because a voice would read `1097` as a number.
pub(super) fn twiml(message: &Message) -> Option<String> {
    let voice = escaped(&message.text.voice);
    let body = message.text.body.expose_secret();
    let code = message.otp_code.as_ref()?;
    let digits: Vec<String> = code.expose_secret().chars().map(String::from).collect();
    let spelled = spelled(code.expose_secret());
    // If the text does not contain the code, the digits follow after it.
    let (before, after) = body.split_once(spelled.as_str()).unwrap_or((body, ""));

    let mut once = String::new();
    say(&mut once, &voice, before);
    for digit in &digits {
        say(&mut once, &voice, digit);
        once.push_str(PAUSE);
    }
    // The rest of the sentence around the code.
    say(&mut once, &voice, after.trim_start_matches(|character: char| !character.is_alphanumeric()));

    let whole = vec![once; TIMES].join(PAUSE);
    let document = format!("<Response>{whole}</Response>");
    (document.chars().count() <= LONGEST).then_some(document)
}

fn say(document: &mut String, voice: &str, words: &str) {
    let words = words.trim();
    if !words.is_empty() {
        // Writing to a `String` does not fail.
        let _ = write!(document, r#"<Say language="{voice}">{}</Say>"#, escaped(words));
    }
}

/// Escapes text for XML content and attributes. Characters that XML does not allow become spaces.
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
