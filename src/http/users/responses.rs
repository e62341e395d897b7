//! The responses of the operations on one user.

use poem_openapi::ApiResponse;

use super::shapes::User;
use crate::http::{envelope::ErrorResponse, json::Json};

/// The responses of `GET users/{id}`.
#[derive(ApiResponse)]
pub enum UserResponse {
    /// The user.
    #[oai(status = 200)]
    Found(Json<User>),
    /// `forbidden`: it is another account, which may exist or not; only staff and admins, in a session opened with the
    /// password, may read it.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `user_not_found`: there is no such user, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `account_merged`: the account was joined with another one of the same user; `error.merged_into` has the id of that one, who
    /// hears this too.
    #[oai(status = 410)]
    Merged(ErrorResponse),
}

/// The responses of `PUT users/{id}`.
#[derive(ApiResponse)]
pub enum ChangeUserResponse {
    /// The user as it is now.
    #[oai(status = 200)]
    Changed(Json<User>),
    /// `forbidden`: the user has no right to do this: see above. Or it is the last active admin.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `user_not_found`: there is no such user, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `email_taken`: another account has the address.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `account_merged`: the account was joined with another one of the same user; `error.merged_into` has the id of that one, who
    /// hears this too.
    #[oai(status = 410)]
    Merged(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of deactivating and activating.
#[derive(ApiResponse)]
pub enum SwitchUserResponse {
    /// The user as it is now; it may have been deactivated before.
    #[oai(status = 200)]
    Switched(Json<User>),
    /// `forbidden`: the user has no right to do this: see above. Or it is the last active admin.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `user_not_found`: there is no such user, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `account_merged`: the account was joined with another one of the same user; `error.merged_into` has the id of that one, who
    /// hears this too.
    #[oai(status = 410)]
    Merged(ErrorResponse),
}

/// The responses of returning a phone.
#[derive(ApiResponse)]
pub enum ReuniteUserResponse {
    /// The user with the phone; it may have been given back before.
    #[oai(status = 200)]
    Reunited(Json<User>),
    /// `forbidden`: the user has no right to do this: see above. Or the phone belongs to a staff account now.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `user_not_found`: there is no such user, or `id` is not a UUID. `not_found`: the user has lost no phone.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
    /// `phone_taken`: the phone belongs to an account that is older than the loss.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `account_merged`: the account was joined with another one of the same user; `error.merged_into` has the id of that one, who
    /// hears this too.
    #[oai(status = 410)]
    Merged(ErrorResponse),
}
