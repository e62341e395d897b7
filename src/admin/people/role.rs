//! The role of an account. Admins only, and never their own.

use askama::Template;
use poem::http::StatusCode;

use super::{called, confirm::after_change, find, path_of};
use crate::{
    admin::{Admin, Form, Layout, PageError, PageResult, Section, Visit},
    domain::{
        account::{Account, Role},
        roles::{self, EditPermission},
        users::Edit,
    },
    flows::users,
};

#[derive(Template)]
#[template(path = "person_role.html")]
struct RolePage {
    layout: Layout,
    path: String,
    options: [RoleOption; 3],
    has_password: bool,
    error: Option<&'static str>,
}

struct RoleOption {
    value: &'static str,
    text: &'static str,
    is_current: bool,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    let (account, _) = target(&visit).await?;
    show(&visit, &account, None)
}

pub(super) async fn save(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let Some(role) = Role::parse_new(form.text("role")) else {
        return show(&visit, &account, Some("Choose one of the roles"));
    };
    let edit = Edit { role: Some(role), ..Edit::default() };
    let changed = users::change(visit.services(), permission, edit, visit.from()).await?;
    after_change(&visit, &account, &changed, "The role is set.")
}

async fn target(visit: &Visit<Admin>) -> Result<(Account, EditPermission), PageError> {
    let account = find(visit, visit.who()).await?.account;
    match roles::may_promote(visit.who(), account.id) {
        Ok(permission) if permission.over().contains(&account.role) => Ok((account, permission)),
        Ok(_) | Err(roles::Forbidden) => Err(PageError::Forbidden),
    }
}

fn show(visit: &Visit<Admin>, account: &Account, error: Option<&'static str>) -> PageResult {
    let option =
        |role: Role, text| RoleOption { value: role.as_str(), text, is_current: role == account.role };
    let page = RolePage {
        layout: visit.layout(format!("Change role: {}", called(account)), Section::People),
        path: path_of(account.id),
        options: [
            option(Role::User, "user: uses the app"),
            option(Role::Staff, "staff: works with leads, people and messages"),
            option(Role::Admin, "admin: also staff, blocks, settings, deletion and exports"),
        ],
        has_password: account.has_password,
        error,
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visit.page(status, &page)
}
