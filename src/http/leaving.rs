//! What a person may ask for of all that is held about her: a copy, and that it goes.

mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{
    Tag,
    body::Json,
    client_ip,
    envelope::{ErrorCode, Failure, Refusal, Success},
    fault::Fault,
    security::Gate,
};
use crate::flows::{
    Services,
    gate::Refused,
    interests,
    leaving::{self, Left},
};

use shapes::ExportData;

const LAST_ADMIN: &str = "You are the only admin: make somebody else one first";

/// How a browser names the file.
const ATTACHMENT: &str = "attachment; filename=\"loopin-auth-export.json\"";

/// The operations of this page.
pub struct LeavingApi {
    /// What the verbs work with.
    pub services: Arc<Services>,
}

/// Who has left.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LeftData {
    /// The account that there was (UUID version 7). No other ever has this id.
    user_id: String,
}

impl Example for LeftData {
    fn example() -> Self {
        Self { user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned() }
    }
}

/// What `delete-account` can answer.
#[derive(ApiResponse)]
pub enum DeleteAccountResponse {
    /// The account is gone.
    #[oai(status = 200)]
    Gone(Json<Success<LeftData>>),
    /// `reauthentication_required`: confirm first. `forbidden`: the only admin cannot leave.
    #[oai(status = 403)]
    Refused(Refusal),
}

/// What `export` can answer.
#[derive(ApiResponse)]
pub enum ExportResponse {
    /// Everything, as a file.
    #[oai(status = 200)]
    Everything(Json<ExportData>, #[oai(header = "Content-Disposition")] String),
}

#[OpenApi(tag = "Tag::Profile")]
impl LeavingApi {
    /// Export everything that is stored about the user
    ///
    /// Account, profile, sessions, messages, codes and what the sales team noted, without an envelope. No password, code,
    /// token or hash is in it, and nobody else's data.
    #[oai(path = "/api/auth/export", method = "get", operation_id = "exportAccount")]
    async fn export(&self, gate: Gate) -> Result<ExportResponse> {
        let held = leaving::export(&self.services, &gate.0).await.map_err(Fault::from)?;
        let interests = interests::list(&self.services).await.map_err(Fault::from)?;
        Ok(ExportResponse::Everything(Json(ExportData::of(held, &interests)), ATTACHMENT.to_owned()))
    }

    /// Delete the account
    ///
    /// Needs a proof of the last ten minutes of who holds the session: a sign-in, or `confirm`. Account, profile, sessions,
    /// messages, codes and lead are removed at once, and every token is refused from now on. The phone may sign up anew,
    /// as somebody else. What stays of it is an HMAC, so that nobody escapes a wait or the guesses at a code by leaving; it
    /// means nothing once those are over, and goes with the next purge.
    #[oai(path = "/api/auth/delete-account", method = "post", operation_id = "deleteAccount")]
    async fn delete_account(&self, gate: Gate, request: &Request) -> Result<DeleteAccountResponse> {
        let user_id = gate.0.account().id.to_string();
        let left = leaving::leave(&self.services, gate.0, client_ip::of(request)).await;
        Ok(match left.map_err(Fault::from)? {
            Left::Gone => {
                let gone = Success::new("Account deleted successfully", LeftData { user_id });
                DeleteAccountResponse::Gone(gone)
            }
            Left::NotProved => {
                DeleteAccountResponse::Refused(Failure::of(ErrorCode::ReauthenticationRequired).into())
            }
            Left::LastAdmin => {
                DeleteAccountResponse::Refused(Failure::new(ErrorCode::Forbidden, LAST_ADMIN).into())
            }
            Left::Ended => return Err(Fault::Token(Refused::Revoked).into()),
        })
    }
}
