//! The inbox of test mode: the messages that would have gone out, as a page and as JSON. It is mounted in test mode
//! only, where no message leaves the server.

mod page;

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use poem::{
    Body, IntoResponse, Request, Response, Result, Route, get, handler,
    http::{StatusCode, header, uri::Authority},
    web::{Data, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::page::{Entry, Page};
use super::{envelope::ErrorResponse, error::RequestError, fields::FieldErrors, json::JSON};
use crate::{
    domain::{
        otp::CodeState,
        phone::{PhoneError, PhoneNumber, Region},
    },
    flows::{
        Services,
        inbox::{self, InboxMessage, Wanted},
    },
};

/// The page loads its own script and style only, and its form leads back to it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The paths of the inbox.
pub const PAGES: [&str; 4] = ["/dev/inbox", "/dev/inbox.css", "/dev/inbox.js", "/dev/inbox.json"];

/// Adds the inbox to the routes.
#[must_use]
pub fn mount(route: Route) -> Route {
    route
        .at("/dev/inbox", get(html))
        .at("/dev/inbox.css", get(style))
        .at("/dev/inbox.js", get(script))
        .at("/dev/inbox.json", get(json))
}

#[handler]
fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("dev_inbox/inbox.css"))
}

#[handler]
fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("dev_inbox/inbox.js"))
}

fn asset(content_type: &'static str, text: impl Into<Body>) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .body(text.into())
}

/// The query of both routes.
#[derive(Deserialize)]
struct Filter {
    phone_number: Option<String>,
}

impl Filter {
    /// The text of the filter; empty if there is none.
    fn text(&self) -> String {
        let text = self.phone_number.as_deref().unwrap_or_default();
        // In a query, a plus that is not escaped arrives as a space.
        match text.strip_prefix(' ').filter(|rest| !rest.trim().is_empty()) {
            Some(rest) => format!("+{}", rest.trim_start_matches([' ', '+'])),
            None => text.trim().to_owned(),
        }
    }
}

/// A complete number selects one phone, in any spelling; fewer digits select all numbers that contain them.
fn selection(text: &str, region: Region) -> Result<Wanted, PhoneError> {
    if text.is_empty() {
        return Ok(Wanted::All);
    }
    PhoneNumber::parse(text, region).map(Wanted::To).or_else(|error| {
        let part: String = text.chars().filter(|c| !" ().-".contains(*c)).collect();
        let digits = part.strip_prefix('+').unwrap_or(&part);
        let is_part = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // The plus stays: it means the beginning of a number.
        if is_part { Ok(Wanted::Part(part)) } else { Err(error) }
    })
}

#[handler]
async fn html(
    request: &Request,
    Query(filter): Query<Filter>,
    Data(services): Data<&Arc<Services>>,
) -> Result<Response> {
    let text = filter.text();
    let selection = selection(&text, services.region);
    let (result, status) = match &selection {
        Ok(wanted) => (Ok(list(services, wanted).await?), StatusCode::OK),
        Err(error) => (Err(error.to_string()), StatusCode::UNPROCESSABLE_ENTITY),
    };
    let phone = match &selection {
        Ok(Wanted::To(phone)) => Some(phone),
        Ok(Wanted::All | Wanted::Part(_)) | Err(_) => None,
    };
    let page = Page { host: host(request), filter: &text, phone, result, now: services.clock.now() };
    Ok(asset("text/html; charset=utf-8", page.render()).with_status(status).into_response())
}

#[handler]
async fn json(Query(filter): Query<Filter>, Data(services): Data<&Arc<Services>>) -> Result<Response> {
    let wanted = match selection(&filter.text(), services.region) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(refuse("phone_number", error.to_string())),
    };
    let now = services.clock.now();
    let messages = list(services, &wanted).await?;
    let messages: Vec<_> = messages.iter().map(|(message, state)| to_json(message, *state, now)).collect();
    Ok(Response::builder().content_type(JSON).body(json!({ "messages": messages }).to_string()))
}

async fn list(services: &Services, wanted: &Wanted) -> Result<Vec<Entry>, RequestError> {
    inbox::list(services, wanted).await.ok_or(RequestError::NotFound)
}

/// The host that the client used for this server. The edge has checked that it is a host name with an optional port.
fn host(request: &Request) -> &str {
    let authority = request.uri().authority().map(Authority::as_str);
    authority.or_else(|| request.header(header::HOST)).unwrap_or("127.0.0.1:8000")
}

/// A message with its delivery and the state of its code at this time.
fn to_json(message: &InboxMessage, state: Option<CodeState>, now: DateTime<Utc>) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, false);
    let timeline: Vec<Value> = message
        .happened(now)
        .map(|step| match step.error_code {
            None => json!({ "status": step.status.as_str(), "at": time(step.at) }),
            Some(code) => json!({ "status": step.status.as_str(), "at": time(step.at), "error_code": code }),
        })
        .collect();
    json!({
        "id": message.id,
        "to": message.to.full(),
        "channel": message.channel.as_str(),
        "language": message.language,
        "body": message.body,
        "otp_code": message.otp_code,
        "code_state": state.map(CodeState::as_str),
        "created_at": time(message.created_at),
        "status": message.status(now).as_str(),
        "timeline": timeline,
    })
}

fn refuse(field: &str, sentence: String) -> Response {
    let mut errors = FieldErrors::default();
    errors.check::<()>(field, Err(vec![sentence]));
    let refusal: ErrorResponse = errors.into_error_response();
    refusal.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response()
}
