//! Rows of `counted_days` and `delivery_days`: the counts of each day, and what they are counted from outside of `messages`.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
    sea_query::{Expr, OnConflict},
};

use super::{
    StoreError, Txn,
    entities::{Counts as Stored, counted_day, delivery_day},
};
use domain::{
    audit::{Action, Actor},
    lead,
    statistics::{Costs, Counted, Counts, Day, DayCounts, Funnel, Group, Histogram, MessageCounts},
    verification::TEMPLATE,
};

/// The days that were counted, since this date.
pub async fn list_counted(
    db: &impl ConnectionTrait,
    since: NaiveDate,
) -> Result<Vec<(Counted, DayCounts)>, StoreError> {
    let rows = counted_day::Entity::find()
        .filter(counted_day::Column::Day.gte(since))
        .order_by_asc(counted_day::Column::Day)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(counted).collect())
}

/// The messages of the days from one date to another, both included.
pub async fn list_messages(
    db: &impl ConnectionTrait,
    (first, last): (NaiveDate, NaiveDate),
) -> Result<Vec<(NaiveDate, Group, Counts)>, StoreError> {
    let rows = delivery_day::Entity::find()
        .filter(delivery_day::Column::Day.gte(first))
        .filter(delivery_day::Column::Day.lte(last))
        .all(db)
        .await?;
    rows.into_iter().map(of_group).collect()
}

/// What messages cost by currency, on each of the days from one date to another, both included: the number of messages, of those
/// with a price, and the costs.
pub async fn list_costs(
    db: &impl ConnectionTrait,
    (first, last): (NaiveDate, NaiveDate),
) -> Result<Vec<(NaiveDate, Costs)>, StoreError> {
    use delivery_day::{Column, Entity};
    let rows: Vec<(NaiveDate, i64, i64, Stored)> = Entity::find()
        .select_only()
        .columns([Column::Day, Column::Messages, Column::Priced, Column::Costs])
        .filter(Column::Day.gte(first))
        .filter(Column::Day.lte(last))
        .into_tuple()
        .all(db)
        .await?;
    let costs = |(day, messages, priced, by_currency): (_, _, _, Stored)| {
        (day, Costs { messages, priced, by_currency: by_currency.0 })
    };
    Ok(rows.into_iter().map(costs).collect())
}

/// Writes the counts of a day in the place of earlier ones. False when the day is closed: nothing has changed then.
pub async fn set(
    txn: &Txn,
    day: Day,
    counts: &DayCounts,
    counted_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    use counted_day::{ActiveModel, Column, Entity};
    let DayCounts { funnel, locks, refusals, messages } = counts;
    let row = ActiveModel {
        day: Set(day.date),
        begins_at: Set(day.begins_at),
        ends_at: Set(day.ends_at),
        counted_at: Set(counted_at),
        is_closed: Set(false),
        asked: Set(funnel.asked),
        delivered: Set(funnel.delivered),
        verified: Set(funnel.verified),
        completed: Set(funnel.completed),
        locks: Set(*locks),
        refusals: Set(Stored(refusals.clone())),
    };
    let mut unless_closed = OnConflict::column(Column::Day);
    unless_closed
        .update_columns([
            Column::BeginsAt,
            Column::EndsAt,
            Column::CountedAt,
            Column::Asked,
            Column::Delivered,
            Column::Verified,
            Column::Completed,
            Column::Locks,
            Column::Refusals,
        ])
        .action_and_where(Expr::col((Entity, Column::IsClosed)).eq(false));
    // On PostgreSQL this locks the day, so that two servers do not write its messages at once.
    if Entity::insert(row).on_conflict(unless_closed).exec_without_returning(txn).await? == 0 {
        return Ok(false);
    }
    delivery_day::Entity::delete_many().filter(delivery_day::Column::Day.eq(day.date)).exec(txn).await?;
    let rows: Vec<_> = messages.0.iter().map(|(group, counts)| row_of(day.date, group, counts)).collect();
    if !rows.is_empty() {
        delivery_day::Entity::insert_many(rows).exec_without_returning(txn).await?;
    }
    Ok(true)
}

/// Closes the days that begin before this time: their messages are about to be purged, so they cannot be counted again.
pub async fn close(db: &impl ConnectionTrait, begins_before: DateTime<Utc>) -> Result<(), StoreError> {
    use counted_day::{Column, Entity};
    Entity::update_many()
        .col_expr(Column::IsClosed, Expr::value(true))
        .filter(Column::BeginsAt.lt(begins_before))
        .filter(Column::IsClosed.eq(false))
        .exec(db)
        .await?;
    Ok(())
}

/// Counts the phones to which codes were sent at this time, and how far they came. `not_by` is the provider of rows for which
/// nothing was sent.
pub async fn count_funnel(
    db: &impl ConnectionTrait,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    not_by: &str,
) -> Result<Funnel, StoreError> {
    // A user who enters a code at another service completes no profile here. A phone may have asked several times. Empty lists of interests and pictures are stored as `[]`.
    let statement = "SELECT COUNT(*) AS asked, \
         COALESCE(SUM(p.delivered), 0) AS delivered, \
         COALESCE(SUM(p.verified), 0) AS verified, \
         COALESCE(SUM(CASE WHEN p.verified = 1 AND EXISTS (SELECT 1 FROM accounts a WHERE a.phone = p.phone \
           AND a.name IS NOT NULL AND a.birth_date IS NOT NULL AND a.gender IS NOT NULL \
           AND CAST(a.event_interests AS text) <> '[]' AND CAST(a.profile_pictures AS text) <> '[]') \
           THEN 1 ELSE 0 END), 0) AS completed \
         FROM (SELECT phone, \
           MAX(CASE WHEN delivered_at IS NULL AND verified_at IS NULL THEN 0 ELSE 1 END) AS delivered, \
           MAX(CASE WHEN verified_at IS NULL THEN 0 ELSE 1 END) AS verified \
           FROM messages WHERE created_at >= $1 AND created_at < $2 \
           AND challenge_id IS NOT NULL AND provider <> $3 \
           AND template <> $4 GROUP BY phone) p";
    let values = [from.into(), to.into(), not_by.into(), TEMPLATE.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let Some(row) = db.query_one_raw(statement).await? else {
        return Ok(Funnel::default());
    };
    let count = |name| row.try_get::<i64>("", name);
    Ok(Funnel {
        asked: count("asked")?,
        delivered: count("delivered")?,
        verified: count("verified")?,
        completed: count("completed")?,
    })
}

/// Counts the requests for a code that were refused at this time, those of other services left out, by the name of the budget or by the reason.
pub async fn count_refusals(
    db: &impl ConnectionTrait,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<BTreeMap<String, i64>, StoreError> {
    let backend = db.get_database_backend();
    let fact = |name: &str| {
        if backend == DbBackend::Postgres {
            format!("detail::json ->> '{name}'")
        } else {
            format!("json_extract(detail, '$.{name}')")
        }
    };
    let statement = format!(
        "SELECT COALESCE({}, {}, 'other') AS name, COUNT(*) AS refusals FROM audit \
         WHERE action = $1 AND at >= $2 AND at < $3 AND actor_kind <> $4 GROUP BY 1",
        fact("budget"),
        fact("reason")
    );
    let values = [Action::CodeRefused.as_str().into(), from.into(), to.into(), Actor::Service.kind().into()];
    let rows = db.query_all_raw(Statement::from_sql_and_values(backend, statement, values)).await?;
    let count = |row: &sea_orm::QueryResult| Ok((row.try_get("", "name")?, row.try_get("", "refusals")?));
    rows.iter().map(count).collect()
}

/// How often a phone was locked by wrong guesses at this time, not counting the checks of other services.
pub async fn count_locks(
    db: &impl ConnectionTrait,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<i64, StoreError> {
    let statement = "SELECT COUNT(*) AS locks FROM audit \
                     WHERE action = $1 AND at >= $2 AND at < $3 AND actor_kind <> $4";
    let values = [Action::PhoneLocked.as_str().into(), from.into(), to.into(), Actor::Service.kind().into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let row = db.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "locks")).transpose()?.unwrap_or_default())
}

/// How many leads are in this state, at most `most`. It reads an index only.
pub async fn count_leads(
    db: &impl ConnectionTrait,
    state: lead::State,
    most: i64,
) -> Result<i64, StoreError> {
    let statement =
        "SELECT COUNT(*) AS leads FROM (SELECT state FROM leads WHERE state = $1 LIMIT $2) AS counted";
    let values = [state.as_str().into(), most.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), statement, values);
    let row = db.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "leads")).transpose()?.unwrap_or_default())
}

fn counted(row: counted_day::Model) -> (Counted, DayCounts) {
    let counted_day::Model { day, begins_at, ends_at, counted_at, is_closed, .. } = row;
    let counted = Counted { day: Day { date: day, begins_at, ends_at }, at: counted_at, is_closed };
    let counts = DayCounts {
        funnel: Funnel {
            asked: row.asked,
            delivered: row.delivered,
            verified: row.verified,
            completed: row.completed,
        },
        locks: row.locks,
        refusals: row.refusals.0,
        messages: MessageCounts::default(),
    };
    (counted, counts)
}

fn row_of(date: NaiveDate, group: &Group, counts: &Counts) -> delivery_day::ActiveModel {
    let histogram = |histogram: &Histogram| {
        Set(Stored(histogram.buckets().map(|(bound, count)| (bound.to_string(), count)).collect()))
    };
    delivery_day::ActiveModel {
        day: Set(date),
        region: Set(group.region.clone()),
        channel: Set(group.channel.as_str().to_owned()),
        provider: Set(group.provider.clone()),
        messages: Set(counts.messages),
        codes: Set(counts.codes),
        delivered: Set(counts.delivered),
        verified: Set(counts.verified),
        lost: Set(counts.lost),
        priced: Set(counts.priced),
        failures: Set(Stored(counts.failures.clone())),
        delivered_in: histogram(&counts.delivered_in),
        verified_in: histogram(&counts.verified_in),
        costs: Set(Stored(counts.costs.clone())),
    }
}

fn of_group(row: delivery_day::Model) -> Result<(NaiveDate, Group, Counts), StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "delivery_days", column };
    let histogram = |stored: Stored, column| {
        let buckets = stored.0.into_iter().map(|(bound, count)| Some((bound.parse().ok()?, count)));
        buckets.collect::<Option<Histogram>>().ok_or(unreadable(column))
    };
    let group = Group {
        region: row.region,
        channel: row.channel.parse().map_err(|_| unreadable("channel"))?,
        provider: row.provider,
    };
    let counts = Counts {
        messages: row.messages,
        codes: row.codes,
        delivered: row.delivered,
        verified: row.verified,
        lost: row.lost,
        priced: row.priced,
        failures: row.failures.0,
        delivered_in: histogram(row.delivered_in, "delivered_in")?,
        verified_in: histogram(row.verified_in, "verified_in")?,
        costs: row.costs.0,
    };
    Ok((row.day, group, counts))
}
