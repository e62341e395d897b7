//! The list of people: search, filters, orders and pages, all of it in the URL.

use askama::Template;
use futures_util::future::try_join;
use poem::http::StatusCode;

use super::{called, path_of};
use crate::{
    admin::{Layout, PageError, PageResult, Section, Staff, Visit},
    domain::{
        account::Role,
        keyset::{Count, Cursor},
        people::{Filter, Order, Problem, Typed},
        roles,
    },
    store::{self, people::Person},
};

/// How many people a page shows.
const PER_PAGE: usize = 50;

const PATH: &str = "/admin/people";

#[derive(Template)]
#[template(path = "people.html")]
struct List<'a> {
    layout: Layout,
    typed: Typed<'a>,
    choices: [Choice; 5],
    problems: Vec<Problem>,
    people: Vec<Row>,
    count: Count,
    /// The link to the next page.
    next: Option<String>,
    /// The link to the first page, if this is another one.
    first: Option<String>,
}

/// A field of the filter with fixed values.
struct Choice {
    field: &'static str,
    label: &'static str,
    options: Vec<Choosable>,
}

struct Choosable {
    value: &'static str,
    label: &'static str,
    is_selected: bool,
}

/// A row, with what the list shows only.
struct Row {
    href: String,
    name: String,
    username: Option<String>,
    phone: Option<String>,
    role: Option<&'static str>,
    is_active: bool,
    is_complete: bool,
    created_at: chrono::DateTime<chrono::Utc>,
    seen_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl List<'_> {
    /// What is wrong with a field.
    fn problem(&self, field: &str) -> Option<&str> {
        let problem = self.problems.iter().find(|problem| problem.field == field);
        problem.map(|problem| problem.sentence.as_str())
    }

    /// Whether any filter is set, so that it can be cleared.
    fn is_filtered(&self) -> bool {
        let Typed { search, role, state, phone, profile, from, to, order: _ } = self.typed;
        [search, role, state, phone, profile, from, to].iter().any(|text| !text.is_empty())
    }
}

pub(super) async fn show(visit: Visit<Staff>) -> PageResult {
    let (services, query) = (visit.services(), visit.query());
    let typed = Typed {
        search: query.text("search"),
        role: query.text("role"),
        state: query.text("state"),
        phone: query.text("phone"),
        profile: query.text("profile"),
        from: query.text("from"),
        to: query.text("to"),
        order: query.text("order"),
    };
    let (filter, mut problems) = Filter::read(typed, services.region, services.zone);
    let leave = roles::may_list(visit.who()).map_err(|_| PageError::Forbidden)?;
    let after = query.given("cursor").map(Cursor::parse);
    let wanted = after.clone().and_then(Result::ok);
    let db = &services.store;
    let searching = db.planning();
    let (page, count) = try_join(
        store::people::list(&searching, &leave, &filter, wanted.as_ref(), PER_PAGE),
        store::people::count(&searching, &leave, &filter),
    )
    .await?;
    // A place in another order, or none at all: the list begins again.
    let is_lost = after.is_some_and(|after| after.is_err()) || page.is_err();
    let page = match page {
        Ok(page) => page,
        Err(_) => store::people::list(&searching, &leave, &filter, None, PER_PAGE)
            .await?
            .map_err(|_| PageError::NotFound)?,
    };
    if is_lost {
        let sentence = "This page of the list is gone. The list begins again.".to_owned();
        problems.push(Problem { field: "cursor", sentence });
    }
    let link = |cursor: Option<&str>| match query.query_with("cursor", cursor) {
        query if query.is_empty() => PATH.to_owned(),
        query => format!("{PATH}?{query}"),
    };
    let list = List {
        layout: visit.layout("People", Section::People),
        typed,
        choices: choices(typed, filter.order),
        problems,
        people: page.items.iter().map(row).collect(),
        count,
        next: page.next.map(|next| link(Some(&next.to_string()))),
        first: (query.given("cursor").is_some() && !is_lost).then(|| link(None)),
    };
    visit.page(StatusCode::OK, &list)
}

fn row(person: &Person) -> Row {
    let account = &person.account;
    Row {
        href: path_of(account.id),
        name: called(account),
        username: account.username.clone().filter(|username| *username != called(account)),
        phone: account.phone.as_ref().map(crate::domain::phone::PhoneNumber::masked),
        role: Some(account.role).filter(|role| *role != Role::User).map(Role::as_str),
        is_active: account.is_active,
        is_complete: !account.profile.lacks_fields(),
        created_at: account.created_at,
        seen_at: person.seen_at,
    }
}

fn choices(typed: Typed<'_>, order: Order) -> [Choice; 5] {
    let choice = |field, label, chosen: &str, options: &[(&'static str, &'static str)]| Choice {
        field,
        label,
        options: options
            .iter()
            .map(|(value, label)| Choosable { value, label, is_selected: *value == chosen })
            .collect(),
    };
    let orders = [
        (Order::Newest.as_str(), "newest first"),
        (Order::LastSignIn.as_str(), "last sign-in first"),
        (Order::Name.as_str(), "by name"),
    ];
    [
        choice(
            "role",
            "Role",
            typed.role,
            &[("", "all"), ("guest", "guest"), ("user", "user"), ("staff", "staff"), ("admin", "admin")],
        ),
        choice(
            "state",
            "State",
            typed.state,
            &[("", "all"), ("active", "active"), ("inactive", "deactivated")],
        ),
        choice(
            "phone",
            "Phone",
            typed.phone,
            &[("", "all"), ("verified", "verified"), ("none", "no verified phone")],
        ),
        choice(
            "profile",
            "Profile",
            typed.profile,
            &[("", "all"), ("complete", "completed"), ("incomplete", "not completed")],
        ),
        choice("order", "Order", order.as_str(), &orders),
    ]
}
