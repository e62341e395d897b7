//! The front page and the documents. Browsers get HTML; programs get JSON at `/`, and documents as Markdown. The header
//! `Accept` decides.

mod library;
mod markdown;

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderMap, HeaderValue, Method, header},
};

pub use self::markdown::escaped;

use self::library::{GUIDE, LIBRARY, Page};
use super::service::{NAME, VERSION};

/// The stylesheet of all pages.
const STYLE: &str = "/pages.css";

/// A page loads its stylesheet and images from this server, and runs no script.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The paths of the documents, their images and the stylesheet.
#[must_use]
pub fn paths() -> Vec<&'static str> {
    let pages = LIBRARY.pages.iter().map(|page| page.path.as_str());
    let images = LIBRARY.images.iter().map(|image| image.path.as_str());
    pages.chain(images).chain([STYLE]).collect()
}

/// Adds the documents to the routes.
#[must_use]
pub fn mount(route: Route) -> Route {
    let style = make_sync(|_| {
        Response::builder().content_type("text/css; charset=utf-8").body(include_str!("pages/pages.css"))
    });
    let mut route = route.at(STYLE, get(style));
    for page in &LIBRARY.pages {
        route = route.at(&page.path, get(make_sync(|request| document(page, &request))));
    }
    for image in &LIBRARY.images {
        let content_type = image.content_type;
        let answer = move |_| Response::builder().content_type(content_type).body(image.bytes.to_vec());
        route = route.at(&image.path, get(make_sync(answer)));
    }
    route
}

/// A document as HTML or Markdown.
fn document(page: &Page, request: &Request) -> Response {
    let mut response = if prefers_html(request.headers()) {
        html(&page.title, &markdown::render(&page.text, |link| LIBRARY.link_target(&page.path, link)))
    } else {
        Response::builder().content_type("text/markdown; charset=utf-8").body(page.text.clone())
    };
    add_vary(&mut response);
    response
}

/// Answers browsers at `/` with a page, and passes every other request on to the API.
pub async fn front_page<E: Endpoint>(
    inner: Arc<E>,
    request: Request,
    has_inbox: bool,
) -> poem::Result<Response> {
    let is_root = request.uri().path() == "/";
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let mut response = if is_root && reads && prefers_html(request.headers()) {
        html(NAME, &front(has_inbox))
    } else {
        inner.call(request).await?.into_response()
    };
    if is_root {
        add_vary(&mut response);
    }
    Ok(response)
}

/// Whether `Accept` names `text/html`, and gives no other format of these pages a higher weight. Programs send `*/*`.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<&str> = accepted.flat_map(|value| value.split(',')).collect();
    let weight = |types: &[&str]| {
        let weights = ranges.iter().filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next()?.to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(Some(1.0), |text| text.parse::<f32>().ok())?;
            types.contains(&media_type.as_str()).then_some(weight)
        });
        weights.fold(0.0, f32::max)
    };
    let html = weight(&["text/html"]);
    html > 0.0 && html >= weight(&["application/json", "text/markdown", "text/plain"])
}

/// Tells caches that browsers and programs get different responses.
fn add_vary(response: &mut Response) {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
}

fn html(title: &str, main: &str) -> Response {
    let title = markdown::escaped(title);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{STYLE}\">\n</head>\n<body>\n\
         <header><nav aria-label=\"Site\"><a href=\"/\">{NAME}</a> <a href=\"{GUIDE}\">Guide</a> \
         <a href=\"/api/docs\">API</a></nav></header>\n<main>\n{main}</main>\n</body>\n</html>\n"
    );
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .body(body)
}

/// The HTML of the front page.
fn front(has_inbox: bool) -> String {
    let item = |path: &str, name: &str, about: &str| {
        let name = markdown::escaped(name);
        format!("<li><a href=\"{path}\">{name}</a> {about}</li>\n")
    };
    let mut links = item("/api/docs", "API", "try every operation in Swagger UI")
        + &item(GUIDE, "Guide", "for app developers: every route and every error code")
        + &item("/api/openapi.json", "OpenAPI document", "for code generators")
        + &item("/api/health", "Health", "whether the process answers")
        + &item("/api/health/ready", "Readiness", "whether the database answers too");
    if has_inbox {
        links += &item("/dev/inbox", "Inbox", "test mode: the codes that would have been sent");
    }
    let others = LIBRARY.pages.iter().filter(|page| page.path != GUIDE);
    let documents: String = others.map(|page| item(&page.path, &page.title, "")).collect();
    format!(
        "<h1>{NAME}</h1>\n<p>A phone-number sign-in service. Version {VERSION}.</p>\n<ul class=\"links\">\n{links}</ul>\n\
         <h2>Documents</h2>\n<ul>\n{documents}</ul>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_prefers_html_and_a_program_does_not() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("text/html", true),
            ("TEXT/HTML; charset=utf-8", true),
            ("application/json;q=0.5, text/html;q=0.6", true),
            ("application/json, text/html;q=0.9", false),
            ("text/markdown, text/html;q=0.9", false),
            ("text/html;q=0", false),
            ("text/html;q=much", false),
            ("application/json, text/plain, */*", false),
            ("*/*", false),
            ("text/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_html(&headers), expected, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
