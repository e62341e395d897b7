//! Finds the settings that changed since the last start.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{Detail, Fact};
use crate::pseudonym::Pseudonyms;

/// A setting with its given value.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: Shown,
}

/// How much of a value may be stored.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The whole value.
    Plain(String),
    /// Only a fingerprint, which reveals whether the value changed.
    Secret(SecretString),
}

fn is_same(a: Option<&Shown>, b: Option<&Shown>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(Shown::Plain(a)), Some(Shown::Plain(b))) => a == b,
        (Some(Shown::Secret(a)), Some(Shown::Secret(b))) => a.expose_secret() == b.expose_secret(),
        _ => false,
    }
}

/// The prefix of a stored fingerprint.
const FINGERPRINT: &str = "fingerprint:";

/// The settings given at a start. All others have their defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// Creates the list.
    #[must_use]
    pub fn new(given: Vec<Setting>) -> Self {
        Self(given)
    }

    /// The given value of a setting, if any.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Shown> {
        self.0.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    /// The names of the settings that have another value there, or are set in one of the two only.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        let names: BTreeSet<&'static str> =
            self.0.iter().chain(&other.0).map(|setting| setting.name).collect();
        names.into_iter().filter(|name| !is_same(self.find(name), other.find(name))).collect()
    }

    /// These settings, but those with these names as they are there.
    #[must_use]
    pub fn with(&self, other: &Self, names: &[&str]) -> Self {
        let kept = self.0.iter().filter(|setting| !names.contains(&setting.name));
        let taken = other.0.iter().filter(|setting| names.contains(&setting.name));
        Self(kept.chain(taken).cloned().collect())
    }

    /// What changed since the entry with this detail was written, and all current settings for the next entry. `None`
    /// if nothing changed. Without an earlier entry, every given setting counts as changed.
    #[must_use]
    pub fn since(&self, last: Option<&Detail>, pseudonyms: &Pseudonyms) -> Option<Changes> {
        let empty = Map::new();
        let before = last.and_then(|detail| detail.get("settings")).and_then(Value::as_object);
        let before = before.unwrap_or(&empty);
        let mut now = BTreeMap::new();
        let mut changed = Vec::new();
        for Setting { name, value } in &self.0 {
            let old = before.get(*name).and_then(Value::as_str);
            let (new, is_unchanged) = match value {
                Shown::Plain(text) => (text.clone(), old == Some(text)),
                Shown::Secret(secret) => {
                    // The stored fingerprint may come from before a change of `SECRET_KEY`.
                    let hmacs = pseudonyms.setting_with_all(name, secret.expose_secret());
                    let fingerprints: Vec<_> =
                        hmacs.iter().map(|hmac| format!("{FINGERPRINT}{}", hmac.as_str())).collect();
                    let is_known = old.is_some_and(|old| fingerprints.iter().any(|new| new == old));
                    (fingerprints.into_iter().next().unwrap_or_default(), is_known)
                }
            };
            if !is_unchanged {
                changed.push(change(name, old, Some(&new)));
            }
            now.insert(*name, new);
        }
        let removed = before.iter().filter(|(name, _)| !now.contains_key(name.as_str()));
        changed.extend(removed.map(|(name, old)| change(name, old.as_str(), None)));
        (last.is_none() || !changed.is_empty())
            .then(|| Changes { changed: changed.into(), settings: json!(now) })
    }
}

/// The entry for one change. Fingerprints are for comparison only: for a secret it says only that it changed.
fn change(name: &str, old: Option<&str>, new: Option<&str>) -> Value {
    let shown = |text: Option<&str>| match text {
        Some(text) if text.starts_with(FINGERPRINT) => json!("secret"),
        Some(text) => json!(text),
        None => Value::Null,
    };
    json!({ "name": name, "old": shown(old), "new": shown(new) })
}

/// The changed settings and all current ones.
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
