//! Auth0: the file of a user export job, NDJSON or CSV, with the field names of the Management API.
//!
//! The job: <https://auth0.com/docs/manage-users/user-migration/bulk-user-exports>. Password hashes are not in it.

use domain::import::{FormerPhone, Person};

use super::record::Record;

pub(crate) fn person(record: Record<'_>) -> Option<Person> {
    let old_id = record.id(&["user_id", "Id"])?;
    let is_passwordless = old_id.starts_with("sms|");
    // Auth0 makes an SMS user when a code was right, and does not always export whether it was.
    let is_proved = record.flag("phone_verified", is_passwordless)?;
    let phone = record.any(&["phone_number", "Phone Number"]);
    // The name of a user without one is the number or the e-mail address.
    let is_name = |name: &String| {
        record.any(&["phone_number", "email", "Email"]).as_ref() != Some(name) && !name.contains('@')
    };
    Some(Person {
        phones: phone.into_iter().map(|text| FormerPhone { text, is_proved }).collect(),
        username: record.text("username"),
        email: record.any(&["email", "Email"]),
        name: record.any(&["name", "Name"]).filter(is_name),
        first_name: record.any(&["given_name", "Given Name"]),
        last_name: record.any(&["family_name", "Family Name"]),
        is_disabled: record.flag("blocked", false)?,
        created_at: record.time("created_at").or_else(|| record.time("Created At")),
        last_sign_in: record.time("last_login"),
        old_id,
        ..Person::default()
    })
}
