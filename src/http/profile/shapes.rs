//! Requests and responses of the profile operations.

use poem_openapi::{Object, registry::MetaSchema, types::Example};

use crate::{
    domain::{
        account::Account,
        credentials::LONGEST_PHONE,
        interests::Interest,
        terms::{LONGEST_TERMS_VERSION, TermsVersion},
    },
    http::{
        fields::{self, Describe, Field, describe, schema},
        timestamp::rfc3339,
    },
};

/// A complete profile.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CompleteProfileRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) phone_number: Field<fields::OwnPhone>,
    pub(super) name: Field<fields::Name>,
    pub(super) birth_date: Field<fields::BirthDate>,
    pub(super) gender: Field<fields::Gender>,
    pub(super) event_interests: Field<fields::Interests>,
    pub(super) profile_pictures: Field<fields::Pictures>,
    pub(super) bio: Field<fields::Bio>,
    pub(super) location: Field<fields::Location>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) terms_version: Field<Terms>,
}

impl Example for CompleteProfileRequest {
    fn example() -> Self {
        Self {
            name: Field::from_value("Gaurav Kumar"),
            birth_date: Field::from_value("1995-01-01"),
            gender: Field::from_value("male"),
            event_interests: Field::from_value(vec![1, 2, 3]),
            profile_pictures: Field::from_value(vec![
                "https://example.com/pic1.jpg",
                "https://example.com/pic2.jpg",
            ]),
            bio: Field::from_value("I like live music."),
            location: Field::from_value("Patna"),
            // Any signed-in user can send the example as it is.
            phone_number: Field::default(),
            terms_version: Field::default(),
        }
    }
}

describe!(/// `terms_version`.
Terms, required: false, MetaSchema {
    nullable: true,
    max_length: Some(LONGEST_TERMS_VERSION),
    ..schema("string", "The version of the operator's terms that the user accepts. `complete-profile` requires the one in force, if there is one. Without terms it is ignored.", "2026-11".into())
});
describe!(/// `phone`, which is not verified.
ClaimedPhone, required: false, MetaSchema {
    nullable: true,
    max_length: Some(LONGEST_PHONE),
    ..schema("string", "An unverified phone that older clients send: shown as `phone` and not used otherwise. Null and empty clear it. `phone_number` only changes by `change-phone`.", "+916205829376".into())
});

/// The fields to change. Fields that are left out stay.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ChangeProfileRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) phone_number: Field<fields::OwnPhone>,
    pub(super) name: Field<fields::NewName>,
    pub(super) birth_date: Field<fields::NewBirthDate>,
    pub(super) gender: Field<fields::NewGender>,
    pub(super) event_interests: Field<fields::NewInterests>,
    pub(super) profile_pictures: Field<fields::NewPictures>,
    pub(super) bio: Field<fields::Bio>,
    pub(super) location: Field<fields::Location>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) phone: Field<ClaimedPhone>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) terms_version: Field<Terms>,
}

impl Example for ChangeProfileRequest {
    fn example() -> Self {
        Self {
            name: Field::from_value("Gaurav Kumar"),
            birth_date: Field::from_value("1995-01-01"),
            gender: Field::from_value("male"),
            event_interests: Field::from_value(vec![2, 5]),
            profile_pictures: Field::from_value(vec!["https://example.com/pic3.jpg"]),
            bio: Field::from_value(serde_json::Value::Null),
            location: Field::from_value("Mumbai"),
            // Any signed-in user can send the example as it is.
            phone_number: Field::default(),
            phone: Field::default(),
            terms_version: Field::default(),
        }
    }
}

/// A profile that was completed.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CompletedProfileData {
    /// The account (UUID version 7).
    pub(super) user_id: String,
    /// The profile (UUID version 7).
    pub(super) profile_id: String,
    /// The user's name.
    pub(super) name: String,
    /// The verified phone in E.164.
    pub(super) phone_number: Option<String>,
    /// `male`, `female` or `other`.
    pub(super) gender: String,
    /// The number of interests.
    pub(super) event_interests_count: usize,
    /// The number of pictures.
    pub(super) profile_pictures_count: usize,
}

impl Example for CompletedProfileData {
    fn example() -> Self {
        Self {
            user_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            profile_id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned(),
            name: "Gaurav Kumar".to_owned(),
            phone_number: Some("+916205829376".to_owned()),
            gender: "male".to_owned(),
            event_interests_count: 3,
            profile_pictures_count: 2,
        }
    }
}

/// An event interest.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct EventInterest {
    /// The id that `event_interests` takes.
    pub(super) id: i64,
    /// Its name, unique.
    pub(super) name: String,
    /// A short description.
    pub(super) description: String,
}

impl EventInterest {
    pub(super) fn from_interest(interest: &Interest) -> Self {
        Self { id: interest.id, name: interest.name.clone(), description: interest.description.clone() }
    }
}

impl Example for EventInterest {
    fn example() -> Self {
        Self {
            id: 1,
            name: "Music & Concerts".to_owned(),
            description: "Live music, concerts, festivals and open mics".to_owned(),
        }
    }
}

/// The active interests.
#[derive(Debug, Object)]
#[oai(example)]
pub struct EventInterestsAnswer {
    /// Always true.
    pub(super) success: bool,
    /// For people; it may change.
    pub(super) message: String,
    /// By name.
    pub(super) data: Vec<EventInterest>,
    /// Always null.
    pub(super) token: Option<String>,
}

impl Example for EventInterestsAnswer {
    fn example() -> Self {
        Self::new(vec![EventInterest::example()])
    }
}

impl EventInterestsAnswer {
    pub(super) fn new(data: Vec<EventInterest>) -> Self {
        Self {
            success: true,
            message: "Event interests retrieved successfully".to_owned(),
            data,
            token: None,
        }
    }
}

/// The account of a profile, in the shape that SimpleJWT's clients know.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ProfileUser {
    /// The account (UUID version 7).
    pub(super) id: String,
    /// The name that older clients sign in with.
    pub(super) username: Option<String>,
    /// Not verified.
    pub(super) email: Option<String>,
    /// As the user entered it.
    pub(super) first_name: Option<String>,
    /// As the user entered it.
    pub(super) last_name: Option<String>,
}

impl Example for ProfileUser {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            username: None,
            email: None,
            first_name: None,
            last_name: None,
        }
    }
}

/// The operator's terms.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ProfileTerms {
    /// The version in force, which `complete-profile` takes as `terms_version`.
    in_force: String,
    /// The version that the user accepted last.
    accepted: Option<String>,
    /// When the user accepted that version first (RFC 3339, UTC).
    accepted_at: Option<String>,
}

impl ProfileTerms {
    fn new(account: &Account, in_force: &TermsVersion) -> Self {
        let accepted = account.terms.as_ref();
        Self {
            in_force: in_force.as_str().to_owned(),
            accepted: accepted.map(|terms| terms.version.clone()),
            accepted_at: accepted.map(|terms| rfc3339(terms.at)),
        }
    }
}

impl Example for ProfileTerms {
    fn example() -> Self {
        Self {
            in_force: "2026-11".to_owned(),
            accepted: Some("2026-11".to_owned()),
            accepted_at: Some("2025-10-03T10:20:01.000200+00:00".to_owned()),
        }
    }
}

/// A profile, without an envelope. Fields that were not given are null.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Profile {
    /// The profile (UUID version 7).
    pub(super) id: String,
    /// The account.
    pub(super) user: ProfileUser,
    /// The user's name.
    pub(super) name: Option<String>,
    /// The verified phone in E.164.
    pub(super) phone_number: Option<String>,
    /// An unverified phone.
    pub(super) phone: Option<String>,
    /// `male`, `female` or `other`.
    pub(super) gender: Option<String>,
    /// A text about the user.
    pub(super) bio: Option<String>,
    /// The user's location.
    pub(super) location: Option<String>,
    /// `YYYY-MM-DD`.
    pub(super) birth_date: Option<String>,
    /// The interests, in the user's order.
    pub(super) event_interests: Vec<EventInterest>,
    /// URLs, in the user's order.
    pub(super) profile_pictures: Vec<String>,
    /// Whether the account has a verified phone.
    pub(super) is_verified: bool,
    /// Whether the account is active: always true here.
    pub(super) is_active: bool,
    /// When the account was created (RFC 3339, UTC).
    pub(super) created_at: String,
    /// When the account or the profile last changed (RFC 3339, UTC).
    pub(super) updated_at: String,
    /// The operator's terms. Absent if there are none.
    #[oai(skip_serializing_if_is_none)]
    pub(super) terms: Option<ProfileTerms>,
}

impl Profile {
    /// `terms` are those in force.
    pub(super) fn from_account(
        account: &Account,
        interests: &[Interest],
        terms: Option<&TermsVersion>,
    ) -> Self {
        let profile = &account.profile;
        let chosen = profile.event_interests.iter();
        Self {
            id: profile.id.to_string(),
            user: ProfileUser {
                id: account.id.to_string(),
                username: account.username.clone(),
                email: account.email.clone(),
                first_name: account.first_name.clone(),
                last_name: account.last_name.clone(),
            },
            name: profile.name.clone(),
            phone_number: account.phone.as_ref().map(|phone| phone.full().to_owned()),
            phone: account.claimed_phone.clone(),
            gender: profile.gender.map(|gender| gender.as_str().to_owned()),
            bio: profile.bio.clone(),
            location: profile.location.clone(),
            birth_date: profile.birth_date.map(|birth_date| birth_date.date().to_string()),
            event_interests: chosen
                .filter_map(|id| interests.iter().find(|interest| interest.id == *id))
                .map(EventInterest::from_interest)
                .collect(),
            profile_pictures: profile.profile_pictures.clone(),
            is_verified: account.phone.is_some(),
            is_active: account.is_active,
            created_at: rfc3339(account.created_at),
            updated_at: rfc3339(account.updated_at),
            terms: terms.map(|in_force| ProfileTerms::new(account, in_force)),
        }
    }
}

impl Example for Profile {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned(),
            user: ProfileUser::example(),
            name: Some("Gaurav Kumar".to_owned()),
            phone_number: Some("+916205829376".to_owned()),
            phone: None,
            gender: Some("male".to_owned()),
            bio: Some("I like live music.".to_owned()),
            location: Some("Patna".to_owned()),
            birth_date: Some("1995-01-01".to_owned()),
            event_interests: vec![EventInterest::example()],
            profile_pictures: vec!["https://example.com/pic1.jpg".to_owned()],
            is_verified: true,
            is_active: true,
            created_at: "2025-10-03T10:15:23.435393+00:00".to_owned(),
            updated_at: "2025-10-03T10:20:01.000200+00:00".to_owned(),
            terms: None,
        }
    }
}
