//! Resetting the second factor of a member of staff, after a lost phone. The link for a new one is shown once.

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
    flows::second_factor::{self, Reset},
};

#[derive(Template)]
#[template(path = "person_factor.html")]
struct FactorPage {
    layout: Layout,
    path: String,
    link: String,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    let account = target(&visit).await?;
    let texts = [
        "The authenticator app and the recovery codes of this account stop working, and its sessions with rights end.",
        "You get a link for a new second factor. Give it to the owner of the account only, over a private channel.",
        "First make sure that the caller is the owner.",
    ];
    let act = ("second-factor", "Reset the second factor");
    visit.page(StatusCode::OK, &Confirm::new(&visit, &account, act, &texts))
}

pub(super) async fn reset(visit: Visit<Admin>, _form: Form) -> PageResult {
    let account = target(&visit).await?;
    match second_factor::reset(visit.services(), account.id, visit.permission()).await? {
        Reset::Done(token) => {
            let origin = visit.settings().public_origin.as_deref().unwrap_or_default();
            let page = FactorPage {
                layout: visit.layout(format!("New second factor: {}", called(&account)), Section::People),
                path: path_of(account.id),
                link: format!("{origin}{}", token.path().expose_secret()),
            };
            visit.page(StatusCode::OK, &page)
        }
        Reset::NotFound => Err(PageError::NotFound),
        Reset::NotStaff | Reset::Own => Err(PageError::Forbidden),
    }
}

/// The account of the page. Only staff have a second factor, and no admin resets their own.
async fn target(visit: &Visit<Admin>) -> Result<Account, PageError> {
    let account = find(visit, visit.who()).await?.account;
    match roles::may_administer(visit.who(), account.id, visit.from()) {
        Ok(_) if account.role > Role::User => Ok(account),
        Ok(_) | Err(roles::Forbidden) => Err(PageError::Forbidden),
    }
}
