//! A user pool of Amazon Cognito: the answer of `aws cognito-idp list-users`, or a CSV file with the columns of
//! `get-csv-header`.
//!
//! The answer: <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html>. Cognito gives out no
//! password hashes. The id is `sub`, which its tokens carry; the CSV columns lack it, and the id is the username then.

use domain::import::{FormerPhone, Person};
use serde_json::{Map, Value};

use super::record::Record;

pub(crate) fn person(record: Record<'_>) -> Option<Person> {
    let mut all: Map<String, Value> = record.0.clone();
    for attribute in record.objects("Attributes") {
        if let (Some(name), Some(value)) = (attribute.text("Name"), attribute.0.get("Value")) {
            all.insert(name, value.clone());
        }
    }
    let all = Record(&all);
    let username = all.any(&["Username", "cognito:username"]);
    let old_id = all.id(&["sub", "Username", "cognito:username"])?;
    let is_proved = all.flag("phone_number_verified", false)?;
    let phone = all.text("phone_number");
    Some(Person {
        phones: phone.into_iter().map(|text| FormerPhone { text, is_proved }).collect(),
        username: all.text("preferred_username").or(username).filter(|name| *name != old_id),
        email: all.text("email"),
        name: all.text("name"),
        first_name: all.text("given_name"),
        last_name: all.text("family_name"),
        birth_date: all.text("birthdate"),
        gender: all.text("gender"),
        pictures: all.text("picture").into_iter().collect(),
        is_disabled: !all.flag("Enabled", true)?,
        created_at: all.time("UserCreateDate"),
        old_id,
        ..Person::default()
    })
}
