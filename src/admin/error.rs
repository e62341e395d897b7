//! Why a page cannot be shown, and the page that says so.

use askama::Template;
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};

use super::page::{Layout, html};
use crate::{flows, store::StoreError};

/// `Retry-After` of a 503, in seconds. It is short, because every request tries to reach the database again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// What a handler returns.
pub type PageResult = Result<Response, PageError>;

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// There is no such page, or no such row.
    #[error("there is no such page")]
    NotFound,
    /// The role does not allow it.
    #[error("the role does not allow this")]
    Forbidden,
    /// The form was not sent by a page of this session.
    #[error("the form was not sent by a page of this session")]
    ForeignForm,
    /// A use case failed.
    #[error(transparent)]
    Flow(#[from] flows::Error),
    /// A template could not be rendered.
    #[error(transparent)]
    Template(#[from] askama::Error),
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::ForeignForm | Self::Flow(flows::Error::Blocked) => StatusCode::FORBIDDEN,
            Self::Flow(flows::Error::Store(StoreError::Unavailable(_))) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Flow(_) | Self::Template(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A title and two sentences: what is wrong, and what to do. Nothing about the inside.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound => (
                "Not found",
                "There is nothing at this address. It may have been deleted. Use the search, or go back to the list.",
            ),
            Self::Forbidden => ("Not allowed", "Your role does not allow this. Ask an admin to do it."),
            Self::ForeignForm => (
                "This form is no longer valid",
                "Nothing was changed. You may have signed in again since the page was opened. Go back, reload the page, \
                 and send the form again.",
            ),
            Self::Flow(flows::Error::Blocked) => (
                "Blocked",
                "This network, or the phone number of the account, is blocked. Ask an admin to look at the blocks.",
            ),
            Self::Flow(flows::Error::Store(StoreError::Unavailable(_))) => (
                "The database does not answer",
                "Nothing was changed. The server tries again with every request: reload this page in a few seconds.",
            ),
            Self::Flow(_) | Self::Template(_) => (
                "Something went wrong",
                "This is an error of the server, and it is in its log. Nothing more is known here.",
            ),
        }
    }

    /// The page that says so.
    pub fn into_response(self, layout: Layout) -> Response {
        let status = self.status();
        if status.is_server_error() {
            let cause = match &self {
                Self::Flow(flows::Error::Store(error)) => error.with_cause(),
                error => error.to_string(),
            };
            tracing::error!(status = status.as_u16(), cause, "a page of the console could not be shown");
        }
        let (title, text) = self.words();
        let page = ErrorPage { layout: layout.with_title(title), text };
        let mut response = page.render().map_or_else(|_| Response::builder().body(text), html);
        response.set_status(status);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    layout: Layout,
    text: &'static str,
}
