//! Rows of `messages`: what was sent and what became of it.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    StoreError,
    entities::message::{ActiveModel, Column, Entity},
};
use crate::domain::phone::PhoneNumber;

/// A message that is about to go out.
#[derive(Debug)]
pub struct NewMessage<'a> {
    /// Its id.
    pub id: Uuid,
    /// Whom it goes to.
    pub phone: &'a PhoneNumber,
    /// `sms`.
    pub channel: &'static str,
    /// The template's name, which stands for the text.
    pub template: &'static str,
    /// Who carries it.
    pub provider: &'static str,
}

/// What the provider said.
#[derive(Debug)]
pub struct Outcome {
    /// `queued`, `sent`, `failed` or `unknown`.
    pub status: &'static str,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// The provider's code of the failure.
    pub error_code: Option<i64>,
}

/// Writes down that a message is about to go out.
///
/// # Errors
/// When the database does not answer: then nothing may be sent.
pub async fn insert(
    db: &impl ConnectionTrait,
    message: NewMessage<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(message.id),
        phone: Set(message.phone.full().to_owned()),
        channel: Set(message.channel.to_owned()),
        template: Set(message.template.to_owned()),
        provider: Set(message.provider.to_owned()),
        status: Set("pending".to_owned()),
        provider_id: Set(None),
        error_code: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Writes down what became of it.
///
/// # Errors
/// When the database does not answer.
pub async fn mark(
    db: &impl ConnectionTrait,
    id: Uuid,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(outcome.status))
        .col_expr(Column::ProviderId, Expr::value(outcome.provider_id))
        .col_expr(Column::ErrorCode, Expr::value(outcome.error_code))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes the messages that were made before this time, and says how many they were.
///
/// # Errors
/// When the database does not answer.
pub async fn purge(db: &impl ConnectionTrait, made_before: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(Entity::delete_many().filter(Column::CreatedAt.lt(made_before)).exec(db).await?.rows_affected)
}
