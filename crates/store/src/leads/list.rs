//! Lists of leads. Each page begins after a place in the order, so that a page deep in a list costs no more than the first, and
//! rows that change meanwhile neither repeat nor hide others.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Asterisk, Expr, Func, JoinType, Query, SelectStatement, UnionType},
};
use uuid::Uuid;

use super::lead;
use crate::{
    StoreError,
    entities::{
        account,
        lead::{Column, Entity},
    },
    search::{Subject, has_number, has_words, ids_with_number},
};
use domain::{
    lead::{Filter, Lead, Place, Sort, State, Wanted},
    phone::PhoneNumber,
    search::Lookup,
};

/// The leads that are wanted, after a place in their order, or the first ones.
pub async fn list(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<Lead>, StoreError> {
    let (column, is_descending) = match wanted.sort {
        Sort::LastNewest => (Column::LastRequestedAt, true),
        Sort::LastOldest => (Column::LastRequestedAt, false),
        Sort::FirstNewest => (Column::FirstRequestedAt, true),
        Sort::FirstOldest => (Column::FirstRequestedAt, false),
    };
    let mut matching = matches(db.get_database_backend(), &wanted.filter);
    if let Some(place) = after {
        matching = matching.add(comes_after(column, is_descending, place));
    }
    let select = Entity::find().filter(matching).limit(limit);
    let sorted = if is_descending {
        select.order_by_desc(column).order_by_desc(Column::Id)
    } else {
        select.order_by_asc(column).order_by_asc(Column::Id)
    };
    sorted.all(db).await?.into_iter().map(lead).collect()
}

/// How many leads match, but at most this many: counting further would read the whole table.
pub async fn count(db: &impl ConnectionTrait, filter: &Filter, most: u64) -> Result<u64, StoreError> {
    let some = some(db.get_database_backend(), filter, most);
    let counted = Query::select().expr(Func::count(Expr::col(Asterisk))).from_subquery(some, "some").take();
    let total: i64 = match db.query_one(&counted).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    // Each index may have found as many.
    Ok(Ord::min(u64::try_from(total).unwrap_or_default(), most))
}

/// The leads to count.
fn some(backend: DbBackend, filter: &Filter, most: u64) -> SelectStatement {
    if let Some(Lookup::Number(number)) = &filter.search
        && (Filter { search: None, ..filter.clone() }) == Filter::default()
    {
        return ids_with_number(backend, Column::Id, &[Column::Phone], number, most);
    }
    // The order lets PostgreSQL count in an index: without one it reads the table, from its beginning to the last of these.
    let is_by_first = filter.first_from.or(filter.first_before).is_some();
    let order = if is_by_first { Column::FirstRequestedAt } else { Column::LastRequestedAt };
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(matches(backend, filter))
        .order_by_desc(order)
        .order_by_desc(Column::Id)
        .limit(most)
        .into_query()
}

/// The account that has the phone of a lead.
#[derive(Clone)]
pub struct AccountName {
    /// Its id.
    pub id: Uuid,
    /// The name of the profile, else the first and last name.
    pub name: Option<String>,
    /// Whether the user can sign in.
    pub is_active: bool,
}

impl std::fmt::Debug for AccountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountName").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Phone, id, whether it is active, name, first and last name.
type AccountRow = (Option<String>, Uuid, bool, Option<String>, Option<String>, Option<String>);

/// The accounts that have these phones.
pub async fn list_accounts(
    db: &impl ConnectionTrait,
    phones: impl IntoIterator<Item = &PhoneNumber>,
) -> Result<HashMap<PhoneNumber, AccountName>, StoreError> {
    use account::Column as Account;
    let phones: Vec<&str> = phones.into_iter().map(PhoneNumber::full).collect();
    if phones.is_empty() {
        return Ok(HashMap::new());
    }
    let select = account::Entity::find()
        .select_only()
        .columns([Account::Phone, Account::Id, Account::IsActive])
        .columns([Account::Name, Account::FirstName, Account::LastName])
        .filter(Account::Phone.is_in(phones));
    let rows: Vec<AccountRow> = select.into_tuple().all(db).await?;
    let named = rows.into_iter().filter_map(|(phone, id, is_active, name, first, last)| {
        let parts: Vec<String> = first.into_iter().chain(last).collect();
        let name = name.or_else(|| (!parts.is_empty()).then(|| parts.join(" ")));
        Some((PhoneNumber::from_e164(&phone?)?, AccountName { id, name, is_active }))
    });
    Ok(named.collect())
}

/// Whether a row comes after a place. The first condition alone is a range of the index; the second excludes rows of the same
/// moment that the page before has shown.
fn comes_after(column: Column, is_descending: bool, Place(at, id): Place) -> Condition {
    let (reached, passed, other) = if is_descending {
        (column.lte(at), column.lt(at), Column::Id.lt(id))
    } else {
        (column.gte(at), column.gt(at), Column::Id.gt(id))
    };
    Condition::all().add(reached).add(Condition::any().add(passed).add(other))
}

fn matches(backend: DbBackend, filter: &Filter) -> Condition {
    let mut matching = Condition::all();
    if let Some(state) = filter.state {
        matching = matching.add(Column::State.eq(state.as_str()));
    }
    if let Some(is_verified) = filter.is_verified {
        // Both mean the same in every row, and each has its index.
        let verified = Column::State.eq(State::Converted.as_str());
        matching = matching.add(if is_verified { verified } else { Column::ConvertedAt.is_null() });
    }
    if let Some(country) = &filter.country {
        matching = matching.add(Column::Region.eq(country.as_str()));
    }
    if let Some(source) = filter.source {
        matching = matching.add(Column::Source.eq(source.as_str()));
    }
    matching = within(matching, Column::FirstRequestedAt, filter.first_from, filter.first_before);
    matching = within(matching, Column::LastRequestedAt, filter.last_from, filter.last_before);
    match &filter.search {
        None | Some(Lookup::Everything) => matching,
        Some(Lookup::Id(id)) => matching.add(Column::Id.eq(*id)),
        Some(Lookup::Number(number)) => {
            matching.add(has_number(backend, &Expr::col((Entity, Column::Phone)), number))
        }
        Some(Lookup::Words(words)) => matching.add(Column::Id.in_subquery(named(words))),
    }
}

fn within(
    matching: Condition,
    column: Column,
    from: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
) -> Condition {
    matching.add_option(from.map(|from| column.gte(from))).add_option(before.map(|before| column.lt(before)))
}

/// The ids of leads whose name has these words, and of those whose account has. They are one subquery and not two conditions
/// with `OR`, which would read the whole table.
fn named(words: &[String]) -> SelectStatement {
    let by_lead = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(has_words(Subject::Lead, &Expr::col((Entity, Column::Id)), words))
        .into_query();
    let by_account = Query::select()
        .column((Entity, Column::Id))
        .from(Entity)
        .join(
            JoinType::InnerJoin,
            account::Entity,
            Expr::col((account::Entity, account::Column::Phone)).equals((Entity, Column::Phone)),
        )
        .cond_where(has_words(Subject::Account, &Expr::col((account::Entity, account::Column::Id)), words))
        .take();
    let mut either = by_lead;
    either.union(UnionType::Distinct, by_account).take()
}
