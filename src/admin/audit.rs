//! The audit log: who did what, to whom and when. Nothing is changed here.

mod filter;

use std::collections::HashMap;

use askama::Template;
use poem::http::StatusCode;
use uuid::Uuid;

use self::filter::Asked;
use super::{
    Console, Layout, PageError, PageResult, Section, Staff, Visit, names,
    page::Time,
    terms::audit::{actor, facts, masked, of_action, sentence},
};
use crate::{
    domain::{
        audit::{Action, Actor, Entry, Place},
        keyset::{Cursor, Page},
        roles::may_list,
    },
    store,
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
    actions: Vec<(&'static str, &'static str)>,
    is_filtered: bool,
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
    what: String,
    /// The name of the action in rows, in `docs/AUDIT.md` and on the command line.
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
    let ids = page.items.iter().flat_map(|entry| [entry.actor_id, entry.user_id]).flatten().collect();
    let called = names::of_accounts(services, visit.who(), ids).await?;
    let first = query.query_with("cursor", None);
    let layout = visit.layout("Audit log", Section::Audit);
    let template = List {
        kinds: Actor::KINDS.map(|kind| (kind, actor(kind))).into(),
        actions: actions(),
        is_filtered: asked.is_filtered(),
        entries: page.items.iter().map(|entry| row(&layout, entry, &called)).collect(),
        is_further: asked.cursor.is_some(),
        first: if first.is_empty() { first } else { format!("?{first}") },
        next: page.next.map(|cursor| query.query_with("cursor", Some(&cursor.to_string()))),
        asked,
        layout,
    };
    visit.page(StatusCode::OK, &template)
}

/// The actions by their sentences, for the list of choices.
fn actions() -> Vec<(&'static str, &'static str)> {
    let mut actions = Action::ALL.map(|action| (action.as_str(), of_action(action)));
    actions.sort_unstable_by_key(|(_, sentence)| *sentence);
    actions.into()
}

fn row(layout: &Layout, entry: &Entry, called: &HashMap<Uuid, String>) -> Row {
    let named = |id: Option<Uuid>| id.map(|id| Named { id, name: called.get(&id).cloned() });
    let about = named(entry.user_id);
    let phone = entry.phone_masked.as_deref().map(masked);
    Row {
        at: layout.time(entry.at),
        what: sentence(&entry.action),
        action: entry.action.to_string(),
        kind: actor(&entry.actor_kind),
        // What a user does to their own account is said once.
        actor: named(entry.actor_id.filter(|id| entry.user_id != Some(*id))),
        // An account without a name is called by its number.
        phone: phone.filter(|phone| about.as_ref().and_then(|about| about.name.as_ref()) != Some(phone)),
        about,
        address: entry.address.clone(),
        facts: facts(&entry.detail, layout.zone),
    }
}
