//! The admin console: server-rendered pages under `/admin` for sales, support and operators. It calls the same use cases as
//! the API, decides no rule, and writes nothing to the database.
//!
//! To add a page:
//! 1. Add a file with its handlers and a function `pages`, and list that below. A handler takes [`Visit<Staff>`] or
//!    [`Visit<Admin>`]: the type is the gate. A POST handler also takes the [`Form`]; by then the request is known to come
//!    from a form of this session.
//! 2. Add its template, which extends `layout.html` and has the field `layout`. Every form of method POST begins with
//!    `{{ layout.form_token() }}`.
//! 3. Lists show no whole number ([`crate::domain::phone::PhoneNumber::masked`]) and link by row ids. A page that shows one
//!    calls [`Visit::note_shown`].

mod account;
mod assets;
mod audit;
mod blocks;
mod console;
mod cookies;
mod dashboard;
mod delivery;
mod enroll;
mod error;
mod figures;
mod form;
mod history;
mod in_force;
mod interests;
mod invitations;
mod leads;
mod messages;
mod names;
mod page;
mod people;
mod phones;
mod prefixes;
mod search;
mod settings;
mod sign_in;
mod terms;
mod visit;

use std::sync::Arc;

pub use self::{
    console::{Console, RouteInfo},
    error::{PageError, PageResult},
    form::Form,
    page::{Layout, Notice, Section},
    settings::ConsoleSettings,
    visit::{Admin, Guest, Rank, Staff, Visit},
};

use crate::flows::Services;

/// The console with all its pages.
#[must_use]
pub fn console(services: &Arc<Services>, settings: ConsoleSettings) -> Console {
    let console = Console::new(Arc::clone(services), settings);
    let console = assets::pages(console);
    let console = sign_in::pages(console);
    let console = audit::pages(console);
    let console = in_force::pages(console);
    let console = leads::pages(console);
    let console = messages::pages(console);
    let console = delivery::pages(console);
    let console = enroll::pages(console);
    let console = account::pages(console);
    let console = phones::pages(console);
    let console = search::pages(console);
    let console = people::pages(console);
    let console = interests::pages(console);
    let console = invitations::pages(console);
    let console = blocks::pages(console);
    let console = prefixes::pages(console);
    dashboard::pages(console)
}
