//! Blocks of phones, prefixes, countries and networks, for admins.

mod shapes;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::{Request, Result};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use crate::{
    domain::{
        block::{self, Filter, Kind, Reason, State, Target, check_end, parse_reference},
        keyset::{Cursor, Page},
        phone::Region,
        roles::{self, AdminPermission, Forbidden},
    },
    flows::{
        Services,
        blocks::{self, Ended, Made, NewBlock},
        console,
    },
    http::{
        Tag, client_ip,
        envelope::{ErrorCode, ErrorResponse},
        error::RequestError,
        fields::{Describe, ErrorMessages, Field, FieldErrors, optional, parsed},
        json::Json,
        lists::list_response,
        security::Gate,
    },
    store,
};

use shapes::{Block, Blocks, NewBlockRequest};

/// Blocks on a page.
const PAGE_SIZE: usize = 50;

const NO_BLOCK: &str = "There is no such block";

/// The operations of this module.
pub struct BlocksApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

list_response!(
    /// The responses of listing blocks.
    BlocksResponse: Blocks, "The page, newest first.", for admins
);

/// The responses of making a block.
#[derive(ApiResponse)]
pub enum MakeBlockResponse {
    /// The block. It applies on every server within ten seconds.
    #[oai(status = 201)]
    Made(Json<Block>),
    /// `forbidden`: only for admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `validation_failed`: `error.fields` names everything that is wrong, also if the value is blocked already, is the phone
    /// of staff, or is the caller's own network.
    #[oai(status = 422)]
    Invalid(ErrorResponse),
}

/// The responses of reading and ending a block.
#[derive(ApiResponse)]
pub enum BlockResponse {
    /// The block as it is now.
    #[oai(status = 200)]
    Found(Json<Block>),
    /// `forbidden`: only for admins, in a session opened with the password.
    #[oai(status = 403)]
    Forbidden(ErrorResponse),
    /// `not_found`: there is no such block, or `id` is not a UUID.
    #[oai(status = 404)]
    Unknown(ErrorResponse),
}

#[OpenApi(tag = "Tag::Admin")]
impl BlocksApi {
    /// List blocks
    ///
    /// For admins, in a session opened with the password. Newest first, 50 on a page. Phones are masked.
    #[oai(path = "/api/admin/blocks", method = "get", operation_id = "listBlocks")]
    async fn list(
        &self,
        gate: Gate,
        request: &Request,
        /// Blocks of this kind.
        kind: Query<Field<shapes::Kind>>,
        /// Blocks that apply now, or that ended.
        state: Query<Field<shapes::State>>,
        /// Blocks of exactly this value.
        value: Query<Field<shapes::ValueText>>,
        /// Where the page begins.
        cursor: Query<Field<shapes::Cursor>>,
    ) -> Result<BlocksResponse> {
        if admin_permission(&gate, request).is_err() {
            return Ok(BlocksResponse::Forbidden(forbidden()));
        }
        let mut errors = FieldErrors::default();
        let filter = Filter {
            kind: optional(&mut errors, "kind", &kind, read_kind),
            state: optional(&mut errors, "state", &state, |field| parsed(State::parse(field.text()?))),
            value: optional(&mut errors, "value", &value, |field| {
                Ok(block::search_value(field.text()?, self.services.region))
            }),
        };
        let after = optional(&mut errors, "cursor", &cursor, |field| parsed(Cursor::parse(field.text()?)));
        if !errors.is_empty() {
            return Ok(BlocksResponse::Invalid(errors.into_error_response()));
        }
        let (now, most) = (self.services.clock.now(), u64::try_from(PAGE_SIZE + 1).unwrap_or(u64::MAX));
        let after = after.map(|cursor| cursor.id);
        let found = store::blocks::list(&self.services.store, &filter, after, most, now).await;
        let found = found.map_err(RequestError::from)?;
        let page = Page::new(found, PAGE_SIZE, |block| Cursor::at(block.made_at, block.id));
        Ok(BlocksResponse::List(Json(Blocks::from_page(&page, now))))
    }

    /// Block a phone, a prefix, a country or a network
    ///
    /// A blocked `phone` gets no code (`phone_unreachable` with the reason `blocked`), is not let in (403 `forbidden`), and its
    /// sessions end. A blocked `prefix` or `country` gets no code, and no code of it is accepted; its sessions go on. From a
    /// blocked `address` no code can be requested or sent back, no user signs in by password, and none registers.
    #[oai(path = "/api/admin/blocks", method = "post", operation_id = "makeBlock")]
    async fn make(
        &self,
        gate: Gate,
        request: &Request,
        body: Json<NewBlockRequest>,
    ) -> Result<MakeBlockResponse> {
        use MakeBlockResponse as Response;
        let Ok(permission) = admin_permission(&gate, request) else {
            return Ok(Response::Forbidden(forbidden()));
        };
        let now = self.services.clock.now();
        let new = match read_block(&body.0, self.services.region, now) {
            Ok(new) => new,
            Err(errors) => return Ok(Response::Invalid(errors.into_error_response())),
        };
        let wrong = |message| Response::Invalid(FieldErrors::new("value", message).into_error_response());
        Ok(match blocks::make(&self.services, new, permission).await.map_err(RequestError::from)? {
            Made::Done(block) => Response::Made(Json(Block::whole(&block, now))),
            Made::Exists => wrong("This is blocked already"),
            Made::Staff => wrong("This is the phone of a member of staff: take the role away first"),
            Made::OwnAddress => wrong("Your own address is in this network"),
        })
    }

    /// Get a block
    ///
    /// With the whole phone number, which is noted in the audit log.
    #[oai(path = "/api/admin/blocks/:id", method = "get", operation_id = "getBlock")]
    async fn find(
        &self,
        gate: Gate,
        request: &Request,
        /// The block (UUID).
        id: Path<String>,
    ) -> Result<BlockResponse> {
        let Ok(permission) = admin_permission(&gate, request) else {
            return Ok(BlockResponse::Forbidden(forbidden()));
        };
        let Ok(id) = id.parse::<Uuid>() else {
            return Ok(BlockResponse::Unknown(no_block()));
        };
        let found = store::blocks::find(&self.services.store, id).await.map_err(RequestError::from)?;
        Ok(match found {
            Some(block) => BlockResponse::Found(self.shown(&block, permission)),
            None => BlockResponse::Unknown(no_block()),
        })
    }

    /// End a block
    ///
    /// Sessions that it ended stay ended. A block that ended before does not change.
    #[oai(path = "/api/admin/blocks/:id", method = "delete", operation_id = "endBlock")]
    async fn end(
        &self,
        gate: Gate,
        request: &Request,
        /// The block (UUID).
        id: Path<String>,
    ) -> Result<BlockResponse> {
        let Ok(permission) = admin_permission(&gate, request) else {
            return Ok(BlockResponse::Forbidden(forbidden()));
        };
        let Ok(id) = id.parse::<Uuid>() else {
            return Ok(BlockResponse::Unknown(no_block()));
        };
        Ok(match blocks::end(&self.services, id, permission).await.map_err(RequestError::from)? {
            Ended::Done(block) | Ended::Before(block) => BlockResponse::Found(self.shown(&block, permission)),
            Ended::NotFound => BlockResponse::Unknown(no_block()),
        })
    }
}

impl BlocksApi {
    /// A block with the whole number.
    fn shown(&self, block: &block::Block, permission: AdminPermission) -> Json<Block> {
        if let Some(phone) = block.target.phone() {
            console::note_shown(&self.services, phone, None, permission.staff());
        }
        Json(Block::whole(block, self.services.clock.now()))
    }
}

fn read_kind(field: &Field<impl Describe>) -> Result<Kind, ErrorMessages> {
    field.text()?.parse().map_err(|error| vec![format!("Kind {error}")])
}

fn read_block(body: &NewBlockRequest, region: Region, now: DateTime<Utc>) -> Result<NewBlock, FieldErrors> {
    let mut errors = FieldErrors::default();
    let kind = errors.check("kind", read_kind(&body.kind));
    let text = errors.check("value", body.value.text());
    let target = match kind.zip(text) {
        Some((kind, text)) => errors.check("value", Target::parse(kind, text, region)),
        None => None,
    };
    let reason = errors.check("reason", body.reason.text().and_then(Reason::parse));
    let reference = body.reference.given().map_or(Ok(None), |field| parse_reference(field.text()?));
    let reference = errors.check("reference", reference);
    let end = body.ends_at.given().map_or(Ok(None), |field| {
        let end = DateTime::parse_from_rfc3339(field.text()?)
            .map_err(|_| vec!["The end must be a time, such as 2027-01-31T00:00:00+05:30".to_owned()])?;
        parsed(check_end(end.to_utc(), now)).map(Some)
    });
    let ends_at = errors.check("ends_at", end);
    match (target, reason, reference, ends_at) {
        (Some(target), Some(reason), Some(reference), Some(ends_at)) => {
            Ok(NewBlock { target, reason, reference, ends_at })
        }
        _ => Err(errors),
    }
}

fn admin_permission(gate: &Gate, request: &Request) -> Result<AdminPermission, Forbidden> {
    roles::may_act_as_admin(&gate.0, client_ip::from_request(request))
}

fn forbidden() -> ErrorResponse {
    ErrorResponse::from_code(ErrorCode::Forbidden)
}

fn no_block() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::NotFound, NO_BLOCK)
}
