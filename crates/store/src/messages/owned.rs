//! The messages of a user, and their removal.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, LockBehavior, LockType, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use super::StoreError;
use crate::entities::{
    api_key,
    message::{Column, Entity},
    verification,
};
use domain::phone::PhoneNumber;

/// A message, as its recipient sees it.
#[derive(Debug, FromQueryResult)]
pub struct Received {
    /// The name of its template.
    pub template: String,
    /// The channel.
    pub channel: String,
    /// The language of its text.
    pub language: String,
    /// The delivery status.
    pub status: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
    /// The service that asked for its code, if another service did.
    pub service: Option<String>,
    /// What that service calls its check.
    pub reference: Option<String>,
}

/// All messages of a user, oldest first: to the user's phone, and to numbers that the user had or was changing to. A message
/// that was sent to the phone while another account had it belongs to that account.
pub async fn list_of(
    db: &impl ConnectionTrait,
    phone: Option<&PhoneNumber>,
    account: Uuid,
) -> Result<Vec<Received>, StoreError> {
    // Not joined: for each of a few messages its verification is found by the index, whatever PostgreSQL expects of a join.
    let of_code = |column: verification::Column| {
        let same = (Entity, Column::ChallengeId);
        verification::Entity::find()
            .select_only()
            .column(column)
            .filter(Expr::col((verification::Entity, verification::Column::ChallengeId)).equals(same))
            .limit(1)
            .into_query()
    };
    let service = api_key::Entity::find()
        .select_only()
        .column(api_key::Column::Name)
        .filter(api_key::Column::Id.in_subquery(of_code(verification::Column::ApiKeyId)))
        .limit(1)
        .into_query();
    let value = |select: SelectStatement| SimpleExpr::SubQuery(None, Box::new(select.into()));
    let received = Entity::find()
        .select_only()
        .columns([Column::Template, Column::Channel, Column::Language, Column::Status])
        .columns([Column::CreatedAt, Column::UpdatedAt])
        .column_as(value(service), "service")
        .column_as(value(of_code(verification::Column::Reference)), "reference")
        .filter(belongs_to(phone, account))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id);
    Ok(received.into_model::<Received>().all(db).await?)
}

/// Removes all messages of a user.
pub async fn purge_of(
    db: &impl ConnectionTrait,
    phone: Option<&PhoneNumber>,
    account: Uuid,
) -> Result<(), StoreError> {
    Entity::delete_many().filter(belongs_to(phone, account)).exec(db).await?;
    Ok(())
}

/// Assigns the messages to a phone up to this time to the account that loses the phone, so that the next owner of the number
/// does not see them.
pub async fn set_owner(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    account: Uuid,
    made_until: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::AccountId, Expr::value(account))
        .filter(Column::Phone.eq(phone.full()))
        .filter(Column::AccountId.is_null())
        .filter(Column::CreatedAt.lte(made_until))
        .exec(db)
        .await?;
    Ok(())
}

/// Assigns the messages of an account to the one that it is joined with.
pub async fn set_account(db: &impl ConnectionTrait, from: Uuid, to: Uuid) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::AccountId, Expr::value(to))
        .filter(Column::AccountId.eq(from))
        .exec(db)
        .await?;
    Ok(())
}

fn belongs_to(phone: Option<&PhoneNumber>, account: Uuid) -> Condition {
    let to_her_phone = phone.map(|phone| Column::Phone.eq(phone.full()).and(Column::AccountId.is_null()));
    Condition::any().add(Column::AccountId.eq(account)).add_option(to_her_phone)
}

/// Removes all messages to this phone.
pub async fn purge_to(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::Phone.eq(phone.full())).exec(db).await?;
    Ok(())
}

/// Removes up to `most` messages that were created before this time. Returns how many.
pub async fn purge(
    db: &impl ConnectionTrait,
    made_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let these = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::CreatedAt.lt(made_before))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let purge = Entity::delete_many().filter(Column::Id.in_subquery(these.into_query()));
    Ok(purge.exec(db).await?.rows_affected)
}
