//! The list of leads.

use askama::Template;
use chrono::{DateTime, Utc};
use futures_util::future::try_join;
use poem::http::StatusCode;

use super::{super::terms::lead_state, state_class, wanted};
use crate::{
    admin::{Form, Layout, PageResult, Section, Staff, Visit, figures::grouped, page::Time},
    domain::{
        keyset::{Count, Page},
        lead::{FieldProblem, Lead, Place, Sort, Source, State, Wanted},
    },
    store::{self, leads::AccountName},
};

/// Leads per page.
const SIZE: usize = 50;

/// The label of the search.
const SEARCH: &str = "Number or name";

/// A field of the filters that is typed.
struct Input {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    error: Option<String>,
}

/// A field of the filters that is chosen.
struct Select {
    name: &'static str,
    label: &'static str,
    choices: Vec<Choice>,
    error: Option<String>,
}

struct Choice {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

struct Row {
    id: String,
    number: String,
    /// The last digits, for the label of the box that selects the lead.
    end: String,
    name: Option<String>,
    country: String,
    state: &'static str,
    class: &'static str,
    asks_again: bool,
    requests: String,
    first: String,
    last: Time,
}

#[expect(clippy::struct_excessive_bools, reason = "each decides about a part of the page")]
#[derive(Template)]
#[template(path = "leads.html")]
struct ListPage {
    layout: Layout,
    search: Input,
    selects: Vec<Select>,
    inputs: Vec<Input>,
    /// Whether one of the inputs filters, or is wrong.
    has_more: bool,
    rows: Vec<Row>,
    /// `1 lead`, `10,000+ leads`.
    count: String,
    /// The query string of this page, to come back to it.
    here: String,
    /// The same without its place, for the first page and the export.
    filters: String,
    is_filtered: bool,
    is_first: bool,
    is_wrong_place: bool,
    next: Option<String>,
    is_admin: bool,
    /// `aria-sort` of the two columns of times.
    first_sort: Option<&'static str>,
    last_sort: Option<&'static str>,
}

/// `GET /admin/leads`
pub async fn show(visit: Visit<Staff>) -> PageResult {
    let (query, db) = (visit.query(), &visit.services().store);
    let (wanted, problems) = wanted(visit.services(), query);
    let place = query.given("cursor").map(Place::parse).transpose();
    let after = place.unwrap_or_default();
    let one_more = u64::try_from(SIZE + 1).unwrap_or(u64::MAX);
    let searching = db.planning();
    let (leads, count) = try_join(
        store::leads::list(&searching, &wanted, after, one_more),
        store::leads::count(&searching, &wanted.filter, Count::MOST + 1),
    )
    .await?;
    let page = Page::new(leads, SIZE, |lead| lead.place(wanted.sort).cursor());
    let accounts = store::leads::list_accounts(db, page.items.iter().map(|lead| &lead.phone)).await?;
    let layout = visit.layout("Leads", Section::Leads);
    let zone = visit.services().zone;
    let row = |lead: &Lead| row(lead, accounts.get(&lead.phone), &layout, zone);
    let (first_sort, last_sort) = match wanted.sort {
        Sort::LastNewest => (None, Some("descending")),
        Sort::LastOldest => (None, Some("ascending")),
        Sort::FirstNewest => (Some("descending"), None),
        Sort::FirstOldest => (Some("ascending"), None),
    };
    let inputs = inputs(query, &problems);
    let template = ListPage {
        rows: page.items.iter().map(row).collect(),
        search: input(query, &problems, "q", SEARCH, "search"),
        selects: selects(query, &problems),
        has_more: inputs.iter().any(|input| !input.value.is_empty()),
        inputs,
        count: number_of(count),
        here: query.query_with("", None),
        filters: query.query_with("cursor", None),
        is_filtered: Wanted::FIELDS.iter().any(|field| query.given(field).is_some()),
        is_first: after.is_none(),
        is_wrong_place: place.is_err(),
        next: page.next.map(|next| query.query_with("cursor", Some(&next.to_string()))),
        is_admin: visit.is_admin(),
        first_sort,
        last_sort,
        layout,
    };
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    visit.page(status, &template)
}

/// `1 lead`, `10,000+ leads`.
pub(super) fn number_of(count: u64) -> String {
    if count == 1 { "1 lead".to_owned() } else { format!("{} leads", Count::new(count)) }
}

/// The filters that are set, without the order: their labels and what was chosen.
pub(super) fn filters_in_words(query: &Form) -> Vec<(&'static str, String)> {
    let search = [input(query, &[], "q", SEARCH, "search")];
    let typed = search.into_iter().chain(inputs(query, &[])).map(|input| (input.label, input.value));
    let chosen = |select: Select| {
        let choice = select.choices.into_iter().find(|choice| choice.is_chosen)?;
        Some((select.label, choice.text.to_owned())).filter(|_| !choice.value.is_empty())
    };
    let chosen = selects(query, &[]).into_iter().filter(|select| select.name != "sort").filter_map(chosen);
    typed.filter(|(_, value)| !value.is_empty()).chain(chosen).collect()
}

fn row(lead: &Lead, account: Option<&AccountName>, layout: &Layout, zone: chrono_tz::Tz) -> Row {
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).format("%-d %b %Y").to_string();
    let number = lead.phone.masked();
    Row {
        id: lead.id.to_string(),
        end: last_digits(&number),
        number,
        name: lead.name.clone().or_else(|| account.and_then(|account| account.name.clone())),
        country: lead.country.clone(),
        state: lead_state(lead.state),
        class: state_class(lead.state),
        asks_again: lead.asks_again(),
        requests: grouped(lead.requests),
        first: day(lead.first_requested_at),
        last: layout.time(lead.last_requested_at),
    }
}

/// The digits after the last hidden one.
fn last_digits(masked: &str) -> String {
    masked.rsplit('•').next().unwrap_or_default().to_owned()
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Signup => "Sign-up",
        Source::Login => "Log-in",
    }
}

fn error(problems: &[FieldProblem], name: &str) -> Option<String> {
    problems.iter().find(|problem| problem.field == name).map(|problem| problem.message.clone())
}

fn input(
    query: &Form,
    problems: &[FieldProblem],
    name: &'static str,
    label: &'static str,
    kind: &'static str,
) -> Input {
    Input { name, label, kind, value: query.text(name).to_owned(), error: error(problems, name) }
}

fn inputs(query: &Form, problems: &[FieldProblem]) -> Vec<Input> {
    [
        ("country", "Country", "text"),
        ("last_from", "Last asked from", "date"),
        ("last_to", "Last asked until", "date"),
        ("first_from", "First asked from", "date"),
        ("first_to", "First asked until", "date"),
    ]
    .into_iter()
    .map(|(name, label, kind)| input(query, problems, name, label, kind))
    .collect()
}

fn selects(query: &Form, problems: &[FieldProblem]) -> Vec<Select> {
    let select = |name: &'static str, label, choices: Vec<(&'static str, &'static str)>| {
        let choice = |(value, text)| Choice { value, text, is_chosen: query.text(name) == value };
        Select {
            name,
            label,
            choices: choices.into_iter().map(choice).collect(),
            error: error(problems, name),
        }
    };
    let all = |choices: Vec<(&'static str, &'static str)>| [vec![("", "All")], choices].concat();
    vec![
        select("state", "State", all(State::ALL.map(|state| (state.as_str(), lead_state(state))).to_vec())),
        select("verified", "Verified", all(vec![("yes", "Yes"), ("no", "No")])),
        select(
            "source",
            "Came by",
            all(Source::ALL.map(|source| (source.as_str(), source_name(source))).to_vec()),
        ),
        select("sort", "Order", Sort::ALL.map(|sort| (sort.as_str(), sort_name(sort))).to_vec()),
    ]
}

fn sort_name(sort: Sort) -> &'static str {
    match sort {
        Sort::LastNewest => "Last asked, newest first",
        Sort::LastOldest => "Last asked, oldest first",
        Sort::FirstNewest => "First asked, newest first",
        Sort::FirstOldest => "First asked, oldest first",
    }
}
