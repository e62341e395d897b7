//! People: the list, a person with everything that staff may see, and what staff and admins may do to an account.
//!
//! Every act has a page of its own that asks once more. The rights are checked when that page is opened and again when its form
//! is sent, and the use case checks the role of the account in its statement.

mod confirm;
mod detail;
mod edit;
mod list;
mod merge;
mod move_phone;
mod new;
mod password;
mod role;
mod second_factor;

use uuid::Uuid;

use super::{Console, PageError, Rank, Visit};
use crate::{
    domain::{access::SignedIn, account::Account, roles, users::User},
    flows::Services,
    store,
};

/// The pages of this folder.
pub fn pages(console: Console) -> Console {
    let console = console
        .get("/admin/people", list::show)
        .get("/admin/people/new", new::ask)
        .post("/admin/people/new", new::create)
        .get("/admin/people/:id", detail::show)
        .get("/admin/people/:id/edit", edit::ask)
        .post("/admin/people/:id/edit", edit::save)
        .get("/admin/people/:id/deactivate", confirm::ask_deactivate)
        .post("/admin/people/:id/deactivate", confirm::deactivate)
        .get("/admin/people/:id/activate", confirm::ask_activate)
        .post("/admin/people/:id/activate", confirm::activate)
        .get("/admin/people/:id/reunite", confirm::ask_reunite)
        .post("/admin/people/:id/reunite", confirm::reunite)
        .post("/admin/people/:id/sessions/:session/end", detail::end_session);
    console
        .get("/admin/people/:id/role", role::ask)
        .post("/admin/people/:id/role", role::save)
        .get("/admin/people/:id/second-factor", second_factor::ask)
        .post("/admin/people/:id/second-factor", second_factor::reset)
        .get("/admin/people/:id/password", password::ask)
        .post("/admin/people/:id/password", password::save)
        .get("/admin/people/:id/delete", confirm::ask_delete)
        .post("/admin/people/:id/delete", confirm::delete)
        .get("/admin/people/:id/move-phone", move_phone::ask)
        .post("/admin/people/:id/move-phone", move_phone::send)
        .post("/admin/people/:id/move-phone/code", move_phone::verify)
        .get("/admin/people/:id/merge", merge::ask)
        .post("/admin/people/:id/merge", merge::show_both)
        .post("/admin/people/:id/merge/confirm", merge::confirm)
        .get("/admin/people/:id/unmerge/:gone", merge::ask_undo)
        .post("/admin/people/:id/unmerge/:gone", merge::undo)
}

/// The account of the path. An id that no account has is a page that does not exist.
async fn find<R: Rank>(visit: &Visit<R>, who: &SignedIn) -> Result<User, PageError> {
    find_by_id(visit.services(), who, visit.path_id("id").ok_or(PageError::NotFound)?).await
}

async fn find_by_id(services: &Services, who: &SignedIn, id: Uuid) -> Result<User, PageError> {
    let permission = roles::may_read(who, id).map_err(|_| PageError::Forbidden)?;
    store::users::find(&services.store, permission).await?.ok_or(PageError::NotFound)
}

/// The page of an account.
fn path_of(id: Uuid) -> String {
    format!("/admin/people/{id}")
}

/// What to call an account: the name of the profile, else the first and last name, else the username.
fn called(account: &Account) -> String {
    let first_and_last: Vec<&str> =
        account.first_name.as_deref().into_iter().chain(account.last_name.as_deref()).collect();
    let name = account.profile.name.clone().or_else(|| {
        let joined = first_and_last.join(" ");
        Some(joined).filter(|name| !name.is_empty())
    });
    name.or_else(|| account.username.clone()).unwrap_or_else(|| "No name".to_owned())
}
