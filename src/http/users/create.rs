//! Creating a user, for admins: the fields and the responses.

use poem_openapi::ApiResponse;

use super::{
    email, person_name,
    shapes::{CreateUserRequest, User},
};
use crate::{
    domain::{credentials::Username, phone::Region},
    flows::users::{NewPerson, NotCreated},
    http::{
        envelope::{ErrorCode, ErrorResponse},
        fields::{self, FieldErrors, parsed},
        json::Json,
    },
};

const NO_NAME: &str = "Name a phone number or a username";

const BLOCKED: &str = "This number is blocked: end the block first";

const REVIEW_NUMBER: &str = "This number is for app review: only its fixed code makes its account";

/// The responses of `POST users`.
#[derive(ApiResponse)]
pub enum CreateUserResponse {
    /// The user.
    #[oai(status = 201)]
    Created(Json<User>),
    /// `forbidden`: only for admins, in a session opened with the password. Or the phone is blocked, or one for app review.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `phone_taken`, `username_taken`, `email_taken`: another account has it. If several are taken, the first of these.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// Reads all fields of a new user.
pub(super) fn read(body: &CreateUserRequest, region: Region) -> Result<NewPerson, FieldErrors> {
    let mut errors = FieldErrors::default();
    let phone = body.phone_number.given().map(|field| fields::phone(field, region));
    let phone = errors.check("phone_number", phone.transpose());
    let username = body.username.given().map(|field| parsed(Username::parse(field.text()?)));
    let username = errors.check("username", username.transpose());
    let email = errors.check("email", email(&body.email));
    let first_name = errors.check("first_name", person_name(&body.first_name));
    let last_name = errors.check("last_name", person_name(&body.last_name));
    if body.phone_number.given().is_none() && body.username.given().is_none() {
        errors.check::<()>("phone_number", Err(vec![NO_NAME.to_owned()]));
    }
    match (phone, username, email, first_name, last_name) {
        (Some(phone), Some(username), Some(email), Some(first_name), Some(last_name))
            if errors.is_empty() =>
        {
            Ok(NewPerson { phone, username, email, first_name, last_name })
        }
        _ => Err(errors),
    }
}

/// The response to an account that was not made.
pub(super) fn refusal(refused: NotCreated) -> CreateUserResponse {
    use CreateUserResponse as Response;
    let forbidden = |message| Response::Forbidden(ErrorResponse::new(ErrorCode::Forbidden, message));
    match refused {
        NotCreated::PhoneTaken => Response::Taken(ErrorResponse::from_code(ErrorCode::PhoneTaken)),
        NotCreated::UsernameTaken => Response::Taken(ErrorResponse::from_code(ErrorCode::UsernameTaken)),
        NotCreated::EmailTaken => Response::Taken(ErrorResponse::from_code(ErrorCode::EmailTaken)),
        NotCreated::Blocked => forbidden(BLOCKED),
        NotCreated::ReviewNumber => forbidden(REVIEW_NUMBER),
    }
}
