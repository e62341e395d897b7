//! Messages as staff read them: a filtered list in pages, and one message with everything about it.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Asterisk, Expr, Func, Query},
};
use uuid::Uuid;

use super::StoreError;
use crate::entities::message::{Column, Entity, Model};
use domain::{
    delivery::{DeliveryStatus, Price},
    messages::{Details, Filter, Listed},
    phone::PhoneNumber,
};

/// A page of messages, newest first: those before the place (time and id) where the last page ended.
pub async fn list_page(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<(DateTime<Utc>, Uuid)>,
    most: u64,
) -> Result<Vec<Listed>, StoreError> {
    let mut wanted = matches(filter);
    if let Some((at, id)) = after {
        // The first condition alone lets the index begin at the place.
        let same_moment = Condition::all().add(Column::CreatedAt.eq(at)).add(Column::Id.lt(id));
        wanted = wanted
            .add(Column::CreatedAt.lte(at))
            .add(Condition::any().add(Column::CreatedAt.lt(at)).add(same_moment));
    }
    let rows = Entity::find()
        .filter(wanted)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(most)
        .all(db)
        .await?;
    rows.iter().map(listed).collect()
}

/// How many messages there are, at most `most`. It is counted in the order of the list, which an index has.
pub async fn count_up_to(db: &impl ConnectionTrait, filter: &Filter, most: u64) -> Result<u64, StoreError> {
    let some = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(matches(filter))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(most)
        .into_query();
    // The count of a SeaORM paginator would drop the limit.
    let mut count = Query::select();
    count.expr_as(Func::count(Expr::col(Asterisk)), "messages").from_subquery(some, "some");
    let row = db.query_one(&count).await?;
    let counted: i64 = row.map(|row| row.try_get("", "messages")).transpose()?.unwrap_or_default();
    Ok(counted.unsigned_abs())
}

/// A message with everything about it.
pub async fn find_details(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Details>, StoreError> {
    Entity::find_by_id(id).one(db).await?.map(details).transpose()
}

fn matches(filter: &Filter) -> Condition {
    Condition::all()
        .add_option(filter.status.map(|status| Column::Status.eq(status.as_str())))
        .add_option(filter.channel.map(|channel| Column::Channel.eq(channel.as_str())))
        .add_option(filter.provider.as_deref().map(|provider| Column::Provider.eq(provider)))
        .add_option(filter.error_code.map(|code| Column::ErrorCode.eq(code)))
        .add_option(filter.country.as_deref().map(|country| Column::Region.eq(country)))
        .add_option(filter.since.map(|since| Column::CreatedAt.gte(since)))
        .add_option(filter.before.map(|before| Column::CreatedAt.lt(before)))
}

fn unreadable(column: &'static str) -> StoreError {
    StoreError::Unreadable { table: "messages", column }
}

fn listed(row: &Model) -> Result<Listed, StoreError> {
    let reason = row.reason.as_deref().map(|text| text.parse().map_err(|_| unreadable("reason")));
    Ok(Listed {
        id: row.id,
        phone: PhoneNumber::from_e164(&row.phone).ok_or(unreadable("phone"))?,
        channel: row.channel.parse().map_err(|_| unreadable("channel"))?,
        status: row.status.parse().map_err(|_| unreadable("status"))?,
        provider: row.provider.clone(),
        error_code: row.error_code,
        error_text: row.error_text.clone(),
        reason: reason.transpose()?,
        created_at: row.created_at,
        delivered_at: row.delivered_at,
        verified_at: row.verified_at,
    })
}

fn details(row: Model) -> Result<Details, StoreError> {
    let listed = listed(&row)?;
    let times = [
        (DeliveryStatus::Queued, row.queued_at),
        (DeliveryStatus::Sent, row.sent_at),
        (DeliveryStatus::Delivered, row.delivered_at),
        (DeliveryStatus::Undelivered, row.undelivered_at),
        (DeliveryStatus::Failed, row.failed_at),
    ];
    let mut reached: Vec<_> = times.into_iter().filter_map(|(status, at)| Some((status, at?))).collect();
    reached.sort_by_key(|(_, at)| *at);
    Ok(Details {
        listed,
        delivery_id: row.delivery_id,
        attempt: row.attempt,
        has_code: row.challenge_id.is_some(),
        template: row.template,
        provider_id: row.provider_id,
        language: row.language,
        platform: row.platform.map(|text| text.parse().map_err(|_| unreadable("platform"))).transpose()?,
        segments: row.segments,
        price: row.price.zip(row.price_unit).map(|(amount, unit)| Price { amount, unit }),
        reached,
    })
}
