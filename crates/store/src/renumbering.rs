//! Rows whose phone gets a new number because a country changed its plan, many at once.
//!
//! The new number is made of the old one by the statement itself ([`domain::renumbering::Renumbering::parts`]), so that a batch is one
//! statement for each table. Every function fails with [`StoreError`] when the database does not answer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, SqlErr,
    sea_query::{Expr, LockType, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::{account, block, lead, message},
};
use domain::{
    block::Kind,
    lead::country_of,
    phone::PhoneNumber,
    renumbering::{Part, Renumbering},
};

/// An account whose number may be one of the old plan.
#[derive(Debug)]
pub struct Numbered {
    /// The id of the row.
    pub id: Uuid,
    /// The verified phone.
    pub phone: Option<PhoneNumber>,
    /// The phone that the account lost to a new owner.
    pub former_phone: Option<PhoneNumber>,
}

/// An account that gets a new number.
#[derive(Debug, Clone)]
pub struct Renumbered {
    /// Its id.
    pub id: Uuid,
    /// The old number.
    pub old: PhoneNumber,
    /// The new one.
    pub new: PhoneNumber,
}

/// The result of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All of it was written: so many rows.
    Rows(u64),
    /// Another request has taken one of the numbers since it was looked at. The transaction can only be rolled back.
    Taken,
}

/// The next accounts in the order of their ids with a number that begins like those of the old plan. A run that goes through all of them
/// reads each row of the table once, whatever the order of texts in the database is.
pub async fn list_accounts(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    after: Uuid,
    most: u64,
) -> Result<Vec<Numbered>, StoreError> {
    use account::Column;
    let begins = |column: Column| column.starts_with(change.from().beginning());
    let found = account::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Phone, Column::FormerPhone])
        .filter(Column::Id.gt(after))
        .filter(begins(Column::Phone).or(begins(Column::FormerPhone)))
        .order_by_asc(Column::Id)
        .limit(most);
    let rows: Vec<(Uuid, Option<String>, Option<String>)> = found.into_tuple().all(db).await?;
    let number = |text: Option<String>| text.as_deref().and_then(PhoneNumber::from_e164);
    let read = |(id, phone, former): (Uuid, Option<String>, Option<String>)| Numbered {
        id,
        phone: number(phone),
        former_phone: number(former),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The next leads in the order of their ids with such a number.
pub async fn list_leads(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    after: Uuid,
    most: u64,
) -> Result<Vec<(Uuid, PhoneNumber)>, StoreError> {
    use lead::Column;
    let found = lead::Entity::find().select_only().columns([Column::Id, Column::Phone]);
    let found =
        found.filter(Column::Id.gt(after)).filter(Column::Phone.starts_with(change.from().beginning()));
    numbers(found.order_by_asc(Column::Id).limit(most), db).await
}

/// The next blocks of single phones in the order of their ids with such a number, live and ended.
pub async fn list_blocks(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    after: Uuid,
    most: u64,
) -> Result<Vec<(Uuid, PhoneNumber)>, StoreError> {
    use block::Column;
    let found = block::Entity::find().select_only().columns([Column::Id, Column::Value]);
    let found = found.filter(Column::Id.gt(after)).filter(Column::Kind.eq(Kind::Phone.as_str()));
    let found = found.filter(Column::Value.starts_with(change.from().beginning()));
    numbers(found.order_by_asc(Column::Id).limit(most), db).await
}

async fn numbers<E: EntityTrait>(
    found: Select<E>,
    db: &impl ConnectionTrait,
) -> Result<Vec<(Uuid, PhoneNumber)>, StoreError> {
    let rows: Vec<(Uuid, String)> = found.into_tuple().all(db).await?;
    Ok(rows.into_iter().filter_map(|(id, phone)| Some((id, PhoneNumber::from_e164(&phone)?))).collect())
}

/// The accounts that have these phones.
pub async fn list_owners(
    db: &impl ConnectionTrait,
    phones: impl IntoIterator<Item = &PhoneNumber>,
) -> Result<HashMap<String, Uuid>, StoreError> {
    use account::Column;
    let found = account::Entity::find().select_only().columns([Column::Phone, Column::Id]);
    let found = found.filter(Column::Phone.is_in(phones.into_iter().map(PhoneNumber::full)));
    let rows: Vec<(String, Uuid)> = found.into_tuple().all(db).await?;
    Ok(rows.into_iter().collect())
}

/// Locks these accounts until the transaction ends, in the order of their ids. Returns those that still have their number.
pub async fn claim_accounts(
    db: &impl ConnectionTrait,
    wanted: &[Renumbered],
) -> Result<Vec<Renumbered>, StoreError> {
    use account::Column;
    let found = account::Entity::find().select_only().columns([Column::Id, Column::Phone]);
    let found = found.filter(Column::Id.is_in(wanted.iter().map(|it| it.id))).order_by_asc(Column::Id);
    let rows: Vec<(Uuid, Option<String>)> = found.lock(LockType::NoKeyUpdate).into_tuple().all(db).await?;
    let phones: HashMap<Uuid, Option<String>> = rows.into_iter().collect();
    let still =
        |it: &&Renumbered| phones.get(&it.id).is_some_and(|phone| phone.as_deref() == Some(it.old.full()));
    Ok(wanted.iter().filter(still).cloned().collect())
}

/// Gives these accounts their new numbers, and assigns to them the messages to the old ones, which keep their number. The transaction
/// holds the accounts.
pub async fn set_accounts(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    these: &[Renumbered],
    now: DateTime<Utc>,
) -> Result<Written, StoreError> {
    use account::Column;
    let written = account::Entity::update_many()
        .col_expr(Column::Phone, new_number(change, "phone"))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.is_in(these.iter().map(|it| it.id)))
        .exec(db)
        .await;
    let Written::Rows(rows) = unless_taken(written.map(|it| it.rows_affected))? else {
        return Ok(Written::Taken);
    };
    let owner = account::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Expr::col((account::Entity, Column::Phone)).eq(new_number(change, "messages.phone")))
        .into_query();
    message::Entity::update_many()
        .col_expr(message::Column::AccountId, SimpleExpr::SubQuery(None, Box::new(owner.into())))
        .filter(message::Column::Phone.is_in(these.iter().map(|it| it.old.full())))
        .filter(message::Column::AccountId.is_null())
        .exec(db)
        .await?;
    Ok(Written::Rows(rows))
}

/// Changes the numbers that these accounts lost to new owners.
pub async fn set_former(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    ids: &[Uuid],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    account::Entity::update_many()
        .col_expr(account::Column::FormerPhone, new_number(change, "former_phone"))
        .filter(account::Column::Id.is_in(ids.iter().copied()))
        .exec(db)
        .await?;
    Ok(())
}

/// Gives the leads of these numbers, old and new, their new number. One whose new number has a lead already is joined with that one.
pub async fn set_leads(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    these: &[(PhoneNumber, PhoneNumber)],
) -> Result<Written, StoreError> {
    use lead::Column;
    let there = super::imports::list_leads(db, these.iter().map(|(_, new)| new)).await?;
    let (joined, moved): (Vec<_>, Vec<_>) = these.iter().partition(|(_, new)| there.contains(new.full()));
    let mut by_country: HashMap<String, Vec<&str>> = HashMap::new();
    for (old, new) in moved {
        by_country.entry(country_of(new)).or_default().push(old.full());
    }
    let mut rows = 0;
    for (country, olds) in by_country {
        let written = lead::Entity::update_many()
            .col_expr(Column::Phone, new_number(change, "phone"))
            .col_expr(Column::Region, Expr::value(country))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1_i64))
            .filter(Column::Phone.is_in(olds))
            .exec(db)
            .await;
        match unless_taken(written.map(|it| it.rows_affected))? {
            Written::Rows(more) => rows += more,
            Written::Taken => return Ok(Written::Taken),
        }
    }
    for (old, new) in joined {
        let before = super::leads::find(db, old).await?;
        super::leads::set_moved(db, old, new).await?;
        rows += u64::from(before.is_some());
    }
    Ok(Written::Rows(rows))
}

/// Gives the blocks of these numbers, old and new, their new number. A live one whose new number is blocked already is ended.
pub async fn set_blocks(
    db: &impl ConnectionTrait,
    change: &Renumbering,
    these: &[(PhoneNumber, PhoneNumber)],
    now: DateTime<Utc>,
) -> Result<Written, StoreError> {
    use block::Column;
    let of = |values: Vec<&str>| {
        Condition::all().add(Column::Kind.eq(Kind::Phone.as_str())).add(Column::Value.is_in(values))
    };
    let new = these.iter().map(|(_, new)| new.full()).collect();
    let open = block::Entity::find().select_only().column(Column::Value);
    let open: Vec<String> =
        open.filter(of(new)).filter(Column::EndedAt.is_null()).into_tuple().all(db).await?;
    let doubled = these.iter().filter(|(_, new)| open.iter().any(|value| value == new.full()));
    let doubled: Vec<&str> = doubled.map(|(old, _)| old.full()).collect();
    if !doubled.is_empty() {
        block::Entity::update_many()
            .col_expr(Column::EndedAt, Expr::value(now))
            .filter(of(doubled))
            .filter(Column::EndedAt.is_null())
            .exec(db)
            .await?;
    }
    let written = block::Entity::update_many()
        .col_expr(Column::Value, new_number(change, "value"))
        .filter(of(these.iter().map(|(old, _)| old.full()).collect()))
        .exec(db)
        .await;
    unless_taken(written.map(|it| it.rows_affected))
}

/// The new number of a row. The texts are digits and a plus, and the rest are numbers: nothing in them comes from a row.
fn new_number(change: &Renumbering, column: &str) -> SimpleExpr {
    let part = |part: Part| match part {
        Part::Text(text) => format!("'{text}'"),
        Part::Kept { from, length } => format!("substr({column}, {from}, {length})"),
    };
    Expr::cust(change.parts().into_iter().map(part).collect::<Vec<_>>().join(" || "))
}

fn unless_taken(written: Result<u64, DbErr>) -> Result<Written, StoreError> {
    match written {
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Ok(Written::Taken)
        }
        written => Ok(Written::Rows(written?)),
    }
}
