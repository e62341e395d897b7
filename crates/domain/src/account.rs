//! An account and its profile.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    credentials::ClaimedPhone,
    phone::PhoneNumber,
    profile::{Bio, BirthDate, Gender, InterestIds, Location, Name, PictureUrls},
    terms::{AcceptedTerms, TermsVersion},
};

/// The role of an account. Each role includes the rights of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Has proved nothing: neither a phone nor a password. The session is all there is.
    Guest,
    /// An ordinary user. A session opened with a phone code always has this role.
    User,
    /// Helps users with their accounts.
    Staff,
    /// Assigns roles.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Guest, Self::User, Self::Staff, Self::Admin];

    /// The roles that an admin can give.
    pub const NEW: [Self; 3] = [Self::User, Self::Staff, Self::Admin];

    /// The name in rows and in the token claim.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::User => "user",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }

    /// Reads the name from a row.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Reads the name of a role that an account can be given. Nobody becomes a guest.
    #[must_use]
    pub fn parse_new(name: &str) -> Option<Self> {
        Self::NEW.into_iter().find(|role| role.as_str() == name)
    }
}

/// An account.
#[derive(Clone)]
pub struct Account {
    /// `user_id` of the contract.
    pub id: Uuid,
    /// The verified phone.
    pub phone: Option<PhoneNumber>,
    /// The username for password sign-in.
    pub username: Option<String>,
    /// The e-mail address, never verified.
    pub email: Option<String>,
    /// The first name as the user typed it.
    pub first_name: Option<String>,
    /// The last name as the user typed it.
    pub last_name: Option<String>,
    /// The unverified phone given at registration. No lookup uses it.
    pub claimed_phone: Option<String>,
    /// Whether the account has a password.
    pub has_password: bool,
    /// The role in sessions opened with the password.
    pub role: Role,
    /// An inactive account gets no code, no token and no refresh.
    pub is_active: bool,
    /// The profile.
    pub profile: Profile,
    /// The terms that the user accepted last.
    pub terms: Option<AcceptedTerms>,
    /// Device tokens are valid only if they carry this number.
    pub device_epoch: i64,
    /// Whether the account was created with the fixed code of a review number.
    pub is_review: bool,
    /// The phone that was recycled and now belongs to another account.
    pub former_phone: Option<PhoneNumber>,
    /// When the account lost that phone.
    pub unlinked_at: Option<DateTime<Utc>>,
    /// The id in the system that the account was moved from, if that id is no UUID.
    pub external_id: Option<String>,
    /// The invitation that the account was made with, which may be removed since.
    pub invitation_id: Option<Uuid>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When the account or its profile was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Account {
    /// `needs_profile_completion` of the contract: true until the profile has all that is required, and while terms are in force
    /// that the user has not accepted.
    #[must_use]
    pub fn needs_completion(&self, in_force: Option<&TermsVersion>) -> bool {
        let accepted = self.terms.as_ref().map(|terms| terms.version.as_str());
        self.profile.lacks_fields() || in_force.is_some_and(|version| accepted != Some(version.as_str()))
    }

    /// The names of the user, which a password must not be like.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let texts = [
            &self.username,
            &self.email,
            &self.first_name,
            &self.last_name,
            &self.profile.name,
            &self.claimed_phone,
        ];
        let phone = self.phone.as_ref().map(PhoneNumber::full);
        texts.into_iter().filter_map(Option::as_deref).chain(phone).collect()
    }

    /// How to address the user: the username, else the profile name, else the phone number.
    #[must_use]
    pub fn called(&self) -> &str {
        let named = self.username.as_deref().or(self.profile.name.as_deref());
        named.or(self.phone.as_ref().map(PhoneNumber::full)).unwrap_or("you")
    }
}

// Written by hand: names and phones must not get into logs.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("phone", &self.phone).finish_non_exhaustive()
    }
}

/// The profile of a user. Every field is empty until the user completes it.
#[derive(Clone)]
pub struct Profile {
    /// `profile_id` of the contract.
    pub id: Uuid,
    /// The name.
    pub name: Option<String>,
    /// The birth date.
    pub birth_date: Option<BirthDate>,
    /// The gender.
    pub gender: Option<Gender>,
    /// The text about the user.
    pub bio: Option<String>,
    /// The location.
    pub location: Option<String>,
    /// Ids of interests, in the user's order.
    pub event_interests: Vec<i64>,
    /// URLs of pictures, in the user's order.
    pub profile_pictures: Vec<String>,
}

impl Profile {
    /// True until name, birth date, gender, an interest and a picture are set, by whichever endpoint.
    #[must_use]
    pub fn lacks_fields(&self) -> bool {
        self.name.is_none()
            || self.birth_date.is_none()
            || self.gender.is_none()
            || self.event_interests.is_empty()
            || self.profile_pictures.is_empty()
    }
}

/// Changes to a profile. `None` keeps a value; an inner `None` clears it.
#[derive(Clone, Default)]
pub struct Changes {
    /// A new name.
    pub name: Option<Name>,
    /// A new birth date.
    pub birth_date: Option<BirthDate>,
    /// A new gender.
    pub gender: Option<Gender>,
    /// A new unverified phone, or none.
    pub claimed_phone: Option<Option<ClaimedPhone>>,
    /// A new bio, or none.
    pub bio: Option<Option<Bio>>,
    /// A new location, or none.
    pub location: Option<Option<Location>>,
    /// The new interests, which replace all old ones.
    pub event_interests: Option<InterestIds>,
    /// The new pictures, which replace all old ones.
    pub profile_pictures: Option<PictureUrls>,
    /// The version of the terms that the user accepts.
    pub terms: Option<TermsVersion>,
}

impl Changes {
    /// The names of the fields that are written.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        let written = [
            ("name", self.name.is_some()),
            ("birth_date", self.birth_date.is_some()),
            ("gender", self.gender.is_some()),
            ("phone", self.claimed_phone.is_some()),
            ("bio", self.bio.is_some()),
            ("location", self.location.is_some()),
            ("event_interests", self.event_interests.is_some()),
            ("profile_pictures", self.profile_pictures.is_some()),
            ("terms_version", self.terms.is_some()),
        ];
        written.into_iter().filter(|(_, is_written)| *is_written).map(|(name, _)| name).collect()
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}
