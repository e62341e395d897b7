//! Event interests: the list that users of the apps choose from. Staff add, rename, describe and deactivate them. An interest
//! is never deleted, because it stays in the profiles that have it.

use askama::Template;
use poem::{Response, http::StatusCode};

use super::{Console, Form, Layout, Notice, PageError, PageResult, Section, Staff, Visit, names};
use crate::{
    domain::interests::{EditedInterest, InterestDescription, InterestName},
    flows::interests::{self, Added, Changed, Wanted},
    store,
};

const LIST: &str = "/admin/interests";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console
        .get(LIST, list)
        .post(LIST, add)
        .get("/admin/interests/:id", show)
        .post("/admin/interests/:id", change)
        .post("/admin/interests/:id/active", set_active)
}

/// What was typed into a form, with the errors beside its fields.
#[derive(Debug, Default)]
struct Typed {
    name: String,
    description: String,
    is_active: bool,
    name_error: Option<String>,
    description_error: Option<String>,
}

impl Typed {
    /// Reads a form. The errors are in the fields of `Err`.
    fn read(form: &Form) -> Result<(Self, Wanted), Self> {
        let mut typed = Self {
            name: form.text("name").to_owned(),
            description: form.text("description").to_owned(),
            is_active: form.given("is_active").is_some(),
            ..Self::default()
        };
        let name = InterestName::parse(form.raw("name"));
        let description = InterestDescription::parse(form.raw("description"));
        match (name, description) {
            (Ok(name), Ok(description)) => {
                let wanted = Wanted { name, description, is_active: typed.is_active };
                Ok((typed, wanted))
            }
            (name, description) => {
                typed.name_error = name.err().map(|errors| errors.join(". "));
                typed.description_error = description.err().map(|errors| errors.join(". "));
                Err(typed)
            }
        }
    }

    fn of(edited: &EditedInterest) -> Self {
        let interest = &edited.interest;
        Self {
            name: interest.name.clone(),
            description: interest.description.clone(),
            is_active: interest.is_active,
            ..Self::default()
        }
    }

    fn name_taken(self) -> Self {
        let sentence = "There is an interest with this name. Capital letters make no difference.";
        Self { name_error: Some(sentence.to_owned()), ..self }
    }
}

#[derive(Template)]
#[template(path = "interests.html")]
struct List {
    layout: Layout,
    interests: Vec<EditedInterest>,
    typed: Typed,
}

async fn list(visit: Visit<Staff>) -> PageResult {
    list_page(&visit, StatusCode::OK, Typed::default()).await
}

async fn list_page(visit: &Visit<Staff>, status: StatusCode, typed: Typed) -> PageResult {
    let interests = store::interests::list_edited(&visit.services().store).await?;
    let layout = visit.layout("Event interests", Section::Interests);
    visit.page(status, &List { layout, interests, typed })
}

async fn add(visit: Visit<Staff>, form: Form) -> PageResult {
    let (typed, wanted) = match Typed::read(&form) {
        Ok(read) => read,
        Err(typed) => return list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed).await,
    };
    match interests::add(visit.services(), wanted, visit.permission()).await? {
        Added::Done(interest) => {
            let notice = format!("{} was added. Users can choose it now.", interest.name);
            visit.redirect(LIST, Notice::done(notice))
        }
        Added::NameTaken => list_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed.name_taken()).await,
    }
}

#[derive(Template)]
#[template(path = "interest.html")]
struct Show {
    layout: Layout,
    edited: EditedInterest,
    changed_by: String,
    typed: Typed,
    /// Whether the form was opened before another change.
    is_stale: bool,
}

async fn show(visit: Visit<Staff>) -> PageResult {
    let edited = find(&visit).await?;
    let typed = Typed::of(&edited);
    show_page(&visit, StatusCode::OK, edited, typed, false).await
}

async fn find(visit: &Visit<Staff>) -> Result<EditedInterest, PageError> {
    let found = store::interests::find_edited(&visit.services().store, id(visit)?).await?;
    found.ok_or(PageError::NotFound)
}

fn id(visit: &Visit<Staff>) -> Result<i64, PageError> {
    visit.path("id").parse().map_err(|_| PageError::NotFound)
}

async fn show_page(
    visit: &Visit<Staff>,
    status: StatusCode,
    edited: EditedInterest,
    typed: Typed,
    is_stale: bool,
) -> PageResult {
    let changed_by = names::of_account(visit.services(), visit.who(), edited.changed_by).await?;
    let layout = visit.layout(edited.interest.name.clone(), Section::Interests);
    visit.page(status, &Show { layout, edited, changed_by, typed, is_stale })
}

async fn change(visit: Visit<Staff>, form: Form) -> PageResult {
    match Typed::read(&form) {
        Ok((typed, wanted)) => save(&visit, &form, typed, wanted).await,
        Err(typed) => {
            // The version of the form stays, so that no change of others is lost.
            let edited = EditedInterest { version: version(&form), ..find(&visit).await? };
            show_page(&visit, StatusCode::UNPROCESSABLE_ENTITY, edited, typed, false).await
        }
    }
}

/// The button of the list: everything else stays as it is.
async fn set_active(visit: Visit<Staff>, form: Form) -> PageResult {
    let edited = find(&visit).await?;
    let typed = Typed { is_active: form.text("is_active") == "on", ..Typed::of(&edited) };
    let wanted = Wanted {
        name: InterestName::stored(&edited.interest),
        description: InterestDescription::stored(&edited.interest),
        is_active: typed.is_active,
    };
    save(&visit, &form, typed, wanted).await
}

/// The version that a form was made with. A form without one was not made by our page: it is as old as can be.
fn version(form: &Form) -> i64 {
    form.text("version").parse().unwrap_or(-1)
}

async fn save(
    visit: &Visit<Staff>,
    form: &Form,
    typed: Typed,
    wanted: Wanted,
) -> Result<Response, PageError> {
    let id = id(visit)?;
    let version = version(form);
    let is_active = wanted.is_active;
    match interests::change(visit.services(), (id, version), wanted, visit.permission()).await? {
        Changed::Done => {
            let state = if is_active { "Users can choose it." } else { "Users can no longer choose it." };
            visit.redirect(LIST, Notice::done(format!("{} was saved. {state}", typed.name)))
        }
        Changed::NotFound => Err(PageError::NotFound),
        Changed::NameTaken => {
            let edited = EditedInterest { version, ..find(visit).await? };
            show_page(visit, StatusCode::UNPROCESSABLE_ENTITY, edited, typed.name_taken(), false).await
        }
        Changed::Stale(edited) => show_page(visit, StatusCode::CONFLICT, *edited, typed, true).await,
    }
}
