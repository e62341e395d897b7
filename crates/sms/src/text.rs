//! The texts of the messages.
//!
//! Each language is one small file, named by its BCP 47 tag: ours are `sms/texts/en.json` and `sms/texts/hi.json`; an
//! operator's are in the folder `SMS_TEXTS_DIR`. To add a language, add such a file with these keys:
//!
//! - `sms`: the text message. Optional `sms_one`: the same for one remaining minute, if the language needs another
//!   form.
//! - `call`: what the voice says. The code in it is spelled digit by digit.
//! - `whatsapp`: what the test inbox shows. Twilio stores the real template.
//! - `voice`: the voice, by its name in Twilio's `<Say language>`.
//! - `phone_changed`: the SMS notice to the old number after a change of phone; `password_changed`: the one to the phone of
//!   an account whose password was set in the place of a forgotten one; `accounts_merged`: the one to both phones of joined accounts.
//!   Optional: without it, the text that the file
//!   replaces is sent, or else the English one. They may contain `{product}` only.
//! - `dlt`: the template ids under which the texts are registered in India (`text/dlt.rs`). Optional.
//!
//! The placeholders are `{product}`, `{code}` and `{minutes}`.

mod dlt;
mod file;
mod notice;
mod registration;

pub(crate) use self::file::is_language_tag;
pub use self::{
    dlt::{Dlt, INDIA, is_dlt_id},
    notice::Notice,
    registration::Registration,
};

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use self::file::Language;
use super::segments::{Encoding, measure};
use domain::delivery::{Channel, Platform};

/// Our own texts. The first is the default for users who read none of the languages.
const BUILT_IN: [(&str, &str); 2] =
    [("en", include_str!("texts/en.json")), ("hi", include_str!("texts/hi.json"))];

/// The extension of the files.
const ENDING: &str = ".json";

/// The largest message that Android's SMS Retriever reads, in bytes.
/// <https://developers.google.com/identity/sms-retriever/verify>
const RETRIEVER_BYTES: usize = 140;

/// The template name of a code in the rows of messages.
pub const TEMPLATE: &str = "otp";

/// The settings for the texts.
#[derive(Debug, Clone, Default)]
pub struct TextSettings {
    /// `PRODUCT_NAME`
    pub product: String,
    /// `SMS_WEBOTP_DOMAIN`: adds the last line `@example.com #1097`.
    pub webotp_domain: Option<String>,
    /// `SMS_ANDROID_APP_HASH`: added to the end of texts to Android apps.
    pub android_app_hash: Option<String>,
    /// `SMS_TEXTS_DIR`: a folder of texts that replace ours or add languages.
    pub folder: Option<PathBuf>,
    /// `SMS_DLT_ENTITY_ID`: the operator as registered in India.
    pub dlt_entity_id: Option<String>,
}

/// Why the texts cannot be used. Found at the start.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct TextsError(String);

/// All texts, by language.
#[derive(Debug)]
pub struct Texts {
    settings: TextSettings,
    /// The languages, English first.
    languages: Vec<Language>,
}

/// The input for composing a text.
#[derive(Debug, Clone, Copy)]
pub struct Wording<'a> {
    /// The channel.
    pub channel: Channel,
    /// The user's languages as BCP 47 tags, the preferred one first.
    pub languages: &'a [String],
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// The code.
    pub code: &'a SecretString,
    /// The remaining validity of the code, in whole minutes.
    pub minutes: i64,
}

/// A composed text. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Text {
    /// The language's tag, `hi`.
    pub language: String,
    /// The voice that reads it out, by its name in Twilio's `<Say language>`, `hi-IN`.
    pub voice: String,
    /// What the user reads or hears, including the code.
    pub body: SecretString,
    /// How an SMS with this text is registered in India. `None` if it is not, and for other channels.
    pub dlt: Option<Dlt>,
}

impl Text {
    /// What is sent if there is no language at all, which [`Texts::load`] refuses.
    fn empty() -> Self {
        Self { language: String::new(), voice: String::new(), body: String::new().into(), dlt: None }
    }
}

/// What follows the text of an SMS on a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLine<'a> {
    None,
    /// The origin that may read the code, then the code: the origin-bound one-time code format of `WebOTP` and iOS.
    WebOtp(&'a str),
    /// The hash of the app that may read the message.
    Android(&'a str),
}

impl LastLine<'_> {
    fn suffix(self, code: &str) -> String {
        match self {
            Self::None => String::new(),
            Self::WebOtp(domain) => format!("\n@{domain} #{code}"),
            Self::Android(hash) => format!("\n{hash}"),
        }
    }

    /// The end of the key of a template id.
    fn key_suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::WebOtp(_) => "_webotp",
            Self::Android(_) => "_android",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::None => "",
            Self::WebOtp(_) => " with the WebOTP line",
            Self::Android(_) => " with the Android hash",
        }
    }
}

impl Texts {
    /// The name of the product (`PRODUCT_NAME`).
    #[must_use]
    pub fn product(&self) -> &str {
        &self.settings.product
    }

    /// Loads the texts.
    ///
    /// # Errors
    /// All problems at once: a missing folder, an invalid file, an invalid setting.
    pub fn load(settings: TextSettings) -> Result<Self, TextsError> {
        let mut errors = setting_errors(&settings);
        let mut languages = Vec::new();
        for (tag, json) in BUILT_IN {
            add_or_replace(
                &mut languages,
                Language::read(tag, &format!("the built-in {tag}{ENDING}"), json),
                &mut errors,
            );
        }
        if let Some(folder) = &settings.folder {
            for language in read_folder(folder) {
                add_or_replace(&mut languages, language, &mut errors);
            }
        }
        let texts = Self { settings, languages };
        errors.extend(texts.too_long());
        if errors.is_empty() { Ok(texts) } else { Err(TextsError(errors.join("; "))) }
    }

    /// The language of a text for this user: the first available one, else English.
    #[must_use]
    pub fn language(&self, languages: &[String]) -> &str {
        self.first_available(languages).map_or("", |language| &language.tag)
    }

    fn first_available(&self, languages: &[String]) -> Option<&Language> {
        languages.iter().find_map(|tag| self.lookup(tag)).or(self.languages.first())
    }

    /// Composes a text in the user's first available language, else in English.
    #[must_use]
    pub fn compose(&self, wording: &Wording<'_>) -> Text {
        let Some(language) = self.first_available(wording.languages) else {
            // English always exists, because `load` fails without it.
            return Text::empty();
        };
        let (code, minutes) = (wording.code.expose_secret(), wording.minutes);
        let line = self.last_line(wording.platform);
        let (body, dlt) = match wording.channel {
            Channel::Sms => {
                let is_for_one_minute = minutes == 1 && language.sms_one.is_some();
                let id = language.dlt.of_code(line, is_for_one_minute);
                (self.sms(language, code, minutes, line), self.dlt(id))
            }
            Channel::WhatsApp => (language.whatsapp.fill(&self.settings.product, code, minutes), None),
            Channel::Call => (language.call.fill(&self.settings.product, &spelled(code), minutes), None),
        };
        Text { language: language.tag.clone(), voice: language.voice.clone(), body: body.into(), dlt }
    }

    /// Composes a notice in the user's first language that has it.
    #[must_use]
    pub fn notice(&self, notice: Notice, languages: &[String]) -> Text {
        let read = languages.iter().filter_map(|tag| self.lookup(tag));
        let found =
            read.chain(&self.languages).find_map(|language| Some((language, language.notice(notice)?)));
        let Some((language, template)) = found else {
            // The English notice always exists, because a file that replaces ours keeps it.
            return Text::empty();
        };
        let body = template.fill(&self.settings.product, "", 0).into();
        let dlt = self.dlt(language.dlt.of_notice(notice));
        Text { language: language.tag.clone(), voice: language.voice.clone(), body, dlt }
    }

    /// Warnings for the operator: texts that need more than one segment for this code length and validity, or that
    /// are too long for Android's SMS Retriever. Notices are not checked, because they are rare.
    #[must_use]
    pub fn warnings(&self, digits: usize, minutes: i64) -> Vec<String> {
        let code = "0".repeat(digits);
        let mut warnings = Vec::new();
        for language in &self.languages {
            for line in self.last_lines() {
                let text = self.sms(language, &code, minutes, line);
                warnings.extend(segment_warnings(&language.name, line, &text));
            }
        }
        warnings
    }

    /// The last lines that an SMS with a code can have.
    fn last_lines(&self) -> Vec<LastLine<'_>> {
        let TextSettings { webotp_domain, android_app_hash, .. } = &self.settings;
        let webotp = webotp_domain.as_deref().map(LastLine::WebOtp);
        let android = android_app_hash.as_deref().map(LastLine::Android);
        // Without a domain, apps of other platforms get no last line.
        let none = webotp.is_none().then_some(LastLine::None);
        [none, webotp, android].into_iter().flatten().collect()
    }

    fn dlt(&self, template_id: Option<&str>) -> Option<Dlt> {
        let entity_id = self.settings.dlt_entity_id.clone()?;
        Some(Dlt { entity_id, template_id: template_id?.to_owned() })
    }

    fn sms(&self, language: &Language, code: &str, minutes: i64, line: LastLine<'_>) -> String {
        let one = language.sms_one.as_ref().filter(|_| minutes == 1);
        let mut text = one.unwrap_or(&language.sms).fill(&self.settings.product, code, minutes);
        text.push_str(&line.suffix(code));
        text
    }

    /// Never both lines, because each must be the last one.
    fn last_line(&self, platform: Option<Platform>) -> LastLine<'_> {
        let TextSettings { webotp_domain, android_app_hash, .. } = &self.settings;
        match (platform, android_app_hash, webotp_domain) {
            (Some(Platform::Android), Some(hash), _) => LastLine::Android(hash),
            (_, _, Some(domain)) => LastLine::WebOtp(domain),
            (_, _, None) => LastLine::None,
        }
    }

    /// Whether a language has a text.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        self.lookup(tag).is_some()
    }

    /// The tags of all languages, English first.
    #[must_use]
    pub fn tags(&self) -> Vec<&str> {
        self.languages.iter().map(|language| language.tag.as_str()).collect()
    }

    /// Looks up the language of a tag, cutting off subtags from the right until one matches (RFC 4647, section 3.4):
    /// `hi-Latn-IN`, `hi-Latn`, `hi`.
    fn lookup(&self, tag: &str) -> Option<&Language> {
        let mut range = tag;
        loop {
            if let Some(language) =
                self.languages.iter().find(|language| language.tag.eq_ignore_ascii_case(range))
            {
                return Some(language);
            }
            (range, _) = range.rsplit_once('-')?;
        }
    }

    fn too_long(&self) -> Vec<String> {
        let TextSettings { product, webotp_domain, android_app_hash, .. } = &self.settings;
        // A line feed, `@`, the domain, ` #` and eight digits; a line feed and the hash.
        let webotp = webotp_domain.as_ref().map_or(0, |domain| domain.len() + 12);
        let android = android_app_hash.as_ref().map_or(0, |hash| hash.len() + 1);
        self.languages.iter().flat_map(|language| language.too_long(product, webotp.max(android))).collect()
    }
}

/// Adds a language or replaces the existing one, whose notices are kept if the new one has none.
fn add_or_replace(
    languages: &mut Vec<Language>,
    language: Result<Language, Vec<String>>,
    errors: &mut Vec<String>,
) {
    let language = match language {
        Ok(language) => language,
        Err(more) => return errors.extend(more),
    };
    match languages.iter_mut().find(|other| other.tag.eq_ignore_ascii_case(&language.tag)) {
        Some(other) => {
            let phone_changed = language.phone_changed.or(other.phone_changed.take());
            let password_changed = language.password_changed.or(other.password_changed.take());
            let accounts_merged = language.accounts_merged.or(other.accounts_merged.take());
            *other = Language { phone_changed, password_changed, accounts_merged, ..language };
        }
        None => languages.push(language),
    }
}

/// The errors in the settings themselves.
fn setting_errors(settings: &TextSettings) -> Vec<String> {
    let mut errors = Vec::new();
    if settings.android_app_hash.as_deref().is_some_and(|hash| !is_app_hash(hash)) {
        errors.push("SMS_ANDROID_APP_HASH must be 11 letters, digits, + and /".to_owned());
    }
    if settings.webotp_domain.as_deref().is_some_and(|domain| !is_host_name(domain)) {
        errors.push("SMS_WEBOTP_DOMAIN must be a host name alone, such as example.com".to_owned());
    }
    errors
}

/// Reads the files of the folder, sorted by name.
fn read_folder(folder: &Path) -> Vec<Result<Language, Vec<String>>> {
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
            Some(Err(vec![format!("{one} and {next} are the same language")]))
        }
        _ => None,
    });
    twice.collect::<Vec<_>>().into_iter().chain(names.iter().map(|name| read_file(folder, name))).collect()
}

fn read_file(folder: &Path, name: &str) -> Result<Language, Vec<String>> {
    let tag = name.strip_suffix(ENDING).unwrap_or(name);
    if !is_language_tag(tag) {
        return Err(vec![format!(
            "{name}: the name must be a BCP 47 language tag, such as ta.json or pt-BR.json"
        )]);
    }
    let path = folder.join(name);
    let unreadable = |error| vec![format!("{name}: {error}")];
    // Before it is opened: a named pipe would wait for a writer.
    if !fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Err(vec![format!("{name} is not a file")]);
    }
    let json = fs::read_to_string(path).map_err(unreadable)?;
    Language::read(tag, name, &json)
}

/// Warnings about a text that is longer than it should be.
fn segment_warnings(name: &str, line: LastLine<'_>, text: &str) -> Vec<String> {
    let measured = measure(text);
    let (units, segments, variant) = (measured.units, measured.segments, line.description());
    let (capacity, bytes) = (measured.encoding.capacity(), measured.encoding.bytes(units));
    let mut sentences = Vec::new();
    if segments > 1 {
        let why = match measured.encoding {
            Encoding::Gsm7 => "GSM-7 characters".to_owned(),
            Encoding::Ucs2 { because_of } => {
                format!("UCS-2 characters, since {because_of:?} is not in GSM-7")
            }
        };
        sentences.push(format!(
            "the SMS of {name}{variant} takes {segments} segments: it has {units} {why}; one segment holds {capacity}"
        ));
    }
    if matches!(line, LastLine::Android(_)) && bytes > RETRIEVER_BYTES {
        sentences.push(format!(
            "the SMS of {name}{variant} has {bytes} bytes: Android's SMS Retriever reads at most {RETRIEVER_BYTES}"
        ));
    }
    sentences
}

/// Separates the digits for a voice, which would read `1097` as a number.
pub(crate) fn spelled(code: &str) -> String {
    code.chars().map(String::from).collect::<Vec<_>>().join(", ")
}

/// The app hash that Google's tools print: the first 11 characters of a hash in base64.
fn is_app_hash(text: &str) -> bool {
    text.len() == 11 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// Whether the text is a host name: labels of letters, digits and hyphens, separated by dots; no IP address, no
/// scheme and no port.
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
