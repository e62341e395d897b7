//! The dashboard: it greets the signed-in user. Clients use it to check their token.

use poem::Result;
use poem_openapi::{ApiResponse, Object, OpenApi, registry::MetaSchema, types::Example};

use super::{
    Tag,
    envelope::ErrorResponse,
    fields::{Describe, Field, FieldErrors, describe, schema},
    json::Json,
    security::Gate,
};

/// The longest text that is repeated, in characters.
const LONGEST_TEXT: usize = 1000;

/// The operations of this module.
pub struct DashboardApi;

/// A text to repeat.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DashboardRequest {
    text: Field<Text>,
}

impl Example for DashboardRequest {
    fn example() -> Self {
        Self { text: Field::from_value("This is my Text") }
    }
}

/// A greeting.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DashboardData {
    /// The greeting.
    response: String,
}

impl Example for DashboardData {
    fn example() -> Self {
        Self { response: "Hey admin, You are seeing a GET response".to_owned() }
    }
}

/// The responses of `GET dashboard`.
#[derive(ApiResponse)]
pub enum DashboardResponse {
    /// The greeting.
    #[oai(status = 200)]
    Greeted(Json<DashboardData>),
}

/// The responses of `POST dashboard`.
#[derive(ApiResponse)]
pub enum DashboardTextResponse {
    /// The greeting with the text.
    #[oai(status = 200)]
    Greeted(Json<DashboardData>),
    /// `validation_failed`: `error.fields` names what is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

describe!(/// `text`.
Text, required: true, MetaSchema {
    max_length: Some(LONGEST_TEXT),
    ..schema("string", "A text of up to 1,000 characters.", "This is my Text".into())
});

#[OpenApi(tag = "Tag::Password")]
impl DashboardApi {
    /// Greet the signed-in user
    ///
    /// With the username, else the profile name, else the phone number.
    #[oai(path = "/api/dashboard", method = "get", operation_id = "getDashboard")]
    async fn greet(&self, gate: Gate) -> Result<DashboardResponse> {
        let name = gate.0.account().called();
        let response = format!("Hey {name}, You are seeing a GET response");
        Ok(DashboardResponse::Greeted(Json(DashboardData { response })))
    }

    /// Greet the signed-in user with a text
    ///
    /// As `GET`, and repeats the text.
    #[oai(path = "/api/dashboard", method = "post", operation_id = "postDashboard")]
    async fn greet_with(&self, gate: Gate, body: Json<DashboardRequest>) -> Result<DashboardTextResponse> {
        let mut errors = FieldErrors::default();
        let text = body.0.text.text().and_then(|text| match text.chars().nth(LONGEST_TEXT) {
            None => Ok(text),
            Some(_) => Err(vec![format!("Text must be at most {LONGEST_TEXT} characters long")]),
        });
        let Some(text) = errors.check("text", text) else {
            return Ok(DashboardTextResponse::Invalid(errors.into_error_response()));
        };
        let name = gate.0.account().called();
        let response = format!("Hey {name}, your text is {text}");
        Ok(DashboardTextResponse::Greeted(Json(DashboardData { response })))
    }
}
