//! A browser without JavaScript: it keeps cookies, and sends forms as pages have them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use poem::http::{Method, StatusCode};
use serde_json::json;
use url::form_urlencoded;

use crate::support::TestServer;

/// The password of everybody whom these tests sign in.
pub const PASSWORD: &str = "violet-canoe-7350";

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: StatusCode,
    pub headers: poem::http::HeaderMap,
    /// Where it was found, after redirects.
    pub path: String,
    pub html: String,
}

impl Page {
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.path, self.text());
        self
    }

    #[track_caller]
    pub fn assert_has(&self, text: &str) -> &Self {
        assert!(self.text().contains(text), "{text:?} is not at {}:\n{}", self.path, self.text());
        self
    }

    #[track_caller]
    pub fn assert_has_not(&self, text: &str) -> &Self {
        assert!(!self.text().contains(text), "{text:?} is at {}:\n{}", self.path, self.text());
        self
    }

    /// The text that a user reads: without tags, with single spaces, entities decoded.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut is_tag = false;
        for c in self.html.chars() {
            match c {
                '<' => is_tag = true,
                '>' if is_tag => {
                    is_tag = false;
                    text.push(' ');
                }
                c if !is_tag => text.push(c),
                _ => {}
            }
        }
        decode(&text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The targets of all links.
    pub fn links(&self) -> Vec<String> {
        let tags = self.html.split('<').filter(|tag| tag.starts_with("a "));
        tags.filter_map(|tag| attribute(tag, "href")).collect()
    }

    /// The form that leads to this action, with the values that it has now.
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let form = self.forms().into_iter().find(|form| form.action == action);
        form.unwrap_or_else(|| panic!("no form leads to {action} at {}:\n{}", self.path, self.html))
    }

    pub fn forms(&self) -> Vec<Form> {
        let parts = self.html.split("<form").skip(1);
        parts.map(|part| Form::read(part.split("</form>").next().unwrap_or_default(), &self.path)).collect()
    }
}

/// A form of a page.
#[derive(Debug, Clone)]
pub struct Form {
    pub action: String,
    pub is_post: bool,
    pub fields: Vec<(String, String)>,
}

impl Form {
    fn read(text: &str, path: &str) -> Self {
        let open = text.split('>').next().unwrap_or_default();
        let mut fields = Vec::new();
        for tag in text.split('<').filter(|tag| tag.starts_with("input")) {
            let is_box = ["checkbox", "radio"].contains(&attribute(tag, "type").unwrap_or_default().as_str());
            let is_sent = !is_box || tag.contains(" checked");
            if let (Some(name), true) = (attribute(tag, "name"), is_sent) {
                let on = if is_box { "on" } else { "" };
                fields.push((name, attribute(tag, "value").unwrap_or_else(|| on.to_owned())));
            }
        }
        for part in text.split("<textarea").skip(1) {
            let value =
                part.split_once('>').map_or("", |(_, rest)| rest.split("</textarea>").next().unwrap_or(""));
            let name = attribute(part, "name").unwrap_or_default();
            fields.push((name, decode(value.strip_prefix('\n').unwrap_or(value))));
        }
        for part in text.split("<select").skip(1) {
            let options = part.split("</select>").next().unwrap_or_default();
            let mut options = options.split("<option").skip(1).peekable();
            let first = options.peek().copied().unwrap_or_default();
            let is_selected =
                |option: &&str| option.split('>').next().unwrap_or_default().contains(" selected");
            let chosen = options.find(is_selected).unwrap_or(first);
            let name = attribute(part, "name").unwrap_or_default();
            fields.push((name, attribute(chosen, "value").unwrap_or_default()));
        }
        Self {
            action: attribute(open, "action").unwrap_or_else(|| path.to_owned()),
            is_post: attribute(open, "method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
            fields,
        }
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn filled(&self, values: &[(&str, &str)]) -> String {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let is_given = |key: &str| values.iter().any(|(name, _)| *name == key);
        body.extend_pairs(self.fields.iter().filter(|(key, _)| !is_given(key)));
        body.extend_pairs(values);
        body.finish()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let open = tag.split('>').next()?;
    let rest = open.split(&format!(" {name}=\"")).nth(1)?;
    Some(decode(rest.split('"').next()?))
}

fn decode(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">")];
    let more = [("&#34;", "\""), ("&#38;", "&"), ("&amp;", "&")];
    named.iter().chain(&more).fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A browser without JavaScript. A clone is another window of the same browser.
#[derive(Clone)]
pub struct Browser {
    pub server: TestServer,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Browser {
    /// A browser that nobody signed in with.
    pub fn new(server: &TestServer) -> Self {
        Self { server: server.clone(), cookies: Arc::default() }
    }

    /// A browser in which a member of staff, called `staff`, is signed in.
    pub async fn staff(server: &TestServer) -> Self {
        Self::signed_in(server, "staff", "staff").await
    }

    /// A browser in which an admin, called `admin`, is signed in.
    pub async fn admin(server: &TestServer) -> Self {
        Self::signed_in(server, "admin", "admin").await
    }

    /// A browser in which a new account with this name and role is signed in.
    pub async fn signed_in(server: &TestServer, name: &str, role: &str) -> Self {
        new_account(server, name, role).await;
        let browser = Self::new(server);
        browser.sign_in(name).await.assert_status(200);
        browser
    }

    /// Sends the form of the sign-in.
    pub async fn sign_in(&self, name: &str) -> Page {
        let page = self.get("/admin/sign-in").await;
        self.submit(&page, "/admin/sign-in", &[("username", name), ("password", PASSWORD)]).await
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// One request, with the browser's cookies; no redirect is followed.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Page {
        let cookies = self.cookies.lock().unwrap().clone();
        let cookie = cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookie = cookie.collect::<Vec<_>>().join("; ");
        let headers = [headers, &[("cookie", cookie.as_str())]].concat();
        let answer = self.server.send(method, path, &headers, body).await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap_or_default();
            let mut cookies = self.cookies.lock().unwrap();
            if line.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { status: answer.status, headers: answer.headers, path: path.to_owned(), html: answer.text }
    }

    /// A page, after redirects.
    pub async fn get(&self, path: &str) -> Page {
        self.follow(self.send(Method::GET, path, &[], None).await).await
    }

    /// Sends a form of a page that leads to this action: with the values that it has, and these instead or in addition.
    /// Redirects are followed.
    pub async fn submit(&self, page: &Page, action: &str, values: &[(&str, &str)]) -> Page {
        let form = page.form(action);
        let filled = form.filled(values);
        if form.is_post {
            self.post(action, &filled).await
        } else {
            self.get(&format!("{action}?{filled}")).await
        }
    }

    /// Sends a body as a form of our own pages would. Redirects are followed.
    pub async fn post(&self, path: &str, body: &str) -> Page {
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        self.follow(self.send(Method::POST, path, &headers, Some(body.to_owned())).await).await
    }

    async fn follow(&self, mut page: Page) -> Page {
        for _ in 0..5 {
            if page.status != StatusCode::SEE_OTHER {
                return page;
            }
            let to = page.headers.get("location").unwrap().to_str().unwrap().to_owned();
            page = self.send(Method::GET, &to, &[], None).await;
        }
        panic!("{} leads in a circle", page.path)
    }
}

/// An account with this name and role, and the password of these tests. Returns its id.
pub async fn new_account(server: &TestServer, name: &str, role: &str) -> String {
    let body = json!({ "username": name, "password": PASSWORD });
    let answer = server.post("/api/register/", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE username = '{name}'")).await;
    answer.text_at("/id")
}
