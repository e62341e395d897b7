//! What becomes of a person of another system: an account, a lead, or neither.
//!
//! An account needs a way to sign in: a phone that was proved there, or a password with a username or an e-mail address. A phone
//! that was never proved makes a lead. A field that breaks a rule of this server is left out and named; the rest comes.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use thiserror::Error;

use super::{
    row::{FormerLead, Person},
    text::{is_like_a_phone, on_one_line, with_ascii_digits},
};
use crate::{
    account::Role,
    credentials::{ClaimedPhone, Email, NameError, PasswordHash, PersonName, Username},
    former_id::{FormerId, LONGEST_FORMER_ID},
    interests::InterestName,
    lead::LeadName,
    phone::{PhoneError, PhoneNumber, Region},
    profile::{Bio, BirthDate, Gender, Location, Name, PictureHosts, PictureUrls},
};

/// The most interests of a profile, and the most pictures.
const MOST_INTERESTS: usize = 5;
const MOST_PICTURES: usize = 6;

/// What the rules depend on.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The region of phones without a country code.
    pub region: Region,
    /// The shortest name.
    pub name_min_chars: u64,
    /// Where pictures may be.
    pub picture_hosts: PictureHosts,
    /// The day of today.
    pub today: NaiveDate,
    /// The time of the import.
    pub now: DateTime<Utc>,
}

/// Reads the id of a row.
fn id_of(text: &str) -> Result<FormerId, Reason> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Reason::NoId);
    }
    FormerId::parse(text).ok_or(Reason::BadId)
}

/// A person who gets an account.
#[derive(Clone)]
pub struct Newcomer {
    /// The place of the row.
    pub place: u64,
    /// The id in the other system.
    pub old_id: FormerId,
    /// The proved phone.
    pub phone: Option<PhoneNumber>,
    /// A phone that was not proved, or that another account has.
    pub claimed_phone: Option<ClaimedPhone>,
    /// The username.
    pub username: Option<Username>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The first name.
    pub first_name: Option<PersonName>,
    /// The last name.
    pub last_name: Option<PersonName>,
    /// The display name.
    pub name: Option<Name>,
    /// The birth date.
    pub birth_date: Option<BirthDate>,
    /// The gender.
    pub gender: Option<Gender>,
    /// The text about the user.
    pub bio: Option<Bio>,
    /// The location.
    pub location: Option<Location>,
    /// The interests, each once.
    pub interests: Vec<InterestName>,
    /// The pictures, each once.
    pub pictures: Vec<String>,
    /// The hash of the password.
    pub password: Option<PasswordHash>,
    /// The role.
    pub role: Role,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// The last sign-in there. It only decides who keeps a number.
    pub last_sign_in: Option<DateTime<Utc>>,
    /// The fields that do not come.
    pub left_out: Vec<&'static str>,
}

impl fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Newcomer").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Newcomer {
    /// Whether the account can be signed in to with its password.
    #[must_use]
    pub fn has_password_sign_in(&self) -> bool {
        self.password.is_some() && (self.username.is_some() || self.email.is_some())
    }

    /// Names a field that does not come, once.
    pub fn leave_out(&mut self, field: &'static str) {
        if !self.left_out.contains(&field) {
            self.left_out.push(field);
        }
    }

    /// Takes the number from the account: another one has it. The user can still see it, and nothing else uses it.
    pub fn lose_phone(&mut self, region: Region) {
        if let Some(phone) = self.phone.take() {
            self.claimed_phone = ClaimedPhone::parse(phone.full(), region).ok().flatten();
            self.leave_out("phone");
        }
    }
}

/// Someone who becomes a lead.
#[derive(Clone)]
pub struct Prospect {
    /// The place of the row.
    pub place: u64,
    /// The id in the other system.
    pub old_id: String,
    /// The phone.
    pub phone: PhoneNumber,
    /// The name.
    pub name: Option<LeadName>,
    /// The first request.
    pub first_requested_at: DateTime<Utc>,
    /// The last request.
    pub last_requested_at: DateTime<Utc>,
}

impl fmt::Debug for Prospect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prospect").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What becomes of a person.
#[derive(Debug)]
pub enum Judged {
    /// An account.
    Account(Box<Newcomer>),
    /// A lead.
    Lead(Box<Prospect>),
    /// Neither.
    Refused(Reason),
}

/// Why a row does not come. `Display` is a sentence without a full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// The row cannot be read.
    #[error("the row cannot be read")]
    Unreadable,
    /// The row has no id.
    #[error("the row has no id")]
    NoId,
    /// The id is too long or has a control character.
    #[error("the id has a control character or more than {LONGEST_FORMER_ID} characters")]
    BadId,
    /// An earlier row has the same id.
    #[error("an earlier row has the same id")]
    IdTwice,
    /// An account that was not made by this import has the id.
    #[error("another account has this id")]
    IdTaken,
    /// The user was deleted there.
    #[error("the user was deleted in the other system")]
    Deleted,
    /// There is no way to sign in.
    #[error("the user has neither a phone that was proved nor a password with a name")]
    NoWayIn,
    /// The user was disabled, and the phone never proved.
    #[error("the user is disabled, and the phone was never proved")]
    DisabledLead,
    /// The phone is no number.
    #[error("{0}")]
    Phone(#[from] PhoneError),
    /// An account that was not made by this import has the number.
    #[error("another account has the phone number")]
    PhoneTaken,
    /// The name of an interest breaks a rule.
    #[error("the name of the interest is empty, longer than 50 characters or not on one line")]
    InterestName,
}

impl Reason {
    /// The code in reports. It never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NoId => "no_id",
            Self::BadId => "bad_id",
            Self::IdTwice => "id_twice",
            Self::IdTaken => "id_taken",
            Self::Deleted => "deleted",
            Self::NoWayIn => "no_way_in",
            Self::DisabledLead => "disabled_lead",
            Self::Phone(PhoneError::Missing) => "phone_missing",
            Self::Phone(PhoneError::TooLong) => "phone_too_long",
            Self::Phone(PhoneError::Character) => "phone_characters",
            Self::Phone(PhoneError::NoPlus) => "phone_without_plus",
            Self::Phone(PhoneError::NotInPlan) => "phone_not_in_plan",
            Self::Phone(PhoneError::NotPersonal) => "phone_not_personal",
            Self::PhoneTaken => "phone_taken",
            Self::InterestName => "interest_name",
        }
    }
}

/// The phones of a person.
#[derive(Default)]
struct Phones {
    proved: Option<PhoneNumber>,
    unproved: Option<PhoneNumber>,
    /// Why the first one is no number.
    error: Option<PhoneError>,
}

impl Phones {
    fn read(person: &Person, region: Region) -> Self {
        let mut phones = Self::default();
        for phone in person.phones.iter().filter(|phone| !phone.text.trim().is_empty()) {
            match PhoneNumber::parse(&with_ascii_digits(phone.text.trim()), region) {
                Ok(number) if phone.is_proved => phones.proved = phones.proved.or(Some(number)),
                Ok(number) => phones.unproved = phones.unproved.or(Some(number)),
                Err(error) => phones.error = phones.error.or(Some(error)),
            }
        }
        phones
    }
}

/// Decides what becomes of a person. Whether a number is proved is the source's word; a number that several people have is
/// decided later ([`super::Groups`]).
#[must_use]
pub fn judge(person: &Person, rules: &Rules) -> Judged {
    let old_id = match id_of(&person.old_id) {
        Ok(old_id) => old_id,
        Err(reason) => return Judged::Refused(reason),
    };
    if person.is_deleted {
        return Judged::Refused(Reason::Deleted);
    }
    let phones = Phones::read(person, rules.region);
    let is_disabled = person.is_disabled || person.disabled_until.is_some_and(|until| until > rules.now);
    let mut newcomer = newcomer(person, old_id, &phones, rules);
    newcomer.is_active = !is_disabled;
    if phones.proved.is_some() || newcomer.has_password_sign_in() {
        return Judged::Account(Box::new(newcomer));
    }
    match (phones.unproved, phones.error) {
        (Some(_), _) if is_disabled => Judged::Refused(Reason::DisabledLead),
        (Some(phone), _) => {
            let name = newcomer.name.as_ref().and_then(|name| LeadName::parse(name.as_str()).ok().flatten());
            let (at, old_id) = (newcomer.created_at, newcomer.old_id.to_string());
            let last_requested_at = person.last_sign_in.map_or(at, |last| last.clamp(at, rules.now));
            let place = person.place;
            Judged::Lead(Box::new(Prospect {
                place,
                old_id,
                phone,
                name,
                first_requested_at: at,
                last_requested_at,
            }))
        }
        (None, Some(error)) => Judged::Refused(error.into()),
        (None, None) => Judged::Refused(Reason::NoWayIn),
    }
}

/// Decides what becomes of someone who only requested a code.
pub fn judge_lead(lead: &FormerLead, rules: &Rules) -> Result<Prospect, Reason> {
    let phone = PhoneNumber::parse(&with_ascii_digits(lead.phone.trim()), rules.region)?;
    let first_requested_at = lead.first_requested_at.map_or(rules.now, |at| at.min(rules.now));
    let last = lead.last_requested_at.unwrap_or(first_requested_at);
    Ok(Prospect {
        place: lead.place,
        old_id: lead.old_id.clone(),
        phone,
        name: None,
        first_requested_at,
        last_requested_at: last.clamp(first_requested_at, rules.now),
    })
}

fn newcomer(person: &Person, old_id: FormerId, phones: &Phones, rules: &Rules) -> Newcomer {
    let mut left_out: Vec<&'static str> = person.left_out.clone();
    let mut kept = Kept(&mut left_out);
    // A phone as the name: it is the phone here.
    let username = person.username.as_deref().filter(|name| !is_like_a_phone(name));
    let username = match username.map(Username::parse) {
        Some(Ok(username)) => Some(username),
        // An empty name is none.
        None | Some(Err(NameError::LikeAPhone | NameError::NoUsername)) => None,
        Some(Err(_)) => kept.nothing("username"),
    };
    let region = rules.region;
    let claimed_phone = phones.unproved.as_ref().filter(|_| phones.proved.is_none());
    let newcomer = Newcomer {
        place: person.place,
        old_id,
        phone: phones.proved.clone(),
        claimed_phone: claimed_phone.and_then(|it| ClaimedPhone::parse(it.full(), region).ok().flatten()),
        username,
        email: kept.text("email", person.email.as_deref(), |text| Email::parse(text).map(Some)),
        first_name: kept.text("first_name", person.first_name.as_deref(), PersonName::parse),
        last_name: kept.text("last_name", person.last_name.as_deref(), PersonName::parse),
        name: kept
            .text("name", person.name.as_deref(), |text| Name::parse(text, rules.name_min_chars).map(Some)),
        birth_date: kept.text("birth_date", person.birth_date.as_deref(), |text| {
            BirthDate::parse(text, rules.today).map(Some)
        }),
        gender: kept.text("gender", person.gender.as_deref(), |text| Gender::parse(text).map(Some)),
        bio: kept.text("bio", person.bio.as_deref(), Bio::parse),
        location: kept.text("location", person.location.as_deref(), Location::parse),
        interests: kept.interests(&person.interests),
        pictures: kept.pictures(&person.pictures, rules.picture_hosts),
        password: kept
            .text("password", person.password.as_deref(), |text| PasswordHash::moved(text).map(Some)),
        role: person.role.unwrap_or(Role::User),
        is_active: true,
        created_at: person.created_at.map_or(rules.now, |at| at.min(rules.now)),
        last_sign_in: person.last_sign_in,
        left_out: Vec::new(),
    };
    if phones.proved.is_none() && phones.unproved.is_none() && phones.error.is_some() {
        kept.nothing::<()>("phone");
    }
    Newcomer { left_out, ..newcomer }
}

/// Collects the names of fields that do not come.
struct Kept<'a>(&'a mut Vec<&'static str>);

impl Kept<'_> {
    fn nothing<T>(&mut self, field: &'static str) -> Option<T> {
        if !self.0.contains(&field) {
            self.0.push(field);
        }
        None
    }

    /// A text that satisfies its rule. A blank one is none, and nothing is missing.
    fn text<T, E>(
        &mut self,
        field: &'static str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<Option<T>, E>,
    ) -> Option<T> {
        let text = on_one_line(text?);
        if text.is_empty() {
            return None;
        }
        parse(&text).unwrap_or_else(|_| self.nothing(field))
    }

    fn interests(&mut self, names: &[String]) -> Vec<InterestName> {
        let mut interests: Vec<InterestName> = Vec::new();
        for name in names {
            match InterestName::parse(&on_one_line(name)) {
                Ok(name) if interests.iter().any(|known| known.key() == name.key()) => {}
                Ok(name) if interests.len() < MOST_INTERESTS => interests.push(name),
                Ok(_) | Err(_) => {
                    self.nothing::<()>("interests");
                }
            }
        }
        interests
    }

    fn pictures(&mut self, urls: &[String], hosts: PictureHosts) -> Vec<String> {
        let mut pictures: Vec<String> = Vec::new();
        for url in urls.iter().filter(|url| !url.trim().is_empty()) {
            let mut more = pictures.clone();
            more.push(url.trim().to_owned());
            match PictureUrls::parse(&more, hosts) {
                Ok(_) if more.len() <= MOST_PICTURES => pictures = more,
                Ok(_) | Err(_) => {
                    self.nothing::<()>("profile_pictures");
                }
            }
        }
        pictures
    }
}
