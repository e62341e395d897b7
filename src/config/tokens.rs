//! What tokens are signed and verified with, and how long they live.
//!
//! Keys are files that are read here, once, so that whatever is wrong with them is named at the start with everything
//! else. No message repeats a value: somebody will put the key itself where its path belongs.

use std::{fs::File, io::Read, path::Path};

use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};

use super::{MIN_SECRET_BYTES, reader::Reader, secret};
use crate::{
    domain::access::{KeyAlgorithm, KeyError, SigningKey, TokenPolicy, VerifyingKey},
    random::Random,
};

const ALGORITHM: &str = "JWT_ALGORITHM";
const SECRET: &str = "JWT_SECRET_KEY";
const OLDER_SECRET: &str = "JWT_SECRET";
const PRIVATE_KEY: &str = "JWT_PRIVATE_KEY_FILE";
const PREVIOUS: &str = "JWT_PREVIOUS_KEYS";

/// What an item of `JWT_PREVIOUS_KEYS` begins with that is a secret and could be taken for a path.
const SECRET_PREFIX: &str = "secret:";

/// How the names of files with keys end.
const KEY_FILES: [&str; 4] = ["pem", "key", "pub", "p8"];

/// More than any key in PEM form takes, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The keys of tokens, and the rules for tokens. Its `Debug` shows no secret.
#[derive(Debug)]
pub struct TokenSettings {
    /// `JWT_SECRET_KEY`, also `JWT_SECRET`; `None` where a private key signs.
    pub secret: Option<SecretString>,
    /// What signs.
    pub signing: SigningKey,
    /// `JWT_PREVIOUS_KEYS`: what verifies beside it.
    pub previous: Vec<VerifyingKey>,
    /// Whom tokens name and how long they live.
    pub policy: TokenPolicy,
}

pub(super) fn tokens(reader: &mut Reader<'_>, is_prod: bool, random: &Random) -> TokenSettings {
    let algorithm: KeyAlgorithm = match reader.text(ALGORITHM).map(|name| name.parse()) {
        None => KeyAlgorithm::Hs256,
        Some(Ok(algorithm)) => algorithm,
        Some(Err(error)) => {
            reader.problem(format!("{ALGORITHM} {error}"));
            KeyAlgorithm::Hs256
        }
    };
    let (secret, signing) = match algorithm {
        KeyAlgorithm::Hs256 => shared_secret(reader, is_prod, random),
        KeyAlgorithm::EdDsa | KeyAlgorithm::Es256 | KeyAlgorithm::Rs256 => {
            (None, private_key(reader, algorithm, random))
        }
    };
    TokenSettings { secret, signing, previous: previous(reader, is_prod), policy: policy(reader) }
}

fn policy(reader: &mut Reader<'_>) -> TokenPolicy {
    TokenPolicy {
        access_life: Duration::minutes(reader.number("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1, 10_080)),
        refresh_life: Duration::days(reader.number("JWT_REFRESH_TOKEN_EXPIRE_DAYS", 7, 1, 365)),
        session_max: Duration::days(reader.number("SESSION_MAX_DAYS", 90, 1, 3650)),
        issuer: reader.text("JWT_ISSUER"),
        audience: reader.text("JWT_AUDIENCE"),
    }
}

fn shared_secret(
    reader: &mut Reader<'_>,
    is_prod: bool,
    random: &Random,
) -> (Option<SecretString>, SigningKey) {
    let secret = secret(reader, SECRET, Some(OLDER_SECRET), is_prod, random);
    if reader.text(PRIVATE_KEY).is_some() {
        reader.warn(format!("{PRIVATE_KEY} is not used: {ALGORITHM} is HS256"));
    }
    let signing = SigningKey::secret(&secret);
    (Some(secret), signing)
}

fn private_key(reader: &mut Reader<'_>, algorithm: KeyAlgorithm, random: &Random) -> SigningKey {
    let secrets = [reader.text(SECRET), reader.text(OLDER_SECRET)];
    if secrets.iter().any(Option::is_some) {
        reader.warn(format!(
            "{SECRET} is not used: {ALGORITHM} is {algorithm}. While tokens that it signed are to be taken, list it in \
             {PREVIOUS}"
        ));
    }
    let read = match reader.text(PRIVATE_KEY) {
        None => Err(format!(
            "{PRIVATE_KEY} must be set when {ALGORITHM} is {algorithm}: loopin-auth keys generate makes one"
        )),
        Some(path) => read_file(&path)
            .and_then(|file| {
                if file.is_open {
                    reader.warn(format!(
                        "{PRIVATE_KEY}: everybody on this machine can read the file: chmod 600"
                    ));
                }
                let key = SigningKey::from_pem(&file.text).map_err(in_the_file)?;
                let found = key.verifying().algorithm();
                let fits = found == algorithm;
                fits.then_some(key).ok_or_else(|| {
                    format!("the file holds a key for {found}, and {ALGORITHM} is {algorithm}")
                })
            })
            .map_err(|why| format!("{PRIVATE_KEY}: {why}")),
    };
    read.unwrap_or_else(|problem| {
        reader.problem(problem);
        SigningKey::secret(&random.secret())
    })
}

fn previous(reader: &mut Reader<'_>, is_prod: bool) -> Vec<VerifyingKey> {
    let items = reader.list(PREVIOUS);
    let mut keys = Vec::new();
    for (place, item) in (1..).zip(items) {
        match previous_key(reader, &item, place, is_prod) {
            Ok(key) => keys.push(key),
            Err(why) => reader.problem(format!("{PREVIOUS}: item {place}: {why}")),
        }
    }
    keys
}

/// A secret is told from a file by how it is written: a slash, the ending of a key file or a file of that name make it a
/// path, so that a mistyped path is a fault and never a secret that others may know.
fn previous_key(
    reader: &mut Reader<'_>,
    item: &str,
    place: usize,
    is_prod: bool,
) -> Result<VerifyingKey, String> {
    let named = item.strip_prefix(SECRET_PREFIX);
    if named.is_none() && is_path(item) {
        let file = read_file(item)?;
        let is_private = file.text.expose_secret().contains("PRIVATE KEY");
        if file.is_open && is_private {
            reader.warn(format!(
                "{PREVIOUS}: item {place}: everybody on this machine can read the file: chmod 600"
            ));
        }
        return VerifyingKey::from_pem(&file.text).map_err(in_the_file);
    }
    let secret = named.unwrap_or(item);
    if secret.len() < MIN_SECRET_BYTES {
        let why = format!("neither a file nor a secret of {MIN_SECRET_BYTES} bytes or more");
        if is_prod || secret.is_empty() {
            return Err(why);
        }
        reader.warn(format!("{PREVIOUS}: item {place}: {why}"));
    }
    Ok(VerifyingKey::secret(&secret.into()))
}

fn is_path(item: &str) -> bool {
    let path = Path::new(item);
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ends_like_a_key =
        ending.is_some_and(|ending| KEY_FILES.iter().any(|known| known.eq_ignore_ascii_case(ending)));
    item.contains(['/', '\\']) || ends_like_a_key || path.exists()
}

fn in_the_file(error: KeyError) -> String {
    format!("the file {error}")
}

struct KeyFile {
    text: SecretString,
    /// Whether everybody may read it.
    is_open: bool,
}

fn read_file(path: &str) -> Result<KeyFile, String> {
    if path.starts_with("-----BEGIN") {
        return Err("the path of a file belongs here, not the key itself".to_owned());
    }
    let cannot = |error: std::io::Error| {
        // Half of the secrets that Base64 writes hold a slash.
        format!("the file cannot be read: {error}; before a secret write {SECRET_PREFIX}")
    };
    let mut file = File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if !about.is_file() || about.len() > MAX_FILE_BYTES {
        return Err("it is not a file with a key".to_owned());
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    Ok(KeyFile { text: text.into(), is_open: may_be_read_by_all(&about) })
}

#[cfg(unix)]
fn may_be_read_by_all(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn may_be_read_by_all(_about: &std::fs::Metadata) -> bool {
    false
}
