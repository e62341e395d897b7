//! Reads settings one by one and collects all problems.

use std::{collections::BTreeMap, fmt::Display, net::SocketAddr, str::FromStr};

use url::Url;

use super::{Problems, secret_files};

/// Reads settings by name, and collects names, problems and warnings.
pub(super) struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    names: Vec<&'static str>,
    given: Vec<Given>,
    defaults: BTreeMap<&'static str, String>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

/// A setting that was set to a value.
pub(super) struct Given {
    pub(super) name: &'static str,
    pub(super) text: String,
    /// Whether it is a number or a boolean, which cannot be a secret.
    pub(super) is_plain: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            get,
            names: Vec::new(),
            given: Vec::new(),
            defaults: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn problems(self) -> Problems {
        Problems(self.problems)
    }

    pub(super) fn names(self) -> Vec<&'static str> {
        self.names
    }

    /// A problem is reported once, even if its setting is read in two places.
    pub(super) fn problem(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.problems.contains(&sentence) {
            self.problems.push(sentence);
        }
    }

    pub(super) fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }

    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The value of a setting, even if it is empty.
    pub(super) fn raw(&mut self, name: &'static str) -> Option<String> {
        self.names.push(name);
        let raw = (self.get)(name);
        let text = raw.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = text {
            self.note_given(name, text);
        }
        raw
    }

    fn note_given(&mut self, name: &'static str, text: &str) {
        if self.given.iter().all(|given| given.name != name) {
            self.given.push(Given { name, text: text.to_owned(), is_plain: false });
        }
    }

    /// The settings that were set so far, each once.
    pub(super) fn take_given(&mut self) -> Vec<Given> {
        std::mem::take(&mut self.given)
    }

    /// Remembers the default that is read in place of a setting, if it is one of those that depend on other settings: so the
    /// report cannot name another one. Numbers and booleans remember theirs.
    pub(super) fn note_default(&mut self, name: &'static str, default: impl Display) {
        self.defaults.insert(name, default.to_string());
    }

    /// The defaults that were remembered.
    pub(super) fn take_defaults(&mut self) -> BTreeMap<&'static str, String> {
        std::mem::take(&mut self.defaults)
    }

    fn mark_as_plain(&mut self, name: &'static str) {
        for given in self.given.iter_mut().filter(|given| given.name == name) {
            given.is_plain = true;
        }
    }

    /// The trimmed value. An empty one counts as not set, because compose files pass empty variables on. A secret may come
    /// from a file instead.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = self.trimmed(name);
        let Some(file) = secret_files::setting_of_file(name) else { return text };
        match (text, self.trimmed(file)) {
            (text, None) => text,
            (None, Some(path)) => self.secret_in_file(name, file, &path),
            (text, Some(_)) => {
                self.problem(format!("{name} and {file} are both set: remove one"));
                text
            }
        }
    }

    fn trimmed(&mut self, name: &'static str) -> Option<String> {
        self.raw(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn secret_in_file(&mut self, name: &'static str, file: &'static str, path: &str) -> Option<String> {
        let read =
            if secret_files::may_be_empty(name) { secret_files::read } else { secret_files::read_some };
        match read(path) {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => {
                self.note_given(name, &text);
                Some(text)
            }
            Err(problem) => {
                self.problem(format!("{file}: {problem}"));
                None
            }
        }
    }

    /// Items separated by commas.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        let text = self.text(name);
        self.note_default(name, default);
        self.mark_as_plain(name);
        match text.map(|text| text.to_ascii_lowercase()).as_deref() {
            None => default,
            Some("true" | "1" | "yes" | "on") => true,
            Some("false" | "0" | "no" | "off") => false,
            Some(_) => {
                self.problem(format!("{name} must be true or false"));
                default
            }
        }
    }

    pub(super) fn number(&mut self, name: &'static str, default: i64, least: i64, most: i64) -> i64 {
        self.note_default(name, default);
        let Some(text) = self.text(name) else {
            return default;
        };
        self.mark_as_plain(name);
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.problem(format!("{name} must be a whole number from {least} to {most}"));
                default
            }
        }
    }

    /// A value of a type that describes its own parse errors. `default` must be valid.
    pub(super) fn parsed<T>(&mut self, name: &'static str, default: &str) -> T
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name).unwrap_or_else(|| default.to_owned());
        match text.parse() {
            Ok(value) => value,
            Err(error) => {
                self.problem(format!("{name}: {error}"));
                let Ok(value) = default.parse() else { unreachable!("the default of {name} is right") };
                value
            }
        }
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let address = self.text(name)?.parse().ok();
        if address.is_none() {
            self.problem(format!(
                "{name} must be an IP address and a port of at most 65535, such as 127.0.0.1:8000, 0.0.0.0:8000 or [::]:8000"
            ));
        }
        address
    }

    pub(super) fn http_url(&mut self, name: &'static str) -> Option<Url> {
        let text = self.text(name)?;
        self.check_http_url(name, &text)
    }

    pub(super) fn check_http_url(&mut self, name: &str, text: &str) -> Option<Url> {
        match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
                self.problem(format!("{name} must be an http or https URL"));
                None
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                self.problem(format!("{name} must not hold a user or a password"));
                None
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                self.problem(format!("{name} must not have a query or a fragment"));
                None
            }
            Ok(url) => Some(url),
            Err(_) => {
                self.problem(format!("{name} must be an http or https URL"));
                None
            }
        }
    }
}
