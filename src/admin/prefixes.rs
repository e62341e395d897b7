//! Prefixes of numbers that closed because their codes are not verified, and the sums of countries: what `/api/abuse` has, as a
//! page.

use askama::Template;
use poem::http::StatusCode;

use super::{Admin, Console, Form, Layout, Notice, PageResult, Section, Visit};
use crate::{
    domain::{
        budget::{Country, LONGEST_HOLD, Prefix, PrefixName, PrefixState, Wanted},
        users::{Number, PageOf, Size},
    },
    flows::prefixes,
};

const LIST: &str = "/admin/blocks/prefixes";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get(LIST, list).post(LIST, change)
}

/// What was typed into the form, with the errors beside its fields.
#[derive(Debug, Default)]
struct Typed {
    prefix: String,
    act: String,
    hours: String,
    prefix_error: Option<String>,
    act_error: Option<&'static str>,
    hours_error: Option<String>,
}

#[derive(Template)]
#[template(path = "prefixes.html")]
struct List {
    layout: Layout,
    state: String,
    state_error: Option<&'static str>,
    page_error: Option<&'static str>,
    prefixes: Vec<Prefix>,
    countries: Vec<Country>,
    total: u64,
    number: u64,
    /// The queries of the pages before and after this one.
    before: Option<String>,
    after: Option<String>,
    typed: Typed,
}

impl List {
    fn state_text(prefix: &Prefix) -> &'static str {
        match prefix.state {
            PrefixState::Open => "open",
            PrefixState::Closed => "closed",
            PrefixState::HalfOpen => "open on trial",
            PrefixState::HeldOpen => "held open",
        }
    }

    fn is_closed(prefix: &Prefix) -> bool {
        prefix.state == PrefixState::Closed
    }

    fn acts() -> [(&'static str, &'static str); 3] {
        [("open", "Open it"), ("hold", "Hold it open"), ("close", "Close it")]
    }
}

async fn list(visit: Visit<Admin>) -> PageResult {
    let typed = Typed { act: "open".to_owned(), hours: "24".to_owned(), ..Typed::default() };
    list_page(&visit, StatusCode::OK, typed).await
}

async fn list_page(visit: &Visit<Admin>, status: StatusCode, typed: Typed) -> PageResult {
    let query = visit.query();
    let (wanted, state_error) = match Wanted::parse(query.given("state")) {
        Ok(wanted) => (wanted, None),
        Err(error) => (Wanted::All, Some(error)),
    };
    let first = || Number::parse(None).and_then(|number| Ok(PageOf::new(number, Size::parse(None)?)));
    let asked =
        Number::parse(query.given("page")).and_then(|number| Ok(PageOf::new(number, Size::parse(None)?)));
    let page_error =
        asked.is_err().then_some("This page of the list is unknown: the list begins at its start");
    // Without a text both have a default.
    let Ok(page) = asked.or_else(|_| first()) else {
        return Err(super::PageError::NotFound);
    };
    let listed = prefixes::list(visit.services(), wanted, page).await?;
    let number = page.number();
    let link = |number: u64| query.query_with("page", Some(&number.to_string()));
    let template = List {
        layout: visit.layout("Prefixes and countries", Section::Blocks),
        state: query.text("state").to_owned(),
        state_error,
        page_error,
        before: (number > 1).then(|| link(number - 1)),
        after: (number < page.pages(listed.total)).then(|| link(number + 1)),
        prefixes: listed.prefixes,
        countries: listed.countries,
        total: listed.total,
        number,
        typed,
    };
    visit.page(status, &template)
}

/// What a form wants of a prefix.
enum Act {
    Open(Option<i64>),
    Close,
}

async fn change(visit: Visit<Admin>, form: Form) -> PageResult {
    let mut typed = Typed {
        prefix: form.text("prefix").to_owned(),
        act: form.text("act").to_owned(),
        hours: form.text("hours").to_owned(),
        ..Typed::default()
    };
    let prefix = form.text("prefix").parse::<PrefixName>();
    let prefix = prefix.map_err(|error| typed.prefix_error = Some(error.to_string())).ok();
    let act = read_act(&mut typed);
    let Some((prefix, act)) = prefix.zip(act) else {
        return list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    };
    let permission = visit.permission().staff();
    let (rows, notice) = match act {
        Act::Open(None) => {
            let rows = prefixes::open(visit.services(), prefix.clone(), None, permission).await?;
            (rows, format!("{prefix} is open. It closes again if its codes do not come back."))
        }
        Act::Open(Some(hours)) => {
            let rows = prefixes::open(visit.services(), prefix.clone(), Some(hours), permission).await?;
            (rows, format!("{prefix} is held open for {hours} hours."))
        }
        Act::Close => {
            let rows = prefixes::close_by_hand(visit.services(), prefix.clone(), permission).await?;
            (rows, format!("{prefix} is closed. Phones with an account still get codes."))
        }
    };
    if rows.is_empty() {
        typed.prefix_error = Some("No message was ever sent to this prefix".to_owned());
        return list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    }
    visit.redirect(LIST, Notice::done(notice))
}

fn read_act(typed: &mut Typed) -> Option<Act> {
    match typed.act.as_str() {
        "open" => Some(Act::Open(None)),
        "close" => Some(Act::Close),
        "hold" => {
            let most = LONGEST_HOLD.num_hours();
            let hours = typed.hours.parse().ok().filter(|hours| (1..=most).contains(hours));
            if hours.is_none() {
                typed.hours_error = Some(format!("Hours must be a whole number from 1 to {most}"));
            }
            hours.map(|hours| Act::Open(Some(hours)))
        }
        _ => {
            typed.act_error = Some("Choose what to do: open, hold or close");
            None
        }
    }
}
