//! The search box of every page: a phone number in any spelling leads to the phone's page and an id to its own page; the end of
//! a number, a name or an e-mail address to a list of what fits.

use askama::Template;
use futures_util::future::try_join;
use poem::http::StatusCode;

use super::{Console, Layout, PageResult, Section, Staff, Visit};
use crate::{
    domain::{phone::PhoneNumber, search::Lookup},
    store::{
        self,
        lookup::{FoundAccount, FoundLead, Owner},
    },
};

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/search", search)
}

/// How many people and how many leads the page shows. Who sees so many types more.
const MOST: u64 = 20;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    layout: Layout,
    /// Why nothing can be found.
    error: Option<String>,
    people: Vec<FoundAccount>,
    leads: Vec<FoundLead>,
    most: usize,
}

async fn search(visit: Visit<Staff>) -> PageResult {
    let text = visit.query().text("q").to_owned();
    let region = visit.services().region;
    if let Ok(phone) = PhoneNumber::parse(&text, region) {
        return visit.redirect(&phone_page(&phone), None);
    }
    let lookup = match Lookup::parse(&text, region) {
        Ok(lookup) => lookup,
        Err(error) => return page(&visit, StatusCode::OK, &text, Some(error.to_string()), Found::default()),
    };
    let store = &visit.services().store;
    if let Lookup::Id(id) = &lookup
        && let Some(owner) = store::lookup::find_owner(store, *id).await?
    {
        return visit.redirect(&page_of(owner), None);
    }
    let searching = store.planning();
    let (people, leads) = try_join(
        store::lookup::list_accounts(&searching, &lookup, MOST),
        store::lookup::list_leads(&searching, &lookup, MOST),
    )
    .await?;
    let is_empty = people.is_empty() && leads.is_empty();
    let error = PhoneNumber::parse(&text, region).err().filter(|_| is_empty && looks_like_a_number(&text));
    page(&visit, StatusCode::OK, &text, error.map(|error| format!("{error}.")), (people, leads))
}

/// What a search found.
type Found = (Vec<FoundAccount>, Vec<FoundLead>);

/// The page that says why a text is no phone number that gets codes.
pub fn not_a_number(visit: &Visit<Staff>, text: &str) -> PageResult {
    let error = PhoneNumber::parse(text, visit.services().region).err();
    let error = error.map(|error| format!("{error}."));
    page(visit, StatusCode::NOT_FOUND, text, error, Found::default())
}

fn page(
    visit: &Visit<Staff>,
    status: StatusCode,
    text: &str,
    error: Option<String>,
    (people, leads): Found,
) -> PageResult {
    let mut layout = visit.layout("Search", Section::None);
    text.clone_into(&mut layout.search);
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    visit.page(status, &SearchPage { layout, error, people, leads, most })
}

/// The path of a phone's page.
pub fn phone_page(phone: &PhoneNumber) -> String {
    format!("/admin/phones/{}", phone.full())
}

fn page_of(owner: Owner) -> String {
    match owner {
        Owner::Account(id) => format!("/admin/people/{id}"),
        Owner::Lead(id) => format!("/admin/leads/{id}"),
        Owner::Message(id) => format!("/admin/messages/{id}"),
    }
}

/// Whether a user of the console who typed this meant a phone number.
fn looks_like_a_number(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() > 6 && !text.chars().any(char::is_alphabetic)
}
