//! Reads the text file of one language: its keys and templates.

use std::fmt::Display;

use serde::Deserialize;

use super::{Notice, dlt::TemplateIds};

/// The longest text that Twilio accepts, in characters (its error 21617).
const MAX_CHARACTERS: usize = 1_600;

/// The longest text of a call, about a minute. It is said twice, and Twilio accepts at most 4,000 characters of
/// `TwiML`.
const MAX_SPOKEN: usize = 1_000;

/// The longest values of the placeholders: `OTP_LENGTH` is at most 8, `OTP_EXPIRE_MINUTES` at most 60.
const LONGEST_CODE: &str = "00000000";
const LONGEST_LIFE: i64 = 60;

/// The format of a file. An unknown key is an error, because a typing error would otherwise go unnoticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sms: String,
    sms_one: Option<String>,
    call: String,
    whatsapp: String,
    voice: String,
    phone_changed: Option<String>,
    password_changed: Option<String>,
    accounts_merged: Option<String>,
    #[serde(default)]
    dlt: TemplateIds,
}

/// The texts of one language.
#[derive(Debug)]
pub(super) struct Language {
    /// The language tag, as in the file name.
    pub(super) tag: String,
    /// The name of the file in messages to the operator.
    pub(super) name: String,
    pub(super) sms: Template,
    /// For one remaining minute, if the language needs another form.
    pub(super) sms_one: Option<Template>,
    pub(super) call: Template,
    pub(super) whatsapp: Template,
    /// The notice to the old number. Without one, that of another language is sent.
    pub(super) phone_changed: Option<Template>,
    /// The notice about a new password. Without one, that of another language is sent.
    pub(super) password_changed: Option<Template>,
    /// The notice about joined accounts. Without one, that of another language is sent.
    pub(super) accounts_merged: Option<Template>,
    /// The voice, by its name in Twilio's `<Say language>`.
    pub(super) voice: String,
    /// The ids under which the texts are registered in India.
    pub(super) dlt: TemplateIds,
}

impl Language {
    /// Reads a file. Returns all errors at once, each with the file name and the key.
    pub(super) fn read(tag: &str, name: &str, json: &str) -> Result<Self, Vec<String>> {
        // Some editors write a byte order mark at the start of a file.
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let file: File = serde_json::from_str(json).map_err(|error| vec![format!("{name}: {error}")])?;
        let mut errors = Vec::new();
        let mut checked = |key: &str, read: Result<Template, String>| {
            read.unwrap_or_else(|why| {
                errors.push(format!("{name}: {key} {why}"));
                Template::default()
            })
        };
        let mut notice = |key: &str, text: &Option<String>| {
            text.as_deref().map(|text| checked(key, Template::read_notice(text)))
        };
        let phone_changed = notice("phone_changed", &file.phone_changed);
        let password_changed = notice("password_changed", &file.password_changed);
        let accounts_merged = notice("accounts_merged", &file.accounts_merged);
        let mut template = |key: &str, text: &str| checked(key, Template::read(text));
        let language = Self {
            sms: template("sms", &file.sms),
            sms_one: file.sms_one.as_deref().map(|text| template("sms_one", text)),
            call: template("call", &file.call),
            whatsapp: template("whatsapp", &file.whatsapp),
            phone_changed,
            password_changed,
            accounts_merged,
            tag: tag.to_owned(),
            name: name.to_owned(),
            voice: file.voice,
            dlt: file.dlt,
        };
        errors.extend(language.dlt.errors().into_iter().map(|error| format!("{name}: {error}")));
        if !is_language_tag(&language.voice) {
            errors.push(format!("{name}: voice must be a language that Twilio can speak, such as en-IN"));
        }
        if errors.is_empty() { Ok(language) } else { Err(errors) }
    }

    /// The text of a notice, if the language has one.
    pub(super) fn notice(&self, notice: Notice) -> Option<&Template> {
        match notice {
            Notice::PhoneChanged => self.phone_changed.as_ref(),
            Notice::PasswordChanged => self.password_changed.as_ref(),
            Notice::AccountsMerged => self.accounts_merged.as_ref(),
        }
    }

    /// The errors of texts that are too long to send with this product name. `extra` is the length of the last line.
    pub(super) fn too_long(&self, product: &str, extra: usize) -> Vec<String> {
        let texts = [
            ("sms", Some(&self.sms), extra, MAX_CHARACTERS),
            ("sms_one", self.sms_one.as_ref(), extra, MAX_CHARACTERS),
            ("call", Some(&self.call), 0, MAX_SPOKEN),
            ("phone_changed", self.phone_changed.as_ref(), 0, MAX_CHARACTERS),
            ("password_changed", self.password_changed.as_ref(), 0, MAX_CHARACTERS),
            ("accounts_merged", self.accounts_merged.as_ref(), 0, MAX_CHARACTERS),
        ];
        let errors = texts.into_iter().filter_map(|(key, template, extra, most)| {
            let text = template?.fill(product, LONGEST_CODE, LONGEST_LIFE);
            let length = text.encode_utf16().count() + extra;
            let name = &self.name;
            (length > most).then(|| format!("{name}: {key} can be {length} characters long, over {most}"))
        });
        errors.collect()
    }
}

/// A text with placeholders.
#[derive(Debug, Default)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Words(String),
    Product,
    Code,
    Minutes,
}

impl Template {
    /// Reads a text that must contain the code.
    fn read(text: &str) -> Result<Self, String> {
        let template = Self::parse(text)?;
        let has_code = template.0.iter().any(|part| matches!(part, Part::Code));
        if has_code { Ok(template) } else { Err("has no {code}".to_owned()) }
    }

    /// Reads a notice, which may contain no placeholder but the product.
    fn read_notice(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("says nothing".to_owned());
        }
        let template = Self::parse(text)?;
        let has_code = template.0.iter().any(|part| matches!(part, Part::Code | Part::Minutes));
        if has_code { Err("has a {code} or {minutes}, and there are none".to_owned()) } else { Ok(template) }
    }

    /// Splits a text at its placeholders.
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c: char| c.is_control() && c != '\n') {
            return Err("holds a control character other than a line feed".to_owned());
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((words, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a { without its }")?;
            parts.push(Part::Words(plain(words)?));
            parts.push(match name {
                "product" => Part::Product,
                "code" => Part::Code,
                "minutes" => Part::Minutes,
                _ => return Err(format!("has a placeholder that is not known: {{{name}}}")),
            });
            rest = after;
        }
        parts.push(Part::Words(plain(rest)?));
        Ok(Self(parts))
    }

    /// Fills in the placeholders.
    pub(super) fn fill(&self, product: &str, code: &str, minutes: impl Display + Copy) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Product => text.push_str(product),
                Part::Code => text.push_str(code),
                Part::Minutes => text.push_str(&minutes.to_string()),
            }
        }
        text
    }
}

/// The text between two placeholders.
fn plain(words: &str) -> Result<String, String> {
    if words.contains('}') { Err("has a } without its {".to_owned()) } else { Ok(words.to_owned()) }
}

/// Whether a text has the form of a BCP 47 tag: a language of two or three letters, then subtags of at most eight
/// letters and digits (RFC 5646 reserves longer languages and has assigned none).
pub(crate) fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}
