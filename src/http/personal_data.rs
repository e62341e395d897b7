//! Exporting everything that is stored about a user, and deleting the account.

mod merged;
mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{
    Tag, client_ip,
    envelope::{ErrorCode, ErrorResponse, Success},
    error::RequestError,
    json::Json,
    security::{Gate, GuestGate, too_few_rights},
};
use crate::flows::{
    Services, interests,
    personal_data::{self, DeleteOutcome},
    session::TokenRefused,
};

use shapes::ExportData;

const LAST_ADMIN: &str = "You are the only admin: make another user an admin first";

/// `Content-Disposition`: the file name in a browser.
const ATTACHMENT: &str = "attachment; filename=\"loopin-auth-export.json\"";

/// The operations of this module.
pub struct PersonalDataApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The deleted account.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LeftData {
    /// The deleted account (UUID version 7).
    user_id: String,
}

impl Example for LeftData {
    fn example() -> Self {
        Self { user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned() }
    }
}

/// The responses of `delete-account`.
#[derive(ApiResponse)]
pub enum DeleteAccountResponse {
    /// The account is deleted.
    #[oai(status = 200)]
    Gone(Json<Success<LeftData>>),
    /// `reauthentication_required`: confirm first. `forbidden`: the last admin cannot be deleted; or the account is one of staff,
    /// and the session was opened by a phone code or without the second factor.
    #[oai(status = 403)]
    Refused(ErrorResponse),
}

/// The responses of `export`.
#[derive(ApiResponse)]
pub enum ExportResponse {
    /// The data.
    #[oai(status = 200)]
    Everything(Json<ExportData>, #[oai(header = "Content-Disposition")] String),
}

#[OpenApi(tag = "Tag::Profile")]
impl PersonalDataApi {
    /// Export everything that is stored about the user
    ///
    /// Account, profile, sessions, messages, codes and the sales team's notes, without an envelope. It contains no
    /// password, code, token or hash.
    #[oai(path = "/api/auth/export", method = "get", operation_id = "exportAccount")]
    async fn export(&self, gate: Gate) -> Result<ExportResponse> {
        let data = personal_data::export(&self.services, &gate.0).await.map_err(RequestError::from)?;
        let interests = interests::list(&self.services).await.map_err(RequestError::from)?;
        Ok(ExportResponse::Everything(
            Json(ExportData::from_personal_data(data, &interests)),
            ATTACHMENT.to_owned(),
        ))
    }

    /// Delete the account
    ///
    /// Needs a sign-in or `confirm` in this session in the last ten minutes, unless it is a guest's. Account, profile, sessions, messages,
    /// codes and lead are removed at once, and every token is refused. The phone may sign up again, as a new account.
    /// An HMAC of the phone stays while a cooldown or guesses count, and is removed by the next purge.
    #[oai(path = "/api/auth/delete-account", method = "post", operation_id = "deleteAccount")]
    async fn delete_account(&self, gate: GuestGate, request: &Request) -> Result<DeleteAccountResponse> {
        let user_id = gate.0.account().id.to_string();
        let outcome =
            personal_data::delete_account(&self.services, gate.0, client_ip::from_request(request)).await;
        Ok(match outcome.map_err(RequestError::from)? {
            DeleteOutcome::Gone => DeleteAccountResponse::Gone(Success::new(
                "Account deleted successfully",
                LeftData { user_id },
            )),
            DeleteOutcome::Forbidden => DeleteAccountResponse::Refused(too_few_rights()),
            DeleteOutcome::RecentAuthRequired => {
                DeleteAccountResponse::Refused(ErrorResponse::from_code(ErrorCode::ReauthenticationRequired))
            }
            DeleteOutcome::LastAdmin => {
                DeleteAccountResponse::Refused(ErrorResponse::new(ErrorCode::Forbidden, LAST_ADMIN))
            }
            DeleteOutcome::Ended => return Err(RequestError::Token(TokenRefused::Revoked).into()),
        })
    }
}
