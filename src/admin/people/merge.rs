//! Joining two accounts of one user for the user: the admin names the other account, sees both side by side with what will stay, and
//! confirms with a reason. For thirty days the same page of the person undoes it.

use askama::Template;
use poem::http::StatusCode;
use uuid::Uuid;

use super::{called, find, path_of};
use crate::{
    admin::{Admin, Form, Layout, Notice, PageError, PageResult, Section, Visit},
    domain::{
        account::{Account, Role},
        account_merge::{Holdings, MergeGrounds, MergeReason, Unfit},
        phone::PhoneNumber,
        phone_move::Reference,
        roles::{self, AccountPermission},
    },
    flows::{
        console, interests,
        merge::{self, Compared, NotMerged, NotUndone},
    },
    store,
};

#[derive(Template)]
#[template(path = "person_merge.html")]
struct NamePage {
    layout: Layout,
    path: String,
    other: String,
    error: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "person_merge_compare.html")]
struct ComparePage {
    layout: Layout,
    path: String,
    other: Uuid,
    other_path: String,
    lines: Vec<Line>,
    grounds: GroundsFields,
    /// What stops the whole form.
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "person_unmerge.html")]
struct UndoPage {
    layout: Layout,
    path: String,
    gone: Uuid,
    grounds: GroundsFields,
    /// What stops the whole form.
    problem: Option<String>,
}

/// A fact about both accounts, and what it will be.
struct Line {
    label: &'static str,
    /// Of the account that stays, of the one that goes, and of the one that there will be.
    texts: [String; 3],
}

/// The fields of the reason and the reference.
struct GroundsFields {
    reasons: Vec<Choice>,
    reason_error: Option<&'static str>,
    reference: String,
    reference_error: Option<String>,
}

struct Choice {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    let (account, _) = target(&visit).await?;
    name_page(&visit, &account, StatusCode::OK, String::new(), None)
}

/// Shows both accounts side by side.
pub(super) async fn show_both(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let typed = form.text("other");
    let found = find_other(&visit, typed).await?;
    let refuse = |status, error| name_page(&visit, &account, status, typed.to_owned(), Some(error));
    let Some(other) = found else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "No account has this number, name, address or id");
    };
    if other == account.id {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "This is the account that you see");
    }
    let Some(compared) = merge::compare(visit.services(), permission, other).await? else {
        return Err(PageError::NotFound);
    };
    match compared.unfit {
        Some(unfit) => refuse(StatusCode::CONFLICT, why_not(unfit)),
        None => compare_page(&visit, &compared, GroundsFields::empty(), None).await,
    }
}

/// Joins the two.
pub(super) async fn confirm(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let other: Uuid = form.text("other").parse().map_err(|_| PageError::NotFound)?;
    let again = async |grounds: GroundsFields, problem| {
        let compared =
            merge::compare(visit.services(), permission, other).await?.ok_or(PageError::NotFound)?;
        compare_page(&visit, &compared, grounds, problem).await
    };
    let grounds = match read(&form) {
        Ok(grounds) => grounds,
        Err(fields) => return again(fields, None).await,
    };
    match merge::merge_for_another(visit.services(), permission, other, grounds).await? {
        Ok(ended) => {
            let text = format!(
                "The two accounts are one now. {ended} sessions were ended, and their phones get a notice."
            );
            visit.redirect(&path_of(account.id), Notice::done(text))
        }
        Err(NotMerged::NotFound) => Err(PageError::NotFound),
        Err(NotMerged::Unfit(unfit)) => again(GroundsFields::of(&form), Some(why_not(unfit))).await,
    }
}

pub(super) async fn ask_undo(visit: Visit<Admin>) -> PageResult {
    let (account, _) = target(&visit).await?;
    let gone = visit.path_id("gone").ok_or(PageError::NotFound)?;
    let merges = store::merges::list_into(&visit.services().store, account.id).await?;
    if !merges.iter().any(|merge| merge.id == gone) {
        return Err(PageError::NotFound);
    }
    undo_page(&visit, &account, gone, StatusCode::OK, (GroundsFields::empty(), None))
}

pub(super) async fn undo(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let gone = visit.path_id("gone").ok_or(PageError::NotFound)?;
    let grounds = match read(&form) {
        Ok(grounds) => grounds,
        Err(fields) => {
            return undo_page(&visit, &account, gone, StatusCode::UNPROCESSABLE_ENTITY, (fields, None));
        }
    };
    let problem = match merge::undo(visit.services(), permission, gone, grounds).await? {
        Ok(ended) => {
            let text = format!("This account is there again. {ended} sessions of the other one were ended.");
            return visit.redirect(&path_of(gone), Notice::done(text));
        }
        Err(NotUndone::NotFound) => return Err(PageError::NotFound),
        Err(NotUndone::TooLate) => {
            "Nothing was changed: this was more than 30 days ago, and what the undo needs is deleted."
                .to_owned()
        }
        Err(NotUndone::LaterMerge(_)) => {
            "Nothing was changed: another account was joined with this one later. Undo that first.".to_owned()
        }
        Err(NotUndone::Taken(fields)) => taken(&fields),
    };
    undo_page(&visit, &account, gone, StatusCode::CONFLICT, (GroundsFields::of(&form), Some(problem)))
}

fn taken(fields: &[&str]) -> String {
    let what = |field: &&str| match *field {
        "phone_number" => "the phone number",
        "username" => "the username",
        "email" => "the e-mail address",
        _ => "the id in another system",
    };
    let what = match fields {
        [] => "something that would come back".to_owned(),
        fields => fields.iter().map(what).collect::<Vec<_>>().join(" and "),
    };
    format!("Nothing was changed: another account has {what} now.")
}

/// The account of the page. Accounts of staff are not joined with others.
async fn target(visit: &Visit<Admin>) -> Result<(Account, AccountPermission), PageError> {
    let account = find(visit, visit.who()).await?.account;
    match roles::may_administer(visit.who(), account.id, visit.from()) {
        Ok(permission) if account.role == Role::User => Ok((account, permission)),
        Ok(_) | Err(roles::Forbidden) => Err(PageError::Forbidden),
    }
}

/// The account with this id, phone, username or e-mail address.
async fn find_other(visit: &Visit<Admin>, typed: &str) -> Result<Option<Uuid>, PageError> {
    let (db, typed) = (&visit.services().store, typed.trim());
    if let Ok(id) = typed.parse::<Uuid>() {
        return Ok(store::accounts::find_by_id(db, id).await?.map(|account| account.id));
    }
    if let Ok(phone) = PhoneNumber::parse(typed, visit.services().region) {
        return Ok(store::accounts::find_by_phone(db, &phone, None).await?.map(|account| account.id));
    }
    let leave = roles::may_list(visit.who()).map_err(|_| PageError::Forbidden)?;
    Ok(store::users::find_named(db, &leave, typed).await?)
}

fn read(form: &Form) -> Result<MergeGrounds, GroundsFields> {
    let (reason, reference) =
        (MergeReason::parse(form.text("reason")), Reference::parse(form.text("reference")));
    let needs_reference = reason == Some(MergeReason::Other) && reference == Ok(None);
    match (reason, reference) {
        (Some(reason), Ok(reference)) if !needs_reference => Ok(MergeGrounds { reason, reference }),
        (reason, reference) => Err(GroundsFields {
            reason_error: reason.is_none().then_some("Choose a reason"),
            reference_error: match reference {
                Err(error) => Some(error.to_string()),
                Ok(_) if needs_reference => {
                    Some("Another reason needs a reference that explains it".to_owned())
                }
                Ok(_) => None,
            },
            ..GroundsFields::of(form)
        }),
    }
}

impl GroundsFields {
    fn empty() -> Self {
        Self::of(&Form::default())
    }

    fn of(form: &Form) -> Self {
        let chosen = form.text("reason");
        Self {
            reasons: MergeReason::ALL.map(|reason| choice(reason, chosen)).into(),
            reason_error: None,
            reference: form.text("reference").to_owned(),
            reference_error: None,
        }
    }

    fn has_error(&self) -> bool {
        self.reason_error.is_some() || self.reference_error.is_some()
    }
}

fn choice(reason: MergeReason, chosen: &str) -> Choice {
    let text = match reason {
        MergeReason::UserAsked => "The user asked for it",
        MergeReason::Duplicate => "The user has two accounts by mistake",
        MergeReason::TwoPeople => "The accounts belong to two people",
        MergeReason::Other => "Another reason (give a reference)",
    };
    Choice { value: reason.as_str(), text, is_chosen: reason.as_str() == chosen }
}

fn why_not(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::Same => "This is the account that you see",
        Unfit::Staff => "An account of staff, or one for app review, is not joined with another one",
        Unfit::Disabled => "One of the two is deactivated. Activate it first",
        Unfit::Blocked => {
            "The number of one of the two is blocked: the user would leave the block behind. End the block first"
        }
        Unfit::Stale => {
            "One of the two was not used for so long that its number may have another owner. Let the user sign in to it first"
        }
    }
}

fn name_page(
    visit: &Visit<Admin>,
    account: &Account,
    status: StatusCode,
    other: String,
    error: Option<&'static str>,
) -> PageResult {
    let layout = visit.layout(format!("Join with another account: {}", called(account)), Section::People);
    visit.page(status, &NamePage { layout, path: path_of(account.id), other, error })
}

async fn compare_page(
    visit: &Visit<Admin>,
    compared: &Compared,
    grounds: GroundsFields,
    problem: Option<&'static str>,
) -> PageResult {
    let Compared { stays, goes, joined, .. } = compared;
    for side in [stays, goes] {
        if let Some(phone) = &side.account.phone {
            let permission = visit.permission().staff();
            console::note_shown(visit.services(), phone, Some(side.account.id), permission);
        }
    }
    let known = interests::list(visit.services()).await?;
    let named = |ids: &[i64]| {
        let name = |id: &i64| {
            let interest = known.iter().find(|interest| interest.id == *id);
            interest.map_or_else(|| format!("interest {id}"), |interest| interest.name.clone())
        };
        ids.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let sides = [&stays.holdings, &goes.holdings, joined];
    let line = |label, of: &dyn Fn(&Holdings) -> String| Line { label, texts: sides.map(of) };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let lines = vec![
        line("Phone", &|it| text(&it.phone)),
        line("Username", &|it| text(&it.username)),
        line("E-mail", &|it| text(&it.email)),
        line("First name", &|it| text(&it.first_name)),
        line("Last name", &|it| text(&it.last_name)),
        line("Password", &|it| if it.password_hash.is_some() { "set" } else { "none" }.to_owned()),
        line("Id in another system", &|it| text(&it.external_id)),
        line("Name", &|it| text(&it.profile.name)),
        line("Birth date", &|it| text(&it.profile.birth_date)),
        line("Gender", &|it| text(&it.profile.gender)),
        line("Location", &|it| text(&it.profile.location)),
        line("Bio", &|it| text(&it.profile.bio)),
        line("Pictures", &|it| it.profile.pictures.len().to_string()),
        line("Interests", &|it| named(&it.interests)),
    ];
    let status = match (problem, grounds.has_error()) {
        (Some(_), _) => StatusCode::CONFLICT,
        (None, true) => StatusCode::UNPROCESSABLE_ENTITY,
        (None, false) => StatusCode::OK,
    };
    let page = ComparePage {
        layout: visit.layout(format!("Join two accounts: {}", called(&stays.account)), Section::People),
        path: path_of(stays.account.id),
        other: goes.account.id,
        other_path: path_of(goes.account.id),
        lines,
        grounds,
        problem,
    };
    visit.page(status, &page)
}

fn undo_page(
    visit: &Visit<Admin>,
    account: &Account,
    gone: Uuid,
    status: StatusCode,
    (grounds, problem): (GroundsFields, Option<String>),
) -> PageResult {
    let layout = visit.layout(format!("Make two accounts again: {}", called(account)), Section::People);
    visit.page(status, &UndoPage { layout, path: path_of(account.id), gone, grounds, problem })
}
