//! Rows of `provider_orders`: which providers go behind the others, and the samples in `messages` that say so.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, Statement,
    sea_query::{Expr, OnConflict},
};

use super::{
    StoreError,
    entities::provider_order::{ActiveModel, Column, Entity},
};
use domain::phone::PhoneNumber;

/// A message that counts for its provider.
#[derive(Debug)]
pub struct Sample {
    /// The recipient.
    pub phone: PhoneNumber,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// Whether its code was entered before another provider sent it too.
    pub is_verified: bool,
}

#[derive(FromQueryResult)]
struct Row {
    phone: String,
    created_at: DateTime<Utc>,
    is_verified: bool,
}

/// The newest samples of a provider that were sent at this time by a list of `SMS_PROVIDERS`, newest first.
pub async fn list_samples(
    db: &impl ConnectionTrait,
    (route, provider): (&str, &str),
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    most: u64,
) -> Result<Vec<Sample>, StoreError> {
    // A code is verified for all of its messages.
    let statement = "SELECT m.phone, m.created_at, \
         m.verified_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM messages other WHERE other.phone = m.phone \
           AND other.challenge_id = m.challenge_id AND other.provider <> m.provider \
           AND other.created_at < m.verified_at AND (other.created_at > m.created_at \
             OR other.created_at = m.created_at AND other.attempt > m.attempt)) AS is_verified \
         FROM messages m WHERE m.route = $1 AND m.provider = $2 AND m.created_at >= $3 AND m.created_at < $4 \
         ORDER BY m.created_at DESC LIMIT $5";
    let values = [
        route.into(),
        provider.into(),
        from.into(),
        to.into(),
        i64::try_from(most).unwrap_or(i64::MAX).into(),
    ];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let sample = |Row { phone, created_at, is_verified }| {
        Some(Sample { phone: PhoneNumber::from_e164(&phone)?, created_at, is_verified })
    };
    Ok(rows.into_iter().filter_map(sample).collect())
}

/// Each list, and the names of its providers that go behind the others.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let rows = Entity::find().all(db).await?;
    Ok(rows.into_iter().map(|row| (row.route, names(&row.behind))).collect())
}

/// Writes which providers of a list go behind the others. False if they do already: another server was first.
pub async fn set(
    db: &impl ConnectionTrait,
    route: &str,
    behind: &[&str],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let behind = behind.join(",");
    if behind.is_empty() {
        let all_back = Entity::delete_many().filter(Column::Route.eq(route)).exec(db).await?;
        return Ok(all_back.rows_affected > 0);
    }
    let mut if_other = OnConflict::column(Column::Route);
    if_other
        .update_columns([Column::Behind, Column::ChangedAt])
        .action_and_where(Expr::col((Entity, Column::Behind)).ne(behind.as_str()));
    let row = ActiveModel { route: Set(route.to_owned()), behind: Set(behind), changed_at: Set(now) };
    Ok(Entity::insert(row).on_conflict(if_other).exec_without_returning(db).await? == 1)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
