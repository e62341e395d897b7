//! Invitations: staff list, make and end them. The text of an invitation is on the page that answers the form, and on no other.

use std::collections::HashMap;

use askama::Template;
use chrono::Duration;
use poem::http::StatusCode;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    Console, Form, Layout, Notice, PageError, PageResult, Section, Staff, Visit,
    form::local_time,
    names,
    page::{Time, TimeOrDash},
};
use crate::{
    domain::{
        invitation::{Invitation, MOST_USES, NewInvitation, State, check_end, check_uses},
        keyset::{Cursor, Page},
        phone::PhoneNumber,
        signups::Signups,
    },
    flows::invitations::{self, Ended, Made},
    store,
};

const LIST: &str = "/admin/invitations";

/// Invitations on a page.
const PAGE_SIZE: usize = 50;

/// How many accounts a page names at most, over all of its invitations, and for one of them.
const MOST_MADE: u64 = 1_000;
const MOST_NAMED: usize = 5;

/// How long an invitation lasts that is made on a page, unless another end is chosen.
pub const USUAL_LIFE: Duration = Duration::days(14);

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get(LIST, list).post(LIST, make).post("/admin/invitations/:id/end", end)
}

/// What was typed into the form of a new invitation, with the errors beside its fields.
#[derive(Debug, Default)]
struct Typed {
    uses: String,
    expires_at: String,
    phone: String,
    errors: HashMap<&'static str, String>,
}

impl Typed {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.get(field).map(String::as_str)
    }

    fn check<T>(&mut self, field: &'static str, read: Result<T, impl ToString>) -> Option<T> {
        read.map_err(|error| self.errors.insert(field, error.to_string())).ok()
    }
}

/// An invitation as the list shows it.
struct Row {
    id: Uuid,
    /// Whom it admits; a phone is masked.
    admits: String,
    state: &'static str,
    class: &'static str,
    is_live: bool,
    used: i64,
    uses: i64,
    ends: TimeOrDash,
    made_at: Time,
    made_by: String,
    /// The newest accounts that it made, with the paths of their pages.
    accounts: Vec<(String, String)>,
    has_more_accounts: bool,
}

#[derive(Template)]
#[template(path = "invitations.html")]
struct List {
    layout: Layout,
    signups: Signups,
    rows: Vec<Row>,
    /// The query of the next page.
    next: Option<String>,
    is_wrong_place: bool,
    typed: Typed,
    most_uses: i64,
}

async fn list(visit: Visit<Staff>) -> PageResult {
    let services = visit.services();
    let end = (services.clock.now() + USUAL_LIFE).with_timezone(&services.zone);
    let typed = Typed {
        uses: "1".to_owned(),
        expires_at: end.format("%Y-%m-%dT%H:%M").to_string(),
        ..Typed::default()
    };
    list_page(&visit, StatusCode::OK, typed).await
}

async fn list_page(visit: &Visit<Staff>, status: StatusCode, typed: Typed) -> PageResult {
    let services = visit.services();
    let (db, now) = (&services.store, services.clock.now());
    let cursor = visit.query().given("cursor").map(Cursor::parse);
    let is_wrong_place = matches!(cursor, Some(Err(_)));
    let after = cursor.and_then(Result::ok).map(|cursor| cursor.id);
    let found = store::invitations::list(db, after, u64::try_from(PAGE_SIZE + 1).unwrap_or(u64::MAX)).await?;
    let page = Page::new(found, PAGE_SIZE, |invitation| Cursor::at(invitation.made_at, invitation.id));
    let ids: Vec<Uuid> = page.items.iter().map(|invitation| invitation.id).collect();
    let made = store::invitations::list_made(db, &ids, MOST_MADE).await?;
    let makers = page.items.iter().filter_map(|invitation| invitation.made_by);
    let named = makers.chain(made.iter().map(|made| made.account_id)).collect();
    let names = names::of_accounts(services, visit.who(), named).await?;
    let layout = visit.layout("Invitations", Section::Invitations);
    let row = |invitation: Invitation| {
        let its_own = made.iter().filter(|made| made.invitation_id == invitation.id);
        let mut accounts: Vec<_> = its_own
            .map(|made| (format!("/admin/people/{}", made.account_id), named_as(&names, made.account_id)))
            .collect();
        let has_more_accounts = accounts.len() > MOST_NAMED;
        accounts.truncate(MOST_NAMED);
        let state = invitation.state(now);
        Row {
            id: invitation.id,
            admits: invitation.phone.as_ref().map_or_else(|| "Everyone".to_owned(), PhoneNumber::masked),
            state: state_text(state),
            class: if state == State::Live { "badge good" } else { "badge" },
            is_live: state == State::Live,
            used: invitation.uses - invitation.uses_left,
            uses: invitation.uses,
            ends: layout.time_or_dash(&invitation.expires_at),
            made_at: layout.time(invitation.made_at),
            made_by: invitation
                .made_by
                .map_or_else(|| "the command line".to_owned(), |id| named_as(&names, id)),
            accounts,
            has_more_accounts,
        }
    };
    let next = page.next.map(|next| visit.query().query_with("cursor", Some(&next.to_string())));
    let rows = page.items.into_iter().map(row).collect();
    let (signups, most_uses) = (services.signups, MOST_USES);
    visit.page(status, &List { layout, signups, rows, next, is_wrong_place, typed, most_uses })
}

fn named_as(names: &HashMap<Uuid, String>, id: Uuid) -> String {
    names.get(&id).map_or(names::DELETED, String::as_str).to_owned()
}

fn state_text(state: State) -> &'static str {
    match state {
        State::Live => "open",
        State::UsedUp => "used up",
        State::Expired => "expired",
        State::Ended => "ended",
    }
}

async fn make(visit: Visit<Staff>, form: Form) -> PageResult {
    let (typed, new) = read(&visit, &form);
    let Some(new) = new else {
        return list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed).await;
    };
    let made = invitations::make(visit.services(), new, visit.permission()).await?;
    show_once(&visit, &made, (LIST, "Back to the list"))
}

fn read(visit: &Visit<Staff>, form: &Form) -> (Typed, Option<NewInvitation>) {
    let services = visit.services();
    let text = |name| form.text(name).to_owned();
    let mut typed = Typed {
        uses: text("uses"),
        expires_at: text("expires_at"),
        phone: text("phone"),
        errors: HashMap::new(),
    };
    let phone = form.given("phone").map(|text| PhoneNumber::parse(text, services.region)).transpose();
    let phone = typed.check("phone", phone);
    let uses = match form.given("uses").map(str::parse) {
        None => Ok(1),
        Some(Ok(uses)) => check_uses(uses, form.given("phone").is_some()),
        Some(Err(_)) => Err("Uses must be a whole number"),
    };
    let uses = typed.check("uses", uses);
    let end = local_time(form.text("expires_at"), services.zone);
    let end = end.and_then(|end| end.map(|end| check_end(end, services.clock.now())).transpose());
    let expires_at = typed.check("expires_at", end);
    let new = match (uses, expires_at, phone) {
        (Some(uses), Some(expires_at), Some(phone)) => Some(NewInvitation { uses, expires_at, phone }),
        _ => None,
    };
    (typed, new)
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct Show {
    layout: Layout,
    text: String,
    admits: String,
    uses: i64,
    ends: TimeOrDash,
    back: (String, &'static str),
}

/// The page that shows the text of an invitation, once.
pub fn show_once(visit: &Visit<Staff>, made: &Made, (back, back_text): (&str, &'static str)) -> PageResult {
    let invitation = &made.invitation;
    if let Some(phone) = &invitation.phone {
        visit.note_shown(phone, None);
    }
    let layout = visit.layout("A new invitation", Section::Invitations);
    let page = Show {
        text: made.code.text().expose_secret().to_owned(),
        admits: invitation.phone.as_ref().map_or("everyone", PhoneNumber::full).to_owned(),
        uses: invitation.uses,
        ends: layout.time_or_dash(&invitation.expires_at),
        back: (back.to_owned(), back_text),
        layout,
    };
    visit.page(StatusCode::OK, &page)
}

async fn end(visit: Visit<Staff>, _form: Form) -> PageResult {
    let id = visit.path_id("id").ok_or(PageError::NotFound)?;
    let notice = match invitations::end(visit.services(), id, visit.permission()).await? {
        Ended::Done(_) => Notice::done("The invitation is ended. It makes no further account."),
        Ended::Before(_) => Notice::warning("The invitation had been ended before."),
        Ended::NotFound => return Err(PageError::NotFound),
    };
    visit.redirect(LIST, notice)
}
