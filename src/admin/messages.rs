//! The list of messages and the page of one message. No text of a message is stored, so no code can be shown.

use askama::Template;
use chrono::{DateTime, Utc};
use poem::http::StatusCode;

use super::{
    Console, Layout, PageError, PageResult, Section, Staff, Visit,
    figures::{money, time_taken},
    page::Time,
    terms,
};
use crate::{
    domain::{
        delivery::{Channel, DeliveryStatus, NO_PROVIDER, Price},
        keyset::{Count, Cursor, Page},
        messages::{Details, Filter, FilterProblem, Listed, country_of, said_by_provider},
        statistics::micros,
        verdict::NOT_HANDED_OVER,
    },
    flows::delivery::{self, meaning},
    store,
};

/// How many messages a page of the list has.
const PAGE_SIZE: usize = 50;

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/messages", list).get("/admin/messages/:id", show)
}

#[derive(Template)]
#[template(path = "messages.html")]
struct Messages {
    layout: Layout,
    states: Vec<Choice>,
    channels: Vec<Choice>,
    providers: Vec<Choice>,
    fields: Vec<Field>,
    problems: Vec<FilterProblem>,
    rows: Vec<Row>,
    count: String,
    is_filtered: bool,
    first: Option<String>,
    next: Option<String>,
}

impl Messages {
    fn problem(&self, field: &str) -> Option<&'static str> {
        self.problems.iter().find(|problem| problem.field == field).map(|problem| problem.text)
    }
}

struct Choice {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

/// A field that is typed.
struct Field {
    name: &'static str,
    label: &'static str,
    /// Further attributes of the input.
    kind: &'static str,
    size: u8,
    value: String,
}

struct Row {
    id: String,
    at: Time,
    number: String,
    country: String,
    channel: &'static str,
    provider: &'static str,
    status: &'static str,
    class: &'static str,
    why: Option<String>,
    arrived: Option<String>,
    used: Option<String>,
}

impl Row {
    fn new(message: &Listed, layout: &Layout) -> Self {
        let after = |at: Option<DateTime<Utc>>| at.map(|at| time_taken(at - message.created_at));
        Self {
            id: message.id.to_string(),
            at: layout.time(message.created_at),
            number: message.phone.masked(),
            country: country_of(&message.phone),
            channel: terms::channel(message.channel),
            provider: terms::provider(&message.provider),
            status: terms::status(message.status),
            class: terms::status_class(message.status),
            why: why(message),
            arrived: after(message.delivered_at),
            used: after(message.verified_at),
        }
    }
}

/// Why a message failed, in the words of the phone page.
fn why(message: &Listed) -> Option<String> {
    let said = said_by_provider(message.error_code, message.error_text.as_deref());
    let code = said.or_else(|| message.error_code.map(|code| format!("error {code}")));
    let cause = meaning(&message.provider, message.error_code).map(|meaning| meaning.cause);
    let reason =
        |reason| if message.provider == NO_PROVIDER { NOT_HANDED_OVER } else { terms::reason(reason) };
    let words = cause.or_else(|| message.reason.map(reason));
    match (words, code) {
        (Some(words), Some(code)) => Some(format!("{words} ({code})")),
        (Some(words), None) => Some(words.to_owned()),
        (None, code) => code,
    }
}

async fn list(visit: Visit<Staff>) -> PageResult {
    let (query, db) = (visit.query(), &visit.services().store);
    let (filter, problems) = Filter::parse(|name| query.given(name), visit.services().zone);
    // A cursor that cannot be read is that of no page: the list begins at its beginning.
    let cursor = query.given("cursor").and_then(|text| Cursor::parse(text).ok());
    let place = cursor.and_then(|cursor| Some((cursor.time().ok()?, cursor.id)));
    let most = u64::try_from(PAGE_SIZE + 1).unwrap_or(u64::MAX);
    visit.services().receipts.settle().await;
    let rows = store::messages::list_page(db, &filter, place, most).await?;
    let page = Page::new(rows, PAGE_SIZE, |row| Cursor::at(row.created_at, row.id));
    let count = store::messages::count_up_to(db, &filter, Count::MOST + 1).await?;
    let layout = visit.layout("Messages", Section::Messages);
    let here = |cursor: Option<&str>| format!("/admin/messages?{}", query.query_with("cursor", cursor));
    let messages = Messages {
        states: choices(DeliveryStatus::ALL.map(|it| (it.as_str(), terms::status(it))), query.text("state")),
        channels: choices(Channel::ALL.map(|it| (it.as_str(), terms::channel(it))), query.text("channel")),
        providers: choices(delivery::providers(), query.text("provider")),
        fields: fields(|name| query.text(name)),
        problems,
        rows: page.items.iter().map(|message| Row::new(message, &layout)).collect(),
        count: Count::new(count).to_string(),
        is_filtered: filter != Filter::default(),
        first: place.map(|_| here(None)),
        next: page.next.map(|cursor| here(Some(&cursor.to_string()))),
        layout,
    };
    visit.page(StatusCode::OK, &messages)
}

fn choices<const N: usize>(all: [(&'static str, &'static str); N], chosen: &str) -> Vec<Choice> {
    all.into_iter().map(|(value, text)| Choice { value, text, is_chosen: value == chosen }).collect()
}

fn fields<'a>(value: impl Fn(&str) -> &'a str) -> Vec<Field> {
    [
        ("error", "Error", "text", 7),
        ("country", "Country", "text", 4),
        ("from", "From", "date", 10),
        ("to", "To", "date", 10),
    ]
    .map(|(name, label, kind, size)| Field { name, label, kind, size, value: value(name).to_owned() })
    .into()
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    layout: Layout,
    number: String,
    status: &'static str,
    class: &'static str,
    why: Option<String>,
    /// What the operator can do about the failure.
    cure: Option<&'static str>,
    facts: Vec<(&'static str, String)>,
    steps: Vec<Step>,
}

/// A step in the life of a message.
struct Step {
    at: Time,
    text: &'static str,
    after: Option<String>,
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    visit.services().receipts.settle().await;
    let found = store::messages::find_details(&visit.services().store, id).await?;
    let details = found.ok_or(PageError::NotFound)?;
    let message = &details.listed;
    visit.note_shown(&message.phone, None);
    let layout = visit.layout("Message", Section::Messages);
    let page = Message {
        number: message.phone.full().to_owned(),
        status: terms::status(message.status),
        class: terms::status_class(message.status),
        why: why(message),
        cure: meaning(&message.provider, message.error_code).and_then(|meaning| meaning.cure),
        facts: facts(&details),
        steps: steps(&details, &layout),
        layout,
    };
    visit.page(StatusCode::OK, &page)
}

/// Everything that is known about a message, but its times.
fn facts(details: &Details) -> Vec<(&'static str, String)> {
    let message = &details.listed;
    let mut facts = vec![
        ("Channel", terms::channel(message.channel).to_owned()),
        ("Country", country_of(&message.phone)),
        ("Content", if details.has_code { "a code" } else { "a notice without a code" }.to_owned()),
        ("Provider", terms::provider(&message.provider).to_owned()),
    ];
    facts.extend(details.provider_id.clone().map(|id| ("Provider's id", id)));
    if !details.language.is_empty() {
        facts.push(("Language", details.language.clone()));
    }
    facts.extend(details.platform.map(|platform| ("App", platform.as_str().to_owned())));
    let attempt = match details.attempt {
        1 => "first message of the request".to_owned(),
        further => format!("message {further} of the request: those before it were refused or lost"),
    };
    facts.push(("Attempt", attempt));
    facts.extend(details.segments.map(|segments| ("Segments", segments.to_string())));
    facts.push(("Price", details.price.as_ref().map_or("the provider gave none".to_owned(), price)));
    facts.push(("Id", message.id.to_string()));
    facts.extend(details.delivery_id.map(|id| ("Delivery", id.to_string())));
    facts
}

/// A price as it is written in rows, where a charge is negative.
fn price(price: &Price) -> String {
    micros(&price.amount)
        .map_or_else(|| format!("{} {}", price.amount, price.unit), |micros| money(-micros, &price.unit))
}

/// The steps of a message, oldest first.
fn steps(details: &Details, layout: &Layout) -> Vec<Step> {
    let made = details.listed.created_at;
    let mut steps = vec![(made, "It was created and given to the provider.")];
    steps.extend(details.reached.iter().map(|(status, at)| (*at, terms::status_meaning(*status))));
    steps.extend(details.listed.verified_at.map(|at| (at, "Its code was used.")));
    steps.sort_by_key(|(at, _)| *at);
    let step =
        |(at, text)| Step { at: layout.time(at), text, after: (at > made).then(|| time_taken(at - made)) };
    steps.into_iter().map(step).collect()
}
