//! Requests and responses of the operations with passwords. They have the shapes of Django REST framework and
//! SimpleJWT, so that clients written for them work here.

use poem_openapi::{Object, registry::MetaSchema, types::Example};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::{
    domain::{
        access::TokenPair,
        account::Account,
        credentials::{LONGEST_EMAIL, LONGEST_NAME, LONGEST_PHONE},
    },
    http::fields::{Describe, Field, Invitation, describe, schema},
};

/// A new account, and its first sign-in.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RegisterRequest {
    pub(super) username: Field<NewUsername>,
    pub(super) email: Field<Email>,
    pub(super) password: Field<NewPassword>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) first_name: Field<PersonName>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) last_name: Field<PersonName>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) phone: Field<ClaimedPhone>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) invitation: Field<Invitation>,
}

impl Example for RegisterRequest {
    fn example() -> Self {
        Self {
            username: Field::from_value("gaurav"),
            email: Field::from_value("gaurav@example.com"),
            password: Field::from_value("correct horse battery"),
            first_name: Field::from_value("Gaurav"),
            last_name: Field::from_value("Kumar"),
            phone: Field::from_value("+916205829376"),
            invitation: Field::default(),
        }
    }
}

/// A new account.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RegisterAccountRequest {
    pub(super) username: Field<NewUsername>,
    pub(super) password: Field<NewPassword>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) email: Field<MaybeEmail>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) password2: Field<SamePassword>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) invitation: Field<Invitation>,
}

impl Example for RegisterAccountRequest {
    fn example() -> Self {
        Self {
            username: Field::from_value("gaurav"),
            password: Field::from_value("correct horse battery"),
            email: Field::from_value("gaurav@example.com"),
            password2: Field::from_value("correct horse battery"),
            invitation: Field::default(),
        }
    }
}

/// A new account.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RegisteredData {
    /// The account (UUID version 7).
    id: String,
    /// As the user entered it.
    username: Option<String>,
    /// As the user entered it.
    email: Option<String>,
}

impl RegisteredData {
    pub(super) fn from_account(account: Account) -> Self {
        Self { id: account.id.to_string(), username: account.username, email: account.email }
    }
}

impl Example for RegisteredData {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            username: Some("gaurav".to_owned()),
            email: Some("gaurav@example.com".to_owned()),
        }
    }
}

/// A username and a password.
#[derive(Debug, Object)]
#[oai(example)]
pub struct TokenRequest {
    pub(super) username: Field<Username>,
    pub(super) password: Field<Password>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) totp_code: Field<TotpCode>,
}

impl Example for TokenRequest {
    fn example() -> Self {
        Self {
            username: Field::from_value("gaurav"),
            password: Field::from_value("correct horse battery"),
            totp_code: Field::default(),
        }
    }
}

/// A pair of tokens, as SimpleJWT returns it: without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SignedInData {
    /// The refresh token, for `POST /api/auth/refresh` or `POST /api/token/refresh`.
    refresh: String,
    /// The access token.
    access: String,
}

impl SignedInData {
    pub(super) fn from_tokens(tokens: &TokenPair) -> Self {
        Self {
            refresh: tokens.refresh.expose_secret().to_owned(),
            access: tokens.access.expose_secret().to_owned(),
        }
    }
}

impl Example for SignedInData {
    fn example() -> Self {
        Self {
            refresh: "eyJhbGciOiJIUzI1NiJ9.e30.refresh".to_owned(),
            access: "eyJhbGciOiJIUzI1NiJ9.e30.access".to_owned(),
        }
    }
}

/// A new password.
#[derive(Debug, Object)]
#[oai(example)]
pub struct PasswordRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) old_password: Field<OldPassword>,
    pub(super) new_password: Field<NewPassword>,
}

impl Example for PasswordRequest {
    fn example() -> Self {
        Self {
            old_password: Field::from_value("correct horse battery"),
            new_password: Field::from_value("staple of the stable"),
        }
    }
}

fn clearable(schema: MetaSchema) -> MetaSchema {
    MetaSchema { nullable: true, ..schema }
}

fn secret(description: &'static str) -> MetaSchema {
    MetaSchema { format: Some("password"), ..schema("string", description, "correct horse battery".into()) }
}

fn email() -> MetaSchema {
    MetaSchema {
        format: Some("email"),
        max_length: Some(LONGEST_EMAIL),
        ..schema(
            "string",
            "Unique without regard to case. Not verified: no message is sent there.",
            "gaurav@example.com".into(),
        )
    }
}

const ANY_NAME: &str =
    "The username, the e-mail address, or the verified phone in any spelling. Case is ignored.";

describe!(/// `username` of a new account.
NewUsername, required: true, MetaSchema {
    min_length: Some(1),
    max_length: Some(LONGEST_NAME),
    pattern: Some("^[0-9A-Za-z._+-]*[A-Za-z_][0-9A-Za-z._+-]*$".to_owned()),
    ..schema("string", "Letters a-z, digits and `. _ + -`; at least one letter. Unique without regard to case.", "gaurav".into())
});
describe!(/// `email` where it is required.
    Email, required: true, email());
describe!(/// `email` where it is optional; null and empty mean none.
    MaybeEmail, required: false, clearable(email()));
describe!(/// A new password.
NewPassword, required: true, MetaSchema {
    min_length: Some(8),
    max_length: Some(128),
    ..secret("8 to 128 characters of any kind; not only digits, not a common password, not similar to the username, \
         the e-mail address or the name.")
});
describe!(/// `password2`.
    SamePassword, required: false, clearable(secret("Optional: the same password again.")));
describe!(/// `old_password`.
    OldPassword, required: false, clearable(secret("The current password. Required if there is one.")));
describe!(/// `username` of a sign-in.
    Username, required: true, MetaSchema { min_length: Some(1), ..schema("string", ANY_NAME, "gaurav".into()) });
describe!(/// `password` of a sign-in.
    Password, required: true, MetaSchema { min_length: Some(1), ..secret("The password.") });
describe!(/// `username` of `login`, which also takes a phone.
LoginUsername, required: false, MetaSchema {
    min_length: Some(1),
    description: Some("With a `password`, instead of a `phone_number`: the username, the e-mail address, or the verified phone in any spelling."),
    ..clearable(schema("string", "", Value::Null))
});
describe!(/// `password` of `login`, which also takes a phone.
LoginPassword, required: false, MetaSchema {
    min_length: Some(1),
    format: Some("password"),
    ..clearable(schema("string", "Required with a `username`.", Value::Null))
});
describe!(/// `totp_code` of a sign-in with a password.
TotpCode, required: false, MetaSchema {
    pattern: Some("^(|[0-9]{6}|[A-Za-z2-7]{4}-?[A-Za-z2-7]{4}-?[A-Za-z2-7]{4})$".to_owned()),
    ..clearable(schema("string", "With a `password`, for staff who have a second factor: the 6 digits of the authenticator app, or a \
     recovery code. If it is missing, wrong or already used, the sign-in succeeds with the role `user`.", "123456".into()))
});
describe!(/// `first_name` and `last_name`.
PersonName, required: false, MetaSchema {
    max_length: Some(LONGEST_NAME),
    ..clearable(schema("string", "Up to 150 characters; trimmed.", "Gaurav".into()))
});
describe!(/// `phone`, which is not verified.
ClaimedPhone, required: false, MetaSchema {
    max_length: Some(LONGEST_PHONE),
    ..clearable(schema("string", "An unverified phone, which the profile shows as `phone`.", "+916205829376".into()))
});
