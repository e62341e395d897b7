//! Looking an account up by the id that its user has in another system, also if that was the id of an account that was joined with it.

use std::collections::HashSet;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, Iterable,
    QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, Func, OnConflict, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    StoreError,
    entities::{
        account,
        merged_account::{Column, Entity},
    },
};
use domain::former_id::FormerId;

/// Whether an account is that of the user who has this id in another system. The id is compared with one value, which both
/// databases find first, and not with a list: they then find the row by its primary key.
pub fn has_former_id(id: &FormerId) -> SimpleExpr {
    let subquery = |select: SelectStatement| SimpleExpr::SubQuery(None, Box::new(select.into()));
    let merged = |of: SimpleExpr| {
        subquery(Entity::find().select_only().column(Column::IntoId).filter(of).into_query())
    };
    let found = match id {
        FormerId::Own(id) => [merged(Column::Id.eq(*id)), Expr::value(*id)],
        FormerId::External(id) => {
            let own = account::Entity::find()
                .select_only()
                .column(account::Column::Id)
                .filter(account::Column::ExternalId.eq(id.as_str()))
                .into_query();
            [subquery(own), merged(Column::ExternalId.eq(id.as_str()))]
        }
    };
    Expr::col((account::Entity, account::Column::Id)).eq(Func::coalesce(found))
}

fn is_of(id: &FormerId) -> SimpleExpr {
    match id {
        FormerId::Own(id) => Column::Id.eq(*id),
        FormerId::External(id) => Column::ExternalId.eq(id.as_str()),
    }
}

/// Adds an account, unless something of it is taken, or its id leads to another account. Returns whether it was added.
pub async fn insert_unless_merged(
    db: &impl ConnectionTrait,
    row: &account::ActiveModel,
    id: &FormerId,
) -> Result<bool, StoreError> {
    let set = account::Column::iter().filter_map(|column| Some((column, row.get(column).into_value()?)));
    let (columns, values): (Vec<account::Column>, Vec<_>) = set.unzip();
    let merged = Entity::find().select_only().column(Column::Id).filter(is_of(id)).into_query();
    let mut select = Query::select();
    select.exprs(values.into_iter().map(Expr::val)).and_where(Expr::not_exists(merged));
    let mut insert = Query::insert();
    insert.into_table(account::Entity).columns(columns);
    insert.select_from(select).map_err(|error| DbErr::Custom(error.to_string()))?;
    insert.on_conflict(OnConflict::new().do_nothing().to_owned());
    Ok(db.execute(&insert).await?.rows_affected() == 1)
}

/// Which of these ids lead to another account.
pub async fn list_merged(
    db: &impl ConnectionTrait,
    own: &[Uuid],
    external: &[&str],
) -> Result<HashSet<String>, StoreError> {
    let any = Condition::any()
        .add(Column::Id.is_in(own.iter().copied()))
        .add(Column::ExternalId.is_in(external.iter().copied()));
    let found = Entity::find().select_only().columns([Column::Id, Column::ExternalId]).filter(any);
    let rows: Vec<(Uuid, Option<String>)> = found.into_tuple().all(db).await?;
    Ok(rows.into_iter().flat_map(|(id, external)| std::iter::once(id.to_string()).chain(external)).collect())
}
