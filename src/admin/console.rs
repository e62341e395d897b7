//! The gate: everything that happens before a handler runs. The session comes from the cookie, the rank decides who may see
//! the page, and a form must come from a page of the same session. Pages are added here and nowhere else, so none can skip
//! a step.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use askama::Template;
use percent_encoding::percent_decode_str;
use poem::{
    EndpointExt, Request, Response, Route, RouteMethod,
    endpoint::BoxEndpoint,
    error::NotFoundError,
    http::{Method, header, uri::Authority},
};

use super::{
    cookies::Cookie,
    error::{PageError, PageResult},
    form::Form,
    page::{FORM_TOKEN, Notice, Section, html},
    settings::ConsoleSettings,
    visit::{Facts, Rank, Refusal, Staff, Visit, layout, see_other},
};
use crate::{
    domain::{
        access::{Client, SignedIn},
        address::ClientAddress,
        console::{ConsoleCookie, RequestSource},
    },
    flows::{Services, console},
};

/// The longest name of a browser that is stored, in characters.
const LONGEST_AGENT: usize = 200;

/// A route of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// The pattern: `/admin/leads/{id}`.
    pub pattern: String,
    /// The method.
    pub method: Method,
    /// The name of the rank that it requires.
    pub rank: &'static str,
}

/// The pages that were added so far.
pub struct Console {
    services: Arc<Services>,
    settings: Arc<ConsoleSettings>,
    pages: BTreeMap<&'static str, RouteMethod>,
    routes: Vec<RouteInfo>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Console {
    pub(super) fn new(services: Arc<Services>, settings: ConsoleSettings) -> Self {
        Self { services, settings: Arc::new(settings), pages: BTreeMap::new(), routes: Vec::new() }
    }

    /// Adds a page. The type of its visit is its gate.
    #[must_use]
    pub fn get<R, F, Fut>(self, path: &'static str, handler: F) -> Self
    where
        R: Rank,
        F: Fn(Visit<R>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = PageResult> + Send,
    {
        self.add::<R, _, _>(path, Method::GET, move |visit, _| handler(visit))
    }

    /// Adds what a form leads to. The type of its visit is its gate.
    #[must_use]
    pub fn post<R, F, Fut>(self, path: &'static str, handler: F) -> Self
    where
        R: Rank,
        F: Fn(Visit<R>, Form) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = PageResult> + Send,
    {
        self.add::<R, _, _>(path, Method::POST, handler)
    }

    fn add<R, F, Fut>(mut self, path: &'static str, method: Method, handler: F) -> Self
    where
        R: Rank,
        F: Fn(Visit<R>, Form) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = PageResult> + Send,
    {
        let handler = Arc::new(handler);
        let (services, settings) = (Arc::clone(&self.services), Arc::clone(&self.settings));
        let endpoint = poem::endpoint::make(move |request| {
            let gate = Gate { services: Arc::clone(&services), settings: Arc::clone(&settings), path };
            let handler = Arc::clone(&handler);
            async move { Ok::<_, poem::Error>(gate.answer::<R, _, _>(request, &*handler).await) }
        });
        let page = self.pages.remove(path).unwrap_or_default();
        self.pages.insert(path, page.method(method.clone(), endpoint));
        self.routes.push(RouteInfo { pattern: pattern(path), method, rank: R::NAME });
        self
    }

    /// The routes that were added.
    #[must_use]
    pub fn routes(&self) -> &[RouteInfo] {
        &self.routes
    }

    /// The endpoint of everything under `/admin`.
    #[must_use]
    pub fn endpoint(self) -> BoxEndpoint<'static, Response> {
        let console = self.get("/admin/*path", nothing);
        let settings = console.settings;
        let route = console.pages.into_iter().fold(Route::new(), |route, (path, page)| route.at(path, page));
        let is_allowed = move |request: Request| {
            let result = if settings.allows(client_address(&request)) {
                Ok(request)
            } else {
                Err(NotFoundError.into())
            };
            async move { result }
        };
        route.map_to_response().before(is_allowed).boxed()
    }
}

/// The address that the edge found.
fn client_address(request: &Request) -> ClientAddress {
    request.extensions().get().copied().unwrap_or_else(|| ClientAddress::new([0, 0, 0, 0].into()))
}

/// A path that no page has.
async fn nothing(_visit: Visit<Staff>) -> PageResult {
    Err(PageError::NotFound)
}

/// The pattern of a path as the table of all routes has it.
fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix([':', '*']) {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

struct Gate {
    services: Arc<Services>,
    settings: Arc<ConsoleSettings>,
    path: &'static str,
}

impl Gate {
    async fn answer<R, F, Fut>(self, mut request: Request, handler: &F) -> Response
    where
        R: Rank,
        F: Fn(Visit<R>, Form) -> Fut,
        Fut: Future<Output = PageResult>,
    {
        let facts = Arc::new(self.facts(&request));
        let who = match self.session(&request, &facts.cookie).await {
            Ok(who) => who,
            Err(error) => return self.fail(error, None, &facts),
        };
        let form = match self.form(&mut request, &facts).await {
            Ok(form) => form,
            Err(error) => return self.fail(error, who.as_ref(), &facts),
        };
        let rank = match R::admit(who.clone(), facts.from) {
            Ok(rank) => rank,
            Err(Refusal::SignIn) => return sign_in_first(&request, &facts),
            Err(Refusal::Forbidden) => return self.fail(PageError::Forbidden, who.as_ref(), &facts),
        };
        let visit = Visit {
            rank,
            services: Arc::clone(&self.services),
            settings: Arc::clone(&self.settings),
            request: Arc::clone(&facts),
        };
        match handler(visit, form).await {
            Ok(response) => response,
            Err(error) => self.fail(error, who.as_ref(), &facts),
        }
    }

    fn facts(&self, request: &Request) -> Facts {
        let sent = Cookie::Session.get(request, &self.settings).and_then(ConsoleCookie::parse);
        let is_new_cookie = sent.is_none();
        let query_text = request.uri().query().unwrap_or_default();
        let from = client_address(request);
        Facts {
            cookie: sent.unwrap_or_else(|| console::new_cookie(&self.services)),
            is_new_cookie,
            path: request.uri().path().to_owned(),
            query_text: query_text.to_owned(),
            query: Form::parse(query_text.as_bytes()),
            parameters: parameters(self.path, request),
            client: Client { device: agent(request), address: from.to_string(), locale: None },
            from,
            notice: Cookie::Notice.get(request, &self.settings).and_then(notice),
        }
    }

    /// The session of the cookie. Requests of a page's script, which repeat by themselves, are no use of the session.
    async fn session(
        &self,
        request: &Request,
        cookie: &ConsoleCookie,
    ) -> Result<Option<SignedIn>, PageError> {
        let is_script = request.header("sec-fetch-dest").is_some_and(|dest| dest == "empty");
        Ok(console::find(&self.services, cookie, !is_script).await?)
    }

    /// The fields of a form, which must come from a page of this session. A request that changes nothing has none.
    async fn form(&self, request: &mut Request, facts: &Facts) -> Result<Form, PageError> {
        if [Method::GET, Method::HEAD].contains(request.method()) {
            return Ok(Form::default());
        }
        let source = request.extensions().get::<RequestSource>().cloned().unwrap_or_default();
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.or_else(|| request.header(header::HOST));
        if !source.is_own(host, self.settings.public_origin.as_deref()) {
            return Err(PageError::ForeignForm);
        }
        // The edge has bounded the length.
        let bytes = request.take_body().into_vec().await.map_err(|_| PageError::ForeignForm)?;
        let form = Form::parse(&bytes);
        if self.services.console.accepts(facts.cookie.session(), form.raw(FORM_TOKEN)) {
            Ok(form)
        } else {
            Err(PageError::ForeignForm)
        }
    }

    fn fail(&self, error: PageError, who: Option<&SignedIn>, facts: &Facts) -> Response {
        error.into_response(layout(who, &self.services, facts, Section::None))
    }
}

/// A page that asks for itself again. A browser keeps a `SameSite=Strict` cookie back when a link on another site, such as
/// a chat, leads here, and sends it with the request of this page.
#[derive(Template)]
#[template(path = "arrive.html")]
struct Arrive<'a> {
    here: &'a str,
}

/// Leads to the sign-in, and from there back to this page.
fn sign_in_first(request: &Request, facts: &Facts) -> Response {
    if request.method() == Method::POST {
        return see_other("/admin/sign-in");
    }
    let here = match facts.query_text.as_str() {
        "" => facts.path.clone(),
        query => format!("{}?{query}", facts.path),
    };
    let is_link = request.header("sec-fetch-site") == Some("cross-site")
        && request.header("sec-fetch-mode") == Some("navigate");
    match (Arrive { here: &here }).render() {
        Ok(page) if is_link => html(page),
        _ if here == "/admin" => see_other("/admin/sign-in"),
        _ => see_other(&format!("/admin/sign-in?{}", Form::default().query_with("next", Some(&here)))),
    }
}

/// The parameters of the path, by the names in its pattern.
fn parameters(path: &str, request: &Request) -> Vec<(String, String)> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix(':'));
    let given = names.filter_map(|name| Some((name.to_owned(), request.raw_path_param(name)?.to_owned())));
    given.collect()
}

/// The name of the browser without control characters.
fn agent(request: &Request) -> String {
    let agent = request.header(header::USER_AGENT).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()
}

/// Reads the message that the last form left.
fn notice(value: &str) -> Option<Notice> {
    let text = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    match value.strip_prefix('w') {
        Some(rest) => text(rest).map(Notice::warning),
        None => text(value.strip_prefix('d')?).map(Notice::done),
    }
}
