//! Rows of `messages`: what was sent, and its delivery status. Texts of messages are never stored.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

mod count;
mod history;
mod list;
mod owned;
mod receipts;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::message::{ActiveModel, Column, Entity, Model},
};
use domain::{
    delivery::{Channel, Delivery, DeliveryStatus, NO_PROVIDER, Platform, Price, UnreachableReason},
    messages::country_of,
    phone::PhoneNumber,
};

pub use self::history::list_to;
pub use self::{
    count::{find_first, list_counted, list_without_country, set_country},
    list::{count_up_to, find_details, list_page},
    owned::{Received, list_of, purge, purge_of, purge_to, set_account, set_owner},
    receipts::{Receipt, update_many},
};

/// A message that is about to be sent.
#[derive(Debug)]
pub struct NewMessage<'a> {
    /// Its id.
    pub id: Uuid,
    /// The delivery that it belongs to.
    pub delivery_id: Uuid,
    /// Its number within the delivery, from 1.
    pub attempt: i64,
    /// The challenge whose code it contains, if it contains one.
    pub challenge_id: Option<Uuid>,
    /// The account that it belongs to, if it does not belong to the phone alone.
    pub account_id: Option<Uuid>,
    /// The recipient.
    pub phone: &'a PhoneNumber,
    /// The channel.
    pub channel: Channel,
    /// The language of its text.
    pub language: &'a str,
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// The name of the template, stored instead of the text.
    pub template: &'static str,
    /// The provider that sends it.
    pub provider: &'static str,
    /// The list of `SMS_PROVIDERS` that chose the provider, if the message is a sample of adaptive routing.
    pub route: Option<String>,
}

/// How a message is identified.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// By our id.
    Id(Uuid),
    /// By the provider's id.
    ProviderId {
        /// The provider that sent it.
        provider: &'a str,
        /// Its id of the message.
        id: &'a str,
    },
    /// By the provider's id and the recipient, for a provider whose reports are not signed.
    Recipient {
        /// The provider that sent it.
        provider: &'a str,
        /// Its id of the message.
        id: &'a str,
        /// The recipient.
        phone: &'a PhoneNumber,
    },
    /// By its place in its delivery, unless the provider is known to call it by another id.
    Attempt {
        /// The delivery.
        delivery_id: Uuid,
        /// Its number within the delivery.
        attempt: i64,
        /// The provider that sent it.
        provider: &'a str,
        /// The provider's id.
        provider_id: &'a str,
    },
}

/// What a report says about a message.
#[derive(Debug, Clone)]
pub struct StatusUpdate {
    /// The delivery status.
    pub status: DeliveryStatus,
    /// The provider's id of the message. An id that is stored already stays.
    pub provider_id: Option<String>,
    /// The provider's code of the failure.
    pub error_code: Option<i64>,
    /// The provider's words about it.
    pub error_text: Option<String>,
    /// What the failure says about the number.
    pub reason: Option<UnreachableReason>,
    /// The number of segments that the provider counts.
    pub segments: Option<i64>,
    /// The price.
    pub price: Option<Price>,
}

impl StatusUpdate {
    /// A report that has nothing but a status.
    #[must_use]
    pub fn from_status(status: DeliveryStatus) -> Self {
        Self {
            status,
            provider_id: None,
            error_code: None,
            error_text: None,
            reason: None,
            segments: None,
            price: None,
        }
    }
}

/// Inserts a message that is about to be sent. False when the delivery has a message of this attempt already: another
/// request was first, and nothing may be sent. Nothing may be sent after an error either.
pub async fn insert(
    db: &impl ConnectionTrait,
    message: &NewMessage<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    insert_first(db, row(message, now)).await
}

async fn insert_first(db: &impl ConnectionTrait, row: ActiveModel) -> Result<bool, StoreError> {
    let mut first_wins = OnConflict::columns([Column::DeliveryId, Column::Attempt]);
    first_wins.do_nothing();
    let inserted = Entity::insert(row).on_conflict(first_wins).exec_without_returning(db).await?;
    Ok(inserted == 1)
}

/// Inserts the row of a message that counts as delivered, although nothing is sent. False as in [`insert`].
pub async fn insert_delivered(
    db: &impl ConnectionTrait,
    message: &NewMessage<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let row = ActiveModel {
        status: Set(DeliveryStatus::Delivered.as_str().to_owned()),
        delivered_at: Set(Some(now)),
        ..row(message, now)
    };
    insert_first(db, row).await
}

/// The row of a message that is about to be sent.
pub(super) fn row(message: &NewMessage<'_>, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: Set(message.id),
        phone: Set(message.phone.full().to_owned()),
        channel: Set(message.channel.as_str().to_owned()),
        template: Set(message.template.to_owned()),
        provider: Set(message.provider.to_owned()),
        status: Set(DeliveryStatus::Pending.as_str().to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
        delivery_id: Set(Some(message.delivery_id)),
        challenge_id: Set(message.challenge_id),
        account_id: Set(message.account_id),
        attempt: Set(message.attempt),
        language: Set(message.language.to_owned()),
        platform: Set(message.platform.map(|platform| platform.as_str().to_owned())),
        region: Set(Some(country_of(message.phone))),
        route: Set(message.route.clone()),
        ..Default::default()
    }
}

/// Stores a report about a message, and returns the message as it is then. `None` when there is no such message, or when the
/// report says nothing new: nothing has changed then.
pub async fn update_status(
    db: &impl ConnectionTrait,
    which: Which<'_>,
    update: StatusUpdate,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, StoreError> {
    let gives_way =
        Expr::col(Column::Status).is_in(update.status.replaces().iter().map(|status| status.as_str()));
    let unless_known_better = |column: Column, value: SimpleExpr| {
        Expr::case(gives_way.clone(), value).finally(Expr::col(column)).into()
    };
    let Price { amount, unit } = match update.price.clone() {
        Some(price) => price,
        None => Price { amount: String::new(), unit: String::new() },
    };
    let given = |text: String| (!text.is_empty()).then_some(text);
    let or_as_it_was = |column: Column, value: SimpleExpr| value.if_null(Expr::col(column));
    let mut statement = Entity::update_many()
        .col_expr(Column::Status, unless_known_better(Column::Status, update.status.as_str().into()))
        .col_expr(Column::ErrorCode, unless_known_better(Column::ErrorCode, update.error_code.into()))
        .col_expr(Column::ErrorText, unless_known_better(Column::ErrorText, update.error_text.clone().into()))
        .col_expr(
            Column::Reason,
            unless_known_better(Column::Reason, update.reason.map(UnreachableReason::as_str).into()),
        )
        .col_expr(Column::UpdatedAt, unless_known_better(Column::UpdatedAt, now.into()))
        .col_expr(Column::ProviderId, Expr::col(Column::ProviderId).if_null(update.provider_id.clone()))
        .col_expr(Column::Segments, or_as_it_was(Column::Segments, update.segments.into()))
        .col_expr(Column::Price, or_as_it_was(Column::Price, given(amount).into()))
        .col_expr(Column::PriceUnit, or_as_it_was(Column::PriceUnit, given(unit).into()))
        .filter(is_message(which));
    statement = match time_of(update.status) {
        Some(at) => statement.col_expr(at, now.into()).filter(at.is_null()),
        None => statement.filter(gives_way.clone()),
    };
    let rows = statement.exec_with_returning(db).await?;
    rows.into_iter().next().map(delivery).transpose()
}

/// Changes the provider of a message that was not handed to one yet.
pub async fn set_provider(
    db: &impl ConnectionTrait,
    id: Uuid,
    provider: &'static str,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Provider, provider.into())
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(DeliveryStatus::Pending.as_str()))
        .exec(db)
        .await?;
    Ok(())
}

/// Closes a message that was not handed to its provider, because the operator's hook refused it.
pub async fn set_not_handed_over(
    db: &impl ConnectionTrait,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Status, DeliveryStatus::Failed.as_str().into())
        .col_expr(Column::Reason, UnreachableReason::Blocked.as_str().into())
        .col_expr(Column::Provider, NO_PROVIDER.into())
        .col_expr(Column::FailedAt, now.into())
        .col_expr(Column::UpdatedAt, now.into())
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(DeliveryStatus::Pending.as_str()))
        .exec(db)
        .await?;
    Ok(())
}

/// The message, if it holds what [`update_status`] writes at this time: the lost answer may have been a success.
pub async fn find_updated(
    db: &impl ConnectionTrait,
    which: Which<'_>,
    status: DeliveryStatus,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, StoreError> {
    let at = time_of(status).unwrap_or(Column::UpdatedAt);
    let row = Entity::find().filter(is_message(which)).filter(at.eq(now)).one(db).await?;
    row.map(delivery).transpose()
}

fn is_message(which: Which<'_>) -> SimpleExpr {
    match which {
        Which::Id(id) => Column::Id.eq(id),
        Which::ProviderId { provider, id } => Column::ProviderId.eq(id).and(Column::Provider.eq(provider)),
        Which::Recipient { provider, id, phone } => {
            Column::ProviderId.eq(id).and(Column::Provider.eq(provider)).and(Column::Phone.eq(phone.full()))
        }
        Which::Attempt { delivery_id, attempt, provider, provider_id } => Column::DeliveryId
            .eq(delivery_id)
            .and(Column::Attempt.eq(attempt))
            .and(Column::Provider.eq(provider))
            .and(Column::ProviderId.is_null().or(Column::ProviderId.eq(provider_id))),
    }
}

/// The message.
pub async fn find(db: &impl ConnectionTrait, which: Which<'_>) -> Result<Option<Delivery>, StoreError> {
    let row = Entity::find().filter(is_message(which)).one(db).await?;
    row.map(delivery).transpose()
}

/// The message that decides the status of a delivery: a delivered one, otherwise the last.
pub async fn find_by_delivery(
    db: &impl ConnectionTrait,
    delivery_id: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    let arrived = Column::Status.eq(DeliveryStatus::Delivered.as_str());
    let arrived_first: SimpleExpr = Expr::case(arrived, 1).finally(0).into();
    let row = Entity::find()
        .filter(Column::DeliveryId.eq(delivery_id))
        .order_by_desc(arrived_first)
        .order_by_desc(Column::Attempt)
        .one(db)
        .await?;
    row.map(delivery).transpose()
}

/// All messages with the code of a challenge, oldest first.
pub async fn list_by_challenge(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    challenge_id: Uuid,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Phone.eq(phone.full()))
        .filter(Column::ChallengeId.eq(challenge_id))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Attempt)
        .all(db)
        .await?;
    rows.into_iter().map(delivery).collect()
}

/// The challenges of those of these messages that contain a code.
pub async fn list_challenges(
    db: &impl ConnectionTrait,
    messages: Vec<Uuid>,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let found = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::ChallengeId)
        .filter(Column::Id.is_in(messages))
        .filter(Column::ChallengeId.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(found)
}

/// The recent messages to this phone by this channel: at most two, because the caller only needs to know whether there is
/// exactly one.
pub async fn list_recent(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    channel: Channel,
    made_after: DateTime<Utc>,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Phone.eq(phone.full()))
        .filter(Column::CreatedAt.gt(made_after))
        .filter(Column::Channel.eq(channel.as_str()))
        .limit(2)
        .all(db)
        .await?;
    rows.into_iter().map(delivery).collect()
}

/// The column with the time of a status.
fn time_of(status: DeliveryStatus) -> Option<Column> {
    match status {
        DeliveryStatus::Pending | DeliveryStatus::Unknown => None,
        DeliveryStatus::Queued => Some(Column::QueuedAt),
        DeliveryStatus::Sent => Some(Column::SentAt),
        DeliveryStatus::Delivered => Some(Column::DeliveredAt),
        DeliveryStatus::Undelivered => Some(Column::UndeliveredAt),
        DeliveryStatus::Failed => Some(Column::FailedAt),
    }
}

fn delivery(row: Model) -> Result<Delivery, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "messages", column };
    let reason = row.reason.map(|text| text.parse().map_err(|_| unreadable("reason"))).transpose()?;
    Ok(Delivery {
        message_id: row.id,
        // A message of a version without deliveries is its own delivery, and its code is not sent again.
        delivery_id: row.delivery_id.unwrap_or(row.id),
        challenge_id: row.challenge_id.unwrap_or_default(),
        attempt: row.attempt,
        phone: PhoneNumber::from_e164(&row.phone).ok_or(unreadable("phone"))?,
        account_id: row.account_id,
        channel: row.channel.parse().map_err(|_| unreadable("channel"))?,
        language: row.language,
        platform: row.platform.map(|text| text.parse().map_err(|_| unreadable("platform"))).transpose()?,
        provider: row.provider,
        provider_id: row.provider_id,
        status: row.status.parse().map_err(|_| unreadable("status"))?,
        reason,
        error_code: row.error_code,
        updated_at: row.updated_at,
    })
}
