//! Requests and responses of the operations on blocks.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, registry::MetaSchema, types::Example};
use serde_json::Value;

use crate::{
    domain::{block, keyset::Page},
    http::{
        fields::{Describe, Field, describe, schema},
        timestamp::rfc3339,
    },
};

fn kinds() -> Vec<Value> {
    block::Kind::ALL.iter().map(|kind| kind.as_str().into()).collect()
}

describe!(/// `kind`.
Kind, required: false, MetaSchema {
    enum_items: kinds(),
    ..schema("string", "Blocks of this kind.", "phone".into())
});
describe!(/// `state`.
State, required: false, MetaSchema {
    enum_items: block::State::ALL.iter().map(|state| state.as_str().into()).collect(),
    ..schema("string", "`live`: blocks that apply now. `ended`: the others.", "live".into())
});
describe!(/// `value`.
ValueText, required: false, schema("string", "Blocks of exactly this value; a phone in any spelling.", "+916205829376".into()));
describe!(/// `cursor`.
Cursor, required: false, schema("string", "The `next` of the page before.", "MDE5OWFhNTU1YTJi".into()));
describe!(/// `kind` of a new block.
NewKind, required: true, MetaSchema {
    enum_items: kinds(),
    ..schema("string", "What is blocked.", "phone".into())
});
describe!(/// `value` of a new block.
NewValue, required: true, schema(
    "string",
    "A phone in any spelling; the beginning of numbers, as +91987; a country as two letters; an address or a network in CIDR. \
     A single IPv6 address means its /64.",
    "+916205829376".into()
));
describe!(/// `reason` of a new block.
NewReason, required: true, MetaSchema {
    max_length: Some(500),
    ..schema("string", "Why, for other admins.", "Sold in bulk, see the ticket".into())
});
describe!(/// `reference` of a new block.
NewReference, required: false, MetaSchema {
    nullable: true,
    max_length: Some(100),
    ..schema("string", "The number of an order or a ticket.", "FIR 112/2026".into())
});
describe!(/// `ends_at` of a new block.
NewEnd, required: false, MetaSchema {
    nullable: true,
    ..schema("string", "When it ends by itself (RFC 3339). Null: never.", "2027-01-31T00:00:00+05:30".into())
});

/// A block to make.
#[derive(Debug, Default, Object)]
#[oai(example)]
pub struct NewBlockRequest {
    pub(super) kind: Field<NewKind>,
    pub(super) value: Field<NewValue>,
    pub(super) reason: Field<NewReason>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) reference: Field<NewReference>,
    #[oai(skip_serializing_if_is_none)]
    pub(super) ends_at: Field<NewEnd>,
}

impl Example for NewBlockRequest {
    fn example() -> Self {
        Self {
            kind: Field::from_value("phone"),
            value: Field::from_value("+916205829376"),
            reason: Field::from_value("Sold in bulk, see the ticket"),
            reference: Field::from_value("FIR 112/2026"),
            ends_at: Field::default(),
        }
    }
}

/// A block.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Block {
    /// The block (UUID version 7).
    id: String,
    /// `phone`, `prefix`, `country` or `address`.
    kind: String,
    /// What is blocked. In lists a phone is masked.
    value: String,
    /// Whether it applies now.
    is_live: bool,
    /// Why.
    reason: String,
    /// The number of an order or a ticket.
    reference: Option<String>,
    /// The admin who made it.
    made_by: Option<String>,
    /// When it was made (RFC 3339, UTC).
    made_at: String,
    /// When it ends by itself (RFC 3339, UTC), or null.
    ends_at: Option<String>,
    /// When it ended (RFC 3339, UTC), or null.
    ended_at: Option<String>,
    /// The admin who ended it; null if it ended by itself.
    ended_by: Option<String>,
}

impl Block {
    /// With a masked phone, for a list.
    pub(super) fn in_list(block: &block::Block, now: DateTime<Utc>) -> Self {
        let masked = block.target.phone().map(crate::domain::phone::PhoneNumber::masked);
        Self { value: masked.unwrap_or_else(|| block.target.value()), ..Self::whole(block, now) }
    }

    /// With the whole phone.
    pub(super) fn whole(block: &block::Block, now: DateTime<Utc>) -> Self {
        Self {
            id: block.id.to_string(),
            kind: block.target.kind().as_str().to_owned(),
            value: block.target.value(),
            is_live: block.is_live(now),
            reason: block.reason.clone(),
            reference: block.reference.clone(),
            made_by: block.made_by.map(|id| id.to_string()),
            made_at: rfc3339(block.made_at),
            ends_at: block.ends_at.map(rfc3339),
            ended_at: block.ended(now).map(rfc3339),
            ended_by: block.ended_by.map(|id| id.to_string()),
        }
    }
}

impl Example for Block {
    fn example() -> Self {
        Self {
            id: "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
            kind: "phone".to_owned(),
            value: "+916205829376".to_owned(),
            is_live: true,
            reason: "Sold in bulk, see the ticket".to_owned(),
            reference: Some("FIR 112/2026".to_owned()),
            made_by: Some("0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a12".to_owned()),
            made_at: "2026-11-27T10:15:23.435393+00:00".to_owned(),
            ends_at: None,
            ended_at: None,
            ended_by: None,
        }
    }
}

/// A page of blocks, without an envelope.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Blocks {
    /// Newest first.
    items: Vec<Block>,
    /// The `cursor` of the next page; null on the last one.
    next: Option<String>,
}

impl Blocks {
    pub(super) fn from_page(page: &Page<block::Block>, now: DateTime<Utc>) -> Self {
        Self {
            items: page.items.iter().map(|block| Block::in_list(block, now)).collect(),
            next: page.next.as_ref().map(ToString::to_string),
        }
    }
}

impl Example for Blocks {
    fn example() -> Self {
        let block = Block { value: "+91 ••••• ••376".to_owned(), ..Block::example() };
        Self { items: vec![block], next: None }
    }
}
