//! The profile columns of `accounts`. No function takes an id: a [`SignedIn`] proves whose profile it is.
//!
//! Every function fails with [`StoreError`] when the database does not answer.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
};

use super::{
    StoreError,
    accounts::account,
    entities::account::{ActiveModel, Column, Entity, InterestIds, Pictures},
};
use domain::{
    access::SignedIn,
    account::{Account, Changes},
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
    let rows = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(who.account().id))
        .exec_with_returning(db)
        .await?;
    rows.into_iter().next().map(account).transpose()
}
