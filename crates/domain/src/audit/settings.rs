//! Which settings are other ones than at the last start.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{Detail, Fact};
use crate::pseudonym::Pseudonyms;

/// A setting that was given.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What was given.
    pub value: Shown,
}

/// How much of a value may be kept.
#[derive(Debug, Clone)]
pub enum Shown {
    /// All of it.
    Plain(String),
    /// Only a fingerprint, which tells that it has changed.
    Secret(SecretString),
}

/// How a fingerprint begins where the settings are kept.
const FINGERPRINT: &str = "fingerprint:";

/// The settings that were given at a start. Those that are not among them have their defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// These settings.
    #[must_use]
    pub fn new(given: Vec<Setting>) -> Self {
        Self(given)
    }

    /// What was given for a setting, if anything was.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Shown> {
        self.0.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    /// What changed since the entry of this detail was written, and everything that is set now, for the next entry.
    /// `None` when all is as it was. Without an entry everything that is set has changed.
    #[must_use]
    pub fn since(&self, last: Option<&Detail>, pseudonyms: &Pseudonyms) -> Option<Changes> {
        let nothing = Map::new();
        let before = last.and_then(|detail| detail.get("settings")).and_then(Value::as_object);
        let before = before.unwrap_or(&nothing);
        let mut now = BTreeMap::new();
        let mut changed = Vec::new();
        for Setting { name, value } in &self.0 {
            let old = before.get(*name).and_then(Value::as_str);
            let (new, is_as_it_was) = match value {
                Shown::Plain(text) => (text.clone(), old == Some(text)),
                Shown::Secret(secret) => {
                    // A fingerprint may be of before a change of `SECRET_KEY`.
                    let phone_hashes = pseudonyms.setting_with_all(name, secret.expose_secret());
                    let phone_hashes: Vec<_> = phone_hashes
                        .iter()
                        .map(|phone_hash| format!("{FINGERPRINT}{}", phone_hash.as_str()))
                        .collect();
                    let is_known =
                        old.is_some_and(|old| phone_hashes.iter().any(|phone_hash| phone_hash == old));
                    (phone_hashes.into_iter().next().unwrap_or_default(), is_known)
                }
            };
            if !is_as_it_was {
                changed.push(change(name, old, Some(&new)));
            }
            now.insert(*name, new);
        }
        let gone = before.iter().filter(|(name, _)| !now.contains_key(name.as_str()));
        changed.extend(gone.map(|(name, old)| change(name, old.as_str(), None)));
        (last.is_none() || !changed.is_empty())
            .then(|| Changes { changed: changed.into(), settings: json!(now) })
    }
}

/// A fingerprint is for the program to compare: of a secret a person is told only that it changed.
fn change(name: &str, old: Option<&str>, new: Option<&str>) -> Value {
    let shown = |text: Option<&str>| match text {
        Some(text) if text.starts_with(FINGERPRINT) => json!("secret"),
        Some(text) => json!(text),
        None => Value::Null,
    };
    json!({ "name": name, "old": shown(old), "new": shown(new) })
}

/// What an entry says of a change.
#[derive(Debug, Clone)]
pub struct Changes {
    changed: Value,
    settings: Value,
}

impl Changes {
    /// The facts `changed` and `settings`.
    #[must_use]
    pub fn facts(self) -> (Fact, Fact) {
        (Fact(self.changed), Fact(self.settings))
    }
}
