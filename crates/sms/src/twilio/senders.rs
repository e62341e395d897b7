//! The senders of messages, by country, and the WhatsApp templates, by language.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::text::is_language_tag;
use domain::phone::{PhoneNumber, Region};

/// The key for all other countries or languages.
const OTHERS: &str = "*";

/// The longest alphanumeric sender that networks accept, in characters.
const LONGEST_NAME: usize = 11;

/// The sender of a message. Its `Debug` shows only the kind.
#[derive(Clone, PartialEq, Eq)]
pub enum Sender {
    /// A number of the account in E.164, or a short code of 3 to 8 digits.
    Number(String),
    /// An alphanumeric sender: at most 11 letters, digits, spaces and `& + - _`, with a letter among them. Twilio's
    /// rules: <https://www.twilio.com/docs/messaging/services/api/alphasender-resource>.
    Alphanumeric(String),
    /// A messaging service (`MG` and 32 hex digits), which selects the number.
    MessagingService(String),
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Number",
            Self::Alphanumeric(_) => "Alphanumeric",
            Self::MessagingService(_) => "MessagingService",
        })
    }
}

/// The text is not a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be a number in E.164 (+ and digits), a short code, a messaging service (MG and 32 hex digits) or an \
     alphanumeric sender (at most 11 letters, digits, spaces and & + - _, with a letter)"
)]
pub struct NoSender;

impl FromStr for Sender {
    type Err = NoSender;

    fn from_str(text: &str) -> Result<Self, NoSender> {
        let text = text.trim();
        if is_sid(text, "MG") {
            Ok(Self::MessagingService(text.to_owned()))
        } else if is_number(text) || is_short_code(text) {
            Ok(Self::Number(text.to_owned()))
        } else if is_name(text) {
            Ok(Self::Alphanumeric(text.to_owned()))
        } else {
            Err(NoSender)
        }
    }
}

/// Whether the text is a Twilio SID of this kind: two letters and 32 hex digits.
fn is_sid(text: &str, kind: &str) -> bool {
    text.strip_prefix(kind)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `+` and 7 to 15 digits that do not begin with 0.
fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| are_digits(digits, 7, 15) && !digits.starts_with('0'))
}

fn is_short_code(text: &str) -> bool {
    are_digits(text, 3, 8)
}

fn are_digits(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b" &+-_".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(is_taken)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The senders by destination country: `IN=MG…,US=+1…,*=+1…`. Its `Debug` shows only the countries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Senders {
    /// The senders of single countries.
    pub by_region: Vec<(Region, Sender)>,
    /// The sender for all other countries; without one they are not served.
    pub others: Option<Sender>,
}

/// What is wrong with `TWILIO_SENDERS`. It names the item by its country or position, never by its sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendersError {
    /// The item has no `=`.
    #[error("item {0} must be a country and a sender, such as IN=MG… or *=+1…")]
    NoPair(usize),
    /// The left side is not a country.
    #[error("{0} is no country: {OTHERS} or two letters such as IN")]
    NoCountry(String),
    /// The right side is not a sender.
    #[error("the sender of {0} {NoSender}")]
    NoSender(String),
    /// The country has two senders.
    #[error("{0} has two senders")]
    Twice(String),
}

impl Senders {
    /// One sender for all countries.
    #[must_use]
    pub fn everywhere(sender: Sender) -> Self {
        Self { by_region: Vec::new(), others: Some(sender) }
    }

    /// Reads `IN=MG…,US=+1…,*=+1…`.
    pub fn parse(text: &str) -> Result<Self, SendersError> {
        let mut senders = Self::default();
        for (place, item) in text.split(',').enumerate() {
            let (country, sender) = item.split_once('=').ok_or(SendersError::NoPair(place + 1))?;
            let country = country.trim();
            let sender = sender.parse().map_err(|NoSender| SendersError::NoSender(country.to_owned()));
            if country == OTHERS {
                if senders.others.replace(sender?).is_some() {
                    return Err(SendersError::Twice(country.to_owned()));
                }
            } else {
                let region: Region =
                    country.parse().map_err(|_| SendersError::NoCountry(country.to_owned()))?;
                if senders.by_region.iter().any(|(known, _)| *known == region) {
                    return Err(SendersError::Twice(region.to_string()));
                }
                senders.by_region.push((region, sender?));
            }
        }
        Ok(senders)
    }

    /// The sender for this phone. `None` if its country is not served.
    #[must_use]
    pub fn for_phone(&self, phone: &PhoneNumber) -> Option<&Sender> {
        let region = phone.region();
        let own = self.by_region.iter().find(|(served, _)| Some(*served) == region);
        own.map(|(_, sender)| sender).or(self.others.as_ref())
    }
}

impl fmt::Debug for Senders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions: Vec<String> = self.by_region.iter().map(|(region, _)| region.to_string()).collect();
        f.debug_struct("Senders").field("regions", &regions).finish_non_exhaustive()
    }
}

/// The WhatsApp settings: codes are sent with approved templates, whose first variable is the code. Its `Debug` shows
/// nothing.
#[derive(Clone)]
pub struct WhatsApp {
    /// `TWILIO_WHATSAPP_SENDER`: a number, or a messaging service.
    pub sender: Sender,
    /// `TWILIO_WHATSAPP_CONTENT_SID`: the template (`HX` and 32 hex digits) of each language, `*` for all others.
    pub content: Vec<(String, String)>,
}

/// What is wrong with `TWILIO_WHATSAPP_CONTENT_SID`. It names the item by its language or position.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// There are several items, and this one has no `=`.
    #[error("item {0} must be a language and a template, such as hi=HX… or *=HX…")]
    NoPair(usize),
    /// The left side is not a language.
    #[error("{0} is no language: {OTHERS} or a tag such as hi")]
    NoLanguage(String),
    /// The right side is not a template.
    #[error("the template of {0} must be HX and 32 hex digits")]
    NoContent(String),
    /// The language has two templates.
    #[error("{0} has two templates")]
    Twice(String),
}

impl WhatsApp {
    /// Reads `HX…` (one template for all languages) or `en=HX…,hi=HX…,*=HX…`.
    pub fn parse_content(text: &str) -> Result<Vec<(String, String)>, ContentError> {
        let text = text.trim();
        if is_sid(text, "HX") {
            return Ok(vec![(OTHERS.to_owned(), text.to_owned())]);
        }
        let mut content: Vec<(String, String)> = Vec::new();
        for (place, item) in text.split(',').enumerate() {
            let (language, sid) = item.split_once('=').ok_or(ContentError::NoPair(place + 1))?;
            let (language, sid) = (language.trim().to_ascii_lowercase(), sid.trim());
            if language != OTHERS && !is_language_tag(&language) {
                return Err(ContentError::NoLanguage(language));
            }
            if !is_sid(sid, "HX") {
                return Err(ContentError::NoContent(language));
            }
            if content.iter().any(|(known, _)| *known == language) {
                return Err(ContentError::Twice(language));
            }
            content.push((language, sid.to_owned()));
        }
        Ok(content)
    }

    /// The template for a language: its own, else that of the language without region or script, else that for all
    /// others, else the English one, else the first. A code in a foreign language is better than none, because its
    /// digits can still be read.
    #[must_use]
    pub fn content_for(&self, language: &str) -> Option<&str> {
        let primary = language.split(['-', '_']).next().unwrap_or(language);
        let own = |tag: &str| {
            let mut all = self.content.iter();
            all.find(|(known, _)| known.eq_ignore_ascii_case(tag)).map(|(_, sid)| sid.as_str())
        };
        let tags = [language, primary, OTHERS, "en"];
        tags.into_iter().find_map(own).or_else(|| self.content.first().map(|(_, sid)| sid.as_str()))
    }
}

impl fmt::Debug for WhatsApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatsApp").finish_non_exhaustive()
    }
}
