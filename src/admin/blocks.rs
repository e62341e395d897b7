//! Blocks: admins list, make and end them. The list masks phones; the page of one block shows the number whole, and says so in
//! the audit log.

use std::collections::HashMap;

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use poem::http::StatusCode;
use uuid::Uuid;

use super::{
    Admin, Console, Form, Layout, Notice, PageError, PageResult, Section, Visit, form::local_time, names,
    page::Time,
};
use crate::{
    domain::{
        block::{self, Block, Filter, Kind, Reason, State, Target, check_end, parse_reference},
        keyset::{Cursor, Page},
    },
    flows::{
        blocks::{self, Ended, Made, NewBlock},
        console::note_shown,
    },
    store,
};

const LIST: &str = "/admin/blocks";

const NO_VALUE: &str =
    "Write a whole number, the beginning of numbers such as +91987, a country as two letters, or an address";

/// Blocks on a page.
const PAGE_SIZE: usize = 50;

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get(LIST, list).post(LIST, make).get("/admin/blocks/:id", show).post("/admin/blocks/:id/end", end)
}

/// The words for kinds, as the lists of choices show them.
fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Phone => "Phone number",
        Kind::Prefix => "Numbers that begin with",
        Kind::Country => "Country",
        Kind::Address => "Address or network",
    }
}

/// The filters, as they were sent, with their errors.
#[derive(Debug, Default)]
struct Filters {
    kind: String,
    state: String,
    value: String,
    kind_error: Option<String>,
    state_error: Option<String>,
    value_error: Option<&'static str>,
    cursor_error: Option<&'static str>,
}

impl Filters {
    /// Whether anything was asked for.
    fn is_given(&self) -> bool {
        [&self.kind, &self.state, &self.value].iter().any(|text| !text.is_empty())
    }
}

/// What was typed into the form of a new block, with the errors beside its fields.
#[derive(Debug, Default)]
struct Typed {
    kind: String,
    value: String,
    reason: String,
    reference: String,
    ends_at: String,
    errors: HashMap<&'static str, String>,
}

impl Typed {
    fn from_form(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            kind: text("kind"),
            value: text("value"),
            reason: text("reason"),
            reference: text("reference"),
            ends_at: text("ends_at"),
            errors: HashMap::new(),
        }
    }

    fn error(&self, field: &str) -> Option<&str> {
        self.errors.get(field).map(String::as_str)
    }

    fn check<T>(&mut self, field: &'static str, read: Result<T, Vec<String>>) -> Option<T> {
        read.map_err(|errors| self.errors.insert(field, errors.join(". "))).ok()
    }
}

/// A block as the list shows it.
struct Row {
    block: Block,
    value: String,
    kind: &'static str,
    made_by: String,
    made_at: Time,
    ended: Option<DateTime<Utc>>,
}

#[derive(Template)]
#[template(path = "blocks.html")]
struct List {
    layout: Layout,
    filters: Filters,
    rows: Vec<Row>,
    /// The query of the next page.
    next: Option<String>,
    typed: Typed,
}

impl List {
    fn kinds() -> [(&'static str, &'static str); 4] {
        Kind::ALL.map(|kind| (kind.as_str(), kind_text(kind)))
    }

    fn states() -> [(&'static str, &'static str); 2] {
        State::ALL.map(|state| match state {
            State::Live => (state.as_str(), "Applies now"),
            State::Ended => (state.as_str(), "Ended"),
        })
    }
}

async fn list(visit: Visit<Admin>) -> PageResult {
    let typed = Typed { kind: Kind::Phone.as_str().to_owned(), ..Typed::default() };
    list_page(&visit, StatusCode::OK, typed).await
}

async fn list_page(visit: &Visit<Admin>, status: StatusCode, typed: Typed) -> PageResult {
    let services = visit.services();
    let (filters, filter, after) = read_filters(visit);
    let (now, most) = (services.clock.now(), u64::try_from(PAGE_SIZE + 1).unwrap_or(u64::MAX));
    let found = store::blocks::list(&services.store, &filter, after, most, now).await?;
    let page = Page::new(found, PAGE_SIZE, |block| Cursor::at(block.made_at, block.id));
    let made_by: Vec<Uuid> = page.items.iter().filter_map(|block| block.made_by).collect();
    let names = names::of_accounts(services, visit.who(), made_by).await?;
    let layout = visit.layout("Blocks", Section::Blocks);
    let row = |block: Block| Row {
        value: shown(&block.target),
        kind: kind_text(block.target.kind()),
        made_by: maker(block.made_by, &names),
        made_at: layout.time(block.made_at),
        ended: block.ended(now),
        block,
    };
    let next = page.next.map(|next| visit.query().query_with("cursor", Some(&next.to_string())));
    let rows = page.items.into_iter().map(row).collect();
    visit.page(status, &List { layout, filters, rows, next, typed })
}

fn maker(id: Option<Uuid>, names: &HashMap<Uuid, String>) -> String {
    let Some(id) = id else { return "the command line".to_owned() };
    names.get(&id).map_or(names::DELETED, String::as_str).to_owned()
}

/// A wrong filter does not narrow the list; its error is shown beside it.
fn read_filters(visit: &Visit<Admin>) -> (Filters, Filter, Option<Uuid>) {
    let query = visit.query();
    let text = |name| query.text(name).to_owned();
    let mut filters =
        Filters { kind: text("kind"), state: text("state"), value: text("value"), ..Filters::default() };
    let mut filter = Filter::default();
    match query.given("kind").map(str::parse) {
        Some(Ok(kind)) => filter.kind = Some(kind),
        Some(Err(error)) => filters.kind_error = Some(format!("Kind {error}")),
        None => {}
    }
    match query.given("state").map(State::parse) {
        Some(Ok(state)) => filter.state = Some(state),
        Some(Err(error)) => filters.state_error = Some(error.to_owned()),
        None => {}
    }
    if let Some(text) = query.given("value") {
        filter.value = block::known_value(text, visit.services().region);
        if filter.value.is_none() {
            filters.value_error = Some(NO_VALUE);
        }
    }
    let after = match query.given("cursor").map(Cursor::parse) {
        Some(Ok(cursor)) => Some(cursor.id),
        Some(Err(_)) => {
            filters.cursor_error = Some("This page of the list is unknown: the list begins at its start");
            None
        }
        None => None,
    };
    (filters, filter, after)
}

/// The value for a list, where phones are masked.
fn shown(target: &Target) -> String {
    target.phone().map_or_else(|| target.value(), crate::domain::phone::PhoneNumber::masked)
}

async fn make(visit: Visit<Admin>, form: Form) -> PageResult {
    let (mut typed, new) = read_block(&visit, &form);
    let Some(new) = new else {
        return list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    };
    let sentence = match blocks::make(visit.services(), new, visit.permission()).await? {
        Made::Done(block) => {
            let notice =
                format!("{} is blocked. It applies everywhere within ten seconds.", shown(&block.target));
            return visit.redirect(LIST, Notice::done(notice));
        }
        Made::Exists => "This is blocked already: filter the list by it",
        Made::Staff => "This is the phone of a member of staff: take the role away first",
        Made::OwnAddress => "Your own address is in this network: you would shut yourself out",
    };
    typed.errors.insert("value", sentence.to_owned());
    list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed).await
}

fn read_block(visit: &Visit<Admin>, form: &Form) -> (Typed, Option<NewBlock>) {
    let services = visit.services();
    let mut typed = Typed::from_form(form);
    let kind = form.text("kind").parse::<Kind>().map_err(|error| vec![format!("Kind {error}")]);
    let kind = typed.check("kind", kind);
    let target =
        kind.and_then(|kind| typed.check("value", Target::parse(kind, form.raw("value"), services.region)));
    let reason = typed.check("reason", Reason::parse(form.raw("reason")));
    let reference = typed.check("reference", parse_reference(form.raw("reference")));
    let ends_at = read_end(form.text("ends_at"), services.zone, services.clock.now());
    let ends_at = typed.check("ends_at", ends_at.map_err(|error| vec![error.to_owned()]));
    let is_unconfirmed = target.as_ref().is_some_and(Target::is_wide) && form.given("confirm").is_none();
    if is_unconfirmed {
        let sentence = "Check this box: a prefix or a country stops the codes of all of its numbers";
        typed.errors.insert("confirm", sentence.to_owned());
    }
    let new = match (target, reason, reference, ends_at) {
        (Some(target), Some(reason), Some(reference), Some(ends_at)) if !is_unconfirmed => {
            Some(NewBlock { target, reason, reference, ends_at })
        }
        _ => None,
    };
    (typed, new)
}

/// Reads the end of a new block.
fn read_end(text: &str, zone: Tz, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, &'static str> {
    local_time(text, zone)?.map(|end| check_end(end, now)).transpose()
}

#[derive(Template)]
#[template(path = "block.html")]
struct Show {
    layout: Layout,
    block: Block,
    /// Whole, also of a phone.
    value: String,
    kind: &'static str,
    made_by: String,
    made_at: Time,
    ended: Option<DateTime<Utc>>,
    ended_by: Option<String>,
    confirm_error: bool,
}

async fn show(visit: Visit<Admin>) -> PageResult {
    show_page(&visit, StatusCode::OK, false).await
}

async fn show_page(visit: &Visit<Admin>, status: StatusCode, confirm_error: bool) -> PageResult {
    let services = visit.services();
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    let block = store::blocks::find(&services.store, id).await?.ok_or(PageError::NotFound)?;
    if let Some(phone) = block.target.phone() {
        note_shown(services, phone, None, visit.permission().staff());
    }
    let made_by = names::of_account(services, visit.who(), block.made_by).await?;
    let ended_by = match block.ended_by {
        Some(by) => Some(names::of_account(services, visit.who(), Some(by)).await?),
        None => None,
    };
    let kind = kind_text(block.target.kind());
    let (value, ended) = (block.target.value(), block.ended(services.clock.now()));
    let layout = visit.layout(format!("Block of {value}"), Section::Blocks);
    let made_at = layout.time(block.made_at);
    let page = Show { layout, block, value, kind, made_by, made_at, ended, ended_by, confirm_error };
    visit.page(status, &page)
}

async fn end(visit: Visit<Admin>, form: Form) -> PageResult {
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    if form.given("confirm").is_none() {
        return show_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, true).await;
    }
    match blocks::end(visit.services(), id, visit.permission()).await? {
        Ended::Done(block) => {
            let notice = format!("The block of {} is ended.", shown(&block.target));
            visit.redirect(LIST, Notice::done(notice))
        }
        Ended::Before(block) => {
            let notice = format!("The block of {} had ended before.", shown(&block.target));
            visit.redirect(&format!("{LIST}/{id}"), Notice::warning(notice))
        }
        Ended::NotFound => Err(PageError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn an_end_is_a_time_of_the_time_zone_in_the_future() {
        let now = Utc.with_ymd_and_hms(2026, 3, 14, 9, 0, 0).unwrap();
        let read = |text| read_end(text, Tz::Asia__Kolkata, now);
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("2026-03-14T14:31"), Ok(Some(now + chrono::Duration::minutes(1))));
        for bad in ["2026-03-14T14:30", "tomorrow", "2026-13-01T10:00", "2026-03-14"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
