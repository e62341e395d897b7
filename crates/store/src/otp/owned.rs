//! The challenges of a user, and those of a phone.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{
    StoreError,
    entities::challenge::{Column, Entity, Model},
};
use domain::{
    otp::{Challenge, Holder, Purpose},
    phone::PhoneNumber,
};

/// The challenges of a user: those of the user's phone, and those that are bound to the account.
pub async fn list_of(
    db: &impl ConnectionTrait,
    phone: Option<&PhoneNumber>,
    holder: Uuid,
) -> Result<Vec<IssuedCode>, StoreError> {
    let rows = Entity::find()
        .filter(of_user(phone, holder))
        .order_by_asc(Column::OpenedAt)
        .order_by_asc(Column::Purpose);
    let rows = rows.all(db).await?;
    rows.into_iter()
        .map(|row| {
            let unreadable = StoreError::Unreadable { table: "challenges", column: "purpose" };
            let purpose = Purpose::named(&row.purpose).ok_or(unreadable)?;
            Ok(IssuedCode { purpose, opened_at: row.opened_at, challenge: row.into() })
        })
        .collect()
}

/// The challenges of a phone, with what each is bound to, the one that was opened last first. A phone has few.
pub async fn list_to(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Vec<(IssuedCode, Option<Holder>)>, StoreError> {
    let rows = Entity::find().filter(Column::Phone.eq(phone.full())).order_by_desc(Column::OpenedAt);
    let unreadable = |column| StoreError::Unreadable { table: "challenges", column };
    let issued = |row: Model| {
        let purpose = Purpose::named(&row.purpose).ok_or(unreadable("purpose"))?;
        let holder = match row.holder.as_str() {
            "" => None,
            holder => Some(Holder::parse(holder).ok_or(unreadable("holder"))?),
        };
        Ok((IssuedCode { purpose, opened_at: row.opened_at, challenge: row.into() }, holder))
    };
    rows.all(db).await?.into_iter().map(issued).collect()
}

/// Removes the challenges of a phone and those that are bound to this account.
pub async fn purge_of(
    db: &impl ConnectionTrait,
    phone: Option<&PhoneNumber>,
    holder: Uuid,
) -> Result<(), StoreError> {
    Entity::delete_many().filter(of_user(phone, holder)).exec(db).await?;
    Ok(())
}

/// Removes the challenges of a phone that are bound to no account: those without a holder, of devices and of other services.
pub async fn purge_unbound(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<(), StoreError> {
    Entity::delete_many().filter(unbound(phone)).exec(db).await?;
    Ok(())
}

/// Removes the challenges that are bound to this account, but for one that another transaction uses up at this moment: that one
/// finds the account gone. The account is locked already, so waiting could be a deadlock.
pub async fn purge_bound(db: &impl ConnectionTrait, holder: Uuid) -> Result<(), StoreError> {
    let key = [Column::Phone, Column::Purpose, Column::Holder];
    let these = Entity::find()
        .select_only()
        .columns(key)
        .filter(of_user(None, holder))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let is_one = Expr::tuple(key.map(Expr::col)).in_subquery(these.into_query());
    Entity::delete_many().filter(is_one).exec(db).await?;
    Ok(())
}

/// A challenge that is bound to another account belongs to that account, to whichever phone it was sent.
fn of_user(phone: Option<&PhoneNumber>, holder: Uuid) -> Condition {
    let own = Holder::Account(holder).to_string();
    Condition::any().add(Column::Holder.eq(own)).add_option(phone.map(unbound))
}

/// The challenges of the owner of a phone. Those of a device count: it was signed in to the account with this phone. So do those of
/// other services, which ask who holds the phone.
fn unbound(phone: &PhoneNumber) -> Condition {
    let has_no_account = Condition::any()
        .add(Column::Holder.eq(""))
        .add(Column::Holder.starts_with(Holder::DEVICE))
        .add(Column::Holder.starts_with(Holder::VERIFICATION));
    Condition::all().add(Column::Phone.eq(phone.full())).add(has_no_account)
}

/// A challenge, as its user sees it.
#[derive(Debug)]
pub struct IssuedCode {
    /// What it is for.
    pub purpose: Purpose,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// The challenge.
    pub challenge: Challenge,
}
