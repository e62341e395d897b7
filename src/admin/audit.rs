//! The audit log: who did what, to whom and when. Nothing is changed here.

mod filter;

use std::collections::{BTreeSet, HashMap};

use askama::Template;
use poem::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use self::filter::Asked;
use super::{Console, Layout, PageError, PageResult, Section, Staff, Visit, page::Time};
use crate::{
    domain::{
        audit::{Action, Actor, Detail, Entry, Place},
        keyset::{Cursor, Page},
        phone::PhoneNumber,
        roles::may_list,
    },
    store::{self, users::Called},
};

/// How many entries a page shows.
const SIZE: usize = 50;

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/audit", list)
}

#[derive(Template)]
#[template(path = "audit.html")]
struct List {
    layout: Layout,
    asked: Asked,
    kinds: Vec<(&'static str, String)>,
    actions: Vec<(&'static str, String)>,
    entries: Vec<Row>,
    /// Whether this is not the first page.
    is_further: bool,
    /// The query of the first page.
    first: String,
    /// The query of the next page.
    next: Option<String>,
}

/// An entry as the page shows it.
struct Row {
    at: Time,
    action: String,
    kind: String,
    actor: Option<Named>,
    about: Option<Named>,
    phone: Option<String>,
    address: Option<String>,
    facts: Vec<(String, String)>,
}

/// An account that an entry names: a link to it, or its id alone if it was deleted.
struct Named {
    id: Uuid,
    name: Option<String>,
}

async fn list(visit: Visit<Staff>) -> PageResult {
    let (services, query) = (visit.services(), visit.query());
    let permission = may_list(visit.who()).map_err(|_| PageError::Forbidden)?;
    let mut asked = Asked::read(query, services.region, services.zone);
    asked.find_accounts(services, &permission).await?;
    let before = asked.cursor.as_ref().and_then(|cursor| Some(Place(cursor.time().ok()?, cursor.id)));
    let filter = asked.filter(&services.pseudonyms);
    let limit = u64::try_from(SIZE + 1).unwrap_or(u64::MAX);
    let entries = store::audit::list_before(&services.store, &filter, before, limit).await?;
    let page = Page::new(entries, SIZE, |entry: &Entry| Cursor::at(entry.at, entry.id));
    let ids: BTreeSet<Uuid> =
        page.items.iter().flat_map(|entry| [entry.actor_id, entry.user_id]).flatten().collect();
    let called = store::users::list_called(&services.store, &permission, ids).await?;
    let called: HashMap<Uuid, Called> = called.into_iter().map(|called| (called.id, called)).collect();
    let first = query.query_with("cursor", None);
    let layout = visit.layout("Audit log", Section::Audit);
    let template = List {
        kinds: Actor::KINDS.map(|kind| (kind, words(kind))).into(),
        actions: Action::ALL.map(|action| (action.as_str(), words(action.as_str()))).into(),
        entries: page.items.iter().map(|entry| row(&layout, entry, &called)).collect(),
        is_further: asked.cursor.is_some(),
        first: if first.is_empty() { first } else { format!("?{first}") },
        next: page.next.map(|cursor| query.query_with("cursor", Some(&cursor.to_string()))),
        asked,
        layout,
    };
    visit.page(StatusCode::OK, &template)
}

fn row(layout: &Layout, entry: &Entry, called: &HashMap<Uuid, Called>) -> Row {
    let named = |id: Option<Uuid>| id.map(|id| named(id, called.get(&id)));
    let about = named(entry.user_id);
    let phone = entry.phone_masked.as_deref().map(masked);
    Row {
        at: layout.time(entry.at),
        action: words(&entry.action),
        kind: words(&entry.actor_kind),
        // What a user does to their own account is said once.
        actor: named(entry.actor_id.filter(|id| entry.user_id != Some(*id))),
        // An account without a name is called by its number.
        phone: phone.filter(|phone| about.as_ref().and_then(|about| about.name.as_ref()) != Some(phone)),
        about,
        address: entry.address.clone(),
        facts: facts(&entry.detail),
    }
}

fn named(id: Uuid, called: Option<&Called>) -> Named {
    let name = called.map(|called| {
        let phone = called.phone.as_ref().map(PhoneNumber::masked);
        called.name.clone().or(phone).unwrap_or_else(|| id.to_string())
    });
    Named { id, name }
}

/// The number of an entry has four digits at the end, `+91******9376`. A list shows three, `+91 ••••• ••376`.
fn masked(stored: &str) -> String {
    let Some((code, rest)) = stored.split_once('*') else { return stored.to_owned() };
    let digits = rest.trim_start_matches('*');
    let hidden = rest.len() - digits.len() + 2;
    let mut text = format!("{code} ");
    let dots = std::iter::repeat_n('•', hidden);
    for (at, c) in dots.chain(digits.chars().skip(1)).enumerate() {
        if at == 5 {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// `wrong_code` becomes `Wrong code`.
fn words(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The facts of an entry with their values as texts.
fn facts(detail: &Detail) -> Vec<(String, String)> {
    // The complete settings are for the server. `changed` is for people.
    let shown = detail.iter().filter(|(name, value)| *name != "settings" && !value.is_null());
    let told = shown.map(|(name, value)| (words(name), text(value)));
    told.filter(|(_, value)| !value.is_empty()).collect()
}

fn text(value: &Value) -> String {
    match value {
        // A fixed word such as `sign_in`.
        Value::String(word) if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            word.replace('_', " ")
        }
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "default".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        // A changed setting.
        Value::Object(change) => {
            let part = |name: &str| change.get(name).map(text).unwrap_or_default();
            format!("{}: {} → {}", part("name"), part("old"), part("new"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_told_in_words() {
        let detail = Detail::parse(
            r#"{"purpose": "sign_in", "left": 2, "device": true, "settings": {"OTP_LENGTH": "6"},
                "changed": [{"name": "OTP_LENGTH", "old": null, "new": "6"}, {"name": "SECRET_KEY", "old": "secret", "new": "secret"}]}"#,
        )
        .unwrap();
        let told: Vec<String> =
            facts(&detail).iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            told,
            [
                "Purpose: sign in",
                "Left: 2",
                "Device: yes",
                "Changed: OTP_LENGTH: default → 6, SECRET_KEY: secret → secret",
            ]
        );
        assert_eq!(words("wrong_code"), "Wrong code");
        assert_eq!((masked("+91******9376").as_str(), masked("odd").as_str()), ("+91 ••••• ••376", "odd"));
    }
}
