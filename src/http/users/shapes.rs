//! What the operations on users take and give.

use std::{borrow::Cow, marker::PhantomData};

use chrono::SecondsFormat;
use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{Example, ParseFromParameter, ParseResult, Type},
};

use crate::{
    domain::{
        credentials::{LONGEST_EMAIL, LONGEST_NAME},
        users::{self, LONGEST_SEARCH, PageOf, USUAL_PER_PAGE},
    },
    http::fields::{Describe, Field},
};

/// A parameter as it came: reading it never fails, so that one answer names every fault.
pub struct Parameter<D> {
    text: Option<String>,
    description: PhantomData<D>,
}

impl<D> Parameter<D> {
    /// What came, if something did.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl<D: Describe> Type for Parameter<D> {
    const IS_REQUIRED: bool = D::REQUIRED;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        D::NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(D::schema()))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<D: Describe> ParseFromParameter for Parameter<D> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Ok(Self { text: Some(text.to_owned()), description: PhantomData })
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(texts: I) -> ParseResult<Self> {
        let text = texts.into_iter().next().map(|text| text.as_ref().to_owned());
        Ok(Self { text, description: PhantomData })
    }
}

/// Something that may be left out.
macro_rules! describe {
    ($(#[$doc:meta])* $name:ident, $schema:expr) => {
        $(#[$doc])*
        pub struct $name;

        impl Describe for $name {
            const REQUIRED: bool = false;
            const NAME: &'static str = stringify!($name);

            fn schema() -> MetaSchema {
                $schema
            }
        }
    };
}

fn whole_number(most: Option<f64>, usual: u64) -> MetaSchema {
    MetaSchema {
        minimum: Some(1.0),
        maximum: most,
        default: Some(usual.into()),
        ..MetaSchema::new_with_format("integer", "int64")
    }
}

fn text(most: usize, description: &'static str, example: &'static str) -> MetaSchema {
    MetaSchema {
        max_length: Some(most),
        description: Some(description),
        example: Some(example.into()),
        ..MetaSchema::new("string")
    }
}

describe!(/// `page`.
PageIs, whole_number(None, 1));
describe!(/// `per_page`.
PerPageIs, MetaSchema { example: Some(USUAL_PER_PAGE.into()), ..whole_number(Some(100.0), USUAL_PER_PAGE) });
describe!(/// `search`.
SearchIs, MetaSchema { description: None, ..text(LONGEST_SEARCH, "", "gaurav") });
describe!(/// `first_name` and `last_name`: null clears.
NameIs, MetaSchema { nullable: true, ..text(LONGEST_NAME, "Up to 150 characters; trimmed. Null clears it.", "Gaurav") });
describe!(/// `email`: null clears.
EmailIs, MetaSchema {
    nullable: true,
    format: Some("email"),
    ..text(LONGEST_EMAIL, "Unique without regard to case; not verified. Null clears it.", "gaurav@example.com")
});
describe!(/// `role`.
RoleIs, MetaSchema {
    description: Some("By admins only, never on their own account. A new role ends the user's sessions."),
    example: Some("user".into()),
    ..MetaSchema::new("string")
});
describe!(/// `is_active`.
IsActiveIs, MetaSchema {
    description: Some("By admins only, never on their own account. False ends the user's sessions."),
    example: Some(true.into()),
    ..MetaSchema::new("boolean")
});

/// Which page.
pub type PageNumber = Parameter<PageIs>;

/// How many users it has.
pub type PerPage = Parameter<PerPageIs>;

/// What users are found by.
pub type SearchText = Parameter<SearchIs>;

/// The fields of a user to change. Fields that are left out stay.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ChangeUserRequest {
    pub(super) first_name: Field<NameIs>,
    pub(super) last_name: Field<NameIs>,
    pub(super) email: Field<EmailIs>,
    pub(super) role: Field<RoleIs>,
    pub(super) is_active: Field<IsActiveIs>,
}

impl Example for ChangeUserRequest {
    fn example() -> Self {
        Self {
            first_name: Field::example_of("Gaurav"),
            last_name: Field::example_of("Kumar"),
            email: Field::example_of("gaurav@example.com"),
            role: Field::absent(),
            is_active: Field::absent(),
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
    /// As it was given.
    first_name: Option<String>,
    /// As it was given.
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
    /// Whether the profile still lacks a name, birth date, gender, interest or picture.
    needs_profile_completion: bool,
    /// When the account was made (RFC 3339, UTC).
    created_at: String,
    /// When the account or the profile last changed (RFC 3339, UTC).
    updated_at: String,
    /// The last sign-in (RFC 3339, UTC). Null if there was none, or it is no longer stored.
    last_login: Option<String>,
}

impl User {
    pub(super) fn from_user(user: &users::User) -> Self {
        let account = &user.account;
        let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, false);
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
            needs_profile_completion: account.profile.needs_completion(),
            created_at: time(account.created_at),
            updated_at: time(account.updated_at),
            last_login: user.last_login.map(time),
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
    pub(super) fn from_users(found: &[users::User], total: u64, page: PageOf) -> Self {
        Self {
            users: found.iter().map(User::from_user).collect(),
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
