//! Signing in and out.

use askama::Template;
use poem::http::StatusCode;
use secrecy::SecretString;

use super::{
    Console, Form, Guest, Layout, Notice, PageResult, Section, Staff, Visit, cookies::Cookie, visit::Rank,
};
use crate::{
    domain::credentials::Login,
    flows::console::{self, ConsoleSignIn},
};

/// Where the console begins.
const HOME: &str = "/admin";

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/sign-in", show).post("/admin/sign-in", sign_in).post("/admin/sign-out", sign_out)
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

async fn show(visit: Visit<Guest>) -> PageResult {
    let next = own_path(visit.query().text("next"));
    if visit.session().is_some_and(|who| Staff::admit(Some(who.clone()), visit.from()).is_ok()) {
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
    match console::sign_in(services, login, password, visit.client().clone(), visit.from()).await? {
        ConsoleSignIn::In(cookie) => {
            let mut response = visit.redirect(next, None)?;
            Cookie::Session.set(&mut response, visit.settings(), &cookie.value());
            Ok(response)
        }
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

fn refuse(visit: &Visit<Guest>, status: StatusCode, sent: &Form, error: String) -> PageResult {
    form(visit, status, sent.text("username"), own_path(sent.text("next")), Some(error))
}

/// A path of the console; its first page for anything else, so that no link leads away from here.
fn own_path(next: &str) -> &str {
    let is_own = next == HOME || next.starts_with("/admin/") || next.starts_with("/admin?");
    if is_own && !next.contains(['\\', '\r', '\n']) { next } else { HOME }
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
        ] {
            assert_eq!(own_path(next), leads_to, "{next}");
        }
    }
}
