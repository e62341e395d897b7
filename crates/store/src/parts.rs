//! Statements of PostgreSQL that write to several tables: their parts, which depend on each other.
//!
//! All parts see the database as it was when the statement began, and each writes rows of its own. A part runs when another
//! part reads from it.

use sea_orm::{
    ActiveModelTrait, ActiveValue, DbErr, EntityTrait, ExprTrait, FromQueryResult, IdenStatic, Iterable,
    QueryResult,
    sea_query::{
        Alias, Asterisk, BinOper, CommonTableExpression, Expr, Func, InsertStatement, Query, SelectStatement,
        SimpleExpr, SubQueryStatement,
    },
};

/// A part with its name.
pub(super) fn part(name: &'static str, query: impl Into<SubQueryStatement>) -> CommonTableExpression {
    CommonTableExpression::new().table_name(name).query(query).to_owned()
}

type Column<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

/// Inserts this row for each row of a part that a condition allows. One column may get a value of the part.
pub(super) fn insert_from<A: ActiveModelTrait, C: IdenStatic>(
    name: &'static str,
    row: &A,
    of_part: Option<(Column<A>, C)>,
    only_if: Option<SimpleExpr>,
) -> Result<InsertStatement, DbErr> {
    let (mut insert, mut select) = (Query::insert(), Query::select());
    let mut columns = Vec::new();
    for column in Column::<A>::iter() {
        if let ActiveValue::Set(value) = row.get(column) {
            columns.push(column);
            select.expr(Expr::val(value));
        }
    }
    if let Some((column, value)) = of_part {
        columns.push(column);
        select.expr(Expr::col((name, value)));
    }
    insert.into_table(A::Entity::default()).columns(columns);
    select.from(name).and_where_option(only_if);
    insert.select_from(select).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(insert)
}

/// How many rows a part has. To know it, the part runs to its end; for `EXISTS` it would stop at its first row.
pub(super) fn count_of(name: &'static str) -> SimpleExpr {
    let count = Query::select().expr(Func::count(Expr::col(Asterisk))).from(name).take();
    Expr::SubQuery(None, Box::new(count.into()))
}

/// Adds all columns of a part to what a statement returns. Their names begin with `prefix`.
pub(super) fn return_columns<E: EntityTrait>(select: &mut SelectStatement, name: &'static str, prefix: &str) {
    for column in E::Column::iter() {
        select.expr_as(Expr::col((name, column)), format!("{prefix}{}", column.as_str()));
    }
}

/// The rows of a part that were returned.
pub(super) fn read_all<M: FromQueryResult>(rows: &[QueryResult], prefix: &str) -> Result<Vec<M>, DbErr> {
    rows.iter().map(|row| M::from_query_result(row, prefix)).collect()
}

/// The row of a part that has one at most, and is returned beside each row of another part.
pub(super) fn read_one<M: FromQueryResult>(rows: &[QueryResult], prefix: &str) -> Result<Option<M>, DbErr> {
    let row = rows.first().map(|row| M::from_query_result_optional(row, prefix));
    Ok(row.transpose()?.flatten())
}

/// Makes PostgreSQL fail where it evaluates this, so that the statement has no effect: a text that is no number, which
/// [`super::error::is_bad_text`] tells. The text appears in PostgreSQL's log. `count` is a value that PostgreSQL does not know
/// when it plans the statement: it would evaluate a constant at once.
pub(super) fn failure(reason: &'static str, count: impl Into<SimpleExpr>) -> SimpleExpr {
    let text = Expr::val(reason).binary(BinOper::Custom("||"), count.into());
    text.cast_as(Alias::new("bigint"))
}
