//! What the counts of a day read of its messages, and the country of messages that were written without it. A row that this
//! version cannot read is left out: another version wrote it.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::StoreError;
use crate::entities::message::{Column, Entity};
use domain::{
    delivery::Price,
    messages::{NO_COUNTRY, country_of},
    phone::PhoneNumber,
    statistics::{CountedMessage, Group},
};

/// The place of a message in the order of time.
type Place = (DateTime<Utc>, Uuid);

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    phone: String,
    region: Option<String>,
    channel: String,
    provider: String,
    challenge_id: Option<Uuid>,
    status: String,
    reason: Option<String>,
    created_at: DateTime<Utc>,
    delivered_at: Option<DateTime<Utc>>,
    verified_at: Option<DateTime<Utc>>,
    price: Option<String>,
    price_unit: Option<String>,
}

/// Messages of a time, oldest first, and where this batch of them ends. `not_by` is the provider of rows for which nothing was
/// sent.
pub async fn list_counted(
    db: &impl ConnectionTrait,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    not_by: &str,
    after: Option<Place>,
    most: u64,
) -> Result<(Vec<CountedMessage>, Option<Place>), StoreError> {
    let mut wanted = Condition::all()
        .add(Column::CreatedAt.gte(after.map_or(from, |(at, _)| at)))
        .add(Column::CreatedAt.lt(to))
        .add(Column::Provider.ne(not_by));
    if let Some((at, id)) = after {
        let same_moment = Condition::all().add(Column::CreatedAt.eq(at)).add(Column::Id.gt(id));
        wanted = wanted.add(Condition::any().add(Column::CreatedAt.gt(at)).add(same_moment));
    }
    let rows: Vec<Row> = Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Phone,
            Column::Region,
            Column::Channel,
            Column::Provider,
            Column::ChallengeId,
            Column::Status,
            Column::Reason,
            Column::CreatedAt,
            Column::DeliveredAt,
            Column::VerifiedAt,
            Column::Price,
            Column::PriceUnit,
        ])
        .filter(wanted)
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(most)
        .into_model()
        .all(db)
        .await?;
    let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= most;
    let end = rows.last().map(|row| (row.created_at, row.id)).filter(|_| is_full);
    Ok((rows.into_iter().filter_map(counted).collect(), end))
}

fn counted(row: Row) -> Option<CountedMessage> {
    Some(CountedMessage {
        group: Group {
            region: row.region.unwrap_or_else(|| country(&row.phone)),
            channel: row.channel.parse().ok()?,
            provider: row.provider,
        },
        has_code: row.challenge_id.is_some(),
        status: row.status.parse().ok()?,
        reason: row.reason.and_then(|text| text.parse().ok()),
        created_at: row.created_at,
        delivered_at: row.delivered_at,
        verified_at: row.verified_at,
        price: row.price.zip(row.price_unit).map(|(amount, unit)| Price { amount, unit }),
    })
}

/// The time of the oldest message.
pub async fn find_first(db: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, StoreError> {
    let first = Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).one(db).await?;
    Ok(first.map(|row| row.created_at))
}

/// Messages that were written without the country of their number, newest first, and that country.
pub async fn list_without_country(
    db: &impl ConnectionTrait,
    most: u64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows: Vec<(Uuid, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Phone])
        .filter(Column::Region.is_null())
        // In the order of the index on both, so that it is used however many there are.
        .order_by_desc(Column::Region)
        .order_by_desc(Column::CreatedAt)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, phone)| (id, country(&phone))).collect())
}

fn country(phone: &str) -> String {
    PhoneNumber::from_e164(phone).as_ref().map_or_else(|| NO_COUNTRY.to_owned(), country_of)
}

/// Writes the country of messages that have none.
pub async fn set_country(
    db: &impl ConnectionTrait,
    messages: Vec<Uuid>,
    country: &str,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Region, Expr::value(country))
        .filter(Column::Id.is_in(messages))
        .filter(Column::Region.is_null())
        .exec(db)
        .await?;
    Ok(())
}
