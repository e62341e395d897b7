//! `TRUSTED_ISSUERS_FILE`: its problems, all at once, and the ready examples.

use chrono::{Duration, TimeZone, Utc};
use loopin_auth::{
    config::{Config, KeySettings, Problems},
    domain::{access::KeyAlgorithm, issuer::IdentityClaims},
    random::Random,
};

use crate::support::issuer::{IssuersFile, three};

const SECRET: &str = "a-secret-that-no-problem-shows-1234567";

fn examine(text: &str, more: &[(&str, &str)]) -> (Config, Vec<String>) {
    let file = IssuersFile::new(text);
    let get = |name: &str| match name {
        "TRUSTED_ISSUERS_FILE" => Some(file.path().to_owned()),
        _ => more.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let (config, Problems(problems)) = Config::examine(&get, &Random::seeded(1));
    let beginning = format!("TRUSTED_ISSUERS_FILE: {}", file.path());
    let problems = problems.iter().map(|problem| {
        assert!(problem.starts_with(&beginning), "{problem}");
        problem[beginning.len()..].trim_start_matches([':', ' ']).to_owned()
    });
    let problems = problems.collect();
    (config, problems)
}

fn issuer(lines: &str) -> String {
    format!("[[issuer]]\nname = \"x\"\niss = \"https://x\"\naud = \"us\"\nid_claim = \"sub\"\n{lines}\n")
}

fn hs256(lines: &str) -> String {
    issuer(&format!("algorithm = \"HS256\"\nsecret = \"{SECRET}\"\n{lines}"))
}

#[test]
fn a_right_file_has_no_problem() {
    let (config, problems) = examine(&three("https://keys.example/jwks"), &[]);
    assert_eq!((problems, config.issuers.len()), (vec![], 3));
    assert!(!format!("{:?}", config.issuers).contains("secret of the old"));
    assert!(Config::read(&|_| None, &Random::seeded(1)).unwrap().issuers.is_empty());
}

#[test]
fn every_problem_names_the_issuer_and_the_key() {
    for (text, problem) in [
        (hs256("leagcy = true"), "issuer x: leagcy is not known: write legacy"),
        (hs256("colour = 1"), "issuer x: colour is not known"),
        (
            hs256("legacy = true\nuntil = 2026-05-01"),
            "issuer x: legacy must not be true where iss and aud are set",
        ),
        (
            hs256("until = \"soon\""),
            "issuer x: until must be a date, such as 2027-01-31, or a time with its offset",
        ),
        (hs256("may_create_accounts = 1"), "issuer x: may_create_accounts must be true or false"),
        (
            hs256("jwks_url = \"https://k.example\""),
            "issuer x: jwks_url must not be set: a secret of HS256 is never published",
        ),
        (hs256("secret_file = \"/dev/null\""), "issuer x: secret_file must not be set beside secret"),
        (
            hs256("phone_claim = \"phone\""),
            "issuer x: phone_verified_claim must be set with phone_claim, unless phone_is_proof is true",
        ),
        (
            hs256("phone_verified_claim = \"v\""),
            "issuer x: phone_verified_claim has no effect without phone_claim",
        ),
        (
            hs256("phone_without_plus = true"),
            "issuer x: phone_without_plus has no effect without phone_claim",
        ),
        (
            hs256("phone_is_proof = true\nphone_claim = \"p\""),
            "issuer x: id_claim has no effect with phone_is_proof: the phone says who the user is",
        ),
        (issuer("algorithm = \"HS256\""), "issuer x: secret must be set with HS256, or secret_file"),
        (
            issuer("algorithm = \"none\"\nsecret = \"x\""),
            "issuer x: algorithm must be HS256, EdDSA, ES256 or RS256",
        ),
        (issuer("algorithm = \"ES256\""), "issuer x: jwks_url must be set with ES256"),
        (
            issuer("algorithm = \"ES256\"\njwks_url = \"http://k.example/\""),
            "issuer x: jwks_url must be an https URL (http is for development only)",
        ),
        (
            issuer("algorithm = \"ES256\"\njwks_url = \"https://10.0.0.1/\""),
            "issuer x: jwks_url must not be a private address, unless HOOKS_ALLOW_PRIVATE_NETWORKS is true",
        ),
        (
            issuer("algorithm = \"HS256\"\nsecret = \"django-insecure-0123456789012345678901234567890\""),
            "issuer x: secret is published on the internet: anyone can sign with it",
        ),
        (
            hs256("").replace("name = \"x\"", "name = \"X y\""),
            "issuer 1: name must be at most 40 small letters, digits and hyphens",
        ),
        (hs256("").replace("name = \"x\"\n", ""), "issuer 1: name must be set"),
        (hs256("").repeat(2), "issuer x: name is that of another issuer"),
        (hs256("").replace("[[issuer]]", "[[issuers]]"), "has no table [[issuer]]"),
        (format!("{}[more]\na = 1\n", hs256("")), "more is not known: each issuer is a table [[issuer]]"),
    ] {
        let (config, problems) = examine(&text, &[]);
        assert_eq!(problems, [problem], "{text}");
        assert!(config.issuers.len() <= 1);
        assert!(!problems.concat().contains(SECRET));
    }
    let (_, problems) = examine(&format!("{}secret_file = \"\n", hs256("")), &[]);
    assert!(problems.len() == 1 && problems[0].starts_with("is not TOML: line "), "{problems:?}");
    assert!(!problems[0].contains(SECRET));
    let (_, problems) = examine(&hs256(""), &[("JWT_ISSUER", "https://x")]);
    assert_eq!(problems, ["issuer x: iss is JWT_ISSUER: this server does not take its own tokens"]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "[[issuer]]\nname = \"a\"\nalgorithm = \"ES256\"\nlegacy = true\nphone_is_proof = true\n\
                [[issuer]]\nname = \"b\"\nalgorithm = \"HS256\"\nsecret_file = \"/nowhere\"\naud = []\niss = 7\n";
    let (config, problems) = examine(text, &[]);
    assert!(config.issuers.is_empty());
    let keys: Vec<&str> = problems
        .iter()
        .map(|problem| problem.split(": ").nth(1).unwrap().split(' ').next().unwrap())
        .collect();
    let a = ["jwks_url", "until", "phone_is_proof", "phone_claim"];
    let b = ["secret_file", "iss", "aud", "legacy", "id_claim"];
    assert_eq!(keys, [a.as_slice(), &b].concat(), "{problems:?}");
}

#[test]
fn keys_over_http_are_for_a_stub_on_the_same_machine() {
    let with = |url: &str| issuer(&format!("algorithm = \"ES256\"\njwks_url = \"{url}\""));
    let private = [("HOOKS_ALLOW_PRIVATE_NETWORKS", "true")];
    for (url, is_right) in [
        ("http://127.0.0.1:8080/jwks", true),
        ("http://localhost/jwks", true),
        ("https://10.0.0.1/jwks", true),
        ("http://10.0.0.1/jwks", false),
        ("http://keys.example/jwks", false),
    ] {
        assert_eq!(examine(&with(url), &private).1.is_empty(), is_right, "{url}");
    }
    assert_eq!(examine(&with("http://127.0.0.1:8080/jwks"), &[]).1.len(), 1);
}

#[test]
fn a_legacy_issuer_ends_within_ninety_days() {
    let now = Utc.with_ymd_and_hms(2026, 3, 14, 9, 0, 0).unwrap();
    let text = |until: &str| {
        format!(
            "[[issuer]]\nname = \"old\"\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\nid_claim = \"id\"\nlegacy = true\nuntil = {until}\n"
        )
    };
    for (until, problems) in
        [("2026-06-12T09:00:00Z", 0), ("2026-06-12T09:00:01Z", 1), ("\"2026-06-11\"", 0), ("2026-06-13", 1)]
    {
        let (config, wrong) = examine(&text(until), &[]);
        assert_eq!((wrong, config.problems_at(now).len()), (vec![], problems), "{until}");
    }
    let (config, _) = examine(&text("2026-03-13"), &[]);
    assert_eq!(config.ended_issuers(now).collect::<Vec<_>>(), ["old"]);
    assert_eq!(config.ended_issuers(now - Duration::days(1)).count(), 0);
}

#[test]
fn the_ready_examples_are_right_once_they_are_filled_in() {
    let read = |name: &str| {
        let path = format!("{}/examples/issuers/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let secret = IssuersFile::new(&format!("{SECRET}\n"));
    for (name, algorithm) in [
        ("loopin", KeyAlgorithm::Hs256),
        ("supabase", KeyAlgorithm::Es256),
        ("firebase-pnv", KeyAlgorithm::Es256),
    ] {
        let text = read(name).replace("/run/secrets/loopin-jwt", secret.path());
        let (config, problems) = examine(&text, &[]);
        assert_eq!(problems, Vec::<String>::new(), "{name}");
        let [known] = config.issuers.try_into().unwrap_or_else(|_| panic!("{name} has one issuer"));
        assert_eq!((known.issuer.name.as_str(), known.issuer.algorithm), (name, algorithm));
        let is_published = matches!(known.keys, KeySettings::Published(_));
        let is_proof = matches!(known.issuer.identity, IdentityClaims::Phone(_));
        assert_eq!((is_published, is_proof), (name != "loopin", name == "firebase-pnv"), "{name}");
        assert_eq!(
            (known.issuer.is_legacy, known.issuer.until.is_some()),
            (name == "loopin", name == "loopin")
        );
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_everybody_can_read_is_a_warning() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    // Any file of ours: the text is the secret.
    let secret = IssuersFile::new(SECRET);
    for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
        std::fs::set_permissions(secret.path(), Permissions::from_mode(mode)).unwrap();
        let lines = format!("algorithm = \"HS256\"\nsecret_file = \"{}\"", secret.path());
        let (config, problems) = examine(&issuer(&lines), &[]);
        assert_eq!(problems, Vec::<String>::new());
        let said =
            config.warnings.iter().filter(|warning| warning.contains("issuer x: secret_file can be read"));
        assert_eq!(said.count(), warnings, "{:?}", config.warnings);
    }
}
