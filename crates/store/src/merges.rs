//! Rows of `merged_accounts`: ids of accounts that were joined with another one, and what an undo needs.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, SqlErr,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{
    StoreError,
    accounts::{NewIds, blank},
    entities::{
        account::{self, InterestIds, Pictures},
        merged_account::{ActiveModel, Column, Entity, Model},
    },
};
use domain::{
    account_merge::{Holdings, Kept, Merge, Mergeable, ProfileTexts, Snapshot},
    signups::Admission,
    users::fold,
};

/// What an account has that a merge moves.
pub async fn find_kept(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Kept>, StoreError> {
    Ok(account::Entity::find_by_id(id).one(db).await?.map(kept))
}

/// The merge by which this account went.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Merge>, StoreError> {
    Ok(Entity::find_by_id(id).one(db).await?.as_ref().map(merge))
}

/// The accounts that were joined with this one, the last first.
pub async fn list_into(db: &impl ConnectionTrait, into: Uuid) -> Result<Vec<Merge>, StoreError> {
    let merged = Entity::find().filter(Column::IntoId.eq(into));
    let rows = merged.order_by_desc(Column::MergedAt).order_by_desc(Column::Id).all(db).await?;
    Ok(rows.iter().map(merge).collect())
}

/// Joins two accounts: the account that goes is removed with its sessions, and its id leads to the one that stays, which gets what
/// the snapshot says. It counts as used now, and its device tokens end. The transaction holds both accounts.
pub async fn insert(
    db: &impl ConnectionTrait,
    proof: Mergeable,
    snapshot: &Snapshot,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (stays, goes) = (proof.stays(), proof.goes());
    // Its rows would go with it.
    Entity::update_many()
        .col_expr(Column::IntoId, Expr::value(stays))
        .filter(Column::IntoId.eq(goes))
        .exec(db)
        .await?;
    // First: what it had is unique.
    account::Entity::delete_by_id(goes).exec(db).await?;
    write(db, stays, &snapshot.written, now).await?;
    let external_id = snapshot.gone.holdings.external_id.clone();
    let row = ActiveModel {
        id: Set(goes),
        into_id: Set(stays),
        external_id: Set(external_id.filter(|id| snapshot.written.external_id.as_ref() != Some(id))),
        merged_at: Set(now),
        merged_by: Set(by),
        snapshot: Set(Some(snapshot.to_text())),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Takes a merge back: the account that went is there again, and the other one has `left`. False when another account has what would
/// come back: the transaction can only be rolled back then. The transaction holds the account that stayed.
pub async fn undo(
    db: &impl ConnectionTrait,
    merge: &Merge,
    snapshot: &Snapshot,
    left: &Holdings,
    admission: Admission,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    Entity::delete_by_id(merge.id).exec(db).await?;
    // First: the other account gets what this one gives up.
    let restored = async {
        write(db, merge.into, left, now).await?;
        let Kept { id, profile_id, created_at, holdings, .. } = &snapshot.gone;
        let ids = NewIds { account: *id, profile: *profile_id, admission };
        let row = account::ActiveModel {
            created_at: Set(DateTime::from_timestamp_micros(*created_at).unwrap_or(now)),
            seen_at: Set(Some(now)),
            // Another one than it ever had: the device tokens of before stay dead.
            device_epoch: Set(now.timestamp_micros()),
            ..columns(blank(ids, now), holdings)
        };
        account::Entity::insert(row).exec_without_returning(db).await?;
        Ok::<_, DbErr>(())
    };
    match restored.await {
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            return Ok(false);
        }
        restored => restored?,
    }
    if !snapshot.earlier.is_empty() {
        Entity::update_many()
            .col_expr(Column::IntoId, Expr::value(merge.id))
            .filter(Column::Id.is_in(snapshot.earlier.iter().copied()))
            .filter(Column::IntoId.eq(merge.into))
            .exec(db)
            .await?;
    }
    Ok(true)
}

/// What other accounts have of what an undo would bring back, by the names of the fields.
pub async fn list_taken(
    db: &impl ConnectionTrait,
    merge: &Merge,
    snapshot: &Snapshot,
    left: &Holdings,
) -> Result<Vec<&'static str>, StoreError> {
    use account::Column as Account;
    let both = [&snapshot.gone.holdings, left];
    let values = |of: fn(&Holdings) -> &Option<String>| both.map(of).into_iter().flatten().cloned();
    let keys = |of: fn(&Holdings) -> &Option<String>| values(of).map(|text| fold(&text));
    let phones: Vec<String> = values(|it| &it.phone).collect();
    let usernames: Vec<String> = keys(|it| &it.username).collect();
    let emails: Vec<String> = keys(|it| &it.email).collect();
    let external: Vec<String> = values(|it| &it.external_id).collect();
    let any = Condition::any()
        .add(Account::Phone.is_in(phones.clone()))
        .add(Account::UsernameKey.is_in(usernames.clone()))
        .add(Account::EmailKey.is_in(emails.clone()))
        .add(Account::ExternalId.is_in(external.clone()));
    let others = account::Entity::find().filter(any).filter(Account::Id.ne(merge.into)).all(db).await?;
    let twice = |values: &[String]| matches!(values, [one, other] if one == other);
    let has = |of: fn(&account::Model) -> &Option<String>, values: &[String]| {
        twice(values) || others.iter().any(|row| of(row).as_ref().is_some_and(|it| values.contains(it)))
    };
    let taken = [
        ("phone_number", has(|row| &row.phone, &phones)),
        ("username", has(|row| &row.username_key, &usernames)),
        ("email", has(|row| &row.email_key, &emails)),
        ("external_id", has(|row| &row.external_id, &external)),
    ];
    Ok(taken.into_iter().filter(|(_, is_taken)| *is_taken).map(|(name, _)| name).collect())
}

/// The next snapshots in the order of the ids, after this one, locked until the transaction ends.
pub async fn claim_snapshots(
    db: &impl ConnectionTrait,
    after: Uuid,
    most: u64,
) -> Result<Vec<Merge>, StoreError> {
    let rows = Entity::find().filter(Column::Id.gt(after)).filter(Column::Snapshot.is_not_null());
    let rows = rows.order_by_asc(Column::Id).limit(most).lock(LockType::Update).all(db).await?;
    Ok(rows.iter().map(merge).collect())
}

/// Replaces a snapshot.
pub async fn set_snapshot(
    db: &impl ConnectionTrait,
    id: Uuid,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Snapshot, Expr::value(snapshot.to_text()))
        .filter(Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes up to `most` snapshots of merges from before this time. The ids stay. Returns how many.
pub async fn purge_snapshots(
    db: &impl ConnectionTrait,
    merged_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let these = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Snapshot.is_not_null())
        .filter(Column::MergedAt.lte(merged_before))
        .order_by_asc(Column::MergedAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let none: Option<String> = None;
    let purged = Entity::update_many()
        .col_expr(Column::Snapshot, Expr::value(none))
        .filter(Column::Id.in_subquery(sea_orm::QueryTrait::into_query(these)))
        .exec(db)
        .await?;
    Ok(purged.rows_affected)
}

async fn write(
    db: &impl ConnectionTrait,
    id: Uuid,
    holdings: &Holdings,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let row = account::ActiveModel { seen_at: Set(Some(now)), updated_at: Set(now), ..Default::default() };
    account::Entity::update_many()
        .set(columns(row, holdings))
        .col_expr(account::Column::DeviceEpoch, Expr::col(account::Column::DeviceEpoch).add(1_i64))
        .filter(account::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// The columns of what an account has.
fn columns(row: account::ActiveModel, it: &Holdings) -> account::ActiveModel {
    let key = |text: &Option<String>| Set(text.as_deref().map(fold));
    let profile = &it.profile;
    account::ActiveModel {
        phone: Set(it.phone.clone()),
        username: Set(it.username.clone()),
        username_key: key(&it.username),
        email: Set(it.email.clone()),
        email_key: key(&it.email),
        first_name: Set(it.first_name.clone()),
        first_name_key: key(&it.first_name),
        last_name: Set(it.last_name.clone()),
        last_name_key: key(&it.last_name),
        password_hash: Set(it.password_hash.clone()),
        external_id: Set(it.external_id.clone()),
        claimed_phone: Set(it.claimed_phone.clone()),
        former_phone: Set(it.former_phone.clone()),
        unlinked_at: Set(it.unlinked_at.and_then(DateTime::from_timestamp_micros)),
        name: Set(profile.name.clone()),
        name_key: key(&profile.name),
        birth_date: Set(profile.birth_date.as_ref().and_then(|date| date.parse().ok())),
        gender: Set(profile.gender.clone()),
        bio: Set(profile.bio.clone()),
        location: Set(profile.location.clone()),
        profile_pictures: Set(Pictures(profile.pictures.clone())),
        event_interests: Set(InterestIds(it.interests.clone())),
        ..row
    }
}

fn kept(row: account::Model) -> Kept {
    Kept {
        id: row.id,
        profile_id: row.profile_id,
        created_at: row.created_at.timestamp_micros(),
        invitation_id: row.invitation_id,
        holdings: Holdings {
            phone: row.phone,
            username: row.username,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            password_hash: row.password_hash,
            external_id: row.external_id,
            claimed_phone: row.claimed_phone,
            former_phone: row.former_phone,
            unlinked_at: row.unlinked_at.map(|at| at.timestamp_micros()),
            profile: ProfileTexts {
                name: row.name,
                birth_date: row.birth_date.map(|date| date.to_string()),
                gender: row.gender,
                bio: row.bio,
                location: row.location,
                pictures: row.profile_pictures.0,
            },
            interests: row.event_interests.0,
        },
    }
}

fn merge(row: &Model) -> Merge {
    Merge {
        id: row.id,
        into: row.into_id,
        at: row.merged_at,
        by: row.merged_by,
        snapshot: row.snapshot.as_deref().and_then(Snapshot::read),
    }
}
