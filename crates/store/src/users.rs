//! Rows of `accounts`, as staff see and change them. No function takes an id alone: each takes a permission of
//! `domain::roles`.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, SqlErr, TryIntoModel,
    sea_query::{Alias, Asterisk, Expr, Func, LikeExpr, OnConflict, Query, SelectStatement, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::{NewIds, account, blank, find_by_phone},
    entities::{
        account::{ActiveModel, Column, Entity, Model},
        session,
    },
    former_ids::has_former_id,
};
use domain::{
    account::{Account, Role},
    credentials::{Email, PersonName, Username},
    phone::PhoneNumber,
    roles::{AdminPermission, EditPermission, ListPermission, ReadPermission},
    users::{Edit, PageOf, Search, User, fold},
};

/// The account of a person that an admin makes.
#[derive(Debug, Clone, Copy)]
pub struct NewUser<'a> {
    /// Its ids.
    pub ids: NewIds,
    /// Its phone, which counts as verified.
    pub phone: Option<&'a PhoneNumber>,
    /// Its username.
    pub username: Option<&'a Username>,
    /// Its e-mail address.
    pub email: Option<&'a Email>,
    /// The first name.
    pub first_name: Option<&'a PersonName>,
    /// The last name.
    pub last_name: Option<&'a PersonName>,
}

/// The result of [`insert`].
#[derive(Debug)]
pub enum Added {
    /// The account was created.
    Account(Box<Account>),
    /// Another account has the phone.
    PhoneTaken,
    /// Another account has the username.
    UsernameTaken,
    /// Another account has the e-mail address.
    EmailTaken,
}

/// Creates an account without a password, if no other account has its phone, username or e-mail address. One statement decides.
pub async fn insert(
    db: &impl ConnectionTrait,
    _leave: AdminPermission,
    new: NewUser<'_>,
    now: DateTime<Utc>,
) -> Result<Added, StoreError> {
    let NewUser { ids, phone, username, email, first_name, last_name } = new;
    let text = |name: Option<&PersonName>| name.map(|name| name.as_str().to_owned());
    let text_key = |name: Option<&PersonName>| name.map(|name| fold(name.as_str()));
    let row = ActiveModel {
        phone: Set(phone.map(|phone| phone.full().to_owned())),
        username: Set(username.map(|username| username.as_str().to_owned())),
        username_key: Set(username.map(Username::key)),
        email: Set(email.map(|email| email.as_str().to_owned())),
        email_key: Set(email.map(Email::key)),
        first_name: Set(text(first_name)),
        first_name_key: Set(text_key(first_name)),
        last_name: Set(text(last_name)),
        last_name_key: Set(text_key(last_name)),
        ..blank(ids, now)
    };
    let model = row.clone().try_into_model()?;
    // A conflict must not be an error: on PostgreSQL an error would abort the surrounding transaction.
    let unless_taken = OnConflict::new().do_nothing().to_owned();
    if Entity::insert(row).on_conflict(unless_taken).exec_without_returning(db).await? == 1 {
        return Ok(Added::Account(Box::new(account(model)?)));
    }
    if let Some(phone) = phone
        && find_by_phone(db, phone, None).await?.is_some()
    {
        return Ok(Added::PhoneTaken);
    }
    if let Some(username) = username
        && Entity::find().filter(Column::UsernameKey.eq(username.key())).one(db).await?.is_some()
    {
        return Ok(Added::UsernameTaken);
    }
    Ok(if email.is_some() { Added::EmailTaken } else { Added::PhoneTaken })
}

/// A page of the list.
#[derive(Debug)]
pub struct Found {
    /// The users of the page, newest first.
    pub users: Vec<User>,
    /// How many users the search finds in all.
    pub total: u64,
}

/// What an account is called, for lists of other things.
#[derive(Debug, Clone)]
pub struct Called {
    /// The id.
    pub id: Uuid,
    /// The username, else the name.
    pub name: Option<String>,
    /// The phone.
    pub phone: Option<PhoneNumber>,
}

/// The result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// The account was changed.
    Done,
    /// There is no such account, the permission does not cover its role, it is the last active admin, or it was changed since
    /// the given time.
    Guarded,
    /// Another account has the e-mail address. A surrounding transaction can only be rolled back.
    EmailTaken,
}

/// The users that a search finds, newest first, and how many there are: one statement, or two if the page is past the end.
pub async fn list(
    db: &impl ConnectionTrait,
    _leave: &ListPermission,
    search: &Search,
    page: PageOf,
) -> Result<Found, StoreError> {
    let total = number_of(search);
    let select = users()
        .expr_as(total.clone(), "total")
        .filter(found_by(search))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(page.size())
        .offset(page.offset());
    let rows = db.query_all(select.as_query()).await?;
    let total: i64 = match rows.first() {
        Some(row) => row.try_get("", "total")?,
        // An empty first page means that there are none.
        None if page.offset() == 0 => 0,
        None => match db.query_one(&total).await? {
            Some(row) => row.try_get_by_index(0)?,
            None => 0,
        },
    };
    let users = rows.iter().map(user).collect::<Result<_, _>>()?;
    Ok(Found { users, total: u64::try_from(total).unwrap_or_default() })
}

/// One user.
pub async fn find(db: &impl ConnectionTrait, permission: ReadPermission) -> Result<Option<User>, StoreError> {
    let select = users().filter(Column::Id.eq(permission.target()));
    db.query_one(select.as_query()).await?.as_ref().map(user).transpose()
}

/// The id, the username, the name and the phone.
type CalledRow = (Uuid, Option<String>, Option<String>, Option<String>);

/// The accounts with these ids, with what they are called.
pub async fn list_called(
    db: &impl ConnectionTrait,
    _leave: &ListPermission,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Called>, StoreError> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let columns = [Column::Id, Column::Username, Column::Name, Column::Phone];
    let select = Entity::find().select_only().columns(columns).filter(Column::Id.is_in(ids));
    let rows: Vec<CalledRow> = select.into_tuple().all(db).await?;
    let called = |(id, username, name, phone): CalledRow| {
        let phone = phone.as_deref().and_then(PhoneNumber::from_e164);
        Called { id, name: username.or(name), phone }
    };
    Ok(rows.into_iter().map(called).collect())
}

/// The account with this username, or with this e-mail address.
pub async fn find_named(
    db: &impl ConnectionTrait,
    _leave: &ListPermission,
    typed: &str,
) -> Result<Option<Uuid>, StoreError> {
    let key = fold(typed);
    let column = if key.contains('@') { Column::EmailKey } else { Column::UsernameKey };
    let select = Entity::find().select_only().column(Column::Id).filter(column.eq(key));
    Ok(select.into_tuple().one(db).await?)
}

/// Changes an account, if the permission covers its role and an active admin is left. A caller that removes an admin claims the
/// admins first ([`super::owners::claim_admins`]): of two admins who remove each other at once on PostgreSQL, neither would
/// see what the other does.
pub async fn update(
    db: &impl ConnectionTrait,
    permission: EditPermission,
    edit: &Edit,
    now: DateTime<Utc>,
) -> Result<Updated, StoreError> {
    let name = |name: Option<&PersonName>| name.map(|name| name.as_str().to_owned());
    let name_key = |name: Option<&PersonName>| name.map(|name| fold(name.as_str()));
    let first = edit.first_name.as_ref().map(Option::as_ref);
    let last = edit.last_name.as_ref().map(Option::as_ref);
    let email = edit.email.as_ref().map(Option::as_ref);
    let columns = ActiveModel {
        first_name: first.map_or(NotSet, |first| Set(name(first))),
        first_name_key: first.map_or(NotSet, |first| Set(name_key(first))),
        last_name: last.map_or(NotSet, |last| Set(name(last))),
        last_name_key: last.map_or(NotSet, |last| Set(name_key(last))),
        email: email.map_or(NotSet, |email| Set(email.map(|email| email.as_str().to_owned()))),
        email_key: email.map_or(NotSet, |email| Set(email.map(Email::key))),
        role: edit.role.map_or(NotSet, |role| Set(role.as_str().to_owned())),
        is_active: edit.is_active.map_or(NotSet, Set),
        updated_at: Set(now),
        ..Default::default()
    };
    let roles = permission.over().iter().map(|role| role.as_str());
    let mut guard = Condition::all().add(Column::Id.eq(permission.target())).add(Column::Role.is_in(roles));
    if let Some(seen) = edit.if_changed_at {
        guard = guard.add(Column::UpdatedAt.eq(seen));
    }
    if edit.takes_an_admin_away() {
        guard = guard.add(no_active_admin().add(Expr::exists(another_admin(permission))));
    }
    // Many people know the code of a review number, so its account never gets more rights than a user.
    if edit.role.is_some_and(|role| role > Role::User) {
        guard = guard.add(Column::IsReview.eq(false));
    }
    let mut update = Entity::update_many().set(columns);
    if edit.is_active == Some(false) {
        update = update.col_expr(Column::DeviceEpoch, Expr::col((Entity, Column::DeviceEpoch)).add(1_i64));
    }
    match update.filter(guard).exec(db).await {
        // The e-mail address is the only unique column that is written here.
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Ok(Updated::EmailTaken)
        }
        Err(error) => Err(error.into()),
        Ok(changed) if changed.rows_affected == 1 => Ok(Updated::Done),
        Ok(_) => Ok(Updated::Guarded),
    }
}

fn no_active_admin() -> Condition {
    Condition::any().add(Column::Role.ne(Role::Admin.as_str())).add(Column::IsActive.eq(false))
}

fn another_admin(permission: EditPermission) -> SelectStatement {
    let others = || Alias::new("others");
    Query::select()
        .expr(Expr::value(1))
        .from_as(Entity, others())
        .and_where(Expr::col((others(), Column::Role)).eq(Role::Admin.as_str()))
        .and_where(Expr::col((others(), Column::IsActive)).eq(true))
        .and_where(Expr::col((others(), Column::Id)).ne(permission.target()))
        .take()
}

/// Accounts with the time of their last sign-in.
fn users() -> Select<Entity> {
    let opened = Query::select()
        .expr(Func::max(Expr::col((session::Entity, session::Column::CreatedAt))))
        .from(session::Entity)
        .and_where(Expr::col((session::Entity, session::Column::AccountId)).equals((Entity, Column::Id)))
        .take();
    Entity::find().expr_as(opened, "last_login")
}

fn user(row: &QueryResult) -> Result<User, StoreError> {
    Ok(User {
        account: account(Model::from_query_result(row, "")?)?,
        last_login: row.try_get("", "last_login")?,
    })
}

fn number_of(search: &Search) -> SelectStatement {
    Query::select().expr(Func::count(Expr::col(Asterisk))).from(Entity).cond_where(found_by(search)).take()
}

/// The columns that a phone number is searched in.
const PHONES: [Column; 3] = [Column::Phone, Column::ClaimedPhone, Column::FormerPhone];

fn found_by(search: &Search) -> Condition {
    let mut in_words = Condition::all();
    for word in search.words() {
        in_words = in_words.add(in_a_text(word, search));
    }
    let mut found = Condition::any();
    if let Some(phone) = search.phone() {
        found = PHONES.into_iter().fold(found, |found, column| found.add(column.eq(phone.full())));
    }
    if let Some(digits) = search.digits() {
        found = PHONES.into_iter().fold(found, |found, column| found.add(holds(column, digits)));
    }
    // Without words every account matches.
    let found = found.add(in_words);
    match search.former_id() {
        Some(id) => Condition::all().add(has_former_id(id)).add(found),
        None => found,
    }
}

/// Whether one of the names, the e-mail address or a phone contains this word. A text that looks like a phone is searched in
/// phones as a whole, not word by word.
fn in_a_text(word: &str, search: &Search) -> Condition {
    let names =
        [Column::NameKey, Column::UsernameKey, Column::EmailKey, Column::FirstNameKey, Column::LastNameKey];
    let phones = PHONES.into_iter().filter(|_| search.digits().is_none());
    names.into_iter().chain(phones).fold(Condition::any(), |any, key| any.add(holds(key, word)))
}

/// Whether a column contains this text literally: wildcards in it are escaped.
fn holds(column: Column, text: &str) -> SimpleExpr {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if ['%', '_', ESCAPE].contains(&c) {
            pattern.push(ESCAPE);
        }
        pattern.push(c);
    }
    pattern.push('%');
    column.into_expr().like(LikeExpr::new(pattern).escape(ESCAPE))
}

/// The escape character: not the backslash, which PostgreSQL can treat specially in texts.
const ESCAPE: char = '!';
