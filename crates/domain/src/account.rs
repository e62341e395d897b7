//! An account and its profile, as they are kept.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    credentials::ClaimedPhone,
    phone::PhoneNumber,
    profile::{Bio, BirthDate, Gender, InterestIds, Location, Name, PictureUrls},
};

/// What an account may do. Each may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A person with an account. Whoever signs in by a phone code is this in that session.
    User,
    /// Somebody who helps others with their accounts.
    Staff,
    /// Somebody who says who is staff.
    Admin,
}

impl Role {
    /// The name in the row and in the claim.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }

    /// Reads the name in the row.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::User, Self::Staff, Self::Admin].into_iter().find(|role| role.as_str() == name)
    }
}

/// An account.
#[derive(Clone)]
pub struct Account {
    /// `user_id` of the contract.
    pub id: Uuid,
    /// The verified phone.
    pub phone: Option<PhoneNumber>,
    /// The name that older clients sign in with.
    pub username: Option<String>,
    /// Never proved.
    pub email: Option<String>,
    /// As the owner gave it.
    pub first_name: Option<String>,
    /// As the owner gave it.
    pub last_name: Option<String>,
    /// What the owner said at registration and nobody proved. Nobody is found by it.
    pub claimed_phone: Option<String>,
    /// Whether its owner has set a password.
    pub has_password: bool,
    /// What it may do, in a session that was opened by the password.
    pub role: Role,
    /// A deactivated account gets no code, no token and no refresh.
    pub is_active: bool,
    /// What the person tells about herself.
    pub profile: Profile,
    /// What devices were given is worth something only while it names this number.
    pub device_epoch: i64,
    /// Whether the fixed code of a review number made it.
    pub is_review: bool,
    /// The number that it lost to whoever got that next.
    pub former_phone: Option<PhoneNumber>,
    /// When that was.
    pub unlinked_at: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When the account or its profile was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Account {
    /// What to call its owner: by her username, else the name of her profile, else her phone number.
    #[must_use]
    pub fn called(&self) -> &str {
        let named = self.username.as_deref().or(self.profile.name.as_deref());
        named.or(self.phone.as_ref().map(PhoneNumber::full)).unwrap_or("you")
    }
}

// By hand, because a name or a phone in a log is a leak.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("phone", &self.phone).finish_non_exhaustive()
    }
}

/// What a person tells about herself. Everything is missing until she completes it.
#[derive(Clone)]
pub struct Profile {
    /// `profile_id` of the contract.
    pub id: Uuid,
    /// Her name.
    pub name: Option<String>,
    /// Her birth date.
    pub birth_date: Option<BirthDate>,
    /// Her gender.
    pub gender: Option<Gender>,
    /// About her.
    pub bio: Option<String>,
    /// Where she is.
    pub location: Option<String>,
    /// Ids of interests, in her order.
    pub event_interests: Vec<i64>,
    /// URLs of pictures, in her order.
    pub profile_pictures: Vec<String>,
}

impl Profile {
    /// True until name, birth date, gender, an interest and a picture are set, by whichever route.
    #[must_use]
    pub fn needs_completion(&self) -> bool {
        self.name.is_none()
            || self.birth_date.is_none()
            || self.gender.is_none()
            || self.event_interests.is_empty()
            || self.profile_pictures.is_empty()
    }
}

/// What of a profile is to be changed. What is `None` stays; an inner `None` clears.
#[derive(Default)]
pub struct Changes {
    /// A new name.
    pub name: Option<Name>,
    /// A new birth date.
    pub birth_date: Option<BirthDate>,
    /// A new gender.
    pub gender: Option<Gender>,
    /// Another phone that she says is hers and nobody proved, or none any more.
    pub claimed_phone: Option<Option<ClaimedPhone>>,
    /// A new text about her, or none any more.
    pub bio: Option<Option<Bio>>,
    /// A new place, or none any more.
    pub location: Option<Option<Location>>,
    /// New interests in the place of the old ones.
    pub event_interests: Option<InterestIds>,
    /// New pictures in the place of the old ones.
    pub profile_pictures: Option<PictureUrls>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}
