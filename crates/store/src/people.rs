//! Rows of `accounts`, as the list of people in the admin console shows them: filtered, in an order, page by page.
//!
//! Each order has an index, and so has each filter that few rows satisfy (`migration`, the step `search`), so that no page reads
//! the table to its end.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Alias, Asterisk, Expr, Func, Order as SeaOrder, Query, SelectStatement, SimpleExpr},
};

use super::{
    StoreError,
    accounts::account,
    entities::account::{Column, Entity, Model},
    search::{Subject, by_bytes, has_number, has_words, ids, ids_with, ids_with_number},
    sessions,
};
use domain::{
    account::Account,
    keyset::{Count, Cursor, InvalidCursor, Page},
    people::{Filter, Order},
    phone::PhoneNumber,
    roles::ListPermission,
    search::Lookup,
};

/// A person in the list.
#[derive(Debug, Clone)]
pub struct Person {
    /// The account.
    pub account: Account,
    /// The last sign-in by a code, or the last use of a session if that is later.
    pub seen_at: Option<DateTime<Utc>>,
    /// `seen_at` of the row, by which the list can be sorted. It lags behind a session that goes on.
    sorted_at: Option<DateTime<Utc>>,
    /// The folded name, by which the list can be sorted.
    name_key: Option<String>,
}

/// Comes after every name, so that accounts without one are last. The index has the same text.
const LAST_NAME: &str = "\u{10ffff}";

/// A page of the people that a filter finds.
///
/// # Errors
/// [`InvalidCursor`] for a cursor of another order.
pub async fn list(
    db: &impl ConnectionTrait,
    _leave: &ListPermission,
    filter: &Filter,
    after: Option<&Cursor>,
    size: usize,
) -> Result<Result<Page<Person>, InvalidCursor>, StoreError> {
    let backend = db.get_database_backend();
    let found = Entity::find().filter(matches(backend, filter));
    let Ok(found) = sorted(backend, found, filter.order, after) else {
        return Ok(Err(InvalidCursor));
    };
    let one_more = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1);
    let rows = found.limit(one_more).all(db).await?;
    let people = rows.into_iter().map(person).collect::<Result<Vec<_>, _>>()?;
    let mut page = Page::new(people, size, |person| cursor(person, filter.order));
    let used = sessions::list_last_uses(db, page.items.iter().map(|person| person.account.id)).await?;
    for person in &mut page.items {
        person.seen_at = std::cmp::max(person.seen_at, used.get(&person.account.id).copied());
    }
    Ok(Ok(page))
}

/// How many people a filter finds.
pub async fn count(
    db: &impl ConnectionTrait,
    _leave: &ListPermission,
    filter: &Filter,
) -> Result<Count, StoreError> {
    let some = some(db.get_database_backend(), filter, Count::MOST + 1);
    let count =
        Query::select().expr(Func::count(Expr::col(Asterisk))).from_subquery(some, Alias::new("some")).take();
    let counted: i64 = match db.query_one(&count).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    Ok(Count::new(u64::try_from(counted).unwrap_or_default()))
}

/// The rows to count. Each index may find so many.
fn some(backend: DbBackend, filter: &Filter, most: u64) -> SelectStatement {
    let others = Filter { lookup: Lookup::Everything, ..filter.clone() };
    let accounts = || Query::select().from(Entity).cond_where(matches(backend, &others)).take();
    match &filter.lookup {
        Lookup::Number(number) if !others.is_set() => {
            ids_with_number(backend, Column::Id, &NUMBERS, number, most)
        }
        // The index of words has all that is needed: frequent words are counted without reading accounts.
        Lookup::Words(words) => {
            let mut some = ids_with(Subject::Account, words);
            if others.is_set() {
                some.and_where(ids().in_subquery(accounts().column(Column::Id).take()));
            }
            some.limit(most).take()
        }
        Lookup::Everything | Lookup::Id(_) | Lookup::Number(_) => Query::select()
            .expr(Expr::val(1))
            .from(Entity)
            .cond_where(matches(backend, filter))
            // Without an order PostgreSQL would read the table itself to count many rows.
            .order_by((Entity, Column::CreatedAt), SeaOrder::Desc)
            .limit(most)
            .take(),
    }
}

/// The accounts that lost this number to a new owner, the last loss first.
pub async fn list_former_holders(
    db: &impl ConnectionTrait,
    _leave: &ListPermission,
    phone: Option<&PhoneNumber>,
) -> Result<Vec<Account>, StoreError> {
    let Some(phone) = phone else {
        return Ok(Vec::new());
    };
    // The index is in the order of bytes.
    let former_phone = by_bytes(db.get_database_backend(), Expr::col((Entity, Column::FormerPhone)));
    let found = Entity::find().filter(former_phone.eq(phone.full())).order_by_desc(Column::UnlinkedAt);
    let rows = found.limit(MOST_FORMER).all(db).await?;
    rows.into_iter().map(account).collect()
}

/// The most earlier accounts of a number that are listed. Each needs months without use.
const MOST_FORMER: u64 = 10;

fn person(row: Model) -> Result<Person, StoreError> {
    Ok(Person {
        seen_at: row.seen_at,
        sorted_at: row.seen_at,
        name_key: row.name_key.clone(),
        account: account(row)?,
    })
}

fn cursor(person: &Person, order: Order) -> Cursor {
    let Account { id, created_at, .. } = person.account;
    match order {
        Order::Newest => Cursor::at(created_at, id),
        Order::LastSignIn => Cursor::at(person.sorted_at.unwrap_or(created_at), id),
        Order::Name => Cursor { value: person.name_key.clone().unwrap_or_else(|| LAST_NAME.to_owned()), id },
    }
}

/// What the rows are sorted by. The indexes have the same expressions.
fn sorted(
    backend: DbBackend,
    found: Select<Entity>,
    order: Order,
    after: Option<&Cursor>,
) -> Result<Select<Entity>, InvalidCursor> {
    let col = |column: Column| Expr::col((Entity, column));
    let newest_first = |found: Select<Entity>, time: SimpleExpr| {
        let found = match after {
            Some(cursor) => {
                let at = cursor.time()?;
                let is_earlier = Condition::any().add(time.clone().lt(at)).add(Column::Id.lt(cursor.id));
                found.filter(time.clone().lte(at)).filter(is_earlier)
            }
            None => found,
        };
        Ok(found.order_by_desc(time).order_by_desc(Column::Id))
    };
    match order {
        Order::Newest => newest_first(found, col(Column::CreatedAt)),
        Order::LastSignIn => {
            newest_first(found, Func::coalesce([col(Column::SeenAt), col(Column::CreatedAt)]).into())
        }
        Order::Name => {
            let name = by_name(backend);
            let found = match after {
                Some(Cursor { value, id }) => {
                    let is_later =
                        Condition::any().add(name.clone().gt(value.as_str())).add(Column::Id.gt(*id));
                    found.filter(name.clone().gte(value.as_str())).filter(is_later)
                }
                None => found,
            };
            Ok(found.order_by_asc(name).order_by_asc(Column::Id))
        }
    }
}

/// Names in the order of bytes, which is the same on both databases. The text is part of the statement: as a parameter it would
/// not match the expression of the index.
fn by_name(backend: DbBackend) -> SimpleExpr {
    let collation = if backend == DbBackend::Postgres { " COLLATE \"C\"" } else { "" };
    Expr::cust(format!("COALESCE(\"accounts\".\"name_key\", '{LAST_NAME}'){collation}"))
}

fn matches(backend: DbBackend, filter: &Filter) -> Condition {
    Condition::all()
        .add(is_found(backend, &filter.lookup))
        .add_option(filter.role.map(|role| Column::Role.eq(role.as_str())))
        .add_option(filter.is_active.map(|is_active| Column::IsActive.eq(is_active)))
        .add_option(
            filter.has_phone.map(|has_phone| {
                if has_phone { Column::Phone.is_not_null() } else { Column::Phone.is_null() }
            }),
        )
        .add_option(filter.is_complete.map(
            |is_complete| {
                if is_complete { is_completed() } else { is_completed().not() }
            },
        ))
        .add_option(filter.created_from.map(|from| Column::CreatedAt.gte(from)))
        .add_option(filter.created_before.map(|before| Column::CreatedAt.lt(before)))
}

/// The numbers of an account: the verified one, one that is not verified, and the one that it lost to a new owner.
const NUMBERS: [Column; 3] = [Column::Phone, Column::ClaimedPhone, Column::FormerPhone];

fn is_found(backend: DbBackend, lookup: &Lookup) -> Condition {
    match lookup {
        Lookup::Everything => Condition::all(),
        Lookup::Id(id) => Condition::all().add(Column::Id.eq(*id)),
        Lookup::Number(number) => NUMBERS.into_iter().fold(Condition::any(), |any, column| {
            any.add(has_number(backend, &Expr::col((Entity, column)), number))
        }),
        Lookup::Words(words) => has_words(Subject::Account, &Expr::col((Entity, Column::Id)), words),
    }
}

/// Whether a profile is completed, by the rule of [`domain::account::Profile::lacks_fields`].
fn is_completed() -> Condition {
    let is_filled = |column: Column| Expr::col((Entity, column)).cast_as("text").ne("[]");
    Condition::all()
        .add(Column::NameKey.is_not_null())
        .add(Column::BirthDate.is_not_null())
        .add(Column::Gender.is_not_null())
        .add(is_filled(Column::EventInterests))
        .add(is_filled(Column::ProfilePictures))
}
