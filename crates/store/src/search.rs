//! Conditions of searches by staff: beginnings and ends of numbers, and words of names. All use indexes, except for the end of
//! a number on SQLite.
//!
//! The rows of `search_words` are written by triggers (`migration/src/search_words.rs`), so nothing here writes them.

use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, ExprTrait, Order, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Alias, Asterisk, Expr, LikeExpr, Query, SelectStatement, SimpleExpr, UnionType},
};

use super::entities::search_word::{Column, Entity};
use domain::search::NumberLookup;

/// What a row of `search_words` belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A row of `accounts`.
    Account,
    /// A row of `leads`.
    Lead,
}

impl Subject {
    /// The name in rows. It must never change.
    fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Lead => "lead",
        }
    }
}

/// Whether this column begins with the text. The column has an index ordered by bytes.
pub(crate) fn starts_with(backend: DbBackend, column: SimpleExpr, text: &str) -> Condition {
    begins(by_bytes(backend, column), text)
}

/// Whether this column ends with the text. On PostgreSQL the reversed column has an index.
pub(crate) fn ends_with(backend: DbBackend, column: SimpleExpr, text: &str) -> Condition {
    if backend == DbBackend::Postgres {
        begins(by_end(backend, column), &text.chars().rev().collect::<String>())
    } else {
        // Digits only, so nothing has to be escaped.
        Condition::all().add(column.like(LikeExpr::new(format!("%{text}"))))
    }
}

/// Whether a number in this column is the one that is searched, or a part of it fits.
pub(crate) fn has_number(backend: DbBackend, column: &SimpleExpr, number: &NumberLookup) -> Condition {
    let starts = number.beginnings().iter().map(|text| starts_with(backend, column.clone(), text));
    let end = number.end().map(|digits| ends_with(backend, column.clone(), digits));
    starts.chain(end).fold(Condition::any(), Condition::add)
}

/// The ids of rows with such a number in one of these columns, and at most so many by each index that may find some. Each part is
/// read in the order of its index, so a frequent beginning costs no more than that.
pub(crate) fn ids_with_number<C: ColumnTrait>(
    backend: DbBackend,
    id: C,
    columns: &[C],
    number: &NumberLookup,
    most: u64,
) -> SelectStatement {
    let table = || C::EntityName::default();
    let part = |condition: Condition, order: SimpleExpr| {
        Query::select()
            .column((table(), id))
            .from(table())
            .cond_where(condition)
            .order_by_expr(order, Order::Asc)
            .limit(most)
            .take()
    };
    let mut parts = Vec::new();
    for column in columns.iter().map(|column| Expr::col((table(), *column))) {
        for text in number.beginnings() {
            let condition = starts_with(backend, column.clone(), text);
            parts.push(part(condition, by_bytes(backend, column.clone())));
        }
        if let Some(digits) = number.end() {
            let condition = ends_with(backend, column.clone(), digits);
            parts.push(part(condition, by_end(backend, column)));
        }
    }
    one_or_union(parts)
}

/// These selections as one. Only a selection of a selection may have an order and a limit inside of a union on SQLite.
fn one_or_union(mut parts: Vec<SelectStatement>) -> SelectStatement {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    let mut all = parts
        .into_iter()
        .map(|part| Query::select().column(Asterisk).from_subquery(part, Alias::new("part")).take());
    let mut first = all.next().unwrap_or_default();
    for other in all {
        first.union(UnionType::Distinct, other);
    }
    first
}

/// Whether each of these words begins a word of the row whose id is in this column. The words are compared with each other
/// first: PostgreSQL expects few rows then and looks each up, where a condition for each word made it read the whole table.
pub(crate) fn has_words(subject: Subject, id: &SimpleExpr, words: &[String]) -> Condition {
    let Some((first, others)) = words.split_first() else { return Condition::all() };
    let rows = Entity::find()
        .select_only()
        .column(Column::SubjectId)
        .filter(Column::Subject.eq(subject.as_str()))
        .filter(begins(Expr::col((Entity, Column::Word)), first))
        .filter(has_words(subject, &ids(), others))
        .into_query();
    Condition::all().add(id.clone().in_subquery(rows))
}

/// The column of [`ids_with`].
pub(crate) fn ids() -> SimpleExpr {
    Expr::col((Entity, Column::SubjectId))
}

/// The ids of rows that have all of these words, each once. There is a first word.
pub(crate) fn ids_with(subject: Subject, words: &[String]) -> SelectStatement {
    let (first, others) = words.split_first().unzip();
    Query::select()
        .distinct()
        .expr(ids())
        .from(Entity)
        .and_where(Column::Subject.eq(subject.as_str()))
        .cond_where(begins(Expr::col((Entity, Column::Word)), first.map_or("", String::as_str)))
        .cond_where(has_words(subject, &ids(), others.unwrap_or_default()))
        .take()
}

/// The order of bytes, which ranges need.
pub(crate) fn by_bytes(backend: DbBackend, column: SimpleExpr) -> SimpleExpr {
    if backend == DbBackend::Postgres { Expr::cust_with_expr("$1 COLLATE \"C\"", column) } else { column }
}

/// The order of the index that finds the ends of numbers. SQLite has none.
fn by_end(backend: DbBackend, column: SimpleExpr) -> SimpleExpr {
    if backend == DbBackend::Postgres {
        by_bytes(backend, Expr::cust_with_expr("reverse($1)", column))
    } else {
        column
    }
}

/// A range, because no database uses an index for `LIKE` with a parameter.
fn begins(column: SimpleExpr, text: &str) -> Condition {
    let from = Condition::all().add(column.clone().gte(text));
    match after(text) {
        Some(end) => from.add(column.lt(end)),
        None => from,
    }
}

/// The first text in the order of bytes that does not begin with this one. `None` if all texts after it do.
fn after(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        // The range skips the surrogates, which are no characters. The order of code points is that of their bytes.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn a_range_ends_after_all_texts_that_begin_with_the_text() {
        for (text, end) in [
            ("ab", Some("ac")),
            ("+91", Some("+92")),
            ("a\u{7f}", Some("a\u{80}")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(after(text).as_deref(), end, "{text:?}");
        }
    }
}
