//! Firebase Authentication: the file of `firebase auth:export users.json --format=json`.
//!
//! Its fields: <https://firebase.google.com/docs/cli/auth>. Password hashes (scrypt of Firebase's own) do not come. Firebase
//! stores a phone only after a code was right, or when the operator's server set it.

use domain::import::{FormerPhone, Person};

use super::record::Record;

pub(crate) fn person(record: Record<'_>) -> Option<Person> {
    let last = [record.time("lastSignedInAt"), record.time("lastRefreshAt")].into_iter().flatten().max();
    let phone = record
        .text("phoneNumber")
        .or_else(|| record.objects("providerUserInfo").find_map(|provider| provider.text("phoneNumber")));
    Some(Person {
        old_id: record.id(&["localId"])?,
        phones: phone.into_iter().map(|text| FormerPhone { text, is_proved: true }).collect(),
        email: record.text("email"),
        name: record.text("displayName"),
        pictures: record.text("photoUrl").into_iter().collect(),
        is_disabled: record.flag("disabled", false)?,
        created_at: record.time("createdAt"),
        last_sign_in: last,
        ..Person::default()
    })
}
