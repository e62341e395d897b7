//! The settings of tokens: keys, lifetimes, issuer and audience.
//!
//! Key files are read here, once, so that their problems are reported with all others. No problem repeats a value, because
//! an operator may have set the key itself instead of its path.

use std::path::Path;

use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};

use url::Url;

use super::{
    MIN_SECRET_BYTES,
    files::{self, SmallFile, Unusable},
    reader::Reader,
    secret,
};
use crate::{
    domain::access::{KeyAlgorithm, KeyError, OptionalClaim, SigningKey, TokenPolicy, VerifyingKey},
    random::Random,
};

const ALGORITHM: &str = "JWT_ALGORITHM";
const SECRET: &str = "JWT_SECRET_KEY";
const OLDER_SECRET: &str = "JWT_SECRET";
const PRIVATE_KEY: &str = "JWT_PRIVATE_KEY_FILE";
const PREVIOUS: &str = "JWT_PREVIOUS_KEYS";

/// The prefix that makes an item of `JWT_PREVIOUS_KEYS` a secret, even if it looks like a path.
const SECRET_PREFIX: &str = "secret:";

/// The upper bound of `SESSIONS_PER_USER`: the list of sessions has no pages.
const MOST_SESSIONS: i64 = 100;

/// The extensions of key files.
const KEY_FILES: [&str; 4] = ["pem", "key", "pub", "p8"];

/// The values of these settings. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// `JWT_SECRET_KEY` or `JWT_SECRET`; `None` if a private key signs.
    pub secret: Option<SecretString>,
    /// The key that signs.
    pub signing: SigningKey,
    /// `JWT_PREVIOUS_KEYS`: other keys that verify.
    pub previous: Vec<VerifyingKey>,
    /// Issuer, audience and lifetimes.
    pub policy: TokenPolicy,
}

pub(super) fn tokens(
    reader: &mut Reader<'_>,
    is_prod: bool,
    public_base_url: Option<&Url>,
    random: &Random,
) -> TokenSettings {
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
    TokenSettings {
        secret,
        signing,
        previous: previous(reader, is_prod),
        policy: policy(reader, public_base_url),
    }
}

fn policy(reader: &mut Reader<'_>, public_base_url: Option<&Url>) -> TokenPolicy {
    let issuer = reader.text("JWT_ISSUER");
    TokenPolicy {
        // Not one of these settings: it is filled in later.
        terms: None,
        access_life: Duration::minutes(reader.number("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1, 10_080)),
        refresh_life: Duration::days(reader.number("JWT_REFRESH_TOKEN_EXPIRE_DAYS", 7, 1, 365)),
        session_max: Duration::days(reader.number("SESSION_MAX_DAYS", 90, 1, 3650)),
        most_sessions: reader.number("SESSIONS_PER_USER", 20, 1, MOST_SESSIONS).unsigned_abs(),
        discovered_at: issuer.as_deref().and_then(|issuer| discovered_at(issuer, public_base_url?)),
        issuer,
        audience: reader.text("JWT_AUDIENCE"),
        claims: claims(reader),
    }
}

/// Where the discovery document is, if the issuer is this server. A client adds a fixed path to the issuer, and then compares the
/// issuer with `iss` and with what the document says (OpenID Connect Discovery 1.0, sections 4.1 and 4.3), so any other name leads
/// to another server or to none. A slash at the end makes no difference to the first step.
fn discovered_at(issuer: &str, public_base_url: &Url) -> Option<String> {
    let without_slash = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let issuer = Url::parse(issuer).ok().filter(|url| without_slash(url) == without_slash(public_base_url));
    issuer.as_ref().map(without_slash)
}

fn claims(reader: &mut Reader<'_>) -> Vec<OptionalClaim> {
    let wanted = reader.list("JWT_CLAIMS");
    let known: Vec<OptionalClaim> = wanted.iter().filter_map(|name| name.parse().ok()).collect();
    if known.len() < wanted.len() {
        let all = OptionalClaim::ALL.map(OptionalClaim::as_str).join(", ");
        let unknown = wanted.iter().filter(|name| name.parse::<OptionalClaim>().is_err());
        let unknown = unknown.map(String::as_str).collect::<Vec<_>>().join(", ");
        reader.problem(format!("JWT_CLAIMS must be names of this list: {all}; it has {unknown}"));
    }
    known
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
                if file.is_world_readable {
                    reader.warn(format!(
                        "{PRIVATE_KEY}: everybody on this machine can read the file: chmod 600"
                    ));
                }
                let key = SigningKey::from_pem(&file.text).map_err(file_problem)?;
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

/// An item is a path if it has a slash or the extension of a key file, or if such a file exists; else it is a secret. So a
/// mistyped path is a problem, and never a secret that others may know.
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
        if file.is_world_readable && is_private {
            reader.warn(format!(
                "{PREVIOUS}: item {place}: everybody on this machine can read the file: chmod 600"
            ));
        }
        return VerifyingKey::from_pem(&file.text).map_err(file_problem);
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

fn file_problem(error: KeyError) -> String {
    format!("the file {error}")
}

fn read_file(path: &str) -> Result<SmallFile, String> {
    if path.starts_with("-----BEGIN") {
        return Err("the path of a file belongs here, not the key itself".to_owned());
    }
    files::read(path).map_err(|unusable| match unusable {
        Unusable::NotSmall => "it is not a file with a key".to_owned(),
        // Half of all secrets in Base64 contain a slash, so they are taken for paths.
        Unusable::Unreadable(error) => {
            format!("the file cannot be read: {error}; before a secret write {SECRET_PREFIX}")
        }
    })
}
