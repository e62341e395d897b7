//! The profile columns of `accounts`. No function takes an id: a [`SignedIn`] or an [`AccessToken`] proves whose
//! profile it is.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, IntoCondition},
};

use super::{
    StoreError,
    accounts::account,
    blocks,
    entities::{
        account::{ActiveModel, Column, Entity, InterestIds, Pictures},
        session,
    },
};
use domain::{
    access::{AccessToken, SignedIn},
    account::{Account, Changes, Role},
    phone::PhoneNumber,
    users::fold,
};

/// Writes changes into the profile of the signed-in user, and returns the account as it is then. `None` when the account is
/// gone.
pub async fn update(
    db: &impl ConnectionTrait,
    who: &SignedIn,
    changes: Changes,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    write(db, changes, Column::Id.eq(who.account().id).into_condition(), now).await
}

/// The same for the user of an access token, if its session is live and has the rights of a user, its account is active, and
/// the account's phone is this one (where one is given) and not blocked. `None` when that is not so, and nothing has changed:
/// the caller has to find out why.
pub async fn update_by_token(
    db: &impl ConnectionTrait,
    token: &AccessToken,
    phone: Option<&PhoneNumber>,
    changes: Changes,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    if !token.is_of_user() {
        return Ok(None);
    }
    let live_session = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::Id.eq(token.session()))
        .filter(session::Column::AccountId.eq(token.account()))
        .filter(session::Column::Role.eq(Role::User.as_str()))
        .filter(session::Column::EndedAt.is_null())
        .into_query();
    let blocks = blocks::number_of(Expr::col((Entity, Column::Phone)), now);
    let may_write = Condition::all()
        .add(Column::Id.eq(token.account()))
        .add(Column::IsActive.eq(true))
        .add_option(phone.map(|phone| Column::Phone.eq(phone.full())))
        .add(Expr::exists(live_session))
        .add(Expr::SubQuery(None, Box::new(blocks.into())).eq(0_i64));
    write(db, changes, may_write, now).await
}

async fn write(
    db: &impl ConnectionTrait,
    changes: Changes,
    which: Condition,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let name_key = changes.name.as_ref().map(|name| fold(name.as_str()));
    let columns = ActiveModel {
        name_key: name_key.map_or(NotSet, |key| Set(Some(key))),
        name: changes.name.map_or(NotSet, |name| Set(Some(name.as_str().to_owned()))),
        birth_date: changes.birth_date.map_or(NotSet, |date| Set(Some(date.date()))),
        gender: changes.gender.map_or(NotSet, |gender| Set(Some(gender.as_str().to_owned()))),
        claimed_phone: changes
            .claimed_phone
            .map_or(NotSet, |phone| Set(phone.map(|phone| phone.as_str().to_owned()))),
        bio: changes.bio.map_or(NotSet, |bio| Set(bio.map(|bio| bio.as_str().to_owned()))),
        location: changes.location.map_or(NotSet, |place| Set(place.map(|place| place.as_str().to_owned()))),
        event_interests: changes
            .event_interests
            .map_or(NotSet, |interests| Set(InterestIds(interests.as_slice().to_vec()))),
        profile_pictures: changes
            .profile_pictures
            .map_or(NotSet, |pictures| Set(Pictures(pictures.as_slice().to_vec()))),
        updated_at: Set(now),
        ..Default::default()
    };
    let mut update = Entity::update_many().set(columns);
    if let Some(terms) = changes.terms {
        // A version that was accepted before keeps its time.
        let is_same = Expr::col((Entity, Column::TermsVersion)).eq(terms.as_str());
        let at = Expr::case(is_same, Expr::col((Entity, Column::TermsAcceptedAt))).finally(Expr::value(now));
        update = update
            .col_expr(Column::TermsVersion, Expr::value(terms.as_str()))
            .col_expr(Column::TermsAcceptedAt, at.into());
    }
    let rows = update.filter(which).exec_with_returning(db).await?;
    rows.into_iter().next().map(account).transpose()
}
