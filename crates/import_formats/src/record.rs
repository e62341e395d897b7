//! A row of a file: named values, as JSON or CSV write them.

use chrono::{DateTime, Utc};
use domain::import::parse_time;
use serde_json::{Map, Value};

/// A row.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Record<'a> {
    /// A value as a text. An empty one is none.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    }

    /// The first of these values that is there.
    pub(crate) fn any(self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Whether there is a value, of whatever kind.
    pub(crate) fn has(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
        })
    }

    /// The first of these ids that is there, or an empty text. None if it is no text and no whole number of 64 bits: JSON readers
    /// round other numbers, and two users would get one id.
    pub(crate) fn id(self, names: &[&str]) -> Option<String> {
        let Some(name) = names.iter().find(|name| self.has(name)) else { return Some(String::new()) };
        match self.0.get(*name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        }
    }

    /// A value that is yes or no, or `absent`. None if it is not understood: a guess could open an account.
    pub(crate) fn flag(self, name: &str, absent: bool) -> Option<bool> {
        if !self.has(name) {
            return Some(absent);
        }
        match self.text(name)?.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        }
    }

    /// Whether something has happened, told by its time. None if there is a value, and it is no time.
    pub(crate) fn has_happened(self, name: &str) -> Option<bool> {
        if self.has(name) { self.time(name).map(|_| true) } else { Some(false) }
    }

    /// A time. One that cannot be read is none.
    pub(crate) fn time(self, name: &str) -> Option<DateTime<Utc>> {
        self.text(name).as_deref().and_then(parse_time)
    }

    /// An object. CSV files hold it as a text.
    pub(crate) fn object(self, name: &str) -> Map<String, Value> {
        match self.0.get(name) {
            Some(Value::Object(object)) => object.clone(),
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            _ => Map::new(),
        }
    }

    /// The objects of a list.
    pub(crate) fn objects(self, name: &str) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object).map(Record)
    }

    /// Texts that a semicolon separates.
    pub(crate) fn texts(self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}
