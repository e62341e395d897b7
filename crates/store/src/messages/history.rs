//! The messages to a phone, as staff see them.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::StoreError;
use crate::entities::message::{Column, Entity, Model};
use domain::{delivery::DeliveryStatus, phone::PhoneNumber, sent_message::SentMessage};

/// The last messages to a phone, newest first, also those to an earlier owner of the phone.
pub async fn list_to(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    most: u64,
) -> Result<Vec<SentMessage>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Phone.eq(phone.full()))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Attempt)
        .limit(most)
        .all(db)
        .await?;
    rows.into_iter().map(sent_message).collect()
}

fn sent_message(row: Model) -> Result<SentMessage, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "messages", column };
    let mut reached: Vec<_> = [
        (DeliveryStatus::Queued, row.queued_at),
        (DeliveryStatus::Sent, row.sent_at),
        (DeliveryStatus::Delivered, row.delivered_at),
        (DeliveryStatus::Undelivered, row.undelivered_at),
        (DeliveryStatus::Failed, row.failed_at),
    ]
    .into_iter()
    .filter_map(|(status, at)| Some((status, at?)))
    .collect();
    reached.sort_by_key(|(_, at)| *at);
    Ok(SentMessage {
        id: row.id,
        delivery_id: row.delivery_id.unwrap_or(row.id),
        challenge_id: row.challenge_id,
        attempt: row.attempt,
        channel: row.channel.parse().map_err(|_| unreadable("channel"))?,
        template: row.template,
        provider: row.provider,
        language: row.language,
        platform: row.platform.map(|text| text.parse().map_err(|_| unreadable("platform"))).transpose()?,
        status: row.status.parse().map_err(|_| unreadable("status"))?,
        error_code: row.error_code,
        error_text: row.error_text,
        reason: row.reason.map(|text| text.parse().map_err(|_| unreadable("reason"))).transpose()?,
        created_at: row.created_at,
        updated_at: row.updated_at,
        reached,
    })
}
