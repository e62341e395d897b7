//! Rows of `lead_notes`.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationDef,
    sea_query::{Expr, Query},
};
use uuid::Uuid;

use crate::{
    StoreError,
    entities::{
        account, lead,
        lead_note::{ActiveModel, Column, Entity, Model},
    },
};
use domain::{
    lead::{LeadAndNotes, Note},
    phone::PhoneNumber,
};

/// Adds a note to a lead. The transaction has changed the lead before, so the lead cannot be removed in between.
pub async fn insert_note(db: &impl ConnectionTrait, lead_id: Uuid, note: &Note) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(note.id),
        lead_id: Set(lead_id),
        author_id: Set(note.author_id),
        author_name: Set(note.author_name.clone()),
        text: Set(note.text.clone()),
        at: Set(note.at),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The notes of a lead, the oldest first.
pub async fn list_notes(db: &impl ConnectionTrait, lead_id: Uuid) -> Result<Vec<Note>, StoreError> {
    let notes = Entity::find().filter(Column::LeadId.eq(lead_id));
    let rows = notes.order_by_asc(Column::At).order_by_asc(Column::Id).all(db).await?;
    Ok(rows.into_iter().map(note).collect())
}

/// The lead of this phone with its notes, the oldest first, in one statement.
pub async fn find_with_notes(
    db: &impl ConnectionTrait,
    phone: &PhoneNumber,
) -> Result<Option<LeadAndNotes>, StoreError> {
    let of_lead: RelationDef =
        Entity::belongs_to(lead::Entity).from(Column::LeadId).to(lead::Column::Id).into();
    let found = lead::Entity::find()
        .filter(lead::Column::Phone.eq(phone.full()))
        .join(JoinType::LeftJoin, of_lead.rev())
        .select_also(Entity)
        .order_by_asc(Column::At)
        .order_by_asc(Column::Id);
    let mut rows = found.all(db).await?.into_iter().peekable();
    let Some((first, _)) = rows.peek() else { return Ok(None) };
    let lead = super::lead(first.clone())?;
    Ok(Some(LeadAndNotes { lead, notes: rows.filter_map(|(_, row)| row).map(note).collect() }))
}

/// The notes of several leads, the oldest first, each with the id of its lead.
pub async fn list_notes_of(
    db: &impl ConnectionTrait,
    leads: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<(Uuid, Note)>, StoreError> {
    let notes = Entity::find().filter(Column::LeadId.is_in(leads));
    let rows = notes.order_by_asc(Column::At).order_by_asc(Column::Id).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.lead_id, note(row))).collect())
}

/// The name that staff are shown with: the username, else a name of the profile.
pub async fn find_author(db: &impl ConnectionTrait, account: Uuid) -> Result<Option<String>, StoreError> {
    use account::Column as Account;
    let names = account::Entity::find()
        .select_only()
        .columns([Account::Username, Account::Name, Account::FirstName])
        .filter(Account::Id.eq(account));
    let row: Option<(Option<String>, Option<String>, Option<String>)> = names.into_tuple().one(db).await?;
    Ok(row.and_then(|(username, name, first_name)| username.or(name).or(first_name)))
}

/// Moves the notes of a lead to the lead of this phone.
pub(super) async fn set_lead(
    db: &impl ConnectionTrait,
    from: Uuid,
    to: &PhoneNumber,
) -> Result<(), StoreError> {
    let target = Query::select()
        .column(lead::Column::Id)
        .from(lead::Entity)
        .and_where(lead::Column::Phone.eq(to.full()))
        .take();
    Entity::update_many()
        .col_expr(Column::LeadId, Expr::SubQuery(None, Box::new(target.into())))
        .filter(Column::LeadId.eq(from))
        .exec(db)
        .await?;
    Ok(())
}

/// Removes the notes of a lead.
pub(super) async fn purge(db: &impl ConnectionTrait, lead_id: Uuid) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::LeadId.eq(lead_id)).exec(db).await?;
    Ok(())
}

fn note(row: Model) -> Note {
    Note { id: row.id, author_id: row.author_id, author_name: row.author_name, text: row.text, at: row.at }
}
