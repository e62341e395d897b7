//! HMACs that stand for a phone or a typed name where the value itself must not be stored: in budget rows and in the
//! audit log. Both outlive an account, so they must identify nobody after a deletion.

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

    /// The form stored in rows.
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

/// The keys for pseudonyms, derived from `SECRET_KEY` and its fallbacks. New rows use the current key.
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

    /// The pseudonym of a phone.
    #[must_use]
    pub fn phone(&self, phone: &PhoneNumber) -> Pseudonym {
        hash(&self.current, b"phone", phone.full())
    }

    /// The pseudonyms of a phone with every key, to find rows written before a change of `SECRET_KEY`.
    #[must_use]
    pub fn phone_with_all(&self, phone: &PhoneNumber) -> Vec<Pseudonym> {
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        keys.map(|key| hash(key, b"phone", phone.full())).collect()
    }

    /// The pseudonym of a username or e-mail address as typed, whether or not an account has it.
    #[must_use]
    pub fn name(&self, typed: &str) -> Pseudonym {
        hash(&self.current, b"name", typed)
    }

    /// A pseudonym that no phone and no name has, one for each name. Guesses at a name without a code are charged to it.
    #[must_use]
    pub fn nobody(&self, name: &Pseudonym) -> Pseudonym {
        hash(&self.current, b"nobody", name.as_str())
    }

    /// The pseudonym of an account, for failed passwords in its own sessions. It never equals the pseudonym of a name
    /// that can be typed.
    #[must_use]
    pub fn account(&self, id: Uuid) -> Pseudonym {
        hash(&self.current, b"account", &id.to_string())
    }

    /// The pseudonyms of a row that was imported, of this source, about this subject, with this id, with every key, the current
    /// one first.
    #[must_use]
    pub fn imported_with_all(&self, source: &str, subject: &str, old_id: &str) -> Vec<Pseudonym> {
        let text = format!("{source}/{subject}/{old_id}");
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        keys.map(|key| hash(key, b"imported", &text)).collect()
    }

    /// The pseudonyms of a setting's value with every key, the current one first. They show whether the value
    /// changed.
    #[must_use]
    pub fn setting_with_all(&self, name: &str, value: &str) -> Vec<Pseudonym> {
        let text = format!("{name}={value}");
        let keys = std::iter::once(&self.current).chain(&self.earlier);
        keys.map(|key| hash(key, b"setting", &text)).collect()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").finish_non_exhaustive()
    }
}

fn hash(key: &DerivedKey, kind: &[u8], text: &str) -> Pseudonym {
    Pseudonym(key.mac_hex(&[kind, b"/", text.as_bytes()]))
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
