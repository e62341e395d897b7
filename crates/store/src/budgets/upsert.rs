//! The statement that [`super::claim`] and [`super::settle`] share: it inserts rows, or changes those that are there.

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DbErr, FromQueryResult,
    sea_query::{Expr, InsertStatement, OnConflict, Query, SelectStatement, ValueTuple},
};

use crate::entities::budget::{Column, Entity, Model};

/// The columns that are inserted; others get their default.
const COLUMNS: [Column; 8] = [
    Column::Key,
    Column::Log,
    Column::Count,
    Column::Answered,
    Column::CooldownStartedAt,
    Column::ClosedUntil,
    Column::HeldUntil,
    Column::EndsAt,
];

/// What both databases call the columns of a list of values.
const VALUES: [&str; 8] =
    ["column1", "column2", "column3", "column4", "column5", "column6", "column7", "column8"];

/// The values of a row that is inserted.
pub(super) struct NewRow {
    pub(super) key: String,
    pub(super) log: String,
    pub(super) count: i64,
    pub(super) cooldown_started_at: Option<DateTime<Utc>>,
    pub(super) ends_at: DateTime<Utc>,
}

impl NewRow {
    fn values(self) -> ValueTuple {
        let never = Option::<DateTime<Utc>>::None;
        ValueTuple::Many(vec![
            self.key.into(),
            self.log.into(),
            self.count.into(),
            0_i64.into(),
            self.cooldown_started_at.into(),
            never.into(),
            never.into(),
            self.ends_at.into(),
        ])
    }
}

/// Selects these rows as values, so that a condition can decide about all of them.
pub(super) fn values(rows: impl Iterator<Item = NewRow>, alias: &'static str) -> SelectStatement {
    // Without a WHERE, SQLite takes ON CONFLICT after a SELECT for a part of a join.
    let mut select = Query::select();
    select.columns(VALUES).from_values(rows.map(NewRow::values), alias).and_where(Expr::val(true));
    select
}

/// Inserts the rows that are selected, or changes those that are there as `conflict` says, and returns all of them.
pub(super) fn statement(select: SelectStatement, conflict: OnConflict) -> Result<InsertStatement, DbErr> {
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(COLUMNS);
    insert.select_from(select).map_err(|error| DbErr::Custom(error.to_string()))?;
    insert.on_conflict(conflict).returning_all();
    Ok(insert)
}

/// Runs such a statement.
pub(super) async fn run(db: &impl ConnectionTrait, insert: &InsertStatement) -> Result<Vec<Model>, DbErr> {
    let rows = db.query_all(insert).await?;
    rows.iter().map(|row| Model::from_query_result(row, "")).collect()
}
