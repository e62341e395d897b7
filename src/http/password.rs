//! Registering with a password, signing in with one, and changing it.

pub(super) mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::SecretString;

use super::{
    Tag, budget, client, client_ip,
    envelope::{ErrorCode, ErrorResponse, Nothing, Success},
    error::RequestError,
    fields::{self, Describe, ErrorMessages, Field, FieldErrors, parsed},
    json::Json,
    security::{Gate, too_few_rights},
    session::{RefreshRequest, RefreshResponse, SessionApi},
};
use crate::{
    domain::{
        credentials::{ClaimedPhone, Email, Login, NameError, Password, PersonName, Username},
        second_factor::FactorCode,
    },
    flows::{
        Services,
        change_password::{self, Changed},
        password::{self, Entered},
        registration::{self, Registered, Registration},
    },
};

pub use self::shapes::SignedInData;
pub(super) use self::shapes::{LoginPassword, LoginUsername, TotpCode};
use self::shapes::{PasswordRequest, RegisterAccountRequest, RegisterRequest, RegisteredData, TokenRequest};

/// `WWW-Authenticate` of a wrong password: every 401 must have the header (RFC 9110, section 11.6.1).
const BEARER: &str = "Bearer";

// A sign-in by code has no staff rights, so it must not lead to a password that has them.
const NO_FIRST_STAFF_PASSWORD: &str = "Staff and admins cannot set a first password here";

/// The operations of this module.
pub struct PasswordApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The responses of `register`.
#[derive(ApiResponse)]
pub enum RegisterResponse {
    /// The account was created, and is signed in.
    #[oai(status = 201)]
    SignedIn(Json<SignedInData>),
    /// `signup_closed`: nobody signs up, or nobody without a valid `invitation`; one answer for every reason.
    #[oai(status = 403)]
    Closed(ErrorResponse),
    /// `username_taken`: another account has the username. `email_taken`: another account has the e-mail address.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `rate_limited`: too many registrations from this address.
    #[oai(status = 429)]
    TooMany(ErrorResponse),
}

/// The responses of the older `register`.
#[derive(ApiResponse)]
pub enum RegisterAccountResponse {
    /// The account was created.
    #[oai(status = 201)]
    Made(Json<RegisteredData>),
    /// `signup_closed`: nobody signs up, or nobody without a valid `invitation`; one answer for every reason.
    #[oai(status = 403)]
    Closed(ErrorResponse),
    /// `username_taken`: another account has the username. `email_taken`: another account has the e-mail address.
    #[oai(status = 409)]
    Taken(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `rate_limited`: too many registrations from this address.
    #[oai(status = 429)]
    TooMany(ErrorResponse),
}

/// The responses of `token`.
#[derive(ApiResponse)]
pub enum TokenResponse {
    /// Signed in.
    #[oai(status = 200)]
    SignedIn(Json<SignedInData>),
    /// `credentials_invalid`: the username or the password is wrong.
    #[oai(status = 401)]
    Wrong(ErrorResponse, #[oai(header = "WWW-Authenticate")] String),
    /// `account_disabled`: the password is right, but the account is disabled.
    #[oai(status = 403)]
    Disabled(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `rate_limited`: too many wrong passwords for this name or from this address. This one was not checked.
    #[oai(status = 429)]
    TooMany(ErrorResponse),
}

/// The responses of `password`.
#[derive(ApiResponse)]
pub enum PasswordResponse {
    /// The password was set, and the other sessions have ended.
    #[oai(status = 200)]
    Changed(Json<Success<Nothing>>),
    /// `reauthentication_required`: a first password needs a sign-in or `confirm` in the last ten minutes. `forbidden`:
    /// staff and admins cannot set a first password; or the account is one of staff, and the session was opened by a phone code
    /// or without the second factor.
    #[oai(status = 403)]
    NotAllowed(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong, also a wrong `old_password`.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
    /// `rate_limited`: too many wrong passwords for this account or from this address. This one was not checked.
    #[oai(status = 429)]
    TooMany(ErrorResponse),
}

#[OpenApi(tag = "Tag::Password")]
impl PasswordApi {
    /// Register with a password and sign in
    ///
    /// `phone` is not verified: no account is found by it, and several accounts may name the same one. With `SIGNUPS=invited` an
    /// `invitation` is needed, one that is not for a single phone.
    #[oai(path = "/api/auth/register", method = "post", operation_id = "register")]
    async fn register(&self, request: &Request, body: Json<RegisterRequest>) -> Result<RegisterResponse> {
        let registration = match self.registration(&body.0) {
            Ok(registration) => registration,
            Err(errors) => return Ok(RegisterResponse::Invalid(errors.into_error_response())),
        };
        let from = client_ip::from_request(request);
        let outcome = registration::register_and_enter(
            &self.services,
            registration,
            client::from_request(request),
            from,
        );
        Ok(match outcome.await.map_err(RequestError::from)? {
            Registered::Made(tokens) => RegisterResponse::SignedIn(Json(SignedInData::from_tokens(&tokens))),
            Registered::UsernameTaken => {
                RegisterResponse::Taken(ErrorResponse::from_code(ErrorCode::UsernameTaken))
            }
            Registered::EmailTaken => {
                RegisterResponse::Taken(ErrorResponse::from_code(ErrorCode::EmailTaken))
            }
            Registered::Refused(refusal) => RegisterResponse::TooMany(budget::refusal(request, &refusal)),
            Registered::SignupClosed => {
                RegisterResponse::Closed(ErrorResponse::from_code(ErrorCode::SignupClosed))
            }
        })
    }

    /// Register with a password
    ///
    /// As `POST /api/auth/register`, without signing in.
    #[oai(path = "/api/register", method = "post", operation_id = "registerAccount")]
    async fn register_account(
        &self,
        request: &Request,
        body: Json<RegisterAccountRequest>,
    ) -> Result<RegisterAccountResponse> {
        let registration = match account_registration(&body.0) {
            Ok(registration) => registration,
            Err(errors) => return Ok(RegisterAccountResponse::Invalid(errors.into_error_response())),
        };
        let outcome = registration::register(&self.services, registration, client_ip::from_request(request));
        Ok(match outcome.await.map_err(RequestError::from)? {
            Registered::Made(account) => {
                RegisterAccountResponse::Made(Json(RegisteredData::from_account(*account)))
            }
            Registered::UsernameTaken => {
                RegisterAccountResponse::Taken(ErrorResponse::from_code(ErrorCode::UsernameTaken))
            }
            Registered::EmailTaken => {
                RegisterAccountResponse::Taken(ErrorResponse::from_code(ErrorCode::EmailTaken))
            }
            Registered::Refused(refusal) => {
                RegisterAccountResponse::TooMany(budget::refusal(request, &refusal))
            }
            Registered::SignupClosed => {
                RegisterAccountResponse::Closed(ErrorResponse::from_code(ErrorCode::SignupClosed))
            }
        })
    }

    /// Sign in with a password
    ///
    /// As `POST /api/auth/login` with a `username`, also with `totp_code`.
    #[oai(path = "/api/token", method = "post", operation_id = "obtainToken")]
    async fn token(&self, request: &Request, body: Json<TokenRequest>) -> Result<TokenResponse> {
        let TokenRequest { username, password, totp_code } = &body.0;
        Ok(match sign_in(&self.services, request, username, password, totp_code).await? {
            SignIn::In(data) => TokenResponse::SignedIn(Json(data)),
            SignIn::Wrong(refusal, challenge) => TokenResponse::Wrong(refusal, challenge),
            SignIn::Disabled(refusal) => TokenResponse::Disabled(refusal),
            SignIn::Invalid(refusal) => TokenResponse::Invalid(refusal),
            SignIn::TooMany(refusal) => TokenResponse::TooMany(refusal),
        })
    }

    /// Exchange a refresh token for the next pair
    ///
    /// As `POST /api/auth/refresh`.
    #[oai(path = "/api/token/refresh", method = "post", operation_id = "refreshToken")]
    async fn refresh(&self, request: &Request, body: Json<RefreshRequest>) -> Result<RefreshResponse> {
        SessionApi { services: Arc::clone(&self.services) }.refresh(request, body).await
    }

    /// Set or change the password
    ///
    /// Ends the other sessions. An account with a password sends it as `old_password`. A first password needs a sign-in
    /// or `confirm` in the last ten minutes.
    #[oai(path = "/api/auth/password", method = "post", operation_id = "changePassword")]
    async fn password(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<PasswordRequest>,
    ) -> Result<PasswordResponse> {
        let account = gate.0.account();
        let mut errors = FieldErrors::default();
        let new = errors.check("new_password", new_password(&body.0.new_password, &account.names()));
        let given = &body.0.old_password;
        let old = if account.has_password {
            errors.check("old_password", secret(given))
        } else {
            // There is no password to compare it with, but it still has to be a text.
            errors.check("old_password", given.given().map_or(Ok(""), Field::text));
            None
        };
        let Some(new) = new.filter(|_| errors.is_empty()) else {
            return Ok(PasswordResponse::Invalid(errors.into_error_response()));
        };
        let changed =
            change_password::change(&self.services, gate.0, old, new, client_ip::from_request(request)).await;
        let changed = changed.map_err(RequestError::from)?;
        let wrong = |message: &str| {
            PasswordResponse::Invalid(FieldErrors::new("old_password", message).into_error_response())
        };
        Ok(match changed {
            Changed::Done => {
                PasswordResponse::Changed(Success::new("Password changed successfully", Nothing {}))
            }
            Changed::OldMissing => wrong("This field is required"),
            Changed::OldWrong => wrong("This is not your password"),
            Changed::Refused(refusal) => PasswordResponse::TooMany(budget::refusal(request, &refusal)),
            Changed::RecentAuthRequired => {
                PasswordResponse::NotAllowed(ErrorResponse::from_code(ErrorCode::ReauthenticationRequired))
            }
            Changed::Forbidden => PasswordResponse::NotAllowed(too_few_rights()),
            Changed::Staff => PasswordResponse::NotAllowed(ErrorResponse::new(
                ErrorCode::Forbidden,
                NO_FIRST_STAFF_PASSWORD,
            )),
        })
    }
}

impl PasswordApi {
    fn registration(&self, body: &RegisterRequest) -> Result<Registration, FieldErrors> {
        let mut errors = FieldErrors::default();
        let username = errors.check("username", read(&body.username, Username::parse));
        let email = errors.check("email", read(&body.email, Email::parse));
        let first_name = errors.check("first_name", optional(&body.first_name, PersonName::parse));
        let last_name = errors.check("last_name", optional(&body.last_name, PersonName::parse));
        let region = self.services.region;
        let phone = errors.check("phone", optional(&body.phone, |text| ClaimedPhone::parse(text, region)));
        let names = [
            body.username.text(),
            body.email.text(),
            body.first_name.text(),
            body.last_name.text(),
            body.phone.text(),
        ];
        let names: Vec<&str> = names.into_iter().filter_map(Result::ok).collect();
        let password = errors.check("password", new_password(&body.password, &names));
        let invitation = errors.check("invitation", fields::invitation(&body.invitation)).flatten();
        match (username, email, first_name, last_name, phone, password) {
            (
                Some(username),
                email @ Some(_),
                Some(first_name),
                Some(last_name),
                Some(phone),
                Some(password),
            ) if errors.is_empty() => {
                Ok(Registration { username, email, first_name, last_name, phone, password, invitation })
            }
            _ => Err(errors),
        }
    }
}

fn account_registration(body: &RegisterAccountRequest) -> Result<Registration, FieldErrors> {
    let mut errors = FieldErrors::default();
    let username = errors.check("username", read(&body.username, Username::parse));
    let email = errors.check(
        "email",
        optional(&body.email, |text| match text.trim() {
            "" => Ok(None),
            text => Email::parse(text).map(Some),
        }),
    );
    let names: Vec<&str> =
        [body.username.text(), body.email.text()].into_iter().filter_map(Result::ok).collect();
    let password = errors.check("password", new_password(&body.password, &names));
    if let Some(repeated) = body.password2.given() {
        let same = repeated.text().and_then(|repeated| {
            let is_same = body.password.text().is_ok_and(|password| password == repeated);
            if is_same { Ok(()) } else { Err(vec!["The two passwords are not the same".to_owned()]) }
        });
        errors.check("password2", same);
    }
    let invitation = errors.check("invitation", fields::invitation(&body.invitation)).flatten();
    match (username, email, password) {
        (Some(username), Some(email), Some(password)) if errors.is_empty() => Ok(Registration {
            username,
            email,
            first_name: None,
            last_name: None,
            phone: None,
            password,
            invitation,
        }),
        _ => Err(errors),
    }
}

/// The responses to a sign-in by password, by status.
pub(super) enum SignIn {
    In(SignedInData),
    Wrong(ErrorResponse, String),
    Disabled(ErrorResponse),
    Invalid(ErrorResponse),
    TooMany(ErrorResponse),
}

/// Signs a user in, for `login` and `token`.
pub(super) async fn sign_in(
    services: &Arc<Services>,
    request: &Request,
    username: &Field<impl Describe>,
    password: &Field<impl Describe>,
    totp_code: &Field<TotpCode>,
) -> Result<SignIn> {
    let mut errors = FieldErrors::default();
    let login = errors.check("username", non_empty(username).map(|name| Login::parse(name, services.region)));
    let password = errors.check("password", secret(password));
    let code = errors.check("totp_code", factor_code(totp_code));
    let (Some(login), Some(password), Some(code)) = (login, password, code) else {
        return Ok(SignIn::Invalid(errors.into_error_response()));
    };
    let (client, from) = (client::from_request(request), client_ip::from_request(request));
    let outcome = password::sign_in(services, login, password, code, client, from).await;
    Ok(match outcome.map_err(RequestError::from)? {
        Entered::In(tokens) => SignIn::In(SignedInData::from_tokens(&tokens)),
        Entered::Wrong => {
            SignIn::Wrong(ErrorResponse::from_code(ErrorCode::CredentialsInvalid), BEARER.to_owned())
        }
        Entered::Disabled => SignIn::Disabled(ErrorResponse::from_code(ErrorCode::AccountDisabled)),
        Entered::Refused(refusal) => SignIn::TooMany(budget::refusal(request, &refusal)),
    })
}

pub(super) fn non_empty(field: &Field<impl Describe>) -> Result<&str, ErrorMessages> {
    match field.text()? {
        "" => Err(vec!["This field may not be empty".to_owned()]),
        text => Ok(text),
    }
}

fn secret(field: &Field<impl Describe>) -> Result<SecretString, ErrorMessages> {
    non_empty(field).map(SecretString::from)
}

/// The code of a second factor, if one was sent. Null and an empty text mean none.
fn factor_code(field: &Field<TotpCode>) -> Result<Option<FactorCode>, ErrorMessages> {
    let text = field.given().map_or(Ok(""), Field::text)?;
    if text.is_empty() {
        return Ok(None);
    }
    FactorCode::parse(text).map(Some).map_err(|error| vec![error.to_string()])
}

pub(super) fn new_password(field: &Field<impl Describe>, names: &[&str]) -> Result<Password, ErrorMessages> {
    Password::check(field.text()?, names)
}

fn read<T>(
    field: &Field<impl Describe>,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<T, ErrorMessages> {
    parsed(parse(field.text()?))
}

/// Reads an optional field: null and absent mean none.
fn optional<T>(
    field: &Field<impl Describe>,
    parse: impl Fn(&str) -> Result<Option<T>, NameError>,
) -> Result<Option<T>, ErrorMessages> {
    field.given().map_or(Ok(None), |field| read(field, parse))
}
