//! Rows that come from another system, many at once. What was imported is remembered in `imported_rows`.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict, Order, Query, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::{NewIds, blank},
    entities::{
        account::{ActiveModel, Column, Entity, InterestIds, Pictures},
        imported_row, lead,
    },
    former_ids::list_merged,
};
use domain::{
    credentials::{Email, OldCosts, PersonName, Username},
    former_id::FormerId,
    import::{Newcomer, Prospect},
    lead::{Source, State, country_of},
    phone::PhoneNumber,
    profile::{BirthDate, Name},
    pseudonym::Pseudonym,
    users::fold,
};

/// How many characters an old hash and its cost begin with, as in the index.
const BEGINNING: i32 = 17;

/// The largest costs of the password hashes that came from another system and were not replaced yet. The index of these hashes
/// answers it, however many there are.
pub async fn find_old_costs(db: &impl ConnectionTrait) -> Result<OldCosts, StoreError> {
    // Numbers in the text: PostgreSQL only uses an index of an expression that is spelled the same.
    let beginning = || Expr::cust(format!("substr(password_hash, 1, {BEGINNING})"));
    let largest = |below: &str| {
        let is_old = Expr::cust("substr(password_hash, 1, 1) <> '$'");
        let mut query = Query::select();
        query.expr(beginning()).from(Entity).and_where(is_old).and_where(beginning().lt(below));
        query.order_by_expr(beginning(), Order::Desc).limit(1).take()
    };
    // Two kinds, `bcrypt` and `pbkdf2`: the second one is the largest below all of the first one.
    let subquery = |query| SimpleExpr::SubQuery(None, Box::new(query));
    let both = Query::select()
        .expr_as(subquery(largest("q").into()), "first")
        .expr_as(subquery(largest("pbkdf2$").into()), "second")
        .take();
    let Some(row) = db.query_one(&both).await? else { return Ok(OldCosts::default()) };
    let found: [Option<String>; 2] = [row.try_get("", "first")?, row.try_get("", "second")?];
    Ok(OldCosts::from_beginnings(found.iter().flatten().map(String::as_str)))
}

/// Which of these rows were imported before.
pub async fn list_known(
    db: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = &Pseudonym>,
) -> Result<HashSet<String>, StoreError> {
    let keys = keys.into_iter().map(Pseudonym::as_str);
    let rows = imported_row::Entity::find().filter(imported_row::Column::Key.is_in(keys)).all(db).await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// Remembers rows that were imported.
pub async fn insert_known(
    db: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = &Pseudonym>,
) -> Result<(), StoreError> {
    let row = |key: &Pseudonym| imported_row::ActiveModel { key: Set(key.as_str().to_owned()) };
    let rows: Vec<_> = keys.into_iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let unless_there = OnConflict::new().do_nothing().to_owned();
    let insert = imported_row::Entity::insert_many(rows).on_conflict(unless_there);
    insert.exec_without_returning(db).await?;
    Ok(())
}

/// Id, `external_id`, phone, username and e-mail address of an account.
type TakenRow = (Uuid, Option<String>, Option<String>, Option<String>, Option<String>);

/// What existing accounts have of what newcomers bring.
#[derive(Debug, Default)]
pub struct Taken {
    phones: HashSet<String>,
    usernames: HashSet<String>,
    emails: HashSet<String>,
    ids: HashSet<String>,
}

impl Taken {
    /// Whether an account has the number.
    #[must_use]
    pub fn has_phone(&self, phone: &PhoneNumber) -> bool {
        self.phones.contains(phone.full())
    }

    /// Whether an account has the id.
    #[must_use]
    pub fn has_id(&self, id: &FormerId) -> bool {
        self.ids.contains(&id.to_string())
    }

    /// Whether an account has the username. It counts as taken from now on.
    pub fn take_username(&mut self, username: &Username) -> bool {
        !self.usernames.insert(username.key())
    }

    /// Whether an account has the e-mail address. It counts as taken from now on.
    pub fn take_email(&mut self, email: &Email) -> bool {
        !self.emails.insert(email.key())
    }
}

/// Finds what is taken of what these newcomers bring.
pub async fn list_taken(db: &impl ConnectionTrait, newcomers: &[&Newcomer]) -> Result<Taken, StoreError> {
    let phones = newcomers.iter().filter_map(|it| it.phone.as_ref()).map(PhoneNumber::full);
    let usernames = newcomers.iter().filter_map(|it| it.username.as_ref()).map(Username::key);
    let emails = newcomers.iter().filter_map(|it| it.email.as_ref()).map(Email::key);
    let (mut ours, mut external): (Vec<Uuid>, Vec<&str>) = (Vec::new(), Vec::new());
    for newcomer in newcomers {
        match &newcomer.old_id {
            FormerId::Own(id) => ours.push(*id),
            FormerId::External(id) => external.push(id),
        }
    }
    let any = Condition::any()
        .add(Column::Phone.is_in(phones))
        .add(Column::UsernameKey.is_in(usernames))
        .add(Column::EmailKey.is_in(emails))
        .add(Column::Id.is_in(ours.iter().copied()))
        .add(Column::ExternalId.is_in(external.iter().copied()));
    let rows: Vec<TakenRow> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::ExternalId, Column::Phone, Column::UsernameKey, Column::EmailKey])
        .filter(any)
        .into_tuple()
        .all(db)
        .await?;
    let mut taken = Taken::default();
    for (id, external_id, phone, username, email) in rows {
        taken.ids.insert(id.to_string());
        taken.ids.extend(external_id);
        taken.phones.extend(phone);
        taken.usernames.extend(username);
        taken.emails.extend(email);
    }
    // After the accounts: one that is joined with another one between the two is in one of them.
    taken.ids.extend(list_merged(db, &ours, &external).await?);
    Ok(taken)
}

/// Which of these phones have an account.
pub async fn list_phones(
    db: &impl ConnectionTrait,
    phones: impl IntoIterator<Item = &PhoneNumber>,
) -> Result<HashSet<String>, StoreError> {
    let phones = phones.into_iter().map(PhoneNumber::full);
    let found: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Phone)
        .filter(Column::Phone.is_in(phones))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

/// An account that is added.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The ids of account and profile.
    pub ids: NewIds,
    /// Who gets it.
    pub newcomer: &'a Newcomer,
    /// The ids of the interests.
    pub interests: Vec<i64>,
}

/// Adds accounts. Returns the ids of those that were added: another account can have taken something meanwhile.
pub async fn insert_accounts(
    db: &impl ConnectionTrait,
    arrivals: Vec<Arrival<'_>>,
    now: DateTime<Utc>,
) -> Result<HashSet<Uuid>, StoreError> {
    if arrivals.is_empty() {
        return Ok(HashSet::new());
    }
    let unless_taken = OnConflict::new().do_nothing().to_owned();
    let insert = Entity::insert_many(arrivals.into_iter().map(|arrival| row(arrival, now)));
    let mut insert = insert.on_conflict(unless_taken).into_query();
    insert.returning(Query::returning().column(Column::Id));
    let rows = db.query_all(&insert).await?;
    Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
}

fn row(arrival: Arrival<'_>, now: DateTime<Utc>) -> ActiveModel {
    let Arrival { ids, newcomer: it, interests } = arrival;
    let name = |name: Option<&PersonName>| name.map(|it| it.as_str().to_owned());
    let key = |text: Option<&str>| text.map(fold);
    ActiveModel {
        phone: Set(it.phone.as_ref().map(|phone| phone.full().to_owned())),
        claimed_phone: Set(it.claimed_phone.as_ref().map(|phone| phone.as_str().to_owned())),
        username: Set(it.username.as_ref().map(|it| it.as_str().to_owned())),
        username_key: Set(it.username.as_ref().map(Username::key)),
        email: Set(it.email.as_ref().map(|it| it.as_str().to_owned())),
        email_key: Set(it.email.as_ref().map(Email::key)),
        first_name: Set(name(it.first_name.as_ref())),
        first_name_key: Set(key(it.first_name.as_ref().map(PersonName::as_str))),
        last_name: Set(name(it.last_name.as_ref())),
        last_name_key: Set(key(it.last_name.as_ref().map(PersonName::as_str))),
        name: Set(it.name.as_ref().map(|it| it.as_str().to_owned())),
        name_key: Set(key(it.name.as_ref().map(Name::as_str))),
        birth_date: Set(it.birth_date.map(BirthDate::date)),
        gender: Set(it.gender.map(|gender| gender.as_str().to_owned())),
        bio: Set(it.bio.as_ref().map(|it| it.as_str().to_owned())),
        location: Set(it.location.as_ref().map(|it| it.as_str().to_owned())),
        event_interests: Set(InterestIds(interests)),
        profile_pictures: Set(Pictures(it.pictures.clone())),
        password_hash: Set(it.password.as_ref().map(|hash| hash.phc().to_owned())),
        role: Set(it.role.as_str().to_owned()),
        is_active: Set(it.is_active),
        created_at: Set(it.created_at),
        external_id: Set(match &it.old_id {
            FormerId::Own(_) => None,
            FormerId::External(id) => Some(id.clone()),
        }),
        ..blank(ids, now)
    }
}

/// Converts the leads of these phones, which have an account now.
pub async fn set_converted(
    db: &impl ConnectionTrait,
    phones: impl IntoIterator<Item = &PhoneNumber>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let phones: Vec<&str> = phones.into_iter().map(PhoneNumber::full).collect();
    if phones.is_empty() {
        return Ok(());
    }
    let none: Option<Uuid> = None;
    lead::Entity::update_many()
        .col_expr(lead::Column::State, Expr::value(State::Converted.as_str()))
        .col_expr(lead::Column::ConvertedAt, Expr::value(now))
        .col_expr(lead::Column::ChangedAt, Expr::value(now))
        .col_expr(lead::Column::ChangedBy, Expr::value(none))
        .col_expr(lead::Column::Version, Expr::col(lead::Column::Version).add(1_i64))
        .filter(lead::Column::Phone.is_in(phones))
        .filter(lead::Column::State.ne(State::Converted.as_str()))
        .exec(db)
        .await?;
    Ok(())
}

/// Which of these phones have a lead.
pub async fn list_leads(
    db: &impl ConnectionTrait,
    phones: impl IntoIterator<Item = &PhoneNumber>,
) -> Result<HashSet<String>, StoreError> {
    let found: Vec<String> = lead::Entity::find()
        .select_only()
        .column(lead::Column::Phone)
        .filter(lead::Column::Phone.is_in(phones.into_iter().map(PhoneNumber::full)))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

/// Adds leads. Returns the ids of those that were added: the others have a lead already.
pub async fn insert_leads(
    db: &impl ConnectionTrait,
    prospects: impl IntoIterator<Item = (Uuid, &Prospect)>,
) -> Result<HashSet<Uuid>, StoreError> {
    let row = |(id, prospect): (Uuid, &Prospect)| lead::ActiveModel {
        id: Set(id),
        phone: Set(prospect.phone.full().to_owned()),
        source: Set(Source::Signup.as_str().to_owned()),
        state: Set(State::New.as_str().to_owned()),
        requests: Set(1),
        first_requested_at: Set(prospect.first_requested_at),
        last_requested_at: Set(prospect.last_requested_at),
        converted_at: Set(None),
        notes: Set(String::new()),
        region: Set(Some(country_of(&prospect.phone))),
        name: Set(prospect.name.as_ref().map(|name| name.as_str().to_owned())),
        name_key: Set(prospect.name.as_ref().map(|name| fold(name.as_str()))),
        changed_at: Set(None),
        changed_by: Set(None),
        version: Set(0),
    };
    let rows: Vec<_> = prospects.into_iter().map(row).collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let unless_there = OnConflict::new().do_nothing().to_owned();
    let mut insert = lead::Entity::insert_many(rows).on_conflict(unless_there).into_query();
    insert.returning(Query::returning().column(lead::Column::Id));
    let rows = db.query_all(&insert).await?;
    Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
}
