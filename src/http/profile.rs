//! Completing, reading and changing the user's own profile.

#![expect(clippy::large_enum_variant, reason = "a response is created once and sent")]

mod shapes;

use std::sync::Arc;

use poem::Result;
use poem_openapi::{ApiResponse, OpenApi};

use super::{
    Tag,
    body::Deferred,
    envelope::{ErrorResponse, Success},
    error::RequestError,
    fields::{self, Describe, ErrorMessages, Field, FieldErrors, optional},
    json::Json,
    security::{GuestGate, Token, enter},
};
use crate::{
    domain::{
        access::SignedIn,
        account::{Account, Changes},
        credentials::ClaimedPhone,
        interests::Interest,
        phone::PhoneNumber,
        profile::{Bio, BirthDate, Gender, InterestIds, Location, Name, PictureUrls},
        terms::TermsVersion,
    },
    flows::{Services, interests, profile, session::TokenRefused},
};

use shapes::{
    ChangeProfileRequest, ClaimedPhone as ClaimedPhoneField, CompleteProfileRequest, CompletedProfileData,
    EventInterest, EventInterestsAnswer, Profile, Terms,
};

/// The operations of this module.
pub struct ProfileApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The responses of `complete-profile`.
#[derive(ApiResponse)]
pub enum CompleteProfileResponse {
    /// The profile is complete.
    #[oai(status = 200)]
    Completed(Json<Success<CompletedProfileData>>),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of `event-interests`.
#[derive(ApiResponse)]
pub enum EventInterestsResponse {
    /// The active interests, by name.
    #[oai(status = 200)]
    List(Json<EventInterestsAnswer>),
}

/// The responses of `GET profile`.
#[derive(ApiResponse)]
pub enum ProfileResponse {
    /// The profile.
    #[oai(status = 200)]
    Found(Json<Profile>),
}

/// The responses of `PUT profile`.
#[derive(ApiResponse)]
pub enum ChangeProfileResponse {
    /// The profile as it is now.
    #[oai(status = 200)]
    Changed(Json<Profile>),
    /// `validation_failed`: `error.fields` names everything that is wrong.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

#[OpenApi(tag = "Tag::Profile")]
impl ProfileApi {
    /// Complete the profile
    ///
    /// Sets the whole profile. A second call overwrites it, and clears `bio` and `location` if they are left out. If the operator has
    /// terms, `terms_version` must be the version in force: `needs_profile_completion` is true again when it changes.
    #[oai(path = "/api/auth/complete-profile", method = "post", operation_id = "completeProfile")]
    async fn complete_profile(
        &self,
        token: Token,
        body: Deferred<CompleteProfileRequest>,
    ) -> Result<CompleteProfileResponse> {
        let interests = interests::list(&self.services).await.map_err(RequestError::from)?;
        // Usually one statement checks the session and writes.
        if let Ok(body) = &body.0 {
            let mut errors = FieldErrors::default();
            let phone = errors.check("phone_number", self.given_phone(&body.phone_number)).flatten();
            let changes = self.whole_profile(body, &interests, &mut errors);
            if errors.is_empty() {
                let completed = profile::complete(&self.services, &token.0, phone, changes).await;
                if let Some(account) = completed.map_err(RequestError::from)? {
                    return Ok(CompleteProfileResponse::completed(account));
                }
            }
        }
        let signed_in = enter(&self.services, &token.0).await?;
        let body = body.0?;
        let mut errors = FieldErrors::default();
        errors.check("phone_number", self.own_phone(&body.phone_number, &signed_in));
        let changes = self.whole_profile(&body, &interests, &mut errors);
        if !errors.is_empty() {
            return Ok(CompleteProfileResponse::Invalid(errors.into_error_response()));
        }
        let account = self.write(signed_in, changes).await?;
        Ok(CompleteProfileResponse::completed(account))
    }

    /// List the event interests
    ///
    /// The active interests, by name. The list may be one minute old.
    #[oai(path = "/api/auth/event-interests", method = "get", operation_id = "listEventInterests")]
    async fn event_interests(&self) -> Result<EventInterestsResponse> {
        let interests = interests::list(&self.services).await.map_err(RequestError::from)?;
        let active = interests
            .iter()
            .filter(|interest| interest.is_active)
            .map(EventInterest::from_interest)
            .collect();
        Ok(EventInterestsResponse::List(Json(EventInterestsAnswer::new(active))))
    }

    /// Get the profile of the signed-in user
    ///
    /// Fields that were not given are null.
    #[oai(path = "/api/auth/profile", method = "get", operation_id = "getProfile")]
    async fn profile(&self, gate: GuestGate) -> Result<ProfileResponse> {
        let interests = interests::list(&self.services).await.map_err(RequestError::from)?;
        Ok(ProfileResponse::Found(Json(self.shown(gate.0.account(), &interests))))
    }

    /// Change the profile of the signed-in user
    ///
    /// Takes any of the fields of `complete-profile`, with the same rules. Fields that are left out stay. `null` clears
    /// `bio` and `location` only.
    #[oai(path = "/api/auth/profile", method = "put", operation_id = "changeProfile")]
    async fn change_profile(
        &self,
        gate: GuestGate,
        body: Json<ChangeProfileRequest>,
    ) -> Result<ChangeProfileResponse> {
        let interests = interests::list(&self.services).await.map_err(RequestError::from)?;
        let mut errors = FieldErrors::default();
        let body = &body.0;
        optional(&mut errors, "phone_number", &body.phone_number, |field| {
            field.text()?;
            self.own_phone(field, &gate.0)
        });
        let changes = Changes {
            name: optional(&mut errors, "name", &body.name, |field| self.name(field)),
            birth_date: optional(&mut errors, "birth_date", &body.birth_date, |field| self.birth_date(field)),
            gender: optional(&mut errors, "gender", &body.gender, gender),
            event_interests: optional(&mut errors, "event_interests", &body.event_interests, |field| {
                interest_ids(field, &interests)
            }),
            profile_pictures: optional(&mut errors, "profile_pictures", &body.profile_pictures, |field| {
                self.pictures(field)
            }),
            bio: optional(&mut errors, "bio", &body.bio, bio),
            location: optional(&mut errors, "location", &body.location, location),
            claimed_phone: optional(&mut errors, "phone", &body.phone, |field| self.claimed_phone(field)),
            terms: optional(&mut errors, "terms_version", &body.terms_version, |field| self.terms(field))
                .flatten(),
        };
        if !errors.is_empty() {
            return Ok(ChangeProfileResponse::Invalid(errors.into_error_response()));
        }
        let account = self.write(gate.0, changes).await?;
        Ok(ChangeProfileResponse::Changed(Json(self.shown(&account, &interests))))
    }
}

impl CompleteProfileResponse {
    fn completed(account: Account) -> Self {
        let profile = account.profile;
        Self::Completed(Success::new(
            "Profile completed successfully",
            CompletedProfileData {
                user_id: account.id.to_string(),
                profile_id: profile.id.to_string(),
                name: profile.name.unwrap_or_default(),
                phone_number: account.phone.map(|phone| phone.full().to_owned()),
                gender: profile.gender.map_or("", Gender::as_str).to_owned(),
                event_interests_count: profile.event_interests.len(),
                profile_pictures_count: profile.profile_pictures.len(),
            },
        ))
    }
}

impl ProfileApi {
    /// The changes of a whole profile. Whatever is wrong is among the errors.
    fn whole_profile(
        &self,
        body: &CompleteProfileRequest,
        interests: &[Interest],
        errors: &mut FieldErrors,
    ) -> Changes {
        Changes {
            name: errors.check("name", self.name(&body.name)),
            birth_date: errors.check("birth_date", self.birth_date(&body.birth_date)),
            gender: errors.check("gender", gender(&body.gender)),
            event_interests: errors.check("event_interests", interest_ids(&body.event_interests, interests)),
            profile_pictures: errors.check("profile_pictures", self.pictures(&body.profile_pictures)),
            bio: errors.check("bio", bio(&body.bio)),
            location: errors.check("location", location(&body.location)),
            claimed_phone: None,
            terms: errors.check("terms_version", self.terms(&body.terms_version)).flatten(),
        }
    }

    /// The terms that are accepted, if there are any: then they have to be. Without terms, the text only has to be empty or one that could name
    /// a version.
    fn terms(&self, field: &Field<Terms>) -> Result<Option<TermsVersion>, ErrorMessages> {
        let read = field.given().map(Field::text).transpose()?;
        if let Some(text) = read.filter(|text| self.services.terms.is_none() && !text.is_empty()) {
            text.parse::<TermsVersion>().map_err(|error| vec![error.to_string()])?;
        }
        self.services.terms.as_ref().map(|in_force| in_force.accept(read)).transpose()
    }

    fn shown(&self, account: &Account, interests: &[Interest]) -> Profile {
        Profile::from_account(account, interests, self.services.terms.as_ref())
    }

    async fn write(&self, signed_in: SignedIn, changes: Changes) -> Result<Account> {
        let written =
            profile::change(&self.services, signed_in, changes).await.map_err(RequestError::from)?;
        // The account, with its sessions, was deleted after the gate.
        Ok(written.ok_or(RequestError::Token(TokenRefused::Revoked))?)
    }

    /// Null and empty clear it. It is shown in the profile and not used otherwise.
    fn claimed_phone(&self, field: &Field<ClaimedPhoneField>) -> Result<Option<ClaimedPhone>, ErrorMessages> {
        let Some(field) = field.given() else { return Ok(None) };
        ClaimedPhone::parse(field.text()?, self.services.region).map_err(|error| vec![error.to_string()])
    }

    /// `phone_number` must be the phone of the account: it only changes by verification.
    fn own_phone(&self, field: &Field<fields::OwnPhone>, signed_in: &SignedIn) -> Result<(), ErrorMessages> {
        let phone = self.given_phone(field)?;
        if phone.is_none() || phone == signed_in.account().phone {
            Ok(())
        } else {
            Err(vec!["Phone number must be the one that you signed in with".to_owned()])
        }
    }

    fn given_phone(&self, field: &Field<fields::OwnPhone>) -> Result<Option<PhoneNumber>, ErrorMessages> {
        field.given().map(|field| fields::phone(field, self.services.region)).transpose()
    }

    fn name(&self, field: &Field<impl Describe>) -> Result<Name, ErrorMessages> {
        Name::parse(field.text()?, self.services.name_min_chars)
    }

    fn birth_date(&self, field: &Field<impl Describe>) -> Result<BirthDate, ErrorMessages> {
        BirthDate::parse(field.text()?, self.services.today())
    }

    fn pictures(&self, field: &Field<impl Describe>) -> Result<PictureUrls, ErrorMessages> {
        PictureUrls::parse(&field.texts()?, self.services.picture_hosts)
    }
}

fn gender(field: &Field<impl Describe>) -> Result<Gender, ErrorMessages> {
    Gender::parse(field.text()?)
}

fn interest_ids(field: &Field<impl Describe>, interests: &[Interest]) -> Result<InterestIds, ErrorMessages> {
    let is_active = |id| interests.iter().any(|interest| interest.id == id && interest.is_active);
    InterestIds::parse(&field.integers()?, is_active)
}

fn bio(field: &Field<impl Describe>) -> Result<Option<Bio>, ErrorMessages> {
    field.given().map_or(Ok(None), |field| Bio::parse(field.text()?))
}

fn location(field: &Field<impl Describe>) -> Result<Option<Location>, ErrorMessages> {
    field.given().map_or(Ok(None), |field| Location::parse(field.text()?))
}
