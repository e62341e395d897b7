//! Editing names and e-mail address. A form that is older than the account says who changed it, and keeps what was typed.

use askama::Template;
use chrono::{DateTime, Utc};
use poem::http::StatusCode;

use super::{called, find, path_of};
use crate::{
    admin::{Form, Layout, Notice, PageError, PageResult, Section, Staff, Visit, names},
    domain::{
        account::Account,
        audit::{Actor, Filter},
        credentials::{Email, PersonName},
        roles,
        users::Edit,
    },
    flows::users::{self, NamesEdited},
    store,
};

#[derive(Template)]
#[template(path = "person_edit.html")]
struct EditPage {
    layout: Layout,
    path: String,
    fields: [Field; 3],
    /// The time of the last change that the form knows, in microseconds.
    seen: i64,
    stale: Option<Stale>,
}

struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    error: Option<String>,
    /// What the account has now, if the form is stale and it is another value.
    now: Option<String>,
}

struct Stale {
    at: DateTime<Utc>,
    /// The name and the page of the member of staff who changed the account; otherwise its user did.
    by: Option<(String, String)>,
}

pub(super) async fn ask(visit: Visit<Staff>) -> PageResult {
    let account = find(&visit, visit.who()).await?.account;
    permission(&visit, &account)?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let values = [text(&account.first_name), text(&account.last_name), text(&account.email)];
    show(&visit, &account, values, StatusCode::OK, |page| page)
}

pub(super) async fn save(visit: Visit<Staff>, form: Form) -> PageResult {
    let account = find(&visit, visit.who()).await?.account;
    let permission = permission(&visit, &account)?;
    let values = FIELDS.map(|(name, ..)| form.text(name).to_owned());
    let [first, last, email] = &values;
    let (first, last) = (PersonName::parse(first), PersonName::parse(last));
    let email = if email.is_empty() { Ok(None) } else { Email::parse(email).map(Some) };
    let seen = form.text("seen").parse().ok().and_then(DateTime::from_timestamp_micros);
    let (edit, seen) = match (first, last, email, seen) {
        (Ok(first), Ok(last), Ok(email), Some(seen)) => (changed(&account, first, last, email), seen),
        (first, last, email, seen) => {
            let errors = [
                first.err().map(|error| error.to_string()),
                last.err().map(|error| error.to_string()),
                email.err().map(|error| error.to_string()),
            ];
            return show(&visit, &account, values, StatusCode::UNPROCESSABLE_ENTITY, |mut page| {
                page.seen = seen.map_or(page.seen, |seen| seen.timestamp_micros());
                for (field, error) in page.fields.iter_mut().zip(errors) {
                    field.error = error;
                }
                page
            });
        }
    };
    match users::edit_names(visit.services(), permission, edit, seen, visit.from()).await? {
        NamesEdited::Done => visit.redirect(&path_of(account.id), Notice::done("The changes are saved.")),
        NamesEdited::NotFound => Err(PageError::NotFound),
        NamesEdited::Forbidden => Err(PageError::Forbidden),
        NamesEdited::EmailTaken => show(&visit, &account, values, StatusCode::CONFLICT, |mut page| {
            page.seen = seen.timestamp_micros();
            let [.., email] = &mut page.fields;
            email.error = Some("Another account has this e-mail address".to_owned());
            page
        }),
        NamesEdited::Stale(user) => {
            let account = user.account;
            let stale = Stale { at: account.updated_at, by: changed_by(&visit, &account).await? };
            let now = [&account.first_name, &account.last_name, &account.email];
            let now = now.map(|text| text.clone().unwrap_or_default());
            show(&visit, &account, values, StatusCode::CONFLICT, |mut page| {
                page.stale = Some(stale);
                for (field, now) in page.fields.iter_mut().zip(now) {
                    field.now = (now != field.value).then_some(now);
                }
                page
            })
        }
    }
}

const FIELDS: [(&str, &str, &str); 3] = [
    ("first_name", "First name", "text"),
    ("last_name", "Last name", "text"),
    ("email", "E-mail address", "email"),
];

/// Only the fields that differ: the audit log names the fields that were changed.
fn changed(
    account: &Account,
    first: Option<PersonName>,
    last: Option<PersonName>,
    email: Option<Email>,
) -> Edit {
    let differs = |old: &Option<String>, new: Option<&str>| old.as_deref() != new;
    Edit {
        first_name: differs(&account.first_name, first.as_ref().map(PersonName::as_str)).then_some(first),
        last_name: differs(&account.last_name, last.as_ref().map(PersonName::as_str)).then_some(last),
        email: differs(&account.email, email.as_ref().map(Email::as_str)).then_some(email),
        ..Edit::default()
    }
}

fn permission(visit: &Visit<Staff>, account: &Account) -> Result<roles::EditPermission, PageError> {
    let permission = roles::may_edit(visit.who(), account.id).map_err(|_| PageError::Forbidden)?;
    if permission.over().contains(&account.role) { Ok(permission) } else { Err(PageError::Forbidden) }
}

/// The name and the page of the member of staff who made the last change. Acts of staff are in the audit log at the time of the change;
/// `None` if its user made it.
async fn changed_by(visit: &Visit<Staff>, account: &Account) -> Result<Option<(String, String)>, PageError> {
    let at = account.updated_at;
    let filter = Filter { since: Some(at), about: Some(account.id), ..Filter::default() };
    let entries = store::audit::list_after(&visit.services().store, &filter, None, 10).await?;
    let by_staff =
        entries.iter().find(|entry| entry.at == at && entry.actor_kind == Actor::Staff(account.id).kind());
    let Some(id) = by_staff.and_then(|entry| entry.actor_id) else { return Ok(None) };
    Ok(Some((names::of_account(visit.services(), visit.who(), Some(id)).await?, path_of(id))))
}

fn show(
    visit: &Visit<Staff>,
    account: &Account,
    values: [String; 3],
    status: StatusCode,
    with: impl FnOnce(EditPage) -> EditPage,
) -> PageResult {
    let mut values = values.into_iter();
    let fields = FIELDS.map(|(name, label, kind)| Field {
        name,
        label,
        kind,
        value: values.next().unwrap_or_default(),
        error: None,
        now: None,
    });
    let page = EditPage {
        layout: visit.layout(format!("Edit {}", called(account)), Section::People),
        path: path_of(account.id),
        fields,
        seen: account.updated_at.timestamp_micros(),
        stale: None,
    };
    visit.page(status, &with(page))
}
