//! Rows of `invitations`. The text of an invitation is not stored, only its hash.
//!
//! The accounts that an invitation made are those whose `invitation_id` is its id.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use super::{
    StoreError,
    entities::{
        account,
        invitation::{ActiveModel, Column, Entity, Model},
    },
    otp::{self, Consumed},
};
use domain::{
    invitation::{Invitation, InvitationCode},
    otp::ChallengeKey,
    phone::PhoneNumber,
    signups::UsedInvitation,
};

/// Adds an invitation.
pub async fn insert(
    db: &impl ConnectionTrait,
    invitation: &Invitation,
    code: &InvitationCode,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(invitation.id),
        hash: Set(code.hash()),
        phone: Set(invitation.phone.as_ref().map(|phone| phone.full().to_owned())),
        uses: Set(invitation.uses),
        uses_left: Set(invitation.uses_left),
        made_by: Set(invitation.made_by),
        made_at: Set(invitation.made_at),
        expires_at: Set(invitation.expires_at),
        ended_at: Set(invitation.ended_at),
        ended_by: Set(invitation.ended_by),
        last_used_at: Set(invitation.last_used_at),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The invitation with this id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Invitation>, StoreError> {
    Entity::find_by_id(id).one(db).await?.map(invitation).transpose()
}

/// The invitation with this text, in any state.
pub async fn find_by_code(
    db: &impl ConnectionTrait,
    code: &InvitationCode,
) -> Result<Option<Invitation>, StoreError> {
    Entity::find().filter(Column::Hash.eq(code.hash())).one(db).await?.map(invitation).transpose()
}

/// Up to `most` invitations, the newest first, that come after the invitation `after` in this order.
pub async fn list(
    db: &impl ConnectionTrait,
    after: Option<Uuid>,
    most: u64,
) -> Result<Vec<Invitation>, StoreError> {
    let wanted = Condition::all().add_option(after.map(|after| Column::Id.lt(after)));
    let rows = Entity::find().filter(wanted).order_by_desc(Column::Id).limit(most).all(db).await?;
    rows.into_iter().map(invitation).collect()
}

/// An account that an invitation made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The invitation.
    pub invitation_id: Uuid,
    /// The account.
    pub account_id: Uuid,
    /// When it was created.
    pub at: DateTime<Utc>,
}

/// Up to `most` accounts that these invitations made, the newest first.
pub async fn list_made(db: &impl ConnectionTrait, of: &[Uuid], most: u64) -> Result<Vec<Made>, StoreError> {
    use account::Column as Account;
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Option<Uuid>, Uuid, DateTime<Utc>)> = account::Entity::find()
        .select_only()
        .columns([Account::InvitationId, Account::Id, Account::CreatedAt])
        .filter(Account::InvitationId.is_in(of.iter().copied()))
        .order_by_desc(Account::Id)
        .limit(most)
        .into_tuple()
        .all(db)
        .await?;
    let made = rows.into_iter().filter_map(|(invitation_id, account_id, at)| {
        Some(Made { invitation_id: invitation_id?, account_id, at })
    });
    Ok(made.collect())
}

/// Ends an invitation. `None` when there is none with this id that is not ended.
pub async fn close(
    db: &impl ConnectionTrait,
    id: Uuid,
    by: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Option<Invitation>, StoreError> {
    let closed = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .col_expr(Column::EndedBy, Expr::value(by))
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null())
        .exec_with_returning(db)
        .await?;
    closed.into_iter().next().map(invitation).transpose()
}

/// Takes one use of the invitation with which the code that was just used up was requested. `None` when there is none, or it does
/// not admit the phone any more. The account must be created in the same transaction.
pub async fn claim_of(
    db: &impl ConnectionTrait,
    key: ChallengeKey<'_>,
    consumed: &Consumed,
    now: DateTime<Utc>,
) -> Result<Option<UsedInvitation>, StoreError> {
    let its_own = SimpleExpr::SubQuery(None, Box::new(otp::invitation_of(key).into()));
    let is_for = Column::Phone.is_null().or(Column::Phone.eq(consumed.phone().full()));
    claim_where(db, Expr::col(Column::Id).eq(its_own).and(is_for), now).await
}

/// Takes one use of the invitation with this text, for a person whose phone is not proved. `None` when it admits nobody, or only
/// the owner of a phone. The account must be created in the same transaction.
pub async fn claim(
    db: &impl ConnectionTrait,
    code: &InvitationCode,
    now: DateTime<Utc>,
) -> Result<Option<UsedInvitation>, StoreError> {
    claim_where(db, Column::Hash.eq(code.hash()).and(Column::Phone.is_null()), now).await
}

/// One guarded statement: of several requests for the last use, one gets it. The conditions are those of [`Invitation::admits`].
async fn claim_where(
    db: &impl ConnectionTrait,
    which: SimpleExpr,
    now: DateTime<Utc>,
) -> Result<Option<UsedInvitation>, StoreError> {
    let claimed = Entity::update_many()
        .col_expr(Column::UsesLeft, Expr::col(Column::UsesLeft).sub(1_i64))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(which)
        .filter(Column::UsesLeft.gt(0_i64))
        .filter(Column::EndedAt.is_null())
        .filter(Column::ExpiresAt.is_null().or(Column::ExpiresAt.gt(now)))
        .exec_with_returning(db)
        .await?;
    Ok(claimed.first().map(|row| UsedInvitation::claimed(row.id)))
}

/// Returns a use that made no account, in the transaction that took it.
pub async fn settle_unused(db: &impl ConnectionTrait, used: UsedInvitation) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::UsesLeft, Expr::col(Column::UsesLeft).add(1_i64))
        .filter(Column::Id.eq(used.id()))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes the invitations of a phone.
pub async fn purge_of(db: &impl ConnectionTrait, phone: &PhoneNumber) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::Phone.eq(phone.full())).exec(db).await?;
    Ok(())
}

/// Removes up to `most` invitations that were ended, ran out or were used up before this time. Returns how many.
pub async fn purge(
    db: &impl ConnectionTrait,
    dead_before: DateTime<Utc>,
    most: u64,
) -> Result<u64, StoreError> {
    let used_up = Column::UsesLeft.lte(0_i64).and(Column::LastUsedAt.lt(dead_before));
    let dead = Column::EndedAt.lt(dead_before).or(Column::ExpiresAt.lt(dead_before)).or(used_up);
    let these = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::MadeAt.lt(dead_before))
        .filter(dead)
        .order_by_asc(Column::Id)
        .limit(most)
        .into_query();
    Ok(Entity::delete_many().filter(Column::Id.in_subquery(these)).exec(db).await?.rows_affected)
}

fn invitation(row: Model) -> Result<Invitation, StoreError> {
    let unreadable = StoreError::Unreadable { table: "invitations", column: "phone" };
    let phone = row.phone.map(|text| PhoneNumber::from_e164(&text).ok_or(unreadable)).transpose()?;
    Ok(Invitation {
        id: row.id,
        phone,
        uses: row.uses,
        uses_left: row.uses_left,
        made_by: row.made_by,
        made_at: row.made_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by,
        last_used_at: row.last_used_at,
    })
}
