//! Tables of accepted and refused names and passwords.

use secrecy::SecretString;

use super::{
    ClaimedPhone, Email, Login, NameError, OldCosts, OldHashError, Password, PasswordHash, PersonName,
    Username, Workspace, old_hash::rest,
};
use crate::phone::{PhoneNumber, Region};

fn india() -> Region {
    "IN".parse().unwrap()
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::from_e164(text).unwrap()
}

/// The broken rules, by the first words of each sentence.
fn errors(text: &str, names: &[&str]) -> Vec<&'static str> {
    let sentences = Password::check(text, names).err().unwrap_or_default();
    let known = ["at least", "at most", "only digits", "too much like", "too common"];
    let found: Vec<_> =
        known.into_iter().filter(|known| sentences.iter().any(|it| it.contains(known))).collect();
    assert_eq!(found.len(), sentences.len(), "{sentences:?}");
    found
}

#[test]
fn usernames_are_letters_and_digits_and_no_phone() {
    for (text, kept) in [
        ("gaurav", "gaurav"),
        ("  Gaurav.Kumar+1-x_y ", "Gaurav.Kumar+1-x_y"),
        ("a", "a"),
        ("4chan", "4chan"),
        ("_", "_"),
        (&"u".repeat(150), &"u".repeat(150)),
    ] {
        assert_eq!(Username::parse(text).unwrap().as_str(), kept);
    }
    for (text, error) in [
        ("", NameError::NoUsername),
        ("   ", NameError::NoUsername),
        (&"u".repeat(151), NameError::LongUsername),
        ("a@b", NameError::UsernameCharacter),
        ("two words", NameError::UsernameCharacter),
        ("गौरव", NameError::UsernameCharacter),
        ("a\0b", NameError::UsernameCharacter),
        ("6205829376", NameError::LikeAPhone),
        ("+916205829376", NameError::LikeAPhone),
        ("62058-29376", NameError::LikeAPhone),
        ("12", NameError::LikeAPhone),
        ("-.+", NameError::LikeAPhone),
    ] {
        assert_eq!(Username::parse(text).unwrap_err(), error, "{text}");
    }
    assert_eq!(Username::parse("GauRav").unwrap().key(), Username::parse("gaurav").unwrap().key());
}

#[test]
fn addresses_are_compared_without_regard_to_case() {
    for text in ["gaurav@example.com", " Gaurav+x@Example.co.in ", "a@b.c"] {
        assert_eq!(Email::parse(text).unwrap().as_str(), text.trim());
    }
    for text in ["", "gaurav", "gaurav@", "@example.com", "a b@example.com", "a@b@c.com", "a\n@b.com"] {
        assert_eq!(Email::parse(text).unwrap_err(), NameError::Email, "{text}");
    }
    let long = format!("{}@{}.example.com", "a".repeat(60), "b".repeat(190));
    assert_eq!(Email::parse(&long).unwrap_err(), NameError::LongEmail);
    let (one, other) = (Email::parse("Gaurav@Example.com"), Email::parse("gaurav@example.COM"));
    assert_eq!(one.unwrap().key(), other.unwrap().key());
}

#[test]
fn what_is_typed_is_one_of_three_kinds() {
    for (text, login) in [
        ("Gaurav", Login::Username("gaurav".to_owned())),
        (" gaurav ", Login::Username("gaurav".to_owned())),
        ("Gaurav@Example.com", Login::Email("gaurav@example.com".to_owned())),
        ("+916205829376", Login::Phone(phone("+916205829376"))),
        ("062058 29376", Login::Phone(phone("+916205829376"))),
        ("12", Login::Username("12".to_owned())),
        ("447911123456", Login::Username("447911123456".to_owned())), // a foreign number without its plus
    ] {
        assert!(Login::parse(text, india()) == login, "{text}");
    }
}

#[test]
fn a_claimed_phone_only_looks_like_one() {
    let claimed =
        |text: &str| ClaimedPhone::parse(text, india()).map(|it| it.map(|it| it.as_str().to_owned()));
    let digits = "1".repeat(32);
    for (text, kept) in [
        ("062058 29376", Some("+916205829376")),
        ("1234567890", Some("1234567890")),
        ("447911123456", Some("447911123456")), // without a plus it is not read as British
        (digits.as_str(), Some(digits.as_str())),
        (" (0) 12-34 ", Some("(0) 12-34")),
        ("", None),
        ("  ", None),
    ] {
        assert_eq!(claimed(text), Ok(kept.map(str::to_owned)), "{text}");
    }
    for text in ["none", "12a", "+", "-", "१२३४५६७८९०", "12\t34", "1+2"] {
        assert_eq!(claimed(text), Err(NameError::Phone), "{text}");
    }
    for text in ["1".repeat(33), format!("+916205829376{}1", " ".repeat(40)), "a".repeat(33)] {
        assert_eq!(claimed(&text), Err(NameError::LongPhone), "{text}");
    }
    assert_eq!(NameError::LongPhone.to_string(), "Phone must be at most 32 characters long");
}

#[test]
fn what_a_person_is_called_is_short_and_on_one_line() {
    let called = |text: &str| PersonName::parse(text).map(|it| it.map(|it| it.as_str().to_owned()));
    assert_eq!(called(" José "), Ok(Some("José".to_owned())));
    assert_eq!(called(" "), Ok(None));
    assert_eq!(called(&"n".repeat(151)), Err(NameError::LongName));
    assert_eq!(called("a\nb"), Err(NameError::Control));
}

#[test]
fn good_passwords_are_taken() {
    for text in [
        "testpass123",
        "Str0ng-Passw0rd!",
        "correct horse battery",
        "पासवर्ड मेरा अपना",
        "zq8#Lm2v",
        &"wd40 ".repeat(25),
    ] {
        assert_eq!(errors(text, &["testuser", "testuser@example.com", "Una"]), [""; 0], "{text}");
    }
}

#[test]
fn bad_passwords_are_refused_for_every_reason() {
    for (text, expected) in [
        ("", vec!["at least"]),
        ("zq8#Lm2", vec!["at least"]),
        ("admin", vec!["at least", "too common"]),
        ("password", vec!["too common"]),
        ("PassWord", vec!["too common"]),
        ("password123", vec!["too common"]),
        ("password!", vec!["too common"]),
        ("letmein123", vec!["too common"]),
        ("iloveyou12", vec!["too common"]),
        ("P@ssw0rd1", vec!["too common"]),
        ("Summer2024", vec!["too common"]),
        ("testpass123", vec![]),
        ("qwertyui", vec!["too common"]),
        ("iloveyou", vec!["too common"]),
        ("aaaaaaaaaa", vec!["too common"]),
        ("abcdefgh", vec!["too common"]),
        ("12345678", vec!["only digits", "too common"]),
        ("8305721964835", vec!["only digits"]),
        ("१२३४५६७८९०", vec!["only digits", "too common"]),
        (&"x".repeat(129), vec!["at most"]),
    ] {
        assert_eq!(errors(text, &[]), expected, "{text}");
    }
}

#[test]
fn a_password_is_not_like_a_name() {
    let names = ["GauravK", "gaurav.kumar85@example.com", "José", "Kumār Singh"];
    for text in [
        "gauravk!",
        "xx-GAURAVK-77",
        "mykumar85!z",
        "vaguark9",     // the letters of the username in another order
        "JOSÉ-2fast4u", // composed or not, in any case
        "JOSE\u{301}-2fast4u",
        "singh#of#pune",
        "gaurav.kumar85@example.com",
    ] {
        assert_eq!(errors(text, &names), ["too much like"], "{text}");
    }
    // The domain of an e-mail address and words of three letters do not count.
    for text in ["best example ever", "ann-likes-tea"] {
        assert_eq!(errors(text, &["gaurav@example.com", "Ann Lee", ""]), [""; 0], "{text}");
    }
}

#[test]
fn one_password_has_one_form() {
    let hash = PasswordHash::make(
        &Password::check("jos\u{e9} in\u{a0}goa", &[]).unwrap(),
        &[7; 16],
        &mut Workspace::default(),
    )
    .unwrap();
    assert!(hash.matches(
        &SecretString::from("jose\u{301} in goa"),
        OldCosts::default(),
        &mut Workspace::default()
    ));
    assert!(!hash.matches(
        &SecretString::from("José in goa"),
        OldCosts::default(),
        &mut Workspace::default()
    ));
    assert!(!hash.matches(
        &SecretString::from("jos\u{e9} in goa "),
        OldCosts::default(),
        &mut Workspace::default()
    ));
}

#[test]
fn hashes_say_what_they_cost() {
    let password = Password::check("correct horse battery", &[]).unwrap();
    let hash = PasswordHash::make(&password, &[7; 16], &mut Workspace::default()).unwrap();
    assert!(hash.phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.phc());
    assert!(hash.is_current());
    assert!(hash == PasswordHash::stored(hash.phc().to_owned()));
    assert!(
        hash != PasswordHash::make(&password, &[8; 16], &mut Workspace::default()).unwrap(),
        "the salt counts"
    );
    let dummy = PasswordHash::dummy(&[1; 16], &[2; 32]).unwrap();
    assert!(
        dummy.is_current()
            && !dummy.matches(
                &SecretString::from("correct horse battery"),
                OldCosts::default(),
                &mut Workspace::default()
            )
    );
    assert_eq!(dummy.phc().len(), hash.phc().len());
    assert_eq!(format!("{hash:?} {password:?}"), "PasswordHash(..) Password(..)");
    // The crate tests the vectors of RFC 9106. Telling apart older and broken hashes is our own code.
    let cheap =
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    for text in [cheap, "", "$argon2id$", "pbkdf2_sha256$1000000$salt$hash"] {
        let hash = PasswordHash::stored(text.to_owned());
        assert!(
            !hash.is_current()
                && !hash.matches(
                    &SecretString::from("correct horse battery"),
                    OldCosts::default(),
                    &mut Workspace::default()
                ),
            "{text}"
        );
    }
}

#[test]
fn hashes_of_other_systems_match_the_password_as_it_was_typed() {
    let django = "pbkdf2_sha256$1000$seasalt$5jcAGfG4IURVEG+fh8ZfC6OgG22XVwlBdGnd/jHPm8s=";
    let supabase = "$2a$04$abcdefghijklmnopqrstuud3sfN4aYE8c7CsHuXWFSYN57wcwkQFi";
    for (text, right) in [(django, "purple kettle"), (supabase, "purple kettle")] {
        let hash = PasswordHash::moved(text).unwrap();
        assert!(!hash.is_current(), "{text}");
        for (typed, is_right) in [(right, true), ("purple kettle ", false), ("", false)] {
            let typed = SecretString::from(typed);
            assert_eq!(
                hash.matches(&typed, OldCosts::default(), &mut Workspace::default()),
                is_right,
                "{text}"
            );
        }
    }
}

#[test]
fn a_hash_that_costs_too_much_or_is_of_another_kind_does_not_come() {
    let bcrypt = |start: &str| format!("{start}abcdefghijklmnopqrstuud3sfN4aYE8c7CsHuXWFSYN57wcwkQFi");
    let django = |start: &str| format!("{start}$seasalt$5jcAGfG4IURVEG+fh8ZfC6OgG22XVwlBdGnd/jHPm8s=");
    for (text, stored) in [
        (bcrypt("$2b$04$"), bcrypt("bcrypt$0000000004$2b$04$")),
        (bcrypt("$2y$13$"), bcrypt("bcrypt$0000000013$2y$13$")),
        (django("pbkdf2_sha256$2000000"), django("pbkdf2$0002000000")),
    ] {
        assert_eq!(PasswordHash::moved(&text).unwrap().phc(), stored);
    }
    for (text, error) in [
        (bcrypt("$2b$14$"), OldHashError::TooCostly),
        (bcrypt("$2b$31$"), OldHashError::TooCostly),
        (bcrypt("$2b$03$"), OldHashError::Unknown),
        (bcrypt("$2x$10$"), OldHashError::Unknown),
        (bcrypt("$2b$1a$"), OldHashError::Unknown),
        (format!("{}x", bcrypt("$2b$10$")), OldHashError::Unknown),
        (django("pbkdf2_sha256$2000001"), OldHashError::TooCostly),
        (django("pbkdf2_sha256$99999999999"), OldHashError::TooCostly),
        (django("pbkdf2_sha256$0"), OldHashError::Unknown),
        (django("pbkdf2_sha256$-1"), OldHashError::Unknown),
        (django("pbkdf2_sha1$1000"), OldHashError::Unknown),
        ("pbkdf2_sha256$1000$salt".to_owned(), OldHashError::Unknown),
        ("pbkdf2_sha256$1000$salt$AAAA".to_owned(), OldHashError::Unknown),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(), OldHashError::Unknown),
        ("!unusable".to_owned(), OldHashError::Unknown),
        ("éééé".to_owned(), OldHashError::Unknown),
        (String::new(), OldHashError::Unknown),
    ] {
        assert_eq!(PasswordHash::moved(&text).unwrap_err(), error, "{text}");
    }
}

/// The time of the fastest of three comparisons.
#[expect(clippy::disallowed_methods, reason = "the time of a comparison is what is tested")]
fn fastest(hash: &PasswordHash, typed: &str, left: OldCosts) -> std::time::Duration {
    let typed = SecretString::from(typed);
    let mut space = Workspace::default();
    let once = |_| {
        let start = std::time::Instant::now();
        assert!(!hash.matches(&typed, left, &mut space));
        start.elapsed()
    };
    (0..3).map(once).min().unwrap()
}

#[test]
fn a_wrong_password_takes_the_time_of_the_largest_old_hashes() {
    let left = OldCosts::from_beginnings(["pbkdf2$0000600000", "bcrypt$0000000009", "$argon2id$v=19$m=1"]);
    assert_eq!(left, OldCosts { iterations: 600_000, bcrypt: 9 });
    // The work of a comparison and the rest are the same for every hash: rounds of bcrypt double with the cost.
    let rounds = |costs: std::ops::Range<u32>| costs.map(|cost| 1 << cost).sum::<u32>();
    for (iterations, bcrypt) in [(0, 0), (600_000, 0), (1, 0), (0, 4), (0, 9)] {
        let done = OldCosts { iterations, bcrypt };
        let (more, costs) = rest(left, done);
        assert_eq!(iterations + more, 600_000, "{done:?}");
        assert_eq!(rounds(costs) + if bcrypt == 0 { 0 } else { 1 << bcrypt }, 1 << 9, "{done:?}");
    }
    assert_eq!(rest(OldCosts::default(), OldCosts::default()), (0, 0..0));
    // And it is done, also for a name without an account.
    let dummy = PasswordHash::dummy(&[1; 16], &[2; 32]).unwrap();
    let without = fastest(&dummy, "wrong", OldCosts::default());
    assert!(fastest(&dummy, "wrong", left) > without * 2, "{without:?}");
}

#[test]
fn bcrypt_never_ignores_the_end_of_a_password() {
    // The hash of 72 times x: a longer password has the same.
    let hash = PasswordHash::moved("$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i").unwrap();
    for (typed, is_right) in [("x".repeat(72), true), ("x".repeat(73), false), ("x".repeat(71), false)] {
        let matches =
            hash.matches(&SecretString::from(typed), OldCosts::default(), &mut Workspace::default());
        assert_eq!(matches, is_right);
    }
}
