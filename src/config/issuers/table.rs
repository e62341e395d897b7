//! A table of the file, read key by key. Every problem names the issuer and the key.

use strsim::osa_distance;
use toml::Value;

use super::{super::reader::Reader, is_name};

/// The keys of a table, to find misspelt ones.
const KEYS: [&str; 15] = [
    "name",
    "iss",
    "aud",
    "algorithm",
    "secret",
    "secret_file",
    "jwks_url",
    "id_claim",
    "phone_claim",
    "phone_verified_claim",
    "phone_without_plus",
    "phone_is_proof",
    "may_create_accounts",
    "legacy",
    "until",
];

/// The most letters in which a misspelt key differs from the one that is meant.
const MAX_DISTANCE: usize = 2;

/// A table, and the keys that were not read yet.
pub(super) struct Table<'a, 'r> {
    reader: &'a mut Reader<'r>,
    /// What each sentence begins with.
    place: String,
    keys: toml::Table,
    is_right: bool,
}

impl<'a, 'r> Table<'a, 'r> {
    pub(super) fn new(reader: &'a mut Reader<'r>, file: &str, number: usize, table: Value) -> Self {
        let (keys, is_right) = match table {
            Value::Table(keys) => (keys, true),
            _ => (toml::Table::new(), false),
        };
        // Another text may hold characters that change what a terminal shows.
        let name = keys.get("name").and_then(Value::as_str).filter(|name| is_name(name));
        let issuer = name.map_or_else(|| number.to_string(), str::to_owned);
        Self { reader, place: format!("{file}: issuer {issuer}"), keys, is_right }
    }

    /// Whether there was no problem so far.
    pub(super) fn is_right(&self) -> bool {
        self.is_right
    }

    pub(super) fn problem(&mut self, key: &str, why: &str) {
        self.is_right = false;
        self.reader.problem(format!("{}: {key} {why}", self.place));
    }

    pub(super) fn warn(&mut self, key: &str, why: &str) {
        self.reader.warn(format!("{}: {key} {why}", self.place));
    }

    /// A text, if the key is there.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.keys.remove(key)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => {
                self.problem(key, "must be a text that is not empty");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, key: &'static str) -> Option<String> {
        if !self.keys.contains_key(key) {
            self.problem(key, "must be set");
        }
        self.text(key)
    }

    /// A value that was read before, and must be there.
    pub(super) fn given(&mut self, value: Option<String>, key: &str, why: &str) -> Option<String> {
        if value.is_none() {
            self.problem(key, why);
        }
        value
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let items = match self.keys.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(item) => vec![item],
        };
        let texts: Vec<String> = items
            .iter()
            .filter_map(Value::as_str)
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
            .collect();
        if texts.is_empty() || texts.len() != items.len() {
            self.problem(key, "must be a text or a list of texts that are not empty");
        }
        texts
    }

    /// False if the key is not there.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.keys.remove(key) {
            None => false,
            Some(Value::Boolean(is_on)) => is_on,
            Some(_) => {
                self.problem(key, "must be true or false");
                false
            }
        }
    }

    /// A date or a time as its text, in quotes or not.
    pub(super) fn date(&mut self, key: &'static str) -> Option<String> {
        match self.keys.remove(key)? {
            Value::Datetime(date) => Some(date.to_string()),
            Value::String(text) => Some(text.trim().to_owned()),
            _ => Some(String::new()),
        }
    }

    /// Reports the keys that are left: nothing reads them.
    pub(super) fn finish(&mut self) {
        for key in std::mem::take(&mut self.keys).keys() {
            let nearest = KEYS.into_iter().min_by_key(|known| osa_distance(key, known));
            let why = match nearest.filter(|known| osa_distance(key, known) <= MAX_DISTANCE) {
                Some(meant) => format!("is not known: write {meant}"),
                None => "is not known".to_owned(),
            };
            self.problem(&key.escape_debug().to_string(), &why);
        }
    }
}
