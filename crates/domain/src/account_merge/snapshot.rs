//! What two accounts had before they became one, as it is stored for an undo.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What an account has that a merge moves and an undo brings back, as the row has it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    /// The verified phone in E.164.
    pub phone: Option<String>,
    /// The username.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The hash of the password.
    pub password_hash: Option<String>,
    /// The id in another system.
    pub external_id: Option<String>,
    /// A phone that is not verified.
    pub claimed_phone: Option<String>,
    /// The phone that the account lost to a new owner.
    pub former_phone: Option<String>,
    /// When it lost it, in microseconds since 1970.
    pub unlinked_at: Option<i64>,
    /// The profile without its interests.
    pub profile: ProfileTexts,
    /// Ids of interests, in the user's order.
    pub interests: Vec<i64>,
}

/// A profile without its interests.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileTexts {
    /// The name.
    pub name: Option<String>,
    /// The birth date, `YYYY-MM-DD`.
    pub birth_date: Option<String>,
    /// The gender.
    pub gender: Option<String>,
    /// The text about the user.
    pub bio: Option<String>,
    /// The location.
    pub location: Option<String>,
    /// URLs of pictures.
    pub pictures: Vec<String>,
}

impl ProfileTexts {
    /// How many of its fields are filled in.
    #[must_use]
    pub fn filled(&self) -> usize {
        let fields = [
            self.name.is_some(),
            self.birth_date.is_some(),
            self.gender.is_some(),
            self.bio.is_some(),
            self.location.is_some(),
            !self.pictures.is_empty(),
        ];
        fields.into_iter().filter(|is_filled| *is_filled).count()
    }
}

/// An account, with what does not move.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its id.
    pub id: Uuid,
    /// The id of its profile.
    pub profile_id: Uuid,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
    /// The invitation that it was made with.
    #[serde(default)]
    pub invitation_id: Option<Uuid>,
    /// What it has.
    pub holdings: Holdings,
}

/// What is kept of a merge for an undo.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The account that went.
    pub gone: Kept,
    /// What the account that stayed had before.
    pub before: Holdings,
    /// What the merge gave it.
    pub written: Holdings,
    /// Accounts that had been joined with the one that went.
    #[serde(default)]
    pub earlier: Vec<Uuid>,
}

// Written by hand: they hold names, phones and hashes of passwords.
macro_rules! hidden {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        })*
    };
}

hidden!(Holdings ProfileTexts Kept Snapshot);

impl Snapshot {
    /// The text of the row.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text of a row. `None` if a later version wrote it in another way.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What it holds about the user, for an export: without hashes of passwords, and only what is not empty.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = serde_json::to_value([&self.gone.holdings, &self.before]).unwrap_or_default();
        tidy(&mut shown);
        shown
    }

    /// All that holds a phone, to be changed together with the rows of accounts.
    pub fn phones_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let all = [&mut self.gone.holdings, &mut self.before, &mut self.written];
        all.into_iter().flat_map(|holdings| [&mut holdings.phone, &mut holdings.former_phone]).flatten()
    }
}

fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            fields.retain(|name, value| name != "password_hash" && !value.is_null());
            fields.values_mut().for_each(tidy);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
