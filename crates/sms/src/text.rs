//! What the messages say.
//!
//! Each language is one small file, named by its BCP 47 tag: ours are `sms/texts/en.json` and `sms/texts/hi.json`, an
//! operator's are in the folder `SMS_TEXTS_DIR` names. To add a language: a file like them, with the keys
//!
//! - `sms`: the text message. `sms_one`, where the language wants it: the same when one minute remains.
//! - `call`: what the voice says. The code in it is spelled digit by digit.
//! - `whatsapp`: what the test inbox shows. The template itself lies at Twilio.
//! - `voice`: the voice, as Twilio's `<Say language>` names it.
//! - `phone_changed`: the notice to the old number of an account that has a new one, by SMS. It may be left out: then the
//!   text that it replaces is sent, or the English one. Of the places below it has `{product}` only.
//!
//! In them `{product}`, `{code}` and `{minutes}` stand for what differs.

mod file;

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use self::file::{Words, is_language_tag};
use super::segments::{Encoding, measure};
use domain::delivery::{Channel, Platform};

/// Our own texts. The first is for whoever reads none of the others.
const BUILT_IN: [(&str, &str); 2] =
    [("en", include_str!("texts/en.json")), ("hi", include_str!("texts/hi.json"))];

/// How the files end.
const ENDING: &str = ".json";

/// What Android's SMS Retriever reads of a message, in bytes.
/// <https://developers.google.com/identity/sms-retriever/verify>
const RETRIEVER_BYTES: usize = 140;

/// The name of the text in the rows of messages.
pub const TEMPLATE: &str = "otp";

/// The name of the notice to an old number in the rows of messages.
pub const PHONE_CHANGED: &str = "phone_changed";

/// What the texts are made with.
#[derive(Debug, Clone, Default)]
pub struct TextSettings {
    /// `PRODUCT_NAME`
    pub product: String,
    /// `SMS_WEBOTP_DOMAIN`: the last line `@example.com #1097`.
    pub webotp_domain: Option<String>,
    /// `SMS_ANDROID_APP_HASH`: ends the texts to Android apps.
    pub android_app_hash: Option<String>,
    /// `SMS_TEXTS_DIR`: a folder of texts that replace ours or add languages.
    pub folder: Option<PathBuf>,
}

/// Why the texts cannot be used. Found at start.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct TextsError(String);

/// All texts, by language.
#[derive(Debug)]
pub struct Texts {
    settings: TextSettings,
    /// The languages, English first.
    languages: Vec<Words>,
}

/// What a text is to say.
#[derive(Debug, Clone, Copy)]
pub struct Wording<'a> {
    /// By which way it goes.
    pub channel: Channel,
    /// The languages that the person reads, the best first, as BCP 47 tags.
    pub languages: &'a [String],
    /// What the app runs on.
    pub platform: Option<Platform>,
    /// The code.
    pub code: &'a SecretString,
    /// What remains of the code, in whole minutes.
    pub minutes: i64,
}

/// Words in a language. `Debug` does not show them.
#[derive(Debug, Clone)]
pub struct Text {
    /// The language's tag, `hi`.
    pub language: String,
    /// The voice that reads it out, as Twilio's `<Say language>` names it, `hi-IN`.
    pub voice: String,
    /// What the person reads or hears, the code included.
    pub body: SecretString,
}

/// What stands behind the words of a text message, in a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLine<'a> {
    None,
    /// The origin that may read the code, and the code: the origin-bound one-time code format of `WebOTP` and iOS.
    WebOtp(&'a str),
    /// The hash of the app that may read the message.
    Android(&'a str),
}

impl LastLine<'_> {
    fn after(self, code: &str) -> String {
        match self {
            Self::None => String::new(),
            Self::WebOtp(domain) => format!("\n@{domain} #{code}"),
            Self::Android(hash) => format!("\n{hash}"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::WebOtp(_) => " with the WebOTP line",
            Self::Android(_) => " with the Android hash",
        }
    }
}

impl Texts {
    /// Reads the texts.
    ///
    /// # Errors
    /// When the folder is not there, a file in it is no text, or a setting is not right; all of it at once.
    pub fn load(settings: TextSettings) -> Result<Self, TextsError> {
        let mut errors = wrong_settings(&settings);
        let mut languages = Vec::new();
        for (tag, json) in BUILT_IN {
            add(&mut languages, Words::read(tag, &format!("our own {tag}{ENDING}"), json), &mut errors);
        }
        if let Some(folder) = &settings.folder {
            for words in read_folder(folder) {
                add(&mut languages, words, &mut errors);
            }
        }
        let texts = Self { settings, languages };
        errors.extend(texts.too_long());
        if errors.is_empty() { Ok(texts) } else { Err(TextsError(errors.join("; "))) }
    }

    /// The words for this occasion, in the first language of the person that there is a text in, else in English.
    #[must_use]
    pub fn compose(&self, wording: &Wording<'_>) -> Text {
        let found = wording.languages.iter().find_map(|tag| self.lookup(tag));
        let Some(words) = found.or(self.languages.first()) else {
            // There is always English: `load` fails without it.
            return Text { language: String::new(), voice: String::new(), body: String::new().into() };
        };
        let (code, minutes) = (wording.code.expose_secret(), wording.minutes);
        let body = match wording.channel {
            Channel::Sms => self.sms(words, code, minutes, self.last_line(wording.platform)),
            Channel::WhatsApp => words.whatsapp.fill(&self.settings.product, code, minutes),
            Channel::Call => words.call.fill(&self.settings.product, &spelled(code), minutes),
        };
        Text { language: words.tag.clone(), voice: words.voice.clone(), body: body.into() }
    }

    /// The notice to the old number of an account, in the first language of the person that there is one in.
    #[must_use]
    pub fn phone_changed(&self, languages: &[String]) -> Text {
        let read = languages.iter().filter_map(|tag| self.lookup(tag));
        let found =
            read.chain(&self.languages).find_map(|words| Some((words, words.phone_changed.as_ref()?)));
        let Some((words, notice)) = found else {
            // There is always ours in English: a file that replaces the others keeps it.
            return Text { language: String::new(), voice: String::new(), body: String::new().into() };
        };
        let body = notice.fill(&self.settings.product, "", 0).into();
        Text { language: words.tag.clone(), voice: words.voice.clone(), body }
    }

    /// What the operator should know: every text that takes more than one segment with codes of so many digits and so
    /// many minutes, or is too long for Android's SMS Retriever. Notices are rare, so two segments are no matter.
    #[must_use]
    pub fn warnings(&self, digits: usize, minutes: i64) -> Vec<String> {
        let code = "0".repeat(digits);
        let lines = [
            Some(LastLine::None),
            self.settings.webotp_domain.as_deref().map(LastLine::WebOtp),
            self.settings.android_app_hash.as_deref().map(LastLine::Android),
        ];
        let mut warnings = Vec::new();
        for words in &self.languages {
            for line in lines.into_iter().flatten() {
                let text = self.sms(words, &code, minutes, line);
                warnings.extend(too_much(&words.name, line, &text));
            }
        }
        warnings
    }

    fn sms(&self, words: &Words, code: &str, minutes: i64, line: LastLine<'_>) -> String {
        let one = words.sms_one.as_ref().filter(|_| minutes == 1);
        let mut text = one.unwrap_or(&words.sms).fill(&self.settings.product, code, minutes);
        text.push_str(&line.after(code));
        text
    }

    /// Both would be in each other's way: each has to be the last line.
    fn last_line(&self, platform: Option<Platform>) -> LastLine<'_> {
        let TextSettings { webotp_domain, android_app_hash, .. } = &self.settings;
        match (platform, android_app_hash, webotp_domain) {
            (Some(Platform::Android), Some(hash), _) => LastLine::Android(hash),
            (_, _, Some(domain)) => LastLine::WebOtp(domain),
            (_, _, None) => LastLine::None,
        }
    }

    /// Whether there is a text in a language.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        self.lookup(tag).is_some()
    }

    /// The languages that there are, English first.
    #[must_use]
    pub fn tags(&self) -> Vec<&str> {
        self.languages.iter().map(|words| words.tag.as_str()).collect()
    }

    /// The language of a tag, or of what remains of it when subtags are cut off from the right (RFC 4647, section 3.4):
    /// `hi-Latn-IN`, `hi-Latn`, `hi`.
    fn lookup(&self, tag: &str) -> Option<&Words> {
        let mut range = tag;
        loop {
            if let Some(words) = self.languages.iter().find(|words| words.tag.eq_ignore_ascii_case(range)) {
                return Some(words);
            }
            (range, _) = range.rsplit_once('-')?;
        }
    }

    fn too_long(&self) -> Vec<String> {
        let TextSettings { product, webotp_domain, android_app_hash, .. } = &self.settings;
        // A line feed, `@`, the domain, ` #` and eight digits; a line feed and the hash.
        let webotp = webotp_domain.as_ref().map_or(0, |domain| domain.len() + 12);
        let android = android_app_hash.as_ref().map_or(0, |hash| hash.len() + 1);
        self.languages.iter().flat_map(|words| words.too_long(product, webotp.max(android))).collect()
    }
}

/// Takes a language in, in the place of the one that it replaces.
fn add(languages: &mut Vec<Words>, words: Result<Words, Vec<String>>, errors: &mut Vec<String>) {
    let words = match words {
        Ok(words) => words,
        Err(more) => return errors.extend(more),
    };
    match languages.iter_mut().find(|other| other.tag.eq_ignore_ascii_case(&words.tag)) {
        Some(other) => {
            let kept = other.phone_changed.take();
            let phone_changed = words.phone_changed.or(kept);
            *other = Words { phone_changed, ..words };
        }
        None => languages.push(words),
    }
}

/// What is wrong with the settings themselves.
fn wrong_settings(settings: &TextSettings) -> Vec<String> {
    let mut errors = Vec::new();
    if settings.android_app_hash.as_deref().is_some_and(|hash| !is_app_hash(hash)) {
        errors.push("SMS_ANDROID_APP_HASH must be 11 letters, digits, + and /".to_owned());
    }
    if settings.webotp_domain.as_deref().is_some_and(|domain| !is_host_name(domain)) {
        errors.push("SMS_WEBOTP_DOMAIN must be a host name alone, such as example.com".to_owned());
    }
    errors
}

/// The files of the folder, in the order of their names.
fn read_folder(folder: &Path) -> Vec<Result<Words, Vec<String>>> {
    let unreadable = |error| vec![Err(vec![format!("SMS_TEXTS_DIR {}: {error}", folder.display())])];
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return unreadable(error),
    };
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(ENDING));
    names.sort_by_cached_key(|name| (name.to_ascii_lowercase(), name.clone()));
    let twice = names.windows(2).filter_map(|pair| match pair {
        [one, next] if one.eq_ignore_ascii_case(next) => {
            Some(Err(vec![format!("{one} and {next} are of one language")]))
        }
        _ => None,
    });
    twice.collect::<Vec<_>>().into_iter().chain(names.iter().map(|name| read_file(folder, name))).collect()
}

fn read_file(folder: &Path, name: &str) -> Result<Words, Vec<String>> {
    let tag = name.strip_suffix(ENDING).unwrap_or(name);
    if !is_language_tag(tag) {
        return Err(vec![format!(
            "{name}: the name must be a BCP 47 language tag, such as ta.json or pt-BR.json"
        )]);
    }
    let json = fs::read_to_string(folder.join(name)).map_err(|error| vec![format!("{name}: {error}")])?;
    Words::read(tag, name, &json)
}

/// The sentences about a text that takes more than it should.
fn too_much(name: &str, line: LastLine<'_>, text: &str) -> Vec<String> {
    let measured = measure(text);
    let (units, segments, variant) = (measured.units, measured.segments, line.name());
    let (room, bytes) = (measured.encoding.room(), measured.encoding.bytes(units));
    let mut sentences = Vec::new();
    if segments > 1 {
        let why = match measured.encoding {
            Encoding::Gsm7 => "GSM-7 characters".to_owned(),
            Encoding::Ucs2 { because_of } => {
                format!("UCS-2 characters, since {because_of:?} is not in GSM-7")
            }
        };
        sentences.push(format!(
            "the SMS of {name}{variant} takes {segments} segments: it has {units} {why}; one segment holds {room}"
        ));
    }
    if matches!(line, LastLine::Android(_)) && bytes > RETRIEVER_BYTES {
        sentences.push(format!(
            "the SMS of {name}{variant} has {bytes} bytes: Android's SMS Retriever reads at most {RETRIEVER_BYTES}"
        ));
    }
    sentences
}

/// The digits for a voice, which would read `1097` as a number.
fn spelled(code: &str) -> String {
    code.chars().map(String::from).collect::<Vec<_>>().join(", ")
}

/// What Google's tools print for an app: the first 11 characters of a hash in base64.
fn is_app_hash(text: &str) -> bool {
    text.len() == 11 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// Labels of letters, digits and hyphens with dots between; neither an address nor an origin with scheme or port.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}
