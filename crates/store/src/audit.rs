//! Rows of `audit`. They are added and read. Triggers refuse everything else, except that whole months are dropped.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use std::sync::LazyLock;

use migration::audit_guard;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, IdenStatic, QueryFilter,
    QueryOrder, QuerySelect, Statement, Value,
    sea_query::{OnConflict, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError, Txn,
    entities::audit::{ActiveModel, Column, Entity, Model},
};
use domain::{
    audit::{Action, Detail, Dropping, Entry, Filter, Place},
    pseudonym::Pseudonym,
};

/// The columns of an entry, and their types in PostgreSQL.
const COLUMNS: [(Column, &str); 10] = [
    (Column::Id, "uuid"),
    (Column::At, "timestamptz"),
    (Column::Action, "text"),
    (Column::ActorKind, "text"),
    (Column::ActorId, "uuid"),
    (Column::UserId, "uuid"),
    (Column::PhoneMark, "text"),
    (Column::PhoneMasked, "text"),
    (Column::Address, "text"),
    (Column::Detail, "text"),
];

/// One text for any number of entries, so that it is planned once. An array holds no NULL here: an empty text stands for no
/// value.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|(column, _)| column.as_str()).collect();
    let names = names.join(", ");
    let value = |(column, kind): &(Column, &str)| {
        let name = column.as_str();
        if column.def().is_null() { format!("NULLIF({name}, '')::{kind}") } else { name.to_owned() }
    };
    let values: Vec<String> = COLUMNS.iter().map(value).collect();
    let array = |(place, (column, kind)): (usize, &(Column, &str))| {
        let kind = if column.def().is_null() { "text" } else { kind };
        format!("${}::{kind}[]", place + 1)
    };
    let arrays: Vec<String> = COLUMNS.iter().enumerate().map(array).collect();
    format!(
        "INSERT INTO audit ({names}) SELECT {} FROM unnest({}) AS entries ({names}) ON CONFLICT (id) DO NOTHING",
        values.join(", "),
        arrays.join(", ")
    )
});

/// The arrays of the statement, in the order of the columns.
fn arrays(entries: &[Entry]) -> [Value; 10] {
    let text = |of: fn(&Entry) -> String| entries.iter().map(of).collect::<Vec<_>>().into();
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    [
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>().into(),
        entries.iter().map(|entry| entry.at).collect::<Vec<_>>().into(),
        text(|entry| entry.action.clone().into_owned()),
        text(|entry| entry.actor_kind.clone().into_owned()),
        entries.iter().map(|entry| id(entry.actor_id)).collect::<Vec<_>>().into(),
        entries.iter().map(|entry| id(entry.user_id)).collect::<Vec<_>>().into(),
        text(|entry| entry.phone_mark.clone().unwrap_or_default()),
        text(|entry| entry.phone_masked.clone().unwrap_or_default()),
        text(|entry| entry.address.clone().unwrap_or_default()),
        text(|entry| entry.detail.to_string()),
    ]
}

/// Adds entries in one statement. An entry that exists already, because the answer to an earlier try was lost, is skipped.
/// After an error the entries may exist or not.
pub async fn insert_many(db: &impl ConnectionTrait, entries: &[Entry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    if db.get_database_backend() == DbBackend::Postgres {
        let insert = Statement::from_sql_and_values(DbBackend::Postgres, INSERT.as_str(), arrays(entries));
        db.execute_raw(insert).await?;
        return Ok(());
    }
    let rows = entries.iter().map(|entry| ActiveModel {
        id: Set(entry.id),
        at: Set(entry.at),
        action: Set(entry.action.clone().into_owned()),
        actor_kind: Set(entry.actor_kind.clone().into_owned()),
        actor_id: Set(entry.actor_id),
        user_id: Set(entry.user_id),
        phone_mark: Set(entry.phone_mark.clone()),
        phone_masked: Set(entry.phone_masked.clone()),
        address: Set(entry.address.clone()),
        detail: Set(entry.detail.to_string()),
    });
    let mut first_wins = OnConflict::column(Column::Id);
    first_wins.do_nothing();
    Entity::insert_many(rows).on_conflict(first_wins).exec_without_returning(db).await?;
    Ok(())
}

/// Entries before a position, or the last ones: newest first.
pub async fn list_before(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Place>,
    limit: u64,
) -> Result<Vec<Entry>, StoreError> {
    let mut wanted = matches(filter);
    if let Some(Place(at, id)) = before {
        // The first condition is a range of an index; the second excludes the entries of the same moment.
        let is_earlier = Condition::any().add(Column::At.lt(at)).add(Column::Id.lt(id));
        wanted = wanted.add(Column::At.lte(at)).add(is_earlier);
    }
    let select = Entity::find().filter(wanted).order_by_desc(Column::At).order_by_desc(Column::Id);
    select.limit(limit).all(db).await?.into_iter().map(entry).collect()
}

/// The newest entries about a phone, by all of its hashes, newest first; without those that say that staff looked at it.
pub async fn list_of_phone(
    db: &impl ConnectionTrait,
    hashes: &[Pseudonym],
    limit: u64,
) -> Result<Vec<Entry>, StoreError> {
    let is_this = Column::PhoneMark.is_in(hashes.iter().map(Pseudonym::as_str));
    list_newest(db, is_this.and(is_no_look()), limit).await
}

/// The newest entries about an account, newest first. Unlike [`list_before`], not what the account did to others.
pub async fn list_about(
    db: &impl ConnectionTrait,
    user_id: Uuid,
    limit: u64,
) -> Result<Vec<Entry>, StoreError> {
    let is_this = Column::UserId.eq(user_id);
    list_newest(db, is_this.and(is_no_look()), limit).await
}

/// Entries that say more than that staff looked.
fn is_no_look() -> SimpleExpr {
    Column::Action.is_not_in([Action::PhoneShown, Action::PhonesShown].map(Action::as_str))
}

async fn list_newest(
    db: &impl ConnectionTrait,
    wanted: SimpleExpr,
    limit: u64,
) -> Result<Vec<Entry>, StoreError> {
    let newest = Entity::find().filter(wanted).order_by_desc(Column::At).order_by_desc(Column::Id);
    newest.limit(limit).all(db).await?.into_iter().map(entry).collect()
}

/// Entries after a position, or the first ones: oldest first.
pub async fn list_after(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<Entry>, StoreError> {
    let mut wanted = matches(filter);
    if let Some(Place(at, id)) = after {
        let is_later = Condition::any().add(Column::At.gt(at)).add(Column::Id.gt(id));
        wanted = wanted.add(Column::At.gte(at)).add(is_later);
    }
    let select = Entity::find().filter(wanted).order_by_asc(Column::At).order_by_asc(Column::Id);
    select.limit(limit).all(db).await?.into_iter().map(entry).collect()
}

/// The newest entry of this action.
pub async fn find_last(db: &impl ConnectionTrait, action: Action) -> Result<Option<Entry>, StoreError> {
    let filter = Filter { action: Some(action), ..Filter::default() };
    Ok(list_before(db, &filter, None, 1).await?.pop())
}

/// Removes the months that may be dropped. Returns how many entries they had. The triggers are removed only inside of this
/// transaction; until it ends nothing else can write to the table.
///
/// # Errors
/// Also when the database's role does not own the table. Nothing has changed then.
pub async fn purge_before(txn: &Txn, permission: Dropping) -> Result<u64, StoreError> {
    let backend = txn.get_database_backend();
    for statement in audit_guard::OPENING.of(backend) {
        txn.execute_unprepared(statement).await?;
    }
    let deleted = Entity::delete_many().filter(Column::At.lt(permission.begins())).exec(txn).await?;
    for statement in audit_guard::CLOSING.of(backend) {
        txn.execute_unprepared(statement).await?;
    }
    Ok(deleted.rows_affected)
}

fn matches(filter: &Filter) -> Condition {
    let mut wanted = Condition::all();
    if let Some(since) = filter.since {
        wanted = wanted.add(Column::At.gte(since));
    }
    if let Some(until) = filter.until {
        wanted = wanted.add(Column::At.lt(until));
    }
    if let Some(action) = filter.action {
        wanted = wanted.add(Column::Action.eq(action.as_str()));
    }
    if let Some(kind) = filter.actor_kind {
        wanted = wanted.add(Column::ActorKind.eq(kind));
    }
    if let Some(id) = filter.actor_id {
        wanted = wanted.add(Column::ActorId.eq(id));
    }
    if let Some(id) = filter.about {
        wanted = wanted.add(Column::UserId.eq(id));
    }
    if let Some(id) = filter.user_id {
        wanted = wanted.add(Condition::any().add(Column::UserId.eq(id)).add(Column::ActorId.eq(id)));
    }
    if let Some(phones) = &filter.phones {
        wanted = wanted.add(Column::PhoneMark.is_in(phones.iter().map(Pseudonym::as_str)));
    }
    if let Some(address) = filter.address {
        wanted = wanted.add(Column::Address.eq(address.to_string()));
    }
    wanted
}

fn entry(row: Model) -> Result<Entry, StoreError> {
    let unreadable = StoreError::Unreadable { table: "audit", column: "detail" };
    Ok(Entry {
        id: row.id,
        at: row.at,
        action: row.action.into(),
        actor_kind: row.actor_kind.into(),
        actor_id: row.actor_id,
        user_id: row.user_id,
        phone_mark: row.phone_mark,
        phone_masked: row.phone_masked,
        address: row.address,
        detail: Detail::parse(&row.detail).ok_or(unreadable)?,
    })
}
