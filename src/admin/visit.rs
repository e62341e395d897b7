//! A request to a page, as its handler sees it: who asks, and with which fields. A handler gets one only after the gate.

use std::{fmt, sync::Arc};

use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use poem::{
    Response,
    http::{StatusCode, header},
};
use uuid::Uuid;

use super::{
    cookies::Cookie,
    error::PageResult,
    form::Form,
    page::{Layout, Notice, Section, Viewer, html},
    settings::ConsoleSettings,
};
use crate::{
    domain::{
        access::{Client, SignedIn},
        account::Role,
        address::ClientAddress,
        console::ConsoleCookie,
        phone::PhoneNumber,
        roles::{self, AdminPermission, StaffPermission},
    },
    flows::{Services, console},
};

/// Why a page may not be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The sign-in comes first.
    SignIn,
    /// The role does not allow it.
    Forbidden,
}

/// What a page requires of its visitor.
pub trait Rank: Sized + Send + Sync + 'static {
    /// The name in the table of routes.
    const NAME: &'static str;

    /// Lets a visitor in, or not.
    fn admit(who: Option<SignedIn>, from: ClientAddress) -> Result<Self, Refusal>;

    /// The visitor's session, if there is one.
    fn who(&self) -> Option<&SignedIn>;
}

/// Every visitor: the pages of the sign-in.
#[derive(Debug)]
pub struct Guest(Option<SignedIn>);

/// A signed-in member of staff, or an admin.
#[derive(Debug)]
pub struct Staff {
    who: SignedIn,
    permission: StaffPermission,
}

/// A signed-in admin.
#[derive(Debug)]
pub struct Admin {
    who: SignedIn,
    permission: AdminPermission,
}

impl Rank for Guest {
    const NAME: &'static str = "guest";

    fn admit(who: Option<SignedIn>, _from: ClientAddress) -> Result<Self, Refusal> {
        Ok(Self(who))
    }

    fn who(&self) -> Option<&SignedIn> {
        self.0.as_ref()
    }
}

impl Rank for Staff {
    const NAME: &'static str = "staff";

    fn admit(who: Option<SignedIn>, from: ClientAddress) -> Result<Self, Refusal> {
        let who = who.ok_or(Refusal::SignIn)?;
        // A session without rights waits for the second step of its sign-in.
        let permission = roles::may_act_as_staff(&who, from).map_err(|_| Refusal::SignIn)?;
        Ok(Self { who, permission })
    }

    fn who(&self) -> Option<&SignedIn> {
        Some(&self.who)
    }
}

impl Rank for Admin {
    const NAME: &'static str = "admin";

    fn admit(who: Option<SignedIn>, from: ClientAddress) -> Result<Self, Refusal> {
        let staff = Staff::admit(who, from)?;
        let permission = roles::may_act_as_admin(&staff.who, from).map_err(|_| Refusal::Forbidden)?;
        Ok(Self { who: staff.who, permission })
    }

    fn who(&self) -> Option<&SignedIn> {
        Some(&self.who)
    }
}

/// A request of a visitor of this rank.
pub struct Visit<R> {
    pub(super) rank: R,
    pub(super) services: Arc<Services>,
    pub(super) settings: Arc<ConsoleSettings>,
    pub(super) request: Arc<Facts>,
}

/// The facts of a request.
pub struct Facts {
    pub(super) cookie: ConsoleCookie,
    /// Whether the cookie must be sent to the browser.
    pub(super) is_new_cookie: bool,
    pub(super) path: String,
    pub(super) query_text: String,
    pub(super) query: Form,
    /// The parameters of the path, by the names in its pattern.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) client: Client,
    pub(super) from: ClientAddress,
    pub(super) notice: Option<Notice>,
}

impl<R> fmt::Debug for Visit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").finish_non_exhaustive()
    }
}

impl<R: Rank> Visit<R> {
    /// The parts that the use cases work with.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The settings of the console.
    #[must_use]
    pub fn settings(&self) -> &ConsoleSettings {
        &self.settings
    }

    /// The visitor's address.
    #[must_use]
    pub fn from(&self) -> ClientAddress {
        self.request.from
    }

    /// The visitor's client, as the list of sessions shows it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.request.client
    }

    /// The fields of the query string.
    #[must_use]
    pub fn query(&self) -> &Form {
        &self.request.query
    }

    /// A parameter of the path.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        let mut parameters = self.request.parameters.iter();
        parameters.find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the path that is a UUID; `None` for anything else, for which there is no page.
    #[must_use]
    pub fn path_id(&self, name: &str) -> Option<Uuid> {
        self.path(name).parse().ok()
    }

    /// The path and the query of this request, for a form that leads back to it.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let Facts { path, query_text, .. } = &*self.request;
        if query_text.is_empty() { path.clone() } else { format!("{path}?{query_text}") }
    }

    /// The layout of a page with this title.
    #[must_use]
    pub fn layout(&self, title: impl Into<String>, section: Section) -> Layout {
        layout(self.rank.who(), &self.services, &self.request, section).with_title(title)
    }

    /// A page.
    pub fn page(&self, status: StatusCode, template: &impl Template) -> PageResult {
        let mut response = html(template.render()?);
        response.set_status(status);
        if self.request.is_new_cookie {
            Cookie::Session.set(&mut response, &self.settings, &self.request.cookie.value());
        }
        if self.request.notice.is_some() {
            Cookie::Notice.remove(&mut response, &self.settings);
        }
        Ok(response)
    }

    /// Leads to another page, which shows a message.
    pub fn redirect(&self, to: &str, notice: impl Into<Option<Notice>>) -> PageResult {
        let mut response = see_other(to);
        if let Some(notice) = notice.into() {
            let kind = if notice.is_warning { "w" } else { "d" };
            let text = utf8_percent_encode(&notice.text, NON_ALPHANUMERIC);
            Cookie::Notice.set(&mut response, &self.settings, &format!("{kind}{text}"));
        }
        Ok(response)
    }
}

impl Visit<Staff> {
    /// The permission to act.
    #[must_use]
    pub fn permission(&self) -> StaffPermission {
        self.rank.permission
    }

    /// The visitor.
    #[must_use]
    pub fn who(&self) -> &SignedIn {
        &self.rank.who
    }

    /// Whether the visitor is an admin.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        roles::effective(&self.rank.who) == Role::Admin
    }

    /// Records that this page shows a whole number, and whose it is if that is known.
    pub fn note_shown(&self, phone: &PhoneNumber, account: Option<Uuid>) {
        console::note_shown(&self.services, phone, account, self.rank.permission);
    }

    /// Records that this page shows the unverified number of an account.
    pub fn note_unverified_shown(&self, claimed: &str, account: Uuid) {
        console::note_unverified_shown(&self.services, claimed, account, self.rank.permission);
    }
}

impl Visit<Admin> {
    /// The permission to act.
    #[must_use]
    pub fn permission(&self) -> AdminPermission {
        self.rank.permission
    }

    /// The visitor.
    #[must_use]
    pub fn who(&self) -> &SignedIn {
        &self.rank.who
    }
}

impl Visit<Guest> {
    /// The session, if there is one. It may wait for the second step of its sign-in.
    #[must_use]
    pub fn session(&self) -> Option<&SignedIn> {
        self.rank.0.as_ref()
    }
}

/// The layout of a page, still without a title.
pub fn layout(who: Option<&SignedIn>, services: &Services, facts: &Facts, section: Section) -> Layout {
    let role = who.map_or(Role::User, roles::effective);
    let viewer = who.filter(|_| role > Role::User).map(|who| Viewer {
        name: who.account().username.clone().unwrap_or_default(),
        is_admin: role == Role::Admin,
    });
    Layout {
        title: String::new(),
        section,
        viewer,
        search: String::new(),
        notice: facts.notice.clone(),
        form_token: services.console.form_token(facts.cookie.session()),
        zone: services.zone,
        takes_invitations: services.signups.takes_invitations(),
    }
}

/// Leads to another page.
pub fn see_other(to: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, to).finish()
}
