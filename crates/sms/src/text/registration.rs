//! The texts that can go to India, in the form to register them there (DLT): with tags in the place of what changes.

use super::{Notice, Texts, file::Language};
use crate::segments::{Encoding, measure};

/// How a number is written in a template, since 14 January 2026.
const NUMERIC: &str = "{#numeric#}";

/// A text that can go to India, as it has to be registered.
#[derive(Debug, PartialEq, Eq)]
pub struct Registration<'a> {
    /// The name of the language's file, and the key of the id in its `dlt`.
    pub file: &'a str,
    /// See `file`.
    pub key: String,
    /// The text, with its variables tagged.
    pub template: String,
    /// How many characters the SMS has as it is sent.
    pub characters: usize,
    /// Whether it has to be registered as Unicode.
    pub is_unicode: bool,
    /// Under which id it is registered.
    pub template_id: Option<&'a str>,
}

impl Texts {
    /// Each SMS that can be sent, as it has to be registered in India. `digits` is the length of a code, `minutes` how long it is
    /// valid.
    #[must_use]
    pub fn registrations(&self, digits: usize, minutes: i64) -> Vec<Registration<'_>> {
        self.languages.iter().flat_map(|language| self.registrations_in(language, digits, minutes)).collect()
    }

    fn registrations_in<'a>(
        &'a self,
        language: &'a Language,
        digits: usize,
        minutes: i64,
    ) -> Vec<Registration<'a>> {
        let (product, code) = (&self.settings.product, "0".repeat(digits));
        let wordings = [("sms", Some(&language.sms), false), ("sms_one", language.sms_one.as_ref(), true)];
        let mut found = Vec::new();
        for (wording, template, is_one) in wordings {
            let Some(template) = template else { continue };
            for line in self.last_lines() {
                let minutes = if is_one { 1 } else { minutes };
                found.push(Registration::new(
                    language,
                    format!("{wording}{}", line.key_suffix()),
                    template.fill(product, NUMERIC, NUMERIC) + &line.suffix(NUMERIC),
                    &(template.fill(product, &code, minutes) + &line.suffix(&code)),
                    language.dlt.of_code(line, is_one),
                ));
            }
        }
        for notice in Notice::ALL {
            if let Some(template) = language.notice(notice) {
                let (text, id) = (template.fill(product, "", ""), language.dlt.of_notice(notice));
                found.push(Registration::new(language, notice.as_str().to_owned(), text.clone(), &text, id));
            }
        }
        found
    }
}

impl<'a> Registration<'a> {
    fn new(
        language: &'a Language,
        key: String,
        template: String,
        example: &str,
        template_id: Option<&'a str>,
    ) -> Self {
        let measured = measure(example);
        let is_unicode = matches!(measured.encoding, Encoding::Ucs2 { .. });
        Self { file: &language.name, key, template, characters: measured.units, is_unicode, template_id }
    }
}
