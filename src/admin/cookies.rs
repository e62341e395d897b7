//! The cookies of the console: the session's, and the message that the next page shows.

use poem::{
    Request, Response,
    http::{HeaderValue, header},
};

use super::settings::ConsoleSettings;

/// The name of the session's cookie.
const SESSION: &str = "loopin_admin";

/// The name of the cookie with the message for the next page.
const NOTICE: &str = "loopin_admin_notice";

/// A cookie of the console.
#[derive(Debug, Clone, Copy)]
pub enum Cookie {
    /// The session.
    Session,
    /// The message for the next page.
    Notice,
}

impl Cookie {
    fn name(self, settings: &ConsoleSettings) -> String {
        let name = match self {
            Self::Session => SESSION,
            Self::Notice => NOTICE,
        };
        // A browser takes a `__Host-` cookie only over HTTPS and from this host (RFC 6265bis, section 4.1.3.2).
        if settings.is_secure { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// The value that the browser sent.
    pub fn get<'a>(self, request: &'a Request, settings: &ConsoleSettings) -> Option<&'a str> {
        let name = self.name(settings);
        let lines = request.headers().get_all(header::COOKIE).iter();
        let mut pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        pairs.find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then_some(value)
        })
    }

    /// Sets the cookie until the browser is closed.
    pub fn set(self, response: &mut Response, settings: &ConsoleSettings, value: &str) {
        self.write(response, settings, value, "");
    }

    /// Removes the cookie.
    pub fn remove(self, response: &mut Response, settings: &ConsoleSettings) {
        self.write(response, settings, "", "; Max-Age=0");
    }

    fn write(self, response: &mut Response, settings: &ConsoleSettings, value: &str, more: &str) {
        let secure = if settings.is_secure { "; Secure" } else { "" };
        let name = self.name(settings);
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
