//! What stands for a phone, or for a name that somebody typed, where the thing itself may not be kept: in the rows that
//! count and in the audit log. Both outlive an account, so erasing a person leaves them true and says nothing of her.

use std::fmt;

use secrecy::SecretString;
use uuid::Uuid;

use super::{derived::DerivedKey, phone::PhoneNumber};

/// An HMAC, 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym(String);

impl Pseudonym {
    /// Reads what a row holds; `None` when it is not 32 hexadecimal digits.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// As rows hold it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keys that pseudonyms are made with, derived from `SECRET_KEY` and its fallbacks. New rows get the current one's.
pub struct Pseudonyms {
    current: DerivedKey,
    earlier: Vec<DerivedKey>,
}

impl Pseudonyms {
    /// Derives the keys, the current one first.
    #[must_use]
    pub fn derive(current: &SecretString, fallbacks: &[SecretString]) -> Self {
        let key = |secret: &SecretString| DerivedKey::new(secret, b"loopin-auth/pseudonym");
        Self { current: key(current), earlier: fallbacks.iter().map(key).collect() }
    }

    /// Of a phone.
    #[must_use]
    pub fn phone(&self, phone: &PhoneNumber) -> Pseudonym {
        named(&self.current, b"phone", phone.full())
    }

    /// Of a phone, with every key: for looking up rows of before a change of `SECRET_KEY`.
    #[must_use]
    pub fn phone_with_all(&self, phone: &PhoneNumber) -> Vec<Pseudonym> {
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        keys.map(|key| named(key, b"phone", phone.full())).collect()
    }

    /// Of a username or an e-mail address as somebody typed it, be it known or not.
    #[must_use]
    pub fn name(&self, typed: &str) -> Pseudonym {
        named(&self.current, b"name", typed)
    }

    /// Of an account whose password is tried by somebody who is signed in to it. No name that can be typed has it.
    #[must_use]
    pub fn account(&self, id: Uuid) -> Pseudonym {
        named(&self.current, b"account", &id.to_string())
    }

    /// Of the value of a setting, with every key, the current one's first: tells that it is another one than before.
    #[must_use]
    pub fn setting_with_all(&self, name: &str, value: &str) -> Vec<Pseudonym> {
        let text = format!("{name}={value}");
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        keys.map(|key| named(key, b"setting", &text)).collect()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").finish_non_exhaustive()
    }
}

fn named(key: &DerivedKey, kind: &[u8], text: &str) -> Pseudonym {
    Pseudonym(key.phone_hash(&[kind, b"/", text.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_one_of_its_key_and_its_kind() {
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        let phone = PhoneNumber::from_e164("+916205829376").unwrap();
        let before = Pseudonyms::derive(&old, &[]);
        let after = Pseudonyms::derive(&new, std::slice::from_ref(&old));
        assert_eq!(before.phone(&phone), before.phone(&phone));
        assert_eq!(before.phone(&phone).as_str().len(), 32);
        assert_ne!(before.phone(&phone), after.phone(&phone));
        assert_eq!(after.phone_with_all(&phone), [after.phone(&phone), before.phone(&phone)]);
        assert_ne!(before.phone(&phone), before.name(phone.full()));
        assert_ne!(before.account(Uuid::nil()), before.name(&Uuid::nil().to_string()));
    }
}
