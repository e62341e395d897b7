//! A CSV file with our own columns, for everything else. `docs/MOVING.md` describes them.

use domain::import::{FormerPhone, Person};

use super::record::Record;

/// The columns. Only the first one is needed.
pub(crate) const COLUMNS: &[&str] = &[
    "id",
    "phone_number",
    "phone_verified",
    "username",
    "email",
    "first_name",
    "last_name",
    "name",
    "birth_date",
    "gender",
    "bio",
    "location",
    "event_interests",
    "profile_pictures",
    "is_active",
    "created_at",
    "last_sign_in_at",
];

pub(crate) fn person(record: Record<'_>) -> Option<Person> {
    let is_proved = record.flag("phone_verified", true)?;
    Some(Person {
        old_id: record.id(&["id"])?,
        phones: record.text("phone_number").into_iter().map(|text| FormerPhone { text, is_proved }).collect(),
        username: record.text("username"),
        email: record.text("email"),
        first_name: record.text("first_name"),
        last_name: record.text("last_name"),
        name: record.text("name"),
        birth_date: record.text("birth_date"),
        gender: record.text("gender"),
        bio: record.text("bio"),
        location: record.text("location"),
        interests: record.texts("event_interests"),
        pictures: record.texts("profile_pictures"),
        is_disabled: !record.flag("is_active", true)?,
        created_at: record.time("created_at"),
        last_sign_in: record.time("last_sign_in_at"),
        ..Person::default()
    })
}
