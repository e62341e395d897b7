//! The document as JSON, and Swagger UI, which shows it.

use poem::{Endpoint, Response, endpoint::make_sync, http::header};
use poem_openapi::{OpenApi, OpenApiService};
use serde_json::Value;

use crate::http::json::JSON;

/// Swagger UI is one page with inline script and style, so only this page allows them.
const SWAGGER_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Swagger UI with the document inside: it loads nothing else.
pub fn swagger_ui<T: OpenApi, W: poem_openapi::Webhook>(
    service: &OpenApiService<T, W>,
    document: &Value,
) -> impl Endpoint + use<T, W> {
    let document = document.to_string();
    let html = service
        .swagger_ui_html()
        .replacen(&service.spec(), &document, 1)
        .replacen(
            "deepLinking: true,",
            "deepLinking: true, persistAuthorization: true, tryItOutEnabled: true,",
            1,
        )
        .replacen(
            "<title>Swagger UI</title>",
            "<title>loopin-auth API</title><link rel=\"icon\" href=\"data:,\">",
            1,
        );
    make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, SWAGGER_POLICY)
            .body(html.clone())
    })
}

/// The document as JSON.
#[must_use]
pub fn openapi_json(document: &Value) -> impl Endpoint + use<> {
    // All responses share these bytes, half a megabyte, even if clients read them slowly.
    let text = hyper::body::Bytes::from(document.to_string());
    make_sync(move |_| Response::builder().content_type(JSON).body(text.clone()))
}
