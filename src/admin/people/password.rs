//! A new password for another account: the only way for staff and admins who forgot theirs. Admins only, and never their own.

use askama::Template;
use poem::http::StatusCode;

use super::{called, find, path_of};
use crate::{
    admin::{Admin, Form, Layout, Notice, PageError, PageResult, Section, Visit},
    domain::{account::Account, credentials::Password, roles},
    flows::set_password::{self, PasswordSet},
};

#[derive(Template)]
#[template(path = "person_password.html")]
struct PasswordPage {
    layout: Layout,
    path: String,
    errors: Vec<String>,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    let account = target(&visit).await?;
    show(&visit, &account, Vec::new())
}

pub(super) async fn save(visit: Visit<Admin>, form: Form) -> PageResult {
    let account = target(&visit).await?;
    let new = match Password::check(form.raw("new_password"), &account.names()) {
        Ok(_) if form.raw("new_password") != form.raw("repeated") => {
            return show(&visit, &account, vec!["The two passwords are not the same".to_owned()]);
        }
        Ok(new) => new,
        Err(errors) => return show(&visit, &account, errors),
    };
    match set_password::set(visit.services(), account.id, new, visit.permission()).await? {
        PasswordSet::Done { .. } => {
            let done = "The password is set, and all sessions of the account have ended.";
            visit.redirect(&path_of(account.id), Notice::done(done))
        }
        PasswordSet::LikeAName(errors) => show(&visit, &account, errors),
        PasswordSet::NotFound => Err(PageError::NotFound),
        PasswordSet::Own => Err(PageError::Forbidden),
    }
}

async fn target(visit: &Visit<Admin>) -> Result<Account, PageError> {
    let account = find(visit, visit.who()).await?.account;
    roles::may_administer(visit.who(), account.id, visit.from()).map_err(|_| PageError::Forbidden)?;
    Ok(account)
}

fn show(visit: &Visit<Admin>, account: &Account, errors: Vec<String>) -> PageResult {
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let layout = visit.layout(format!("Set a password: {}", called(account)), Section::People);
    visit.page(status, &PasswordPage { layout, path: path_of(account.id), errors })
}
