//! The keys of tokens.

use std::path::PathBuf;

use super::*;
use crate::{
    commands::keys,
    domain::access::{KeyAlgorithm, VerifyingKey},
};

const OLD: &str = "an-old-token-secret-of-the-tests-of-32-bytes-or-more";

/// A folder with key files that is removed with the test.
struct Keys(PathBuf);

impl Keys {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("loopin-auth-keys-{}", Random::System.bits()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A new key and its path.
    fn key(&self, name: &str, algorithm: KeyAlgorithm) -> String {
        keys::generate(algorithm, &self.0.join(name)).unwrap();
        self.path(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn problems(settings: &[(&str, &str)]) -> Vec<String> {
    let Problems(problems) = read(&[settings]).unwrap_err();
    problems
}

#[test]
fn a_private_key_needs_no_secret() {
    let keys = Keys::new();
    let path = keys.key("ed.pem", KeyAlgorithm::EdDsa);
    let settings =
        [("JWT_SECRET_KEY", ""), ("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", path.as_str())];
    let config = prod(&settings).unwrap();
    assert_eq!(config.tokens.signing.verifying().algorithm(), KeyAlgorithm::EdDsa);
    assert!(config.tokens.secret.is_none() && config.tokens.previous.is_empty());
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    // If the secret is still set, a warning says that it no longer verifies tokens.
    let config = prod(&settings[1..]).unwrap();
    assert!(config.warnings[0].starts_with("JWT_SECRET_KEY is not used"), "{:?}", config.warnings);
    let config = dev(&[("JWT_SECRET_KEY", OLD), ("SECRET_KEY", SECRET), ("JWT_PRIVATE_KEY_FILE", &path)]);
    assert_eq!(config.tokens.signing.verifying().algorithm(), KeyAlgorithm::Hs256);
    assert!(config.warnings[0].starts_with("JWT_PRIVATE_KEY_FILE is not used"), "{:?}", config.warnings);
}

#[test]
fn a_wrong_private_key_is_named_and_never_repeated() {
    let keys = Keys::new();
    let ed = keys.key("ed.pem", KeyAlgorithm::EdDsa);
    let pem = std::fs::read_to_string(&ed).unwrap();
    let empty = keys.write("empty.pem", "");
    let binary = keys.path("binary.pem");
    std::fs::write(&binary, [0xff; 100]).unwrap();
    let huge = keys.write("huge.pem", &"x".repeat(100_000));
    let missing = keys.path("missing.pem");
    let folder = keys.0.to_str().unwrap();
    for (algorithm, file, expected) in [
        ("EdDSA", "", "must be set when JWT_ALGORITHM is EdDSA: loopin-auth keys generate makes one"),
        ("ES256", ed.as_str(), "the file holds a key for EdDSA, and JWT_ALGORITHM is ES256"),
        ("RS256", &ed, "the file holds a key for EdDSA"),
        ("EdDSA", &empty, "the file holds no key in PEM form"),
        ("EdDSA", &binary, "the file cannot be read"),
        ("EdDSA", &huge, "it is not a file with a key"),
        ("EdDSA", folder, "it is not a file with a key"),
        ("EdDSA", &missing, "the file cannot be read"),
        ("EdDSA", &pem, "the path of a file belongs here, not the key itself"),
    ] {
        let said = problem(&[("JWT_ALGORITHM", algorithm), ("JWT_PRIVATE_KEY_FILE", file)]);
        assert!(said.starts_with("JWT_PRIVATE_KEY_FILE"), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("BEGIN") && !said.contains(pem.lines().nth(1).unwrap()), "{said}");
    }
    for name in ["none", "None", "HS512", "PS256", "eddsa"] {
        assert_eq!(problem(&[("JWT_ALGORITHM", name)]), "JWT_ALGORITHM must be HS256, EdDSA, ES256 or RS256");
    }
}

#[test]
fn everything_wrong_with_keys_is_named_at_once() {
    let said = problems(&[
        ("JWT_ALGORITHM", "ES256"),
        ("JWT_PREVIOUS_KEYS", "/nowhere/at/all.pem, old.key ,secret:"),
        ("SESSION_MAX_DAYS", "0"),
    ]);
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].starts_with("JWT_PRIVATE_KEY_FILE must be set"), "{said:?}");
    for (place, said) in (1..).zip(&said[1..4]) {
        assert!(said.starts_with(&format!("JWT_PREVIOUS_KEYS: item {place}: ")), "{said}");
    }
    assert!(said[4].starts_with("SESSION_MAX_DAYS"), "{said:?}");
}

#[test]
fn what_verified_before_is_a_list_of_files_and_secrets() {
    let keys = Keys::new();
    let ed = keys.key("ed.pem", KeyAlgorithm::EdDsa);
    let es = keys.key("es", KeyAlgorithm::Es256);
    let slash = "a/secret/as/base64/writes/it/with/slashes+and+so+on";
    let list = format!("{ed}, {es},{OLD},secret:{slash}");
    let config = prod(&[("JWT_PREVIOUS_KEYS", &list)]).unwrap();
    let kids: Vec<&str> = config.tokens.previous.iter().map(VerifyingKey::kid).collect();
    let of_file =
        |path: &str| VerifyingKey::from_pem(&std::fs::read_to_string(path).unwrap().into()).unwrap();
    let of_secret = |secret: &str| VerifyingKey::secret(&secret.into());
    assert_eq!(kids, [of_file(&ed).kid(), of_file(&es).kid(), of_secret(OLD).kid(), of_secret(slash).kid()]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

/// A mistyped path must not become a secret: everyone who knows the path would know it.
#[test]
fn a_path_is_never_taken_for_a_secret() {
    for item in [
        "/etc/loopin-auth/keys/of/the/year/before/jwt-key.pem",
        "keys/of/the/year/before/without/any/ending/at/all",
        "the-key-of-the-year-before-that-was-moved-away.pem",
        "the-key-of-the-year-before-that-was-moved-away.KEY",
    ] {
        let said = problem(&[("JWT_PREVIOUS_KEYS", item)]);
        assert!(said.starts_with("JWT_PREVIOUS_KEYS: item 1: the file cannot be read"), "{said}");
        assert!(!said.contains(item), "{said}");
    }
}

#[test]
fn a_short_previous_secret_is_refused_in_production() {
    assert!(prod(&[("JWT_PREVIOUS_KEYS", "31-bytes-which-is-one-too-few-.")]).is_err());
    assert!(prod(&[("JWT_PREVIOUS_KEYS", "secret:short")]).is_err());
    let config = dev(&[("JWT_PREVIOUS_KEYS", "short"), ("SECRET_KEY", SECRET), ("JWT_SECRET_KEY", OLD)]);
    assert_eq!(config.tokens.previous.len(), 1);
    let expected = "JWT_PREVIOUS_KEYS: item 1: neither a file nor a secret of 32 bytes or more";
    assert_eq!(config.warnings, [expected]);
}

#[cfg(unix)]
#[test]
fn a_private_key_that_everybody_can_read_is_a_warning() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    let keys = Keys::new();
    let path = keys.key("ed.pem", KeyAlgorithm::EdDsa);
    let signing =
        [("JWT_SECRET_KEY", ""), ("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", path.as_str())];
    let listed = [("JWT_PREVIOUS_KEYS", path.as_str())];
    let warnings = |settings: &[(&str, &str)]| prod(settings).unwrap().warnings;
    assert!(warnings(&signing).is_empty() && warnings(&listed).is_empty(), "it is written with mode 0600");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    for (settings, name) in [(&signing[..], "JWT_PRIVATE_KEY_FILE"), (&listed[..], "JWT_PREVIOUS_KEYS")] {
        let said = warnings(settings);
        assert!(said.len() == 1 && said[0].starts_with(name) && said[0].contains("chmod 600"), "{said:?}");
    }
}
