//! How a budget's key is spelled in the database: the only encoder and the only decoder. The spellings never change,
//! because rows of earlier versions are read.

use chrono::NaiveDate;
use uuid::Uuid;

use domain::{
    budget::{BudgetKey, CountryPrefix},
    pseudonym::Pseudonym,
};

/// The text that the keys of all prefixes begin with: `prefix/IN/+916205`.
pub(crate) const PREFIX: &str = "prefix/";

/// The text of a key.
pub(super) fn encode(key: &BudgetKey) -> String {
    match key {
        BudgetKey::AddressRequests(network) => format!("address/{network}/requests"),
        BudgetKey::AddressGuesses(network) => format!("address/{network}/guesses"),
        BudgetKey::AddressPasswords(network) => format!("address/{network}/passwords"),
        BudgetKey::Registrations(network) => format!("address/{network}/registrations"),
        BudgetKey::Guests(network) => format!("address/{network}/guests"),
        BudgetKey::PhoneGuesses(hash) => format!("{}guesses", of_phone(hash)),
        BudgetKey::PhoneGuessesFromAddress(hash, network) => format!("{}guesses/{network}", of_phone(hash)),
        BudgetKey::PhoneSends(hash) => format!("{}sends", of_phone(hash)),
        BudgetKey::PhoneSendsFromAddress(hash, network) => format!("{}sends/{network}", of_phone(hash)),
        BudgetKey::DeviceGuesses(device) => format!("device/{device}/guesses"),
        BudgetKey::DeviceSends(device) => format!("device/{device}/sends"),
        BudgetKey::Prefix(CountryPrefix { country, prefix }) => format!("{PREFIX}{country}/{prefix}"),
        BudgetKey::Day(day) => format!("day/{day}"),
        BudgetKey::Country(day, country) => format!("day/{day}/{country}"),
        BudgetKey::NamePasswords(hash) => format!("name/{}/passwords", hash.as_str()),
        BudgetKey::NamePasswordsFromAddress(hash, network) => {
            format!("name/{}/passwords/{network}", hash.as_str())
        }
        BudgetKey::Proof(id) => format!("proof/{id}"),
        BudgetKey::AddressKeys(network) => format!("address/{network}/keys"),
        BudgetKey::ServiceSends(key) => format!("service/{key}/sends"),
        BudgetKey::ServiceDay(key, day) => format!("service/{key}/day/{day}"),
        BudgetKey::ServiceSendsFromAddress(key, network) => format!("service/{key}/sends/{network}"),
        BudgetKey::ServiceGuesses(key) => format!("service/{key}/guesses"),
        BudgetKey::ServiceGuessesFromAddress(key, network) => format!("service/{key}/guesses/{network}"),
        BudgetKey::ServicePhoneGuesses(hash, key) => format!("{}checks/{key}", of_phone(hash)),
    }
}

/// The text that the keys of a phone begin with.
pub(super) fn of_phone(hash: &Pseudonym) -> String {
    format!("phone/{}/", hash.as_str())
}

/// The key that a text stands for; `None` when another version of the program wrote it.
pub(super) fn decode(text: &str) -> Option<BudgetKey> {
    let (kind, rest) = text.split_once('/')?;
    match kind {
        "address" => address(rest),
        "phone" => {
            let (hash, use_of) = rest.split_once('/')?;
            let hash = Pseudonym::from_stored(hash)?;
            Some(match split_first(use_of) {
                ("guesses", None) => BudgetKey::PhoneGuesses(hash),
                ("guesses", Some(network)) => BudgetKey::PhoneGuessesFromAddress(hash, network.parse().ok()?),
                ("sends", None) => BudgetKey::PhoneSends(hash),
                ("sends", Some(network)) => BudgetKey::PhoneSendsFromAddress(hash, network.parse().ok()?),
                ("checks", Some(key)) => BudgetKey::ServicePhoneGuesses(hash, key.parse().ok()?),
                _ => return None,
            })
        }
        "service" => {
            let (key, use_of) = rest.split_once('/')?;
            service(key.parse().ok()?, use_of)
        }
        "device" => match rest.split_once('/')? {
            (device, "guesses") => Some(BudgetKey::DeviceGuesses(device.parse().ok()?)),
            (device, "sends") => Some(BudgetKey::DeviceSends(device.parse().ok()?)),
            _ => None,
        },
        "prefix" => {
            let (country, prefix) = rest.split_once('/')?;
            Some(BudgetKey::Prefix(CountryPrefix::new(country, prefix).ok()?))
        }
        "day" => match split_first(rest) {
            (day, None) => Some(BudgetKey::Day(date(day)?)),
            (day, Some(country)) => Some(BudgetKey::Country(date(day)?, country.to_owned())),
        },
        "name" => {
            let (hash, use_of) = rest.split_once('/')?;
            let hash = Pseudonym::from_stored(hash)?;
            match split_first(use_of) {
                ("passwords", None) => Some(BudgetKey::NamePasswords(hash)),
                ("passwords", Some(network)) => {
                    Some(BudgetKey::NamePasswordsFromAddress(hash, network.parse().ok()?))
                }
                _ => None,
            }
        }
        "proof" => Some(BudgetKey::Proof(rest.parse().ok()?)),
        _ => None,
    }
}

/// The network of an address key stands in the middle, and an IPv6 one has a slash itself.
fn address(rest: &str) -> Option<BudgetKey> {
    let (network, use_of) = rest.rsplit_once('/')?;
    let network = network.parse().ok()?;
    match use_of {
        "requests" => Some(BudgetKey::AddressRequests(network)),
        "guesses" => Some(BudgetKey::AddressGuesses(network)),
        "passwords" => Some(BudgetKey::AddressPasswords(network)),
        "registrations" => Some(BudgetKey::Registrations(network)),
        "keys" => Some(BudgetKey::AddressKeys(network)),
        "guests" => Some(BudgetKey::Guests(network)),
        _ => None,
    }
}

/// What a key of a service stands for.
fn service(key: Uuid, use_of: &str) -> Option<BudgetKey> {
    Some(match split_first(use_of) {
        ("sends", None) => BudgetKey::ServiceSends(key),
        ("sends", Some(network)) => BudgetKey::ServiceSendsFromAddress(key, network.parse().ok()?),
        ("guesses", None) => BudgetKey::ServiceGuesses(key),
        ("guesses", Some(network)) => BudgetKey::ServiceGuessesFromAddress(key, network.parse().ok()?),
        ("day", Some(day)) => BudgetKey::ServiceDay(key, date(day)?),
        _ => return None,
    })
}

/// Splits off what follows the first slash, which may hold slashes itself.
fn split_first(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(first, others)| (first, Some(others)))
}

fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        address::ClientAddress,
        budget::{BudgetKey, CountryPrefix, Network},
    };

    const HASH: &str = "0123456789abcdef0123456789abcdef";

    fn hash() -> Pseudonym {
        Pseudonym::from_stored(HASH).unwrap()
    }

    fn network(address: &str) -> Network {
        ClientAddress::new(address.parse().unwrap()).into()
    }

    #[test]
    fn every_key_is_stored_as_ever_and_read_back() {
        let (v4, v6) = (|| network("203.0.113.7"), || network("2001:db8:1:2:3:4:5:6"));
        let (id, day) = (Uuid::from_u128(7), NaiveDate::from_ymd_opt(2026, 3, 14).unwrap());
        let prefix = |country, prefix| BudgetKey::Prefix(CountryPrefix::new(country, prefix).unwrap());
        for (key, text) in [
            (BudgetKey::AddressRequests(v4()), "address/203.0.113.7/requests"),
            (BudgetKey::AddressRequests(v6()), "address/2001:db8:1:2::/64/requests"),
            (BudgetKey::AddressGuesses(v4()), "address/203.0.113.7/guesses"),
            (BudgetKey::AddressPasswords(v6()), "address/2001:db8:1:2::/64/passwords"),
            (BudgetKey::Registrations(v4()), "address/203.0.113.7/registrations"),
            (BudgetKey::Guests(v6()), "address/2001:db8:1:2::/64/guests"),
            (BudgetKey::PhoneGuesses(hash()), "phone/0123456789abcdef0123456789abcdef/guesses"),
            (
                BudgetKey::PhoneGuessesFromAddress(hash(), v4()),
                "phone/0123456789abcdef0123456789abcdef/guesses/203.0.113.7",
            ),
            (BudgetKey::PhoneSends(hash()), "phone/0123456789abcdef0123456789abcdef/sends"),
            (
                BudgetKey::PhoneSendsFromAddress(hash(), v6()),
                "phone/0123456789abcdef0123456789abcdef/sends/2001:db8:1:2::/64",
            ),
            (BudgetKey::DeviceGuesses(id), "device/00000000-0000-0000-0000-000000000007/guesses"),
            (BudgetKey::DeviceSends(id), "device/00000000-0000-0000-0000-000000000007/sends"),
            (prefix("IN", "+916205"), "prefix/IN/+916205"),
            (prefix("--", "+99999"), "prefix/--/+99999"),
            (BudgetKey::Day(day), "day/2026-03-14"),
            (BudgetKey::Country(day, "IN".to_owned()), "day/2026-03-14/IN"),
            (BudgetKey::NamePasswords(hash()), "name/0123456789abcdef0123456789abcdef/passwords"),
            (
                BudgetKey::NamePasswordsFromAddress(hash(), v4()),
                "name/0123456789abcdef0123456789abcdef/passwords/203.0.113.7",
            ),
            (BudgetKey::Proof(id), "proof/00000000-0000-0000-0000-000000000007"),
            (BudgetKey::AddressKeys(v4()), "address/203.0.113.7/keys"),
            (BudgetKey::ServiceSends(id), "service/00000000-0000-0000-0000-000000000007/sends"),
            (BudgetKey::ServiceDay(id, day), "service/00000000-0000-0000-0000-000000000007/day/2026-03-14"),
            (
                BudgetKey::ServiceSendsFromAddress(id, v6()),
                "service/00000000-0000-0000-0000-000000000007/sends/2001:db8:1:2::/64",
            ),
            (BudgetKey::ServiceGuesses(id), "service/00000000-0000-0000-0000-000000000007/guesses"),
            (
                BudgetKey::ServiceGuessesFromAddress(id, v4()),
                "service/00000000-0000-0000-0000-000000000007/guesses/203.0.113.7",
            ),
            (
                BudgetKey::ServicePhoneGuesses(hash(), id),
                "phone/0123456789abcdef0123456789abcdef/checks/00000000-0000-0000-0000-000000000007",
            ),
        ] {
            assert_eq!(encode(&key), text);
            assert_eq!(decode(text), Some(key), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_version_is_unknown() {
        for text in [
            "",
            "phone",
            "phone/1/guesses",
            "phone/0123456789abcdef0123456789abcdef/calls",
            "phone/0123456789abcdef0123456789abcdef/sends/2001:db8::1",
            "address/203.0.113.7/visits",
            "device/7/sends",
            "prefix/IN/916205a",
            "day/14",
            "future/1",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
