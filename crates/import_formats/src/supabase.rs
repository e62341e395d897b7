//! Supabase Auth: the rows of `auth.users`, as CSV, as a JSON list, or as one object on each line.
//!
//! Its columns: <https://github.com/supabase/auth/tree/master/migrations>. Phones have no plus there, and are always international.

use domain::import::{FormerPhone, Person};

use super::record::Record;

pub(crate) fn person(record: Record<'_>) -> Option<Person> {
    let more = record.object("raw_user_meta_data");
    let more = Record(&more);
    let is_proved = record.has_happened("phone_confirmed_at")?;
    let phone = record.text("phone").map(|text| {
        let has_plus = text.trim_start().starts_with('+');
        FormerPhone { text: if has_plus { text } else { format!("+{text}") }, is_proved }
    });
    // Supabase refuses a name that was never confirmed, and here it would sign in. `confirmed_at` was the column of the
    // e-mail address before there were phones, and is the earlier one of both times since: with a phone it tells nothing.
    let has_phone = record.has("phone") || record.has("phone_confirmed_at");
    let has_old_time = record.has_happened("confirmed_at")? && !has_phone;
    let is_confirmed = record.has_happened("email_confirmed_at")? || has_old_time;
    let has_name = is_confirmed || (is_proved && phone.is_some());
    let banned_until = record.time("banned_until");
    Some(Person {
        old_id: record.id(&["id"])?,
        phones: phone.into_iter().collect(),
        email: record.text("email").filter(|_| is_confirmed),
        left_out: if record.has("email") && !is_confirmed { vec!["email"] } else { Vec::new() },
        name: more.any(&["full_name", "name", "display_name"]),
        first_name: more.any(&["first_name", "given_name"]),
        last_name: more.any(&["last_name", "family_name"]),
        pictures: more.any(&["avatar_url", "picture"]).into_iter().collect(),
        password: record.text("encrypted_password").filter(|_| has_name),
        // `infinity`, or a year of five digits.
        is_disabled: record.has("banned_until") && banned_until.is_none(),
        disabled_until: banned_until,
        is_deleted: record.has("deleted_at"),
        created_at: record.time("created_at"),
        last_sign_in: record.time("last_sign_in_at"),
        ..Person::default()
    })
}
