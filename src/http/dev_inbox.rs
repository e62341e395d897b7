//! The inbox of test mode: the messages that would have gone out, for a person and for a program. It is only mounted
//! when the messages go nowhere else.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use poem::{
    IntoResponse, Response, Result, Route, get, handler,
    http::{StatusCode, header},
    web::{Data, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{envelope::ErrorResponse, error::RequestError, fields::FieldErrors, json::JSON};
use crate::{
    domain::{
        otp::CodeState,
        phone::{PhoneError, PhoneNumber},
    },
    flows::{
        Services,
        inbox::{self, InboxMessage, Wanted},
    },
};

/// The page loads its own script and style and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The paths of the inbox.
pub const PAGES: [&str; 4] = ["/dev/inbox", "/dev/inbox.css", "/dev/inbox.js", "/dev/inbox.json"];

/// Adds the inbox to the routes.
#[must_use]
pub fn mount(route: Route) -> Route {
    route
        .at("/dev/inbox", get(page))
        .at("/dev/inbox.css", get(style))
        .at("/dev/inbox.js", get(script))
        .at("/dev/inbox.json", get(messages))
}

#[handler]
fn page() -> Response {
    asset("text/html; charset=utf-8", include_str!("inbox/inbox.html"))
}

#[handler]
fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("inbox/inbox.css"))
}

#[handler]
fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("inbox/inbox.js"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .body(text)
}

#[derive(Deserialize)]
struct Filter {
    phone_number: Option<String>,
}

#[handler]
async fn messages(Query(filter): Query<Filter>, Data(services): Data<&Arc<Services>>) -> Result<Response> {
    let wanted = match filter.phone_number.filter(|text| !text.trim().is_empty()) {
        None => Wanted::All,
        Some(text) => match wanted(&text, services) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(refuse("phone_number", error.to_string())),
        },
    };
    let now = services.clock.now();
    let found = inbox::list(services, &wanted).await.ok_or(RequestError::NotFound)?;
    let messages: Vec<_> = found.iter().map(|(message, state)| shown(message, *state, now)).collect();
    Ok(Response::builder().content_type(JSON).body(json!({ "messages": messages }).to_string()))
}

/// A whole number is a phone in any spelling; fewer digits are a part of one.
fn wanted(text: &str, services: &Services) -> Result<Wanted, PhoneError> {
    // In a query a plus means a space, which nobody thinks of who types one in front of a phone.
    let text = match text.strip_prefix(' ') {
        Some(rest) => format!("+{}", rest.trim_start_matches([' ', '+'])),
        None => text.to_owned(),
    };
    match PhoneNumber::parse(&text, services.region) {
        Ok(phone) => Ok(Wanted::To(phone)),
        Err(error) => {
            let part: String = text.chars().filter(|c| !" ().-".contains(*c)).collect();
            let digits = part.strip_prefix('+').unwrap_or(&part);
            let is_part = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // With its plus, which stands at the beginning of a number only.
            if is_part { Ok(Wanted::Part(part)) } else { Err(error) }
        }
    }
}

/// A message and what has become of it and of its code by now.
fn shown(message: &InboxMessage, state: Option<CodeState>, now: DateTime<Utc>) -> Value {
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
