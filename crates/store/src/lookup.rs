//! What staff find by the search box of the console: the row that an id belongs to, and the accounts and leads that fit a part of
//! a number, a name or an e-mail address.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::{account, lead, message, session},
    search::{Subject, has_words, ids_with_number},
};
use domain::{lead::State, phone::PhoneNumber, search::Lookup};

/// What has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An account.
    Account(Uuid),
    /// A lead.
    Lead(Uuid),
    /// A message; of a delivery its last one.
    Message(Uuid),
}

/// Finds what has this id: an account, its profile or its session, a lead, a message or its delivery. Each by an index.
pub async fn find_owner(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Owner>, StoreError> {
    let is_account = account::Column::Id.eq(id).or(account::Column::ProfileId.eq(id));
    let of_account = account::Entity::find().select_only().column(account::Column::Id).filter(is_account);
    if let Some(found) = of_account.into_tuple().one(db).await? {
        return Ok(Some(Owner::Account(found)));
    }
    let of_session = session::Entity::find_by_id(id).select_only().column(session::Column::AccountId);
    if let Some(found) = of_session.into_tuple().one(db).await? {
        return Ok(Some(Owner::Account(found)));
    }
    let of_lead = lead::Entity::find_by_id(id).select_only().column(lead::Column::Id);
    if let Some(found) = of_lead.into_tuple().one(db).await? {
        return Ok(Some(Owner::Lead(found)));
    }
    let is_message = message::Column::Id.eq(id).or(message::Column::DeliveryId.eq(id));
    let of_message = message::Entity::find().select_only().column(message::Column::Id).filter(is_message);
    let found = of_message.order_by_desc(message::Column::Attempt).into_tuple().one(db).await?;
    Ok(found.map(Owner::Message))
}

/// A person that a search found.
#[derive(Clone)]
pub struct FoundAccount {
    /// The id of the account.
    pub id: Uuid,
    /// The name of the profile, else the username.
    pub name: Option<String>,
    /// The verified phone.
    pub phone: Option<PhoneNumber>,
    /// Whether the account may sign in.
    pub is_active: bool,
}

/// A lead that a search found.
#[derive(Clone)]
pub struct FoundLead {
    /// The id of the lead.
    pub id: Uuid,
    /// The name that the user gave on the phone.
    pub name: Option<String>,
    /// The phone.
    pub phone: PhoneNumber,
    /// Its state.
    pub state: State,
}

// Written by hand: names and phones must not get into logs.
impl std::fmt::Debug for FoundAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundAccount").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FoundLead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundLead").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Some accounts that fit, in no order.
pub async fn list_accounts(
    db: &impl ConnectionTrait,
    lookup: &Lookup,
    most: u64,
) -> Result<Vec<FoundAccount>, StoreError> {
    let columns = (account::Column::Phone, account::Column::Id);
    let Some(fits) = fits(db.get_database_backend(), Subject::Account, columns, lookup, most) else {
        return Ok(Vec::new());
    };
    let rows = account::Entity::find().filter(fits).limit(most).all(db).await?;
    let found = |row: account::Model| FoundAccount {
        id: row.id,
        name: row.name.or(row.username),
        phone: row.phone.as_deref().and_then(PhoneNumber::from_e164),
        is_active: row.is_active,
    };
    Ok(rows.into_iter().map(found).collect())
}

/// Some leads that fit, in no order.
pub async fn list_leads(
    db: &impl ConnectionTrait,
    lookup: &Lookup,
    most: u64,
) -> Result<Vec<FoundLead>, StoreError> {
    let columns = (lead::Column::Phone, lead::Column::Id);
    let Some(fits) = fits(db.get_database_backend(), Subject::Lead, columns, lookup, most) else {
        return Ok(Vec::new());
    };
    let rows = lead::Entity::find().filter(fits).limit(most).all(db).await?;
    let found = |row: lead::Model| {
        let unreadable = |column| StoreError::Unreadable { table: "leads", column };
        Ok(FoundLead {
            id: row.id,
            name: row.name,
            phone: PhoneNumber::from_e164(&row.phone).ok_or(unreadable("phone"))?,
            state: row.state.parse().map_err(|_| unreadable("state"))?,
        })
    };
    rows.into_iter().map(found).collect()
}

/// Whether a row fits, for at least so many of those that do. `None` where nothing is searched for that rows are found by.
fn fits<C: ColumnTrait>(
    backend: DbBackend,
    subject: Subject,
    (phone, id): (C, C),
    lookup: &Lookup,
    most: u64,
) -> Option<Condition> {
    match lookup {
        Lookup::Everything | Lookup::Id(_) => None,
        Lookup::Number(number) => {
            let found = ids_with_number(backend, id, &[phone], number, most);
            Some(Condition::all().add(id.in_subquery(found)))
        }
        Lookup::Words(words) => Some(has_words(subject, &Expr::col((C::EntityName::default(), id)), words)),
    }
}
