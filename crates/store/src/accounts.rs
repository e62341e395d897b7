//! Rows of `accounts`: finding and opening accounts, and their passwords.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, TryIntoModel,
    sea_query::{Expr, Func, LockType, OnConflict, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::{
        account::{ActiveModel, Column, Entity, InterestIds, Model, Pictures},
        session,
    },
    former_ids::{has_former_id, insert_unless_merged},
    otp::Consumed,
};
use domain::{
    account::{Account, Profile, Role},
    credentials::{ClaimedPhone, Email, Login, PasswordHash, PersonName, Username},
    former_id::FormerId,
    issuer::VouchedPhone,
    phone::PhoneNumber,
    profile::{BirthDate, Gender},
    roles::StaffPermission,
    signups::Admission,
    terms::AcceptedTerms,
    users::fold,
};

/// The ids of a new account, and the permission to create it.
#[derive(Debug, Clone, Copy)]
pub struct NewIds {
    /// The permission.
    pub admission: Admission,
    /// The id of the account.
    pub account: Uuid,
    /// The id of its profile.
    pub profile: Uuid,
}

/// The account with this verified phone, if it was used after the given time.
pub async fn find_by_phone(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
    used_after: Option<DateTime<Utc>>,
) -> Result<Option<Account>, StoreError> {
    let found = Entity::find().filter(Column::Phone.eq(phone.full()));
    let row = found.filter(used(used_after)).one(db).await?;
    row.map(account).transpose()
}

/// Why an account may be opened for a phone.
#[derive(Debug, Clone, Copy)]
pub enum PhoneProof<'a> {
    /// A code proved the phone.
    Code(&'a Consumed),
    /// A trusted issuer says that it is proved.
    Issuer(&'a VouchedPhone),
    /// Staff know the user who has the phone. It is no sign-in, so an account that exists does not count as used.
    Staff(&'a PhoneNumber, StaffPermission),
}

impl PhoneProof<'_> {
    /// The phone.
    #[must_use]
    pub fn phone(&self) -> &PhoneNumber {
        match self {
            Self::Code(consumed) => consumed.phone(),
            Self::Issuer(phone) => phone.number(),
            Self::Staff(phone, _) => phone,
        }
    }

    /// The new `seen_at` of an account that exists.
    fn seen(&self, now: DateTime<Utc>) -> SimpleExpr {
        match self {
            Self::Code(_) | Self::Issuer(_) => seen(now),
            Self::Staff(..) => Expr::col((Entity, Column::SeenAt)),
        }
    }
}

/// The account with this id.
pub async fn find_by_id(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Account>, StoreError> {
    Entity::find_by_id(id).one(db).await?.map(account).transpose()
}

/// The account of the user who has this id in another system.
pub async fn find_by_former_id(
    db: &impl ConnectionTrait,
    id: &FormerId,
) -> Result<Option<Account>, StoreError> {
    Entity::find().filter(has_former_id(id)).one(db).await?.map(account).transpose()
}

/// Creates the account of a user of another system: with the id that the user has there, and the phone if a trusted issuer calls
/// it verified. `None` when an account has that id or that phone, or was joined with one that had that id.
pub async fn insert_vouched(
    db: &impl ConnectionTrait,
    id: &FormerId,
    ids: NewIds,
    phone: Option<&VouchedPhone>,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let (ids, external_id) = match id {
        FormerId::Own(id) => (NewIds { account: *id, ..ids }, None),
        FormerId::External(id) => (ids, Some(id.clone())),
    };
    let row = ActiveModel {
        phone: Set(phone.map(|phone| phone.number().full().to_owned())),
        external_id: Set(external_id),
        seen_at: Set(Some(now)),
        ..blank(ids, now)
    };
    let is_added = insert_unless_merged(db, &row, id).await?;
    is_added.then(|| account(row.try_into_model()?)).transpose()
}

/// The account that lost this phone last because it was unused for too long, and has not got it back.
pub async fn find_by_former_phone(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<Account>, StoreError> {
    let lost = Entity::find().filter(Column::FormerPhone.eq(phone.full()));
    let row = lost.order_by_desc(Column::UnlinkedAt).one(db).await?;
    row.map(account).transpose()
}

/// What [`open`] needs for an account.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// The ids of the account if it is new.
    pub ids: NewIds,
    /// Whether the code is the fixed one of a review number.
    pub is_review: bool,
    /// An account that was not used after this time is not opened.
    pub used_after: Option<DateTime<Utc>>,
}

/// Finds the account of a phone that is proved, or creates it, in one statement, so that two requests at once get one
/// account. `None` when the account was unused for too long: it is unchanged, and locked until the transaction ends.
pub async fn open(
    db: &impl ConnectionTrait,
    proof: PhoneProof<'_>,
    options: OpenOptions,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let (new, found) = opening(proof.phone(), options, proof.seen(now), now);
    let mut insert = Entity::insert(new).on_conflict(found).into_query();
    let row = db.query_one(insert.returning_all()).await?;
    row.map(|row| account(Model::from_query_result(&row, "")?)).transpose()
}

/// The row of a new account, and what happens if there is one: its `seen_at` changes, if it was used recently enough.
pub(super) fn opening(
    phone: &PhoneNumber,
    options: OpenOptions,
    seen_at: SimpleExpr,
    now: DateTime<Utc>,
) -> (ActiveModel, OnConflict) {
    let new = ActiveModel {
        phone: Set(Some(phone.full().to_owned())),
        is_review: Set(options.is_review),
        seen_at: Set(Some(now)),
        ..blank(options.ids, now)
    };
    let mut found = OnConflict::column(Column::Phone);
    found.value(Column::SeenAt, seen_at);
    if options.used_after.is_some() {
        found.action_cond_where(used(options.used_after));
    }
    (new, found)
}

/// The new `seen_at` of a sign-in. A disabled account keeps its old one, because it cannot be signed in to.
pub(super) fn seen(now: DateTime<Utc>) -> SimpleExpr {
    let is_active = Expr::col((Entity, Column::IsActive)).eq(true);
    Expr::case(is_active, Expr::value(now)).finally(Expr::col((Entity, Column::SeenAt))).into()
}

/// Whether an account was used after this time: by a sign-in or a refresh; for older rows, which hold neither, by a change.
/// A disabled account always counts as used, so that a ban does not run out by waiting.
pub(super) fn used(after: Option<DateTime<Utc>>) -> Condition {
    let Some(after) = after else {
        return Condition::all();
    };
    let col = |column: Column| Expr::col((Entity, column));
    let in_a_session = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(Expr::col((session::Entity, session::Column::AccountId)).equals((Entity, Column::Id)))
        .filter(session::Column::LastUsedAt.gt(after))
        .into_query();
    Condition::any()
        .add(col(Column::IsActive).eq(false))
        .add(Func::coalesce([col(Column::SeenAt), col(Column::UpdatedAt)]).gt(after))
        .add(Expr::exists(in_a_session))
}

/// A new account with a password.
#[derive(Debug, Clone, Copy)]
pub struct NewAccount<'a> {
    /// Its ids.
    pub ids: NewIds,
    /// Its username.
    pub username: &'a Username,
    /// Its e-mail address.
    pub email: Option<&'a Email>,
    /// As the user entered it.
    pub first_name: Option<&'a PersonName>,
    /// As the user entered it.
    pub last_name: Option<&'a PersonName>,
    /// A phone that is not verified.
    pub claimed_phone: Option<&'a ClaimedPhone>,
    /// The hash of its password.
    pub password: &'a PasswordHash,
    /// Its role.
    pub role: Role,
}

/// The result of [`insert`].
#[derive(Debug)]
pub enum Inserted {
    /// The account was created.
    Account(Box<Account>),
    /// Another account has the username.
    UsernameTaken,
    /// Another account has the e-mail address.
    EmailTaken,
}

/// Creates an account, if no other account has its username or e-mail address. One statement decides, so of two requests at
/// once one creates it.
pub async fn insert(
    db: &impl ConnectionTrait,
    new: NewAccount<'_>,
    now: DateTime<Utc>,
) -> Result<Inserted, StoreError> {
    let NewAccount { ids, username, email, first_name, last_name, .. } = new;
    let text = |name: Option<&PersonName>| name.map(|name| name.as_str().to_owned());
    let text_key = |name: Option<&PersonName>| name.map(|name| fold(name.as_str()));
    let row = ActiveModel {
        username: Set(Some(username.as_str().to_owned())),
        username_key: Set(Some(username.key())),
        email: Set(email.map(|email| email.as_str().to_owned())),
        email_key: Set(email.map(Email::key)),
        first_name: Set(text(first_name)),
        first_name_key: Set(text_key(first_name)),
        last_name: Set(text(last_name)),
        last_name_key: Set(text_key(last_name)),
        password_hash: Set(Some(new.password.phc().to_owned())),
        claimed_phone: Set(new.claimed_phone.map(|phone| phone.as_str().to_owned())),
        role: Set(new.role.as_str().to_owned()),
        ..blank(ids, now)
    };
    let model = row.clone().try_into_model()?;
    // A conflict must not be an error: on PostgreSQL an error would abort the surrounding transaction.
    let unless_taken = OnConflict::new().do_nothing().to_owned();
    if Entity::insert(row).on_conflict(unless_taken).exec_without_returning(db).await? == 1 {
        return Ok(Inserted::Account(Box::new(account(model)?)));
    }
    let by_username = Entity::find().filter(Column::UsernameKey.eq(username.key())).one(db).await?;
    Ok(if by_username.is_some() || email.is_none() { Inserted::UsernameTaken } else { Inserted::EmailTaken })
}

/// The account of this name, if it was used after the given time.
pub async fn find_by_login(
    db: &impl ConnectionTrait,
    login: &Login,
    used_after: Option<DateTime<Utc>>,
) -> Result<Option<Account>, StoreError> {
    let row = Entity::find().filter(has_login(login)).filter(used(used_after)).one(db).await?;
    row.map(account).transpose()
}

/// The account of this name and its password hash, in one statement.
pub async fn find_credentials(
    db: &impl ConnectionTrait,
    login: &Login,
) -> Result<Option<(Account, Option<PasswordHash>)>, StoreError> {
    let row = Entity::find().filter(has_login(login)).one(db).await?;
    row.map(with_hash).transpose()
}

fn has_login(login: &Login) -> SimpleExpr {
    match login {
        Login::Username(key) => Column::UsernameKey.eq(key.as_str()),
        Login::Email(key) => Column::EmailKey.eq(key.as_str()),
        Login::Phone(phone) => Column::Phone.eq(phone.full()),
    }
}

/// An account and its password hash.
pub async fn find_with_hash(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<(Account, Option<PasswordHash>)>, StoreError> {
    Entity::find_by_id(id).one(db).await?.map(with_hash).transpose()
}

/// Locks the account until the transaction ends, if its password hash is still this one (`None`: if it still has none). A
/// password that was changed after it was checked therefore opens no session.
pub async fn claim_with_hash(
    db: &impl ConnectionTrait,
    id: Uuid,
    hash: Option<&PasswordHash>,
) -> Result<Option<Account>, StoreError> {
    let unchanged = match hash {
        Some(hash) => Column::PasswordHash.eq(hash.phc()),
        None => Column::PasswordHash.is_null(),
    };
    let row = Entity::find_by_id(id).filter(unchanged).lock(LockType::NoKeyUpdate).one(db).await?;
    row.map(account).transpose()
}

/// Changes the password hash of an account.
pub async fn set_password(
    db: &impl ConnectionTrait,
    id: Uuid,
    hash: &PasswordHash,
    changed_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash.phc()))
        .col_expr(Column::UpdatedAt, Expr::value(changed_at))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// Changes the password of an account at its owner's request. Device tokens end too, because someone who knew the old
/// password may also have signed in by a code.
pub async fn set_new_password(
    db: &impl ConnectionTrait,
    id: Uuid,
    hash: &PasswordHash,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash.phc()))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .col_expr(Column::DeviceEpoch, Expr::col(Column::DeviceEpoch).add(1_i64))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

fn with_hash(row: Model) -> Result<(Account, Option<PasswordHash>), StoreError> {
    let hash = row.password_hash.clone().map(PasswordHash::stored);
    Ok((account(row)?, hash))
}

/// A new account without any data.
pub(super) fn blank(ids: NewIds, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: Set(ids.account),
        phone: Set(None),
        username: Set(None),
        email: Set(None),
        first_name: Set(None),
        last_name: Set(None),
        is_active: Set(true),
        created_at: Set(now),
        updated_at: Set(now),
        profile_id: Set(ids.profile),
        name: Set(None),
        birth_date: Set(None),
        gender: Set(None),
        bio: Set(None),
        location: Set(None),
        event_interests: Set(InterestIds::default()),
        profile_pictures: Set(Pictures::default()),
        username_key: Set(None),
        email_key: Set(None),
        password_hash: Set(None),
        claimed_phone: Set(None),
        role: Set(Role::User.as_str().to_owned()),
        name_key: Set(None),
        first_name_key: Set(None),
        last_name_key: Set(None),
        device_epoch: Set(0),
        seen_at: Set(None),
        is_review: Set(false),
        former_phone: Set(None),
        unlinked_at: Set(None),
        external_id: Set(None),
        invitation_id: Set(ids.admission.invitation()),
        terms_version: Set(None),
        terms_accepted_at: Set(None),
    }
}

/// Reads an account from a row.
pub(super) fn account(row: Model) -> Result<Account, StoreError> {
    let unreadable = |column| StoreError::Unreadable { table: "accounts", column };
    let number = |text: Option<String>, column| {
        text.map(|text| PhoneNumber::from_e164(&text).ok_or(unreadable(column))).transpose()
    };
    let (phone, former_phone) = (number(row.phone, "phone")?, number(row.former_phone, "former_phone")?);
    let gender =
        row.gender.map(|text| Gender::stored(&text).map_err(|_| unreadable("gender"))).transpose()?;
    Ok(Account {
        id: row.id,
        phone,
        username: row.username,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        claimed_phone: row.claimed_phone,
        has_password: row.password_hash.is_some(),
        role: Role::parse(&row.role).ok_or(unreadable("role"))?,
        is_active: row.is_active,
        profile: Profile {
            id: row.profile_id,
            name: row.name,
            birth_date: row.birth_date.map(BirthDate::stored),
            gender,
            bio: row.bio,
            location: row.location,
            event_interests: row.event_interests.0,
            profile_pictures: row.profile_pictures.0,
        },
        device_epoch: row.device_epoch,
        is_review: row.is_review,
        former_phone,
        unlinked_at: row.unlinked_at,
        external_id: row.external_id,
        invitation_id: row.invitation_id,
        terms: row
            .terms_version
            .zip(row.terms_accepted_at)
            .map(|(version, at)| AcceptedTerms { version, at }),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
