//! The own account of a member of staff.

use askama::Template;
use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use super::{Console, Form, Layout, Notice, PageResult, Section, Staff, Visit};
use crate::{
    domain::second_factor::RECOVERY_CODES,
    flows::{
        confirm::{self, Confirmed},
        second_factor::{self, OwnLink},
    },
    store,
};

const ACCOUNT: &str = "/admin/account";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/account", show).post("/admin/account/second-factor", set_up)
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    layout: Layout,
    enrolled_at: Option<DateTime<Utc>>,
    codes_left: u64,
    codes_all: usize,
    error: Option<&'a str>,
}

async fn show(visit: Visit<Staff>) -> PageResult {
    page(&visit, StatusCode::OK, None).await
}

async fn page(visit: &Visit<Staff>, status: StatusCode, error: Option<&str>) -> PageResult {
    let (db, id) = (&visit.services().store, visit.who().account().id);
    let factor = store::second_factors::find(db, id).await?;
    let codes_left = store::second_factors::count_recovery_codes(db, id).await?;
    let layout = visit.layout("Your account", Section::Account);
    let enrolled_at = factor.map(|factor| factor.enrolled_at);
    visit.page(status, &Account { layout, enrolled_at, codes_left, codes_all: RECOVERY_CODES, error })
}

/// Asks for the password again, and leads to the page of a new enrolment link.
async fn set_up(visit: Visit<Staff>, form: Form) -> PageResult {
    let (services, who) = (visit.services(), visit.who());
    let password = SecretString::from(form.raw("password").to_owned());
    match confirm::by_password(services, who.clone(), password, visit.from()).await? {
        Confirmed::Until(_) => {}
        Confirmed::WrongPassword | Confirmed::Code(_) => {
            return page(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some("This is not your password.")).await;
        }
        Confirmed::Refused(_) => {
            let error = "Too many wrong passwords were tried. Try again in a quarter of an hour.";
            return page(&visit, StatusCode::TOO_MANY_REQUESTS, Some(error)).await;
        }
        Confirmed::Ended => return visit.redirect("/admin/sign-in", None),
    }
    match second_factor::own_link(services, who.clone(), visit.from()).await? {
        OwnLink::Made(link) => visit.redirect(link.path().expose_secret(), None),
        OwnLink::Enrolled => {
            visit.redirect(ACCOUNT, Notice::warning("Your second factor is set up already."))
        }
        OwnLink::Required => {
            let text = "The second factor is required, so an admin makes the link that sets it up.";
            visit.redirect(ACCOUNT, Notice::warning(text))
        }
        OwnLink::RecentAuthRequired => visit.redirect(ACCOUNT, Notice::warning("Type your password again.")),
        OwnLink::Ended => visit.redirect("/admin/sign-in", None),
    }
}
