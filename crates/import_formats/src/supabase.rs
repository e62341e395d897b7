//! Supabase Auth: the rows of `auth.users`, as CSV, as a JSON list, or as one object on each line.
//!
//! Its columns: <https://github.com/supabase/auth/tree/master/migrations>. Phones have no plus there, and are always international.

use domain::import::{FormerPhone, Person};

use super::record::Record;

pub(crate) fn person(record: Record<'_>) -> Person {
    let more = record.object("raw_user_meta_data");
    let more = Record(&more);
    let is_proved = record.any(&["phone_confirmed_at"]).is_some();
    let phone = record.text("phone").map(|text| {
        let has_plus = text.trim_start().starts_with('+');
        FormerPhone { text: if has_plus { text } else { format!("+{text}") }, is_proved }
    });
    Person {
        old_id: record.text("id").unwrap_or_default(),
        phones: phone.into_iter().collect(),
        email: record.text("email"),
        name: more.any(&["full_name", "name", "display_name"]),
        first_name: more.any(&["first_name", "given_name"]),
        last_name: more.any(&["last_name", "family_name"]),
        pictures: more.any(&["avatar_url", "picture"]).into_iter().collect(),
        password: record.text("encrypted_password"),
        disabled_until: record.time("banned_until"),
        is_deleted: record.text("deleted_at").is_some(),
        created_at: record.time("created_at"),
        last_sign_in: record.time("last_sign_in_at"),
        ..Person::default()
    }
}
