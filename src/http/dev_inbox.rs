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

use super::{body::JSON, envelope::Refusal, fault::Fault, fields::Faults};
use crate::{
    domain::phone::PhoneNumber,
    flows::{
        Services,
        inbox::{self, InboxMessage},
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
fn messages(Query(filter): Query<Filter>, Data(services): Data<&Arc<Services>>) -> Result<Response> {
    let given = filter.phone_number.filter(|text| !text.trim().is_empty());
    // In a query a plus means a space, which nobody thinks of who types one in front of a phone.
    let given = given.map(|text| match text.strip_prefix(' ') {
        Some(rest) => format!("+{}", rest.trim_start_matches([' ', '+'])),
        None => text,
    });
    let phone = match given.map(|text| PhoneNumber::parse(&text, services.region)).transpose() {
        Ok(phone) => phone,
        Err(fault) => return Ok(refuse("phone_number", fault.to_string())),
    };
    let now = services.clock.now();
    let messages: Vec<_> = inbox::list(services, phone.as_ref())
        .ok_or(Fault::NotFound)?
        .iter()
        .map(|message| shown(message, now))
        .collect();
    Ok(Response::builder().content_type(JSON).body(json!({ "messages": messages }).to_string()))
}

/// A message and what has become of it by now.
fn shown(message: &InboxMessage, now: DateTime<Utc>) -> Value {
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
        "created_at": time(message.created_at),
        "status": message.status(now).as_str(),
        "timeline": timeline,
    })
}

fn refuse(field: &str, sentence: String) -> Response {
    let mut faults = Faults::default();
    faults.check::<()>(field, Err(vec![sentence]));
    let refusal: Refusal = faults.refusal();
    refusal.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response()
}
