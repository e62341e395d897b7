//! Requests and responses of the operations on invitations.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, registry::MetaSchema, types::Example};

use crate::{
    domain::{invitation, keyset::Page, phone::PhoneNumber},
    http::{
        fields::{Describe, Field, describe, schema},
        timestamp::rfc3339,
    },
    store::invitations::Made,
};

/// How many of its accounts an invitation names.
const MOST_NAMED: usize = 20;

describe!(/// `cursor`.
Cursor, required: false, schema("string", "The `next` of the page before.", "MDE5OWFhNTU1YTJi".into()));
describe!(/// `uses` of a new invitation.
NewUses, required: false, MetaSchema {
    nullable: true,
    minimum: Some(1.0),
    maximum: Some(1_000.0),
    default: Some(1.into()),
    description: Some("How many accounts it makes. One, if it is for a phone."),
    example: Some(1.into()),
    ..MetaSchema::new_with_format("integer", "int64")
});
describe!(/// `expires_at` of a new invitation.
NewEnd, required: false, MetaSchema {
    nullable: true,
    ..schema("string", "When it ends by itself (RFC 3339). Null: never.", "2027-01-31T00:00:00+05:30".into())
});
describe!(/// `phone_number` of a new invitation.
NewPhone, required: false, MetaSchema {
    nullable: true,
    ..schema("string", "The only phone that it admits, in any spelling. Null: everyone.", "+916205829376".into())
});

/// An invitation to make. Every field may be left out, and so may the body.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct NewInvitationRequest {
    #[oai(skip_serializing_if_is_none)]
    pub(super) uses: Field<NewUses>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) expires_at: Field<NewEnd>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) phone_number: Field<NewPhone>,
}

impl Example for NewInvitationRequest {
    fn example() -> Self {
        Self { uses: Field::from_value(1), ..Self::default() }
    }
}

/// An account that an invitation made.
#[derive(Debug, Object)]
pub struct InvitedUser {
    /// The account (UUID version 7).
    user_id: String,
    /// When it was created (RFC 3339, UTC).
    at: String,
}

/// An invitation, without its text.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Invitation {
    /// The invitation (UUID version 7).
    id: String,
    /// `live`, `used_up`, `expired` or `ended`.
    state: String,
    /// How many accounts it makes.
    uses: i64,
    /// How many it still makes.
    uses_left: i64,
    /// The only phone that it admits, masked; null for everyone.
    phone_number: Option<String>,
    /// When it ends by itself (RFC 3339, UTC), or null.
    expires_at: Option<String>,
    /// The member of staff who made it; null for the command line.
    made_by: Option<String>,
    /// When it was made (RFC 3339, UTC).
    made_at: String,
    /// The member of staff who ended it; null for the command line.
    ended_by: Option<String>,
    /// When it was ended (RFC 3339, UTC), or null.
    ended_at: Option<String>,
    /// The newest accounts that it made, 20 at most, without those that were deleted.
    used_by: Vec<InvitedUser>,
}

impl Invitation {
    /// With a masked phone.
    pub(super) fn in_list(invitation: &invitation::Invitation, made: &[Made], now: DateTime<Utc>) -> Self {
        let user = |made: &Made| InvitedUser { user_id: made.account_id.to_string(), at: rfc3339(made.at) };
        let its_own = made.iter().filter(|made| made.invitation_id == invitation.id);
        Self {
            id: invitation.id.to_string(),
            state: invitation.state(now).as_str().to_owned(),
            uses: invitation.uses,
            uses_left: invitation.uses_left,
            phone_number: invitation.phone.as_ref().map(PhoneNumber::masked),
            expires_at: invitation.expires_at.map(rfc3339),
            made_by: invitation.made_by.map(|id| id.to_string()),
            made_at: rfc3339(invitation.made_at),
            ended_by: invitation.ended_by.map(|id| id.to_string()),
            ended_at: invitation.ended_at.map(rfc3339),
            used_by: its_own.take(MOST_NAMED).map(user).collect(),
        }
    }
}

impl Example for Invitation {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            state: "live".to_owned(),
            uses: 1,
            uses_left: 1,
            phone_number: None,
            expires_at: Some("2027-01-30T18:30:00.000000+00:00".to_owned()),
            made_by: Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned()),
            made_at: "2026-11-21T08:26:25.158906+00:00".to_owned(),
            ended_by: None,
            ended_at: None,
            used_by: Vec::new(),
        }
    }
}

/// A new invitation, with its text.
#[derive(Debug, Object)]
#[oai(example)]
pub struct MadeInvitation {
    /// The invitation (UUID version 7).
    id: String,
    /// The text to give away. It is a secret, and this is the only answer that shows it.
    invitation: String,
    /// `live`.
    state: String,
    /// How many accounts it makes.
    uses: i64,
    /// How many it still makes.
    uses_left: i64,
    /// The only phone that it admits, in E.164; null for everyone.
    phone_number: Option<String>,
    /// When it ends by itself (RFC 3339, UTC), or null.
    expires_at: Option<String>,
    /// The member of staff who made it.
    made_by: Option<String>,
    /// When it was made (RFC 3339, UTC).
    made_at: String,
}

impl MadeInvitation {
    pub(super) fn new(invitation: &invitation::Invitation, text: &str, now: DateTime<Utc>) -> Self {
        Self {
            id: invitation.id.to_string(),
            invitation: text.to_owned(),
            state: invitation.state(now).as_str().to_owned(),
            uses: invitation.uses,
            uses_left: invitation.uses_left,
            phone_number: invitation.phone.as_ref().map(|phone| phone.full().to_owned()),
            expires_at: invitation.expires_at.map(rfc3339),
            made_by: invitation.made_by.map(|id| id.to_string()),
            made_at: rfc3339(invitation.made_at),
        }
    }
}

impl Example for MadeInvitation {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            invitation: "inv_k5tgo3lqmr2xe4dbnf7wq6zuya".to_owned(),
            state: "live".to_owned(),
            uses: 1,
            uses_left: 1,
            phone_number: None,
            expires_at: Some("2027-01-30T18:30:00.000000+00:00".to_owned()),
            made_by: Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned()),
            made_at: "2026-11-21T08:26:25.158906+00:00".to_owned(),
        }
    }
}

/// A page of invitations.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Invitations {
    /// The invitations.
    items: Vec<Invitation>,
    /// The `cursor` of the next page, or null on the last one.
    next: Option<String>,
}

impl Invitations {
    pub(super) fn from_page(page: &Page<invitation::Invitation>, made: &[Made], now: DateTime<Utc>) -> Self {
        let item = |invitation| Invitation::in_list(invitation, made, now);
        Self {
            items: page.items.iter().map(item).collect(),
            next: page.next.as_ref().map(ToString::to_string),
        }
    }
}

impl Example for Invitations {
    fn example() -> Self {
        Self { items: vec![Invitation::example()], next: None }
    }
}
