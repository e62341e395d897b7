//! Pages that ask once more before an account is deactivated, activated, deleted, or gets a lost number back. They work without
//! a script.

use askama::Template;
use poem::http::StatusCode;

use super::{called, find, path_of};
use crate::{
    admin::{Admin, Form, Layout, Notice, PageError, PageResult, Rank, Section, Staff, Visit},
    domain::{
        account::Account,
        phone::{PhoneNumber, Region},
        roles::{self, EditPermission},
        users::{Edit, fold},
    },
    flows::{
        personal_data::{self, RemovalOutcome},
        users::{self, Changed, Reunited},
    },
};

#[derive(Template)]
#[template(path = "person_confirm.html")]
pub(super) struct Confirm {
    layout: Layout,
    path: String,
    act: &'static str,
    texts: Vec<String>,
    /// What must be typed, so that nothing is deleted by one wrong click.
    typed: Option<Typed>,
    button: &'static str,
    is_dangerous: bool,
}

struct Typed {
    label: String,
    value: String,
    error: Option<&'static str>,
}

impl Confirm {
    pub(super) fn new<R: Rank>(
        visit: &Visit<R>,
        account: &Account,
        (act, button): (&'static str, &'static str),
        texts: &[&str],
    ) -> Self {
        Self {
            layout: visit.layout(format!("{button}: {}", called(account)), Section::People),
            path: path_of(account.id),
            act,
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            typed: None,
            button,
            is_dangerous: true,
        }
    }

    /// The page of an act that takes nothing away.
    pub(super) fn harmless(self) -> Self {
        Self { is_dangerous: false, ..self }
    }
}

/// The account of the page, if the visitor may act on it.
async fn target(visit: &Visit<Staff>) -> Result<(Account, EditPermission), PageError> {
    let account = find(visit, visit.who()).await?.account;
    let permission = roles::may_deactivate(visit.who(), account.id).map_err(|_| PageError::Forbidden)?;
    if permission.over().contains(&account.role) {
        Ok((account, permission))
    } else {
        Err(PageError::Forbidden)
    }
}

pub(super) async fn ask_deactivate(visit: Visit<Staff>) -> PageResult {
    let (account, _) = target(&visit).await?;
    let texts = [
        "The user is signed out everywhere, gets no code any more and cannot sign in.",
        "Nothing is deleted. You can activate the account again at any time.",
    ];
    visit.page(StatusCode::OK, &Confirm::new(&visit, &account, ("deactivate", "Deactivate"), &texts))
}

pub(super) async fn ask_activate(visit: Visit<Staff>) -> PageResult {
    let (account, _) = target(&visit).await?;
    let texts = ["The user can ask for a code and sign in again. Earlier sessions stay ended."];
    let page = Confirm::new(&visit, &account, ("activate", "Activate"), &texts);
    visit.page(StatusCode::OK, &page.harmless())
}

pub(super) async fn deactivate(visit: Visit<Staff>, _form: Form) -> PageResult {
    switch(visit, false, "The account is deactivated, and its sessions are ended.").await
}

pub(super) async fn activate(visit: Visit<Staff>, _form: Form) -> PageResult {
    switch(visit, true, "The account is active again.").await
}

async fn switch(visit: Visit<Staff>, is_active: bool, done: &str) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let edit = Edit::switch(is_active);
    let changed = users::change(visit.services(), permission, edit, visit.from()).await?;
    after_change(&visit, &account, &changed, done)
}

/// Leads back to the account, with what became of a change of its rights.
pub(super) fn after_change<R: Rank>(
    visit: &Visit<R>,
    account: &Account,
    changed: &Changed,
    done: &str,
) -> PageResult {
    let notice = match changed {
        Changed::Done(_) => Notice::done(done),
        Changed::NotFound => return Err(PageError::NotFound),
        Changed::Forbidden => return Err(PageError::Forbidden),
        Changed::LastAdmin => Notice::warning(LAST_ADMIN),
        // No e-mail address is changed here.
        Changed::EmailTaken => Notice::warning("Nothing was changed."),
    };
    visit.redirect(&path_of(account.id), notice)
}

const LAST_ADMIN: &str =
    "Nothing was changed: this is the last active admin. Make another account an admin first.";

pub(super) async fn ask_reunite(visit: Visit<Staff>) -> PageResult {
    let (account, _) = target(&visit).await?;
    let Some(phone) = &account.former_phone else { return Err(PageError::NotFound) };
    let masked = phone.masked();
    let first = format!("This account gets the number {masked} back.");
    let texts = [
        first.as_str(),
        "An account that was made with the number since then loses it, is deactivated, and is signed out everywhere.",
        "Do this only after the caller has shown that the account is theirs, for example by what they ordered.",
    ];
    visit.page(StatusCode::OK, &Confirm::new(&visit, &account, ("reunite", "Give the number back"), &texts))
}

pub(super) async fn reunite(visit: Visit<Staff>, _form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let notice = match users::reunite(visit.services(), permission, visit.from()).await? {
        Reunited::Done(_) => Notice::done("The account has its number back."),
        Reunited::NotFound => return Err(PageError::NotFound),
        Reunited::Forbidden => Notice::warning(
            "Nothing was changed: the number belongs to an account of staff now. Ask an admin.",
        ),
        Reunited::NothingLost => Notice::warning("Nothing was changed: this account has lost no number."),
        Reunited::Taken => Notice::warning(
            "Nothing was changed: another account got the number in another way, by a change of the phone.",
        ),
    };
    visit.redirect(&path_of(account.id), notice)
}

/// The account of the page, if the admin may delete it.
async fn deletable(visit: &Visit<Admin>) -> Result<(Account, roles::AccountPermission), PageError> {
    let account = find(visit, visit.who()).await?.account;
    let permission = roles::may_administer(visit.who(), account.id, visit.from());
    Ok((account, permission.map_err(|_| PageError::Forbidden)?))
}

pub(super) async fn ask_delete(visit: Visit<Admin>) -> PageResult {
    let (account, _) = deletable(&visit).await?;
    show_delete(&visit, &account, String::new(), None)
}

fn show_delete(
    visit: &Visit<Admin>,
    account: &Account,
    value: String,
    error: Option<&'static str>,
) -> PageResult {
    let texts = [
        "The account is deleted with its profile, sessions, lead, messages and codes, as when users delete their own account.",
        "This cannot be undone. To keep the user out, deactivate the account instead.",
    ];
    let page = Confirm::new(visit, account, ("delete", "Delete"), &texts);
    let label = format!("To confirm, type {}", Key::of(account).wanted());
    let typed = Some(Typed { label, value, error });
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visit.page(status, &Confirm { typed, ..page })
}

pub(super) async fn delete(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = deletable(&visit).await?;
    let typed = form.text("typed");
    if !Key::of(&account).fits(typed, visit.services().region) {
        return show_delete(&visit, &account, typed.to_owned(), Some("This is not what must be typed"));
    }
    match personal_data::delete_account_of_another(visit.services(), permission).await? {
        RemovalOutcome::Gone => visit.redirect("/admin/people", Notice::done("The account is deleted.")),
        RemovalOutcome::NotFound => Err(PageError::NotFound),
        RemovalOutcome::LastAdmin => visit.redirect(&path_of(account.id), Notice::warning(LAST_ADMIN)),
    }
}

/// What must be typed to delete an account.
enum Key<'a> {
    /// Its phone, in any spelling.
    Phone(&'a PhoneNumber),
    /// Its username.
    Username(&'a str),
    /// It has neither.
    Word,
}

impl<'a> Key<'a> {
    fn of(account: &'a Account) -> Self {
        match (&account.phone, &account.username) {
            (Some(phone), _) => Self::Phone(phone),
            (None, Some(username)) => Self::Username(username),
            (None, None) => Self::Word,
        }
    }

    fn wanted(&self) -> &'static str {
        match self {
            Self::Phone(_) => "the phone number of the account",
            Self::Username(_) => "the username of the account",
            Self::Word => "the word delete",
        }
    }

    fn fits(&self, typed: &str, region: Region) -> bool {
        match self {
            Self::Phone(phone) => PhoneNumber::parse(typed, region).is_ok_and(|typed| typed == **phone),
            Self::Username(username) => fold(typed) == fold(username),
            Self::Word => fold(typed) == "delete",
        }
    }
}
