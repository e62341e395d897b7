//! Registering with a password, signing in with one, and changing it.

mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::SecretString;

use super::{
    Tag,
    body::Json,
    budget, client, client_ip,
    envelope::{ErrorCode, Failure, Nothing, Refusal, Success},
    fault::Fault,
    fields::{Describe, Faults, Field, FieldFaults},
    security::Gate,
    session::{RefreshRequest, RefreshResponse, SessionApi},
};
use crate::{
    domain::{
        account::Account,
        credentials::{ClaimedPhone, Email, Login, NameFault, Password, PersonName, Username},
        phone::PhoneNumber,
    },
    flows::{
        Services,
        password::{self, Changed, Entered},
        registration::{self, Registered, Registration},
    },
};

pub use self::shapes::SignedInData;
pub(super) use self::shapes::{LoginPassword, LoginUsername};
use self::shapes::{PasswordRequest, RegisterAccountRequest, RegisterRequest, RegisteredData, TokenRequest};

/// `WWW-Authenticate` where no token was asked for and a token is what there is to get (RFC 9110, section 11.6.1).
const BEARER: &str = "Bearer";

/// The operations of this page.
pub struct PasswordApi {
    /// What the verbs work with.
    pub services: Arc<Services>,
}

/// What `register` can answer.
#[derive(ApiResponse)]
pub enum RegisterResponse {
    /// The account was created, and is signed in.
    #[oai(status = 201)]
    SignedIn(Json<SignedInData>),
    /// `username_taken`: another account has the username. `email_taken`: another account has the e-mail address.
    #[oai(status = 409)]
    Taken(Refusal),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `rate_limited`: too many registrations from this address.
    #[oai(status = 429)]
    TooMany(Refusal),
}

/// What the older `register` can answer.
#[derive(ApiResponse)]
pub enum RegisterAccountResponse {
    /// The account was created.
    #[oai(status = 201)]
    Made(Json<RegisteredData>),
    /// `username_taken`: another account has the username. `email_taken`: another account has the e-mail address.
    #[oai(status = 409)]
    Taken(Refusal),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `rate_limited`: too many registrations from this address.
    #[oai(status = 429)]
    TooMany(Refusal),
}

/// What `token` can answer.
#[derive(ApiResponse)]
pub enum TokenResponse {
    /// Signed in.
    #[oai(status = 200)]
    SignedIn(Json<SignedInData>),
    /// `credentials_invalid`: the username or the password is wrong.
    #[oai(status = 401)]
    Wrong(Refusal, #[oai(header = "WWW-Authenticate")] String),
    /// `account_disabled`: the password is right, but the account is disabled.
    #[oai(status = 403)]
    Disabled(Refusal),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `rate_limited`: too many wrong passwords for this name or from this address. This one was not checked.
    #[oai(status = 429)]
    TooMany(Refusal),
}

/// What `password` can answer.
#[derive(ApiResponse)]
pub enum PasswordResponse {
    /// The password was set, and the other sessions have ended.
    #[oai(status = 200)]
    Changed(Json<Success<Nothing>>),
    /// `reauthentication_required`: a first password needs a sign-in or `confirm` in the last ten minutes. `forbidden`:
    /// staff and admins cannot set a first password.
    #[oai(status = 403)]
    NotProved(Refusal),
    /// `validation_failed`: `error.fields` names everything that is wrong, also a wrong `old_password`.
    #[oai(status = 422)]
    Invalid(Refusal),
    /// `rate_limited`: too many wrong passwords for this account or from this address. This one was not checked.
    #[oai(status = 429)]
    TooMany(Refusal),
}

#[OpenApi(tag = "Tag::Password")]
impl PasswordApi {
    /// Register with a password and sign in
    ///
    /// `phone` is not verified: no account is found by it, and several accounts may name the same one.
    #[oai(path = "/api/auth/register", method = "post", operation_id = "register")]
    async fn register(&self, request: &Request, body: Json<RegisterRequest>) -> Result<RegisterResponse> {
        let registration = match self.registration(&body.0) {
            Ok(registration) => registration,
            Err(faults) => return Ok(RegisterResponse::Invalid(faults.refusal())),
        };
        let from = client_ip::of(request);
        let outcome =
            registration::register_and_enter(&self.services, registration, client::of(request), from);
        Ok(match outcome.await.map_err(Fault::from)? {
            Registered::Made(tokens) => RegisterResponse::SignedIn(Json(SignedInData::of(&tokens))),
            Registered::UsernameTaken => {
                RegisterResponse::Taken(Failure::of(ErrorCode::UsernameTaken).into())
            }
            Registered::EmailTaken => RegisterResponse::Taken(Failure::of(ErrorCode::EmailTaken).into()),
            Registered::Refused(refusal) => RegisterResponse::TooMany(budget::refusal(request, &refusal)),
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
            Err(faults) => return Ok(RegisterAccountResponse::Invalid(faults.refusal())),
        };
        let outcome = registration::register(&self.services, registration, client_ip::of(request));
        Ok(match outcome.await.map_err(Fault::from)? {
            Registered::Made(account) => RegisterAccountResponse::Made(Json(RegisteredData::of(*account))),
            Registered::UsernameTaken => {
                RegisterAccountResponse::Taken(Failure::of(ErrorCode::UsernameTaken).into())
            }
            Registered::EmailTaken => {
                RegisterAccountResponse::Taken(Failure::of(ErrorCode::EmailTaken).into())
            }
            Registered::Refused(refusal) => {
                RegisterAccountResponse::TooMany(budget::refusal(request, &refusal))
            }
        })
    }

    /// Sign in with a password
    ///
    /// As `POST /api/auth/login` with a `username`.
    #[oai(path = "/api/token", method = "post", operation_id = "obtainToken")]
    async fn token(&self, request: &Request, body: Json<TokenRequest>) -> Result<TokenResponse> {
        let TokenRequest { username, password } = &body.0;
        Ok(match sign_in(&self.services, request, username, password).await? {
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
        let mut faults = Faults::default();
        let new = faults.check("new_password", new_password(&body.0.new_password, &names_of(account)));
        let given = &body.0.old_password;
        let old = if account.has_password {
            faults.check("old_password", secret(given))
        } else {
            // There is none to compare it with. It is a text all the same.
            faults.check("old_password", given.given().map_or(Ok(""), Field::text));
            None
        };
        let Some(new) = new.filter(|_| faults.is_empty()) else {
            return Ok(PasswordResponse::Invalid(faults.refusal()));
        };
        let changed = password::change(&self.services, gate.0, old, new, client_ip::of(request)).await;
        let changed = changed.map_err(Fault::from)?;
        let wrong = |sentence: &str| {
            let mut faults = Faults::default();
            faults.check::<()>("old_password", Err(vec![sentence.to_owned()]));
            PasswordResponse::Invalid(faults.refusal())
        };
        Ok(match changed {
            Changed::Done => {
                PasswordResponse::Changed(Success::new("Password changed successfully", Nothing {}))
            }
            Changed::OldMissing => wrong("This field is required"),
            Changed::OldWrong => wrong("This is not your password"),
            Changed::Refused(refusal) => PasswordResponse::TooMany(budget::refusal(request, &refusal)),
            Changed::NotProved => {
                PasswordResponse::NotProved(Failure::of(ErrorCode::ReauthenticationRequired).into())
            }
            Changed::Staff => {
                let sentence =
                    "A code opens no rights of staff, so it sets no first password of theirs either";
                PasswordResponse::NotProved(Failure::new(ErrorCode::Forbidden, sentence).into())
            }
        })
    }
}

impl PasswordApi {
    fn registration(&self, body: &RegisterRequest) -> Result<Registration, Faults> {
        let mut faults = Faults::default();
        let username = faults.check("username", read(&body.username, Username::parse));
        let email = faults.check("email", read(&body.email, Email::parse));
        let first_name = faults.check("first_name", optional(&body.first_name, PersonName::parse));
        let last_name = faults.check("last_name", optional(&body.last_name, PersonName::parse));
        let region = self.services.region;
        let phone = faults.check("phone", optional(&body.phone, |text| ClaimedPhone::parse(text, region)));
        let names = [
            body.username.text(),
            body.email.text(),
            body.first_name.text(),
            body.last_name.text(),
            body.phone.text(),
        ];
        let names: Vec<&str> = names.into_iter().filter_map(Result::ok).collect();
        let password = faults.check("password", new_password(&body.password, &names));
        match (username, email, first_name, last_name, phone, password) {
            (Some(username), Some(email), Some(first_name), Some(last_name), Some(phone), Some(password)) => {
                Ok(Registration { username, email: Some(email), first_name, last_name, phone, password })
            }
            _ => Err(faults),
        }
    }
}

fn account_registration(body: &RegisterAccountRequest) -> Result<Registration, Faults> {
    let mut faults = Faults::default();
    let username = faults.check("username", read(&body.username, Username::parse));
    let email = faults.check(
        "email",
        optional(&body.email, |text| match text.trim() {
            "" => Ok(None),
            text => Email::parse(text).map(Some),
        }),
    );
    let names: Vec<&str> =
        [body.username.text(), body.email.text()].into_iter().filter_map(Result::ok).collect();
    let password = faults.check("password", new_password(&body.password, &names));
    if let Some(again) = body.password2.given() {
        let same = again.text().and_then(|again| {
            let is_same = body.password.text().is_ok_and(|password| password == again);
            if is_same { Ok(()) } else { Err(vec!["The two passwords are not the same".to_owned()]) }
        });
        faults.check("password2", same);
    }
    match (username, email, password) {
        (Some(username), Some(email), Some(password)) if faults.is_empty() => {
            Ok(Registration { username, email, first_name: None, last_name: None, phone: None, password })
        }
        _ => Err(faults),
    }
}

/// What became of a name and a password, as answers.
pub(super) enum SignIn {
    In(SignedInData),
    Wrong(Refusal, String),
    Disabled(Refusal),
    Invalid(Refusal),
    TooMany(Refusal),
}

/// Signs somebody in, at whichever of the routes.
pub(super) async fn sign_in(
    services: &Arc<Services>,
    request: &Request,
    username: &Field<impl Describe>,
    password: &Field<impl Describe>,
) -> Result<SignIn> {
    let mut faults = Faults::default();
    let login = faults.check("username", filled(username).map(|name| Login::parse(name, services.region)));
    let typed = faults.check("password", secret(password));
    let Some((login, typed)) = login.zip(typed) else {
        return Ok(SignIn::Invalid(faults.refusal()));
    };
    let from = client_ip::of(request);
    let entered = password::sign_in(services, login, typed, client::of(request), from).await;
    Ok(match entered.map_err(Fault::from)? {
        Entered::In(tokens) => SignIn::In(SignedInData::of(&tokens)),
        Entered::Wrong => SignIn::Wrong(Failure::of(ErrorCode::CredentialsInvalid).into(), BEARER.to_owned()),
        Entered::Disabled => SignIn::Disabled(Failure::of(ErrorCode::AccountDisabled).into()),
        Entered::Refused(refusal) => SignIn::TooMany(budget::refusal(request, &refusal)),
    })
}

/// What a password of this account must not be like.
fn names_of(account: &Account) -> Vec<&str> {
    let texts = [
        &account.username,
        &account.email,
        &account.first_name,
        &account.last_name,
        &account.profile.name,
        &account.claimed_phone,
    ];
    let phone = account.phone.as_ref().map(PhoneNumber::full);
    texts.into_iter().filter_map(Option::as_deref).chain(phone).collect()
}

fn filled(field: &Field<impl Describe>) -> Result<&str, FieldFaults> {
    match field.text()? {
        "" => Err(vec!["This field may not be empty".to_owned()]),
        text => Ok(text),
    }
}

fn secret(field: &Field<impl Describe>) -> Result<SecretString, FieldFaults> {
    filled(field).map(SecretString::from)
}

fn new_password(field: &Field<impl Describe>, names: &[&str]) -> Result<Password, FieldFaults> {
    Password::check(field.text()?, names)
}

fn read<T>(
    field: &Field<impl Describe>,
    parse: impl Fn(&str) -> Result<T, NameFault>,
) -> Result<T, FieldFaults> {
    parse(field.text()?).map_err(|fault| vec![fault.to_string()])
}

/// What may be left out: null and absent are none.
fn optional<T>(
    field: &Field<impl Describe>,
    parse: impl Fn(&str) -> Result<Option<T>, NameFault>,
) -> Result<Option<T>, FieldFaults> {
    field.given().map_or(Ok(None), |field| read(field, parse))
}
