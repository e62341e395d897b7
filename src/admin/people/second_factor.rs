//! The second factor of a member of staff: the first enrolment link, and a reset after a lost phone. The link is shown once.

use askama::Template;
use poem::http::StatusCode;
use secrecy::ExposeSecret;

use super::{called, confirm::Confirm, find, path_of};
use crate::{
    admin::{Admin, Form, Layout, PageError, PageResult, Section, Visit},
    domain::{
        account::{Account, Role},
        roles,
    },
    flows::{
        Services,
        second_factor::{self, Reset},
    },
    store::{self, StoreError},
};

#[derive(Template)]
#[template(path = "person_factor.html")]
struct FactorPage {
    layout: Layout,
    path: String,
    link: String,
    /// Whether there was a factor before.
    was_reset: bool,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    let account = target(&visit).await?;
    if !has_one(visit.services(), &account).await? {
        let texts = [
            "You get a link with which the owner of this account sets up a second factor. A link that was made before stops working.",
            "Give it to the owner of the account only, over a private channel.",
        ];
        let page = Confirm::new(&visit, &account, ("second-factor", button(false)), &texts);
        return visit.page(StatusCode::OK, &page.harmless());
    }
    let texts = [
        "The authenticator app and the recovery codes of this account stop working, and its sessions with rights end.",
        "You get a link for a new second factor. Give it to the owner of the account only, over a private channel.",
        "First make sure that the caller is the owner.",
    ];
    let act = ("second-factor", button(true));
    visit.page(StatusCode::OK, &Confirm::new(&visit, &account, act, &texts))
}

pub(super) async fn reset(visit: Visit<Admin>, _form: Form) -> PageResult {
    let account = target(&visit).await?;
    match second_factor::reset(visit.services(), account.id, visit.permission()).await? {
        Reset::Done { link: token, was_reset } => {
            let origin = visit.settings().public_origin.as_deref().unwrap_or_default();
            let page = FactorPage {
                layout: visit.layout(format!("Enrolment link: {}", called(&account)), Section::People),
                was_reset,
                path: path_of(account.id),
                link: format!("{origin}{}", token.path().expose_secret()),
            };
            visit.page(StatusCode::OK, &page)
        }
        Reset::NotFound => Err(PageError::NotFound),
        Reset::NotStaff | Reset::Own => Err(PageError::Forbidden),
    }
}

/// Whether an account has a second factor.
pub(super) async fn has_one(services: &Services, account: &Account) -> Result<bool, StoreError> {
    Ok(store::second_factors::find(&services.store, account.id).await?.is_some())
}

/// The text of the button, which is the name of the act too.
pub(super) fn button(has_one: bool) -> &'static str {
    if has_one { "Reset the second factor" } else { "Make an enrolment link" }
}

/// The account of the page. Only staff have a second factor, and no admin resets their own.
async fn target(visit: &Visit<Admin>) -> Result<Account, PageError> {
    let account = find(visit, visit.who()).await?.account;
    match roles::may_administer(visit.who(), account.id, visit.from()) {
        Ok(_) if account.role > Role::User => Ok(account),
        Ok(_) | Err(roles::Forbidden) => Err(PageError::Forbidden),
    }
}
