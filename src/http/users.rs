//! Users: for staff, and for every user about their own account.

mod create;
mod responses;
pub(super) mod shapes;

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::{
    Tag, client_ip,
    envelope::{ErrorCode, ErrorResponse},
    error::RequestError,
    fields::{Describe, ErrorMessages, Field, FieldErrors, optional, parsed},
    json::Json,
    lists::list_response,
    security::Gate,
};
use crate::{
    domain::{
        access::SignedIn,
        account::Role,
        address::ClientAddress,
        credentials::{Email, PersonName},
        former_id::{FormerId, LONGEST_FORMER_ID},
        roles,
        users::{self as rules, Edit, Number, PageOf, Search, Size},
    },
    flows::{
        Services, console,
        users::{self, Changed, Reunited},
    },
    store,
};

use create::CreateUserResponse;
use responses::{ChangeUserResponse, ReuniteUserResponse, SwitchUserResponse, UserResponse};
use shapes::{
    ChangeUserRequest, CreateUserRequest, ExternalId, PageNumber, PerPage, SearchText, User, Users,
};

const NO_USER: &str = "There is no such user";

const NOTHING_LOST: &str = "This user has lost no phone number";

const LAST_ADMIN: &str = "This is the last active admin: make another user an admin first";

/// The operations of this module.
pub struct UsersApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

list_response!(
    /// The responses of `GET users`.
    UsersResponse: Users, "The page, newest users first; empty past the end.", for staff
);

#[OpenApi(tag = "Tag::Users")]
impl UsersApi {
    /// List the users
    ///
    /// For staff and admins, in a session opened with the password. Newest first. Numbers are whole, so reading it is recorded
    /// in the audit log.
    #[oai(path = "/api/users", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        gate: Gate,
        request: &Request,
        /// The page, from 1.
        page: Query<Field<PageNumber>>,
        /// Users per page, 1 to 100; default 20.
        per_page: Query<Field<PerPage>>,
        /// Up to 100 characters, ignoring case. Each word must occur in the profile name, the username, the e-mail
        /// address, the first or last name, or a phone; or the whole is a part of a phone, with or without plus and
        /// spaces. `%`, `_` and `\` have no special meaning.
        search: Query<Field<SearchText>>,
        /// Only the account of the user who had this id in the system that the account was moved from: one user or none.
        external_id: Query<Field<ExternalId>>,
    ) -> Result<UsersResponse> {
        let Ok(permission) = roles::may_list(&gate.0) else {
            return Ok(UsersResponse::Forbidden(forbidden()));
        };
        let mut errors = FieldErrors::default();
        let number = errors.check("page", parsed(Number::parse(page.raw_text())));
        let size = errors.check("per_page", parsed(Size::parse(per_page.raw_text())));
        let text = search.raw_text().unwrap_or_default();
        let search = errors.check("search", parsed(Search::parse(text, self.services.region)));
        let former_id = optional(&mut errors, "external_id", &external_id.0, external_id_of);
        let (Some(number), Some(size), Some(search), true) = (number, size, search, errors.is_empty()) else {
            return Ok(UsersResponse::Invalid(errors.into_error_response()));
        };
        let search = search.with_former_id(former_id);
        let page = PageOf::new(number, size);
        let found = store::users::list(&self.services.store, &permission, &search, page).await;
        let found = found.map_err(RequestError::from)?;
        if let Ok(permission) = roles::may_act_as_staff(&gate.0, client_ip::from_request(request)) {
            console::note_list_shown(&self.services, found.users.len(), &search, permission);
        }
        let terms = self.services.terms.as_ref();
        Ok(UsersResponse::List(Json(Users::from_users(&found.users, found.total, page, terms))))
    }

    /// Create a user
    ///
    /// For admins, in a session opened with the password. The phone counts as verified, so make sure that the user has it. One of
    /// `phone_number` and `username` is required. The account has no password, and no session is opened: the user logs in with a
    /// code. It does not matter who may sign up (`SIGNUPS`).
    #[oai(path = "/api/users", method = "post", operation_id = "createUser")]
    async fn create(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<CreateUserRequest>,
    ) -> Result<CreateUserResponse> {
        use CreateUserResponse as Response;
        let from = client_ip::from_request(request);
        let Ok(permission) = roles::may_act_as_admin(&gate.0, from) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let person = match create::read(&body.0, self.services.region) {
            Ok(person) => person,
            Err(errors) => return Ok(Response::Invalid(errors.into_error_response())),
        };
        let created = users::create(&self.services, person, permission).await;
        Ok(match created.map_err(RequestError::from)? {
            Ok(user) => Response::Created(self.shown(&gate.0, from, &user)),
            Err(refused) => create::refusal(refused),
        })
    }

    /// Get a user
    ///
    /// Every user may read their own account; staff and admins may read all, which is recorded in the audit log.
    #[oai(path = "/api/users/:id", method = "get", operation_id = "getUser")]
    async fn user(
        &self,
        gate: Gate,
        /// The user (UUID).
        id: Path<String>,
        request: &Request,
    ) -> Result<UserResponse> {
        use UserResponse as Response;
        let Some(id) = uuid(&id) else {
            return Ok(Response::Unknown(no_user()));
        };
        let Ok(permission) = roles::may_read(&gate.0, id) else {
            let refusal = Response::Forbidden(forbidden());
            return self.merged_or(&gate.0, id, Response::Merged, refusal).await;
        };
        let found = store::users::find(&self.services.store, permission).await.map_err(RequestError::from)?;
        match found {
            Some(user) => Ok(Response::Found(self.shown(&gate.0, client_ip::from_request(request), &user))),
            None => self.merged_or(&gate.0, id, Response::Merged, Response::Unknown(no_user())).await,
        }
    }

    /// Change a user
    ///
    /// Fields that are left out stay. Users may change their own first name, last name and e-mail address; staff those
    /// of users, admins those of all. A session of staff that was opened by a phone code, or without the second factor, changes
    /// nothing here. `role` and `is_active` are set by admins, never on their own account. A new
    /// role and `is_active: false` end every session of the user. There is always an active admin.
    #[oai(path = "/api/users/:id", method = "put", operation_id = "changeUser")]
    async fn change(
        &self,
        gate: Gate,
        /// The user (UUID).
        id: Path<String>,
        request: &Request,
        body: Json<ChangeUserRequest>,
    ) -> Result<ChangeUserResponse> {
        use ChangeUserResponse as Response;
        let Some(id) = uuid(&id) else {
            return Ok(Response::Unknown(no_user()));
        };
        let body = &body.0;
        let changes_rights = body.role.is_given() || body.is_active.is_given();
        let permission =
            if changes_rights { roles::may_promote(&gate.0, id) } else { roles::may_edit(&gate.0, id) };
        let Ok(permission) = permission else {
            let refusal = Response::Forbidden(forbidden());
            return self.merged_or(&gate.0, id, Response::Merged, refusal).await;
        };
        let mut errors = FieldErrors::default();
        let edit = Edit {
            first_name: optional(&mut errors, "first_name", &body.first_name, person_name),
            last_name: optional(&mut errors, "last_name", &body.last_name, person_name),
            email: optional(&mut errors, "email", &body.email, email),
            role: optional(&mut errors, "role", &body.role, role),
            is_active: optional(&mut errors, "is_active", &body.is_active, Field::boolean),
            if_changed_at: None,
        };
        if !errors.is_empty() {
            return Ok(Response::Invalid(errors.into_error_response()));
        }
        let from = client_ip::from_request(request);
        let changed = users::change(&self.services, permission, edit, from).await;
        Ok(match changed.map_err(RequestError::from)? {
            Changed::Done(user) => Response::Changed(self.shown(&gate.0, from, &user)),
            Changed::NotFound => {
                return self.merged_or(&gate.0, id, Response::Merged, Response::Unknown(no_user())).await;
            }
            Changed::Forbidden => Response::Forbidden(forbidden()),
            Changed::LastAdmin => Response::Forbidden(last_admin()),
            Changed::EmailTaken => Response::Taken(ErrorResponse::from_code(ErrorCode::EmailTaken)),
        })
    }

    /// Deactivate a user
    ///
    /// Ends every session of the user, who gets no code, no token and no refresh until activated again. Nothing is
    /// deleted. Staff may deactivate users, admins all but themselves. There is always an active admin.
    #[oai(path = "/api/users/:id", method = "delete", operation_id = "deactivateUser")]
    async fn deactivate(
        &self,
        gate: Gate,
        /// The user (UUID).
        id: Path<String>,
        request: &Request,
    ) -> Result<SwitchUserResponse> {
        self.set_active(gate, client_ip::from_request(request), &id, false).await
    }

    /// Activate a user
    ///
    /// The user can sign in again; old sessions stay ended. The same rights as for deactivating.
    #[oai(path = "/api/users/:id/activate", method = "post", operation_id = "activateUser")]
    async fn activate(
        &self,
        gate: Gate,
        /// The user (UUID).
        id: Path<String>,
        request: &Request,
    ) -> Result<SwitchUserResponse> {
        self.set_active(gate, client_ip::from_request(request), &id, true).await
    }

    /// Return a recycled phone number to a user
    ///
    /// With `PHONE_STALE_DAYS` an account that was unused for that long loses its phone to the next user who verifies
    /// it. This gives the phone back to `id`, the account that lost it (`former_phone`). The account that was opened
    /// with the phone since is deactivated and loses it, and its sessions end. The same rights as for deactivating.
    #[oai(path = "/api/users/:id/reunite", method = "post", operation_id = "reuniteUser")]
    async fn reunite(
        &self,
        gate: Gate,
        /// The user who lost the phone (UUID).
        id: Path<String>,
        request: &Request,
    ) -> Result<ReuniteUserResponse> {
        use ReuniteUserResponse as Response;
        let Some(id) = uuid(&id) else {
            return Ok(Response::Unknown(no_user()));
        };
        let Ok(permission) = roles::may_deactivate(&gate.0, id) else {
            let refusal = Response::Forbidden(forbidden());
            return self.merged_or(&gate.0, id, Response::Merged, refusal).await;
        };
        let from = client_ip::from_request(request);
        let reunited = users::reunite(&self.services, permission, from).await;
        Ok(match reunited.map_err(RequestError::from)? {
            Reunited::Done(user) => Response::Reunited(self.shown(&gate.0, from, &user)),
            Reunited::NotFound => {
                return self.merged_or(&gate.0, id, Response::Merged, Response::Unknown(no_user())).await;
            }
            Reunited::NothingLost => Response::Unknown(ErrorResponse::new(ErrorCode::NotFound, NOTHING_LOST)),
            Reunited::Forbidden => Response::Forbidden(forbidden()),
            Reunited::Taken => Response::Taken(ErrorResponse::from_code(ErrorCode::PhoneTaken)),
        })
    }
}

impl UsersApi {
    /// A user as an answer shows it, with whole numbers. Of another account that is recorded.
    fn shown(&self, who: &SignedIn, from: ClientAddress, user: &rules::User) -> Json<User> {
        let permission = roles::may_act_as_staff(who, from);
        if let Ok(permission) = permission
            && user.account.id != who.account().id
        {
            console::note_account_shown(&self.services, &user.account, permission);
        }
        Json(User::from_user(user, self.services.terms.as_ref()))
    }

    /// The response about an account that was joined with another one, to those who may know; to all others `otherwise`.
    async fn merged_or<R>(
        &self,
        who: &SignedIn,
        id: Uuid,
        merged: fn(ErrorResponse) -> R,
        otherwise: R,
    ) -> Result<R> {
        let merge = store::merges::find(&self.services.store, id).await.map_err(RequestError::from)?;
        let merge = merge.filter(|merge| roles::may_know_merge(who, merge.into));
        Ok(merge.map_or(otherwise, |merge| {
            let mut gone = ErrorResponse::from_code(ErrorCode::AccountMerged);
            gone.error.merged_into = Some(merge.into.to_string());
            merged(gone)
        }))
    }

    async fn set_active(
        &self,
        gate: Gate,
        from: ClientAddress,
        id: &str,
        is_active: bool,
    ) -> Result<SwitchUserResponse> {
        use SwitchUserResponse as Response;
        let Some(id) = uuid(id) else {
            return Ok(Response::Unknown(no_user()));
        };
        let Ok(permission) = roles::may_deactivate(&gate.0, id) else {
            let refusal = Response::Forbidden(forbidden());
            return self.merged_or(&gate.0, id, Response::Merged, refusal).await;
        };
        let changed = users::change(&self.services, permission, Edit::switch(is_active), from).await;
        Ok(match changed.map_err(RequestError::from)? {
            Changed::Done(user) => Response::Switched(self.shown(&gate.0, from, &user)),
            Changed::NotFound => {
                return self.merged_or(&gate.0, id, Response::Merged, Response::Unknown(no_user())).await;
            }
            Changed::LastAdmin => Response::Forbidden(last_admin()),
            Changed::Forbidden => Response::Forbidden(forbidden()),
            // This edit sets no e-mail address.
            Changed::EmailTaken => {
                return Err(RequestError::Internal(
                    "a change of is_active changed an e-mail address".to_owned(),
                )
                .into());
            }
        })
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    text.parse().ok()
}

fn no_user() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::UserNotFound, NO_USER)
}

fn forbidden() -> ErrorResponse {
    ErrorResponse::from_code(ErrorCode::Forbidden)
}

fn last_admin() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::Forbidden, LAST_ADMIN)
}

fn person_name(field: &Field<impl Describe>) -> Result<Option<PersonName>, ErrorMessages> {
    field.given().map_or(Ok(None), |field| parsed(PersonName::parse(field.text()?)))
}

fn external_id_of(field: &Field<impl Describe>) -> Result<FormerId, ErrorMessages> {
    FormerId::parse(field.text()?)
        .ok_or_else(|| vec![format!("External id must have 1 to {LONGEST_FORMER_ID} characters")])
}

fn email(field: &Field<impl Describe>) -> Result<Option<Email>, ErrorMessages> {
    field.given().map_or(Ok(None), |field| parsed(Email::parse(field.text()?).map(Some)))
}

fn role(field: &Field<impl Describe>) -> Result<Role, ErrorMessages> {
    Role::parse_new(field.text()?).ok_or_else(|| vec!["Role must be user, staff or admin".to_owned()])
}
