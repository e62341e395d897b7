//! Listing the sessions of a user, and ending them.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    Tag, client_ip,
    envelope::{ErrorCode, ErrorResponse, Success},
    error::RequestError,
    json::Json,
    security::{Gate, too_few_rights},
    timestamp::rfc3339,
};
use crate::{
    domain::{access::Session, roles::Forbidden},
    flows::{Services, sessions},
    store,
};

const NO_SESSION: &str = "You have no active session with this id";

/// The operations of this module.
pub struct SessionsApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// A session.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SessionData {
    /// For `DELETE /api/auth/sessions/{id}`; `sid` in the tokens (UUID version 7).
    id: String,
    /// The device: `X-Device-Name` of the sign-in, else `User-Agent`. Empty if neither was sent.
    device: String,
    /// The client address of the sign-in.
    address: String,
    /// When it signed in (RFC 3339, UTC).
    created_at: String,
    /// The last sign-in or `refresh`. A request with an access token does not count.
    last_used_at: String,
    /// Whether it is the session of this request.
    current: bool,
}

impl SessionData {
    fn from_session(session: &Session, current: Uuid) -> Self {
        Self {
            id: session.id.to_string(),
            device: session.client.device.clone(),
            address: session.client.address.clone(),
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            current: session.id == current,
        }
    }
}

impl Example for SessionData {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a13".to_owned(),
            device: "Pixel 8".to_owned(),
            address: "203.0.113.7".to_owned(),
            created_at: "2025-10-03T10:15:23.435393+00:00".to_owned(),
            last_used_at: "2025-10-04T08:02:11.120045+00:00".to_owned(),
            current: true,
        }
    }
}

/// The live sessions.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SessionsAnswer {
    /// Always true.
    success: bool,
    /// For people; it may change.
    message: String,
    /// Last used first.
    data: Vec<SessionData>,
    /// Always null.
    token: Option<String>,
}

impl SessionsAnswer {
    fn new(data: Vec<SessionData>) -> Self {
        Self { success: true, message: "Sessions retrieved successfully".to_owned(), data, token: None }
    }
}

impl Example for SessionsAnswer {
    fn example() -> Self {
        Self::new(vec![SessionData::example()])
    }
}

/// How many sessions were ended.
#[derive(Debug, Object)]
#[oai(example)]
pub struct EndedData {
    /// The number of sessions that have ended.
    ended: u64,
}

impl Example for EndedData {
    fn example() -> Self {
        Self { ended: 1 }
    }
}

/// The responses of `GET sessions`.
#[derive(ApiResponse)]
pub enum SessionsResponse {
    /// The live sessions, last used first.
    #[oai(status = 200)]
    List(Json<SessionsAnswer>),
}

/// The responses of ending several sessions.
#[derive(ApiResponse)]
pub enum EndResponse {
    /// They have ended; their access tokens are refused from now on.
    #[oai(status = 200)]
    Ended(Json<Success<EndedData>>),
    /// `forbidden`: the account is one of staff, and the session was opened by a phone code or without the second factor.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
}

/// The responses of `DELETE sessions/{id}`.
#[derive(ApiResponse)]
pub enum EndOneResponse {
    /// It has ended; its access tokens are refused from now on.
    #[oai(status = 200)]
    Ended(Json<Success<EndedData>>),
    /// `forbidden`: it is another session, the account is one of staff, and the session of this request was opened by a phone
    /// code or without the second factor.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: the user has no live session with this id.
    #[oai(status = 404)]
    NotFound(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl SessionsApi {
    /// List the sessions of the signed-in user
    ///
    /// The live sessions, at most as many as `SESSIONS_PER_USER` says (20): the next sign-in ends the one that was used longest ago.
    #[oai(path = "/api/auth/sessions", method = "get", operation_id = "listSessions")]
    async fn list(&self, gate: Gate) -> Result<SessionsResponse> {
        let (session, now) = (gate.0.session(), self.services.clock.now());
        let live = store::sessions::list(&self.services.store, session.account_id, now);
        let live = live.await.map_err(RequestError::from)?;
        let data = live.iter().map(|listed| SessionData::from_session(listed, session.id)).collect();
        Ok(SessionsResponse::List(Json(SessionsAnswer::new(data))))
    }

    /// End the other sessions
    ///
    /// Ends all of the user's sessions but the one of this request.
    #[oai(path = "/api/auth/sessions", method = "delete", operation_id = "endOtherSessions")]
    async fn end_others(&self, gate: Gate, request: &Request) -> Result<EndResponse> {
        let ended = sessions::end_others(&self.services, &gate.0, client_ip::from_request(request)).await;
        Ok(end_response(ended.map_err(RequestError::from)?, "The other sessions are ended"))
    }

    /// End one session
    ///
    /// It may be the session of this request.
    #[oai(path = "/api/auth/sessions/:id", method = "delete", operation_id = "endSession")]
    async fn end_one(&self, gate: Gate, id: Path<String>) -> Result<EndOneResponse> {
        let ended = match Uuid::parse_str(&id.0) {
            Ok(id) => sessions::end_one(&self.services, &gate.0, id).await.map_err(RequestError::from)?,
            Err(_) => Ok(false),
        };
        Ok(match ended {
            Ok(true) => EndOneResponse::Ended(Success::new("The session is ended", EndedData { ended: 1 })),
            Ok(false) => EndOneResponse::NotFound(ErrorResponse::new(ErrorCode::NotFound, NO_SESSION)),
            Err(Forbidden) => EndOneResponse::Forbidden(too_few_rights()),
        })
    }

    /// End all sessions
    ///
    /// Ends every session of the user, also the one of this request.
    #[oai(path = "/api/auth/logout-all", method = "post", operation_id = "logoutAll")]
    async fn logout_all(&self, gate: Gate, request: &Request) -> Result<EndResponse> {
        let ended = sessions::end_all(&self.services, &gate.0, client_ip::from_request(request)).await;
        Ok(end_response(ended.map_err(RequestError::from)?, "Logged out everywhere"))
    }
}

fn end_response(ended: Result<u64, Forbidden>, message: &str) -> EndResponse {
    match ended {
        Ok(ended) => EndResponse::Ended(Success::new(message, EndedData { ended })),
        Err(Forbidden) => EndResponse::Forbidden(too_few_rights()),
    }
}
