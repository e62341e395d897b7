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

    /// A value that is yes or no. CSV files write it in several ways.
    pub(crate) fn flag(self, name: &str) -> Option<bool> {
        match self.text(name)?.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" => Some(true),
            "false" | "f" | "0" | "no" => Some(false),
            _ => None,
        }
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
