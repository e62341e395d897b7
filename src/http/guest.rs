//! A new guest.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use secrecy::ExposeSecret;

use super::{
    Tag, budget, client, client_ip,
    envelope::{ErrorCode, ErrorResponse, SuccessWithToken},
    error::RequestError,
    json::Json,
};
use crate::{
    domain::phone::PhoneNumber,
    flows::{
        Services,
        guest::{self, Entered, Guest},
    },
};

const NO_GUESTS: &str = "There are no guests here";

/// The operations of this module.
pub struct GuestApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The guest, and the tokens.
#[derive(Debug, Object)]
#[oai(example)]
pub struct GuestData {
    /// The account (UUID version 7). It stays the same when the guest verifies a phone.
    user_id: String,
    /// Always null: a guest has no phone.
    phone_number: Option<String>,
    /// Always null here.
    name: Option<String>,
    /// Always false: nothing is verified.
    is_verified: bool,
    /// Always true here.
    needs_profile_completion: bool,
    /// For `POST /api/auth/refresh`. It is all that leads back to the account.
    refresh_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
}

impl Example for GuestData {
    fn example() -> Self {
        Self {
            user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            phone_number: None,
            name: None,
            is_verified: false,
            needs_profile_completion: true,
            refresh_token: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
            expires_in: 1800,
        }
    }
}

/// The responses of `guest`.
#[derive(ApiResponse)]
pub enum GuestResponse {
    /// The guest is signed in. `token` is the access token.
    #[oai(status = 200)]
    SignedIn(Json<SuccessWithToken<GuestData>>),
    /// `signup_closed`: nobody gets an account, or nobody without an invitation.
    #[oai(status = 403)]
    Closed(ErrorResponse),
    /// `not_found`: there are no guests here.
    #[oai(status = 404)]
    Off(ErrorResponse),
    /// `rate_limited`: too many guests came from this address.
    #[oai(status = 429)]
    TooMany(ErrorResponse),
}

#[OpenApi(tag = "Tag::Session")]
impl GuestApi {
    /// Sign in as a guest
    ///
    /// Makes an account without a phone and without a name, if the operator allows guests. The role in the token is `guest`, and
    /// `phone_verified` is false. A guest may read and change the profile, verify a phone by `change-phone`, refresh, log out, and
    /// delete the account; everything else is 403 `forbidden`. With a verified phone the guest is a user, and keeps id and profile. A
    /// guest who does not come back for 30 days is deleted.
    #[oai(path = "/api/auth/guest", method = "post", operation_id = "enterAsGuest")]
    async fn guest(&self, request: &Request) -> Result<GuestResponse> {
        let (client, from) = (client::from_request(request), client_ip::from_request(request));
        let entered = guest::enter(&self.services, client, from).await.map_err(RequestError::from)?;
        Ok(match entered {
            Entered::In(guest) => GuestResponse::SignedIn(data(&self.services, &guest)),
            Entered::Off => GuestResponse::Off(ErrorResponse::new(ErrorCode::NotFound, NO_GUESTS)),
            Entered::SignupClosed => GuestResponse::Closed(ErrorResponse::from_code(ErrorCode::SignupClosed)),
            Entered::Refused(exceeded) => GuestResponse::TooMany(budget::refusal(request, &exceeded)),
        })
    }
}

fn data(services: &Services, Guest { tokens, account }: &Guest) -> Json<SuccessWithToken<GuestData>> {
    let data = GuestData {
        user_id: account.id.to_string(),
        phone_number: account.phone.as_ref().map(PhoneNumber::full).map(str::to_owned),
        name: account.profile.name.clone(),
        is_verified: account.phone.is_some(),
        needs_profile_completion: account.needs_completion(services.terms.as_ref()),
        refresh_token: tokens.refresh.expose_secret().to_owned(),
        expires_in: tokens.expires_in,
    };
    SuccessWithToken::new("Login successful", data, tokens.access.expose_secret())
}
