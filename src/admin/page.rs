//! What all pages share: the layout, times, and the response.

use std::fmt;

use askama::{FastWritable, Values, filters::HtmlSafe};
use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use poem::{Response, http::header};

use super::assets;

/// A page loads its stylesheet, its script and its data from this server only, and sends forms only to it.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The parts of the console in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The dashboard.
    Dashboard,
    /// Leads.
    Leads,
    /// People.
    People,
    /// Messages.
    Messages,
    /// Delivery at a glance.
    Delivery,
    /// Event interests.
    Interests,
    /// Invitations.
    Invitations,
    /// Blocks, locks and prefixes.
    Blocks,
    /// The audit log.
    Audit,
    /// Settings.
    Settings,
    /// The own account.
    Account,
    /// No part of the navigation.
    None,
}

impl Section {
    const ADMIN_ONLY: [Self; 2] = [Self::Blocks, Self::Settings];

    const NAVIGATION: [(Self, &'static str, &'static str); 10] = [
        (Self::Dashboard, "/admin", "Dashboard"),
        (Self::Leads, "/admin/leads", "Leads"),
        (Self::People, "/admin/people", "People"),
        (Self::Messages, "/admin/messages", "Messages"),
        (Self::Delivery, "/admin/delivery", "Delivery"),
        (Self::Interests, "/admin/interests", "Interests"),
        (Self::Invitations, "/admin/invitations", "Invitations"),
        (Self::Blocks, "/admin/blocks", "Blocks"),
        (Self::Audit, "/admin/audit", "Audit"),
        (Self::Settings, "/admin/settings", "Settings"),
    ];
}

/// A link of the navigation.
#[derive(Debug, Clone)]
pub struct Link {
    /// The path.
    pub href: &'static str,
    /// The text.
    pub text: &'static str,
    /// Whether it leads to the part that is shown.
    pub is_current: bool,
}

/// A message that the next page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether it reports that something was not done.
    pub is_warning: bool,
    /// The text.
    pub text: String,
}

impl Notice {
    /// Something was done.
    #[must_use]
    pub fn done(text: impl Into<String>) -> Self {
        Self { is_warning: false, text: text.into() }
    }

    /// Something was not done.
    #[must_use]
    pub fn warning(text: impl Into<String>) -> Self {
        Self { is_warning: true, text: text.into() }
    }
}

/// The signed-in user, as the layout shows them.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// The name.
    pub name: String,
    /// Whether the role is admin.
    pub is_admin: bool,
}

/// What all pages share. Every template has it as the field `layout`.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The title of the page, and its first heading.
    pub title: String,
    /// The part of the console.
    pub section: Section,
    /// The signed-in user; none on the pages of the sign-in.
    pub viewer: Option<Viewer>,
    /// The text in the search box.
    pub search: String,
    /// The messages of the last form.
    pub notice: Option<Notice>,
    pub(super) form_token: String,
    pub(super) zone: Tz,
    /// Whether invitations are of use.
    pub(super) takes_invitations: bool,
}

impl Layout {
    /// The same with another title.
    #[must_use]
    pub fn with_title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// The hidden field that every form of method POST carries.
    #[must_use]
    pub fn form_token(&self) -> FormToken<'_> {
        FormToken(&self.form_token)
    }

    /// The links of the navigation that this user may follow.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let is_admin = self.viewer.as_ref().is_some_and(|viewer| viewer.is_admin);
        let shown = Section::NAVIGATION
            .into_iter()
            .filter(|(section, ..)| is_admin || !Section::ADMIN_ONLY.contains(section))
            .filter(|(section, ..)| self.takes_invitations || *section != Section::Invitations);
        let link = |(section, href, text)| Link { href, text, is_current: section == self.section };
        shown.map(link).collect()
    }

    /// A time in `TIME_ZONE`, with the time in UTC on hover.
    #[must_use]
    pub fn time(&self, at: DateTime<Utc>) -> Time {
        Time { at, zone: self.zone }
    }

    /// A time that may be missing: a dash then.
    #[must_use]
    pub fn time_or_dash(&self, at: &Option<DateTime<Utc>>) -> TimeOrDash {
        TimeOrDash(at.map(|at| self.time(at)))
    }

    /// The version in the addresses of stylesheet and script.
    #[must_use]
    pub fn assets(&self) -> &'static str {
        assets::version()
    }
}

/// The name of the field with the form token.
pub const FORM_TOKEN: &str = "form_token";

/// The hidden field with the form token.
#[derive(Debug, Clone, Copy)]
pub struct FormToken<'a>(&'a str);

impl fmt::Display for FormToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<input type=\"hidden\" name=\"{FORM_TOKEN}\" value=\"{}\">", self.0)
    }
}

impl FastWritable for FormToken<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

// The token is made of hexadecimal digits.
impl HtmlSafe for FormToken<'_> {}

/// A time as an element of HTML.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    at: DateTime<Utc>,
    zone: Tz,
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.at.with_timezone(&self.zone).format("%-d %b %Y, %H:%M:%S");
        let utc = self.at.format("%Y-%m-%d %H:%M:%S UTC");
        let machine = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "<time datetime=\"{machine}\" title=\"{utc}\">{local}</time>")
    }
}

impl FastWritable for Time {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

// It is made of digits and fixed words.
impl HtmlSafe for Time {}

/// A time as an element of HTML, or a dash.
#[derive(Debug, Clone, Copy)]
pub struct TimeOrDash(Option<Time>);

impl fmt::Display for TimeOrDash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => time.fmt(f),
            None => f.write_str("–"),
        }
    }
}

impl FastWritable for TimeOrDash {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

impl HtmlSafe for TimeOrDash {}

/// A page of HTML.
pub fn html(text: String) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .body(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_local_and_says_what_it_is_in_utc() {
        let at = DateTime::from_timestamp(1_773_480_413, 0).unwrap();
        let time = Time { at, zone: Tz::Asia__Kolkata };
        assert_eq!(
            time.to_string(),
            "<time datetime=\"2026-03-14T09:26:53Z\" title=\"2026-03-14 09:26:53 UTC\">14 Mar 2026, 14:56:53</time>"
        );
    }
}
