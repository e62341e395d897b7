//! A value for each language, such as the template at a provider: `abc` or `en=abc,hi=def,*=abc`.

use std::fmt;

use thiserror::Error;

use super::text::is_language_tag;

/// The key for all other languages.
const OTHERS: &str = "*";

/// A value for each language, `*` for all others. Its `Debug` shows only the languages.
#[derive(Clone, PartialEq, Eq)]
pub struct ByLanguage(Vec<(String, String)>);

/// What is wrong with such a list. It names the item by its language or position.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ByLanguageError {
    /// There are several items, and this one has no `=`.
    #[error("item {0} must be a language and a value, such as hi=… or *=…")]
    NoPair(usize),
    /// The left side is not a language.
    #[error("{0} is no language: {OTHERS} or a tag such as hi")]
    NoLanguage(String),
    /// The right side is not a valid value.
    #[error("the value of {0} must be 1 to 64 letters, digits, hyphens and underscores")]
    NoValue(String),
    /// The language has two values.
    #[error("{0} has two values")]
    Twice(String),
}

impl ByLanguage {
    /// Reads one value for all languages, or `en=…,hi=…,*=…`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ByLanguageError> {
        let text = text.trim();
        if !text.contains(['=', ',']) {
            return if is_value(text) {
                Ok(Self(vec![(OTHERS.to_owned(), text.to_owned())]))
            } else {
                Err(ByLanguageError::NoValue(OTHERS.to_owned()))
            };
        }
        let mut values: Vec<(String, String)> = Vec::new();
        for (place, item) in text.split(',').enumerate() {
            let (language, value) = item.split_once('=').ok_or(ByLanguageError::NoPair(place + 1))?;
            let (language, value) = (language.trim().to_ascii_lowercase(), value.trim());
            if language != OTHERS && !is_language_tag(&language) {
                return Err(ByLanguageError::NoLanguage(language));
            }
            if !is_value(value) {
                return Err(ByLanguageError::NoValue(language));
            }
            if values.iter().any(|(known, _)| *known == language) {
                return Err(ByLanguageError::Twice(language));
            }
            values.push((language, value.to_owned()));
        }
        Ok(Self(values))
    }

    /// The value for a language: its own, else that of the language without region or script, else that for all
    /// others, else the English one, else the first. A code in a foreign language is better than none, because its
    /// digits can still be read.
    #[must_use]
    pub fn get(&self, language: &str) -> Option<&str> {
        let primary = language.split(['-', '_']).next().unwrap_or(language);
        let own = |tag: &str| {
            let mut all = self.0.iter();
            all.find(|(known, _)| known.eq_ignore_ascii_case(tag)).map(|(_, value)| value.as_str())
        };
        let tags = [language, primary, OTHERS, "en"];
        tags.into_iter().find_map(own).or_else(|| self.0.first().map(|(_, value)| value.as_str()))
    }
}

fn is_value(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

impl fmt::Debug for ByLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(language, _)| language)).finish()
    }
}
