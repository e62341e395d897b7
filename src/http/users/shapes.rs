//! Requests and responses of the operations on users.

use poem_openapi::{Object, registry::MetaSchema, types::Example};

use crate::{
    domain::{
        credentials::{LONGEST_EMAIL, LONGEST_NAME},
        former_id::LONGEST_FORMER_ID,
        phone::LONGEST_TEXT,
        terms::TermsVersion,
        users::{self, LONGEST_SEARCH, PageOf, USUAL_PER_PAGE},
    },
    http::{
        fields::{Describe, Field, describe},
        timestamp::rfc3339,
    },
};

fn whole_number(maximum: Option<f64>, default: u64) -> MetaSchema {
    MetaSchema {
        minimum: Some(1.0),
        maximum,
        default: Some(default.into()),
        ..MetaSchema::new_with_format("integer", "int64")
    }
}

fn text(max_length: usize, description: &'static str, example: &'static str) -> MetaSchema {
    MetaSchema {
        max_length: Some(max_length),
        description: Some(description),
        example: Some(example.into()),
        ..MetaSchema::new("string")
    }
}

describe!(/// `page`.
PageNumber, required: false, whole_number(None, 1));
describe!(/// `per_page`.
PerPage, required: false, MetaSchema { example: Some(USUAL_PER_PAGE.into()), ..whole_number(Some(100.0), USUAL_PER_PAGE) });
describe!(/// `search`.
SearchText, required: false, MetaSchema { description: None, ..text(LONGEST_SEARCH, "", "gaurav") });
describe!(/// `external_id`.
ExternalId, required: false, MetaSchema { description: None, min_length: Some(1), ..text(LONGEST_FORMER_ID, "", "auth0|5f7c8ec7c33c6c004bbafe82") });
describe!(/// `first_name` and `last_name`: null clears it.
PersonName, required: false, MetaSchema { nullable: true, ..text(LONGEST_NAME, "Up to 150 characters; trimmed. Null clears it.", "Gaurav") });
describe!(/// `email`: null clears it.
Email, required: false, MetaSchema {
    nullable: true,
    format: Some("email"),
    ..text(LONGEST_EMAIL, "Unique without regard to case; not verified. Null clears it.", "gaurav@example.com")
});
describe!(/// `phone_number` of a new user.
NewPhone, required: false, MetaSchema {
    nullable: true,
    ..text(LONGEST_TEXT, "The phone in any spelling. It counts as verified.", "+916205829376")
});
describe!(/// `username` of a new user.
NewUsername, required: false, MetaSchema {
    nullable: true,
    min_length: Some(1),
    pattern: Some("^[0-9A-Za-z._+-]*[A-Za-z_][0-9A-Za-z._+-]*$".to_owned()),
    ..text(LONGEST_NAME, "Letters a-z, digits and `. _ + -`; at least one letter. Unique without regard to case.", "gaurav")
});
describe!(/// `email` of a new user.
NewEmail, required: false, MetaSchema {
    nullable: true,
    format: Some("email"),
    ..text(LONGEST_EMAIL, "Unique without regard to case; not verified.", "gaurav@example.com")
});
describe!(/// `role`.
Role, required: false, MetaSchema {
    description: Some("By admins only, never on their own account. A new role ends the user's sessions."),
    example: Some("user".into()),
    ..MetaSchema::new("string")
});
describe!(/// `is_active`.
IsActive, required: false, MetaSchema {
    description: Some("By admins only, never on their own account. False ends the user's sessions."),
    example: Some(true.into()),
    ..MetaSchema::new("boolean")
});

/// A user to create. One of `phone_number` and `username` is required.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct CreateUserRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) phone_number: Field<NewPhone>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) username: Field<NewUsername>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) email: Field<NewEmail>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) first_name: Field<PersonName>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) last_name: Field<PersonName>,
}

impl Example for CreateUserRequest {
    fn example() -> Self {
        Self {
            phone_number: Field::from_value("+916205829376"),
            first_name: Field::from_value("Gaurav"),
            last_name: Field::from_value("Kumar"),
            ..Self::default()
        }
    }
}

/// The fields of a user to change. Fields that are left out stay.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct ChangeUserRequest {
    pub(super) first_name: Field<PersonName>,
    pub(super) last_name: Field<PersonName>,
    pub(super) email: Field<Email>,
    pub(super) role: Field<Role>,
    pub(super) is_active: Field<IsActive>,
}

impl Example for ChangeUserRequest {
    fn example() -> Self {
        Self {
            first_name: Field::from_value("Gaurav"),
            last_name: Field::from_value("Kumar"),
            email: Field::from_value("gaurav@example.com"),
            ..Self::default()
        }
    }
}

/// A user. Fields that were not given are null.
#[derive(Debug, Object)]
#[oai(example)]
pub struct User {
    /// The account (UUID version 7).
    id: String,
    /// The username for the sign-in by password.
    username: Option<String>,
    /// Not verified.
    email: Option<String>,
    /// As the user entered it.
    first_name: Option<String>,
    /// As the user entered it.
    last_name: Option<String>,
    /// The verified phone in E.164.
    phone_number: Option<String>,
    /// An unverified phone.
    phone: Option<String>,
    /// The phone that the account lost because it was unused for too long, while it has no other.
    former_phone: Option<String>,
    /// The name of the profile.
    name: Option<String>,
    /// `user`, `staff` or `admin`: the rights in a session opened with the password.
    role: String,
    /// Whether the user can sign in.
    is_active: bool,
    /// Whether the account has a verified phone.
    is_verified: bool,
    /// Whether the profile still lacks a name, birth date, gender, interest or picture, or the terms in force are not accepted.
    needs_profile_completion: bool,
    /// When the account was created (RFC 3339, UTC).
    created_at: String,
    /// When the account or the profile last changed (RFC 3339, UTC).
    updated_at: String,
    /// The last sign-in (RFC 3339, UTC). Null if there was none, or it is no longer stored.
    last_login: Option<String>,
}

impl User {
    /// `terms` are those in force.
    pub(super) fn from_user(user: &users::User, terms: Option<&TermsVersion>) -> Self {
        let account = &user.account;
        Self {
            id: account.id.to_string(),
            username: account.username.clone(),
            email: account.email.clone(),
            first_name: account.first_name.clone(),
            last_name: account.last_name.clone(),
            phone_number: account.phone.as_ref().map(|phone| phone.full().to_owned()),
            phone: account.claimed_phone.clone(),
            former_phone: account.former_phone.as_ref().map(|phone| phone.full().to_owned()),
            name: account.profile.name.clone(),
            role: account.role.as_str().to_owned(),
            is_active: account.is_active,
            is_verified: account.phone.is_some(),
            needs_profile_completion: account.needs_completion(terms),
            created_at: rfc3339(account.created_at),
            updated_at: rfc3339(account.updated_at),
            last_login: user.last_login.map(rfc3339),
        }
    }
}

impl Example for User {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            username: Some("gaurav".to_owned()),
            email: Some("gaurav@example.com".to_owned()),
            first_name: Some("Gaurav".to_owned()),
            last_name: Some("Kumar".to_owned()),
            phone_number: Some("+916205829376".to_owned()),
            phone: None,
            former_phone: None,
            name: Some("Gaurav Kumar".to_owned()),
            role: "user".to_owned(),
            is_active: true,
            is_verified: true,
            needs_profile_completion: false,
            created_at: "2025-10-03T10:15:23.435393+00:00".to_owned(),
            updated_at: "2025-10-03T10:20:01.000200+00:00".to_owned(),
            last_login: Some("2025-10-04T08:00:12.000000+00:00".to_owned()),
        }
    }
}

/// A page of users, without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Users {
    /// Newest first; empty past the end.
    users: Vec<User>,
    /// All users that the search finds.
    total: u64,
    /// The page, from 1.
    page: u64,
    /// Users per page.
    per_page: u64,
    /// The number of pages.
    total_pages: u64,
}

impl Users {
    pub(super) fn from_users(
        found: &[users::User],
        total: u64,
        page: PageOf,
        terms: Option<&TermsVersion>,
    ) -> Self {
        Self {
            users: found.iter().map(|user| User::from_user(user, terms)).collect(),
            total,
            page: page.number(),
            per_page: page.size(),
            total_pages: page.pages(total),
        }
    }
}

impl Example for Users {
    fn example() -> Self {
        Self { users: vec![User::example()], total: 1, page: 1, per_page: USUAL_PER_PAGE, total_pages: 1 }
    }
}
