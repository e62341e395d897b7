//! Signing in, by a password and then a code of the second factor, and out.

use askama::Template;
use chrono::{DateTime, Utc};
use poem::{Response, http::StatusCode};
use secrecy::SecretString;

use super::{
    Console, Form, Guest, Layout, Notice, PageResult, Section, Staff, Visit, cookies::Cookie, visit::Rank,
};
use crate::{
    domain::{
        access::SignedIn,
        console::ConsoleCookie,
        credentials::Login,
        second_factor::{Closed, FactorCode},
    },
    flows::{
        console::{self, ConsoleSignIn, SecondStep, Visitor},
        second_factor::WrongCode,
    },
    store,
};

/// Where the console begins.
const HOME: &str = "/admin";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console
        .get("/admin/sign-in", show)
        .post("/admin/sign-in", sign_in)
        .get("/admin/sign-in/code", show_code)
        .post("/admin/sign-in/code", second_step)
        .post("/admin/sign-out", sign_out)
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    layout: Layout,
    /// The name that was typed. The password is never repeated.
    username: &'a str,
    next: &'a str,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct Code<'a> {
    layout: Layout,
    next: &'a str,
    error: Option<&'a str>,
    /// When the second step opens again, if it is closed.
    until: Option<DateTime<Utc>>,
}

/// Whether this session may use the console.
fn is_staff(visit: &Visit<Guest>) -> bool {
    visit.session().is_some_and(|who| Staff::admit(Some(who.clone()), visit.from()).is_ok())
}

async fn show(visit: Visit<Guest>) -> PageResult {
    let next = own_path(visit.query().text("next"));
    if is_staff(&visit) {
        return visit.redirect(next, None);
    }
    form(&visit, StatusCode::OK, "", next, None)
}

fn form(
    visit: &Visit<Guest>,
    status: StatusCode,
    username: &str,
    next: &str,
    error: Option<String>,
) -> PageResult {
    let layout = visit.layout("Sign in", Section::None);
    visit.page(status, &SignIn { layout, username, next, error })
}

async fn sign_in(visit: Visit<Guest>, form: Form) -> PageResult {
    let (username, next) = (form.text("username"), own_path(form.text("next")));
    let services = visit.services();
    let password = SecretString::from(form.raw("password").to_owned());
    let login = Login::parse(username, services.region);
    match console::sign_in(services, login, password, visitor(&visit)).await? {
        ConsoleSignIn::In(cookie) => lead(&visit, next, &cookie),
        ConsoleSignIn::Code(cookie) => {
            let next = Form::default().query_with("next", Some(next));
            lead(&visit, &format!("/admin/sign-in/code?{next}"), &cookie)
        }
        ConsoleSignIn::Enrolment => refuse(&visit, StatusCode::FORBIDDEN, &form, NOT_ENROLLED.to_owned()),
        ConsoleSignIn::Wrong => refuse(&visit, StatusCode::UNAUTHORIZED, &form, WRONG.to_owned()),
        ConsoleSignIn::Disabled => {
            refuse(&visit, StatusCode::FORBIDDEN, &form, "This account is disabled.".to_owned())
        }
        ConsoleSignIn::Refused(exceeded) => {
            let wait = exceeded
                .retry_after
                .map_or(String::new(), |seconds| format!(" Try again in {} minutes.", (seconds + 59) / 60));
            let error = format!("Too many wrong passwords were tried.{wait}");
            refuse(&visit, StatusCode::TOO_MANY_REQUESTS, &form, error)
        }
    }
}

const WRONG: &str = "The username or the password is wrong, or the account may not use this console.";

const NOT_ENROLLED: &str =
    "This account needs a second factor, and none is set up yet. Ask an admin for an enrolment link.";

/// The browser, as the use case needs it.
fn visitor(visit: &Visit<Guest>) -> Visitor {
    Visitor {
        client: visit.client().clone(),
        from: visit.from(),
        session: visit.session().map(|who| who.session().id),
    }
}

/// Leads on with the cookie of a new session.
fn lead(visit: &Visit<Guest>, to: &str, cookie: &ConsoleCookie) -> PageResult {
    let mut response = visit.redirect(to, None)?;
    Cookie::Session.set(&mut response, visit.settings(), &cookie.value());
    Ok(response)
}

fn refuse(visit: &Visit<Guest>, status: StatusCode, sent: &Form, error: String) -> PageResult {
    form(visit, status, sent.text("username"), own_path(sent.text("next")), Some(error))
}

/// The session that waits for its code, or where to go without one.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn waiting(visit: &Visit<Guest>, next: &str) -> Result<SignedIn, PageResult> {
    match visit.session().filter(|who| console::is_waiting(who)) {
        Some(who) => Ok(who.clone()),
        None if is_staff(visit) => Err(visit.redirect(next, None)),
        None => Err(again(visit)),
    }
}

/// Back to the first step.
fn again(visit: &Visit<Guest>) -> Result<Response, super::PageError> {
    visit.redirect("/admin/sign-in", Notice::warning("The time for the second step is over. Sign in again."))
}

async fn show_code(visit: Visit<Guest>) -> PageResult {
    let next = own_path(visit.query().text("next"));
    let who = match waiting(&visit, next) {
        Ok(who) => who,
        Err(elsewhere) => return elsewhere,
    };
    let services = visit.services();
    let factor = store::second_factors::find(&services.store, who.account().id).await?;
    match factor.and_then(|factor| factor.closed(services.clock.now())) {
        Some(closed) => refuse_closed(&visit, next, closed),
        None => code_form(&visit, StatusCode::OK, next, None, None),
    }
}

fn code_form(
    visit: &Visit<Guest>,
    status: StatusCode,
    next: &str,
    error: Option<&str>,
    until: Option<DateTime<Utc>>,
) -> PageResult {
    let layout = visit.layout("Enter your code", Section::None);
    visit.page(status, &Code { layout, next, error, until })
}

async fn second_step(visit: Visit<Guest>, form: Form) -> PageResult {
    let next = own_path(form.text("next"));
    let who = match waiting(&visit, next) {
        Ok(who) => who,
        Err(elsewhere) => return elsewhere,
    };
    let code = match FactorCode::parse(form.text("code")) {
        Ok(code) => code,
        Err(error) => {
            let error = format!("{error}.");
            return code_form(&visit, StatusCode::UNPROCESSABLE_ENTITY, next, Some(&error), None);
        }
    };
    match console::second_step(visit.services(), who, code, visitor(&visit)).await? {
        SecondStep::In(cookie) => lead(&visit, next, &cookie),
        SecondStep::Wrong(WrongCode { closed: Some(closed), .. }) | SecondStep::Closed(closed) => {
            refuse_closed(&visit, next, closed)
        }
        SecondStep::Wrong(WrongCode { left, closed: None }) => {
            let tries = if left == 1 { "1 try is".to_owned() } else { format!("{left} tries are") };
            let error =
                format!("The code is wrong, or it was used before. Wait for the next code. {tries} left.");
            code_form(&visit, StatusCode::UNAUTHORIZED, next, Some(&error), None)
        }
        SecondStep::NotEnrolled => code_form(&visit, StatusCode::FORBIDDEN, next, Some(NOT_ENROLLED), None),
        SecondStep::Unreadable => code_form(&visit, StatusCode::FORBIDDEN, next, Some(UNREADABLE), None),
        SecondStep::Ended => again(&visit),
    }
}

const UNREADABLE: &str = "The server cannot read your second factor, because its secret key was changed. Ask an admin to reset \
    your second factor.";

fn refuse_closed(visit: &Visit<Guest>, next: &str, closed: Closed) -> PageResult {
    let (error, until) = match closed {
        Closed::Until(until) => ("Too many wrong codes. You can try again at", Some(until)),
        Closed::UntilReset => (LOCKED, None),
    };
    code_form(visit, StatusCode::TOO_MANY_REQUESTS, next, Some(error), until)
}

const LOCKED: &str = "Too many wrong codes in one day. The second step of this account is locked. Ask an admin to reset your \
    second factor.";

/// A path of the console; its first page for anything else, so that no link leads away from here.
fn own_path(next: &str) -> &str {
    let is_own = next == HOME || next.starts_with("/admin/") || next.starts_with("/admin?");
    if is_own && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') { next } else { HOME }
}

async fn sign_out(visit: Visit<Staff>, _form: Form) -> PageResult {
    console::sign_out(visit.services(), visit.who()).await?;
    let mut response = visit.redirect("/admin/sign-in", Notice::done("You are signed out."))?;
    Cookie::Session.remove(&mut response, visit.settings());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_in_the_console() {
        for (next, leads_to) in [
            ("/admin/leads?state=new", "/admin/leads?state=new"),
            ("/admin", "/admin"),
            ("/admin?x=1", "/admin?x=1"),
            ("", "/admin"),
            ("https://evil.example/admin/", "/admin"),
            ("//evil.example/admin/", "/admin"),
            ("/administrator", "/admin"),
            ("/admin/\r\nSet-Cookie: a=b", "/admin"),
            ("/admin/\\evil", "/admin"),
            ("/admin/\0", "/admin"),
            ("/admin/é", "/admin"),
        ] {
            assert_eq!(own_path(next), leads_to, "{next}");
        }
    }
}
