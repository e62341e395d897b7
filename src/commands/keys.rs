//! `loopin-auth keys generate`: a new private key for tokens, in a file that only its owner may read.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::Unspecified,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

pub use crate::domain::access::KeyAlgorithm;
use crate::domain::access::{KeyError, SigningKey};

/// NIST SP 800-57 part 1 gives 2,048 bits until 2030 and 3,072 bits for long after.
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// How long a line of PEM is (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// HS256 has a secret, which is no key of a pair.
    #[error(
        "HS256 has no key file: put 32 random bytes or more into JWT_SECRET_KEY, as openssl rand -hex 32 makes them"
    )]
    NoPair,
    /// What is there may be in use.
    #[error("{0} is there already and is not overwritten: name another file with --out")]
    Taken(String),
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// Which file.
        path: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The cryptographic library failed.
    #[error("the key could not be made")]
    Library(#[from] Unspecified),
    /// The server would not take it.
    #[error("the key that was made cannot be used")]
    Unusable(#[from] KeyError),
}

/// A new key. Its `Debug` shows no part of it.
#[derive(Debug)]
pub struct NewKey {
    /// PKCS #8 in PEM form.
    pub pem: SecretString,
    /// Its name in tokens.
    pub kid: String,
}

/// An algorithm, in any letter case. HS256 is one, and gets an explanation of its own.
///
/// # Errors
/// Which there are.
pub fn algorithm(name: &str) -> Result<KeyAlgorithm, &'static str> {
    [KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256, KeyAlgorithm::Hs256]
        .into_iter()
        .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
        .ok_or("must be EdDSA, ES256 or RS256")
}

/// Makes a key.
///
/// # Errors
/// [`Failure::NoPair`] for HS256.
pub fn make(algorithm: KeyAlgorithm) -> Result<NewKey, Failure> {
    let pem = match algorithm {
        KeyAlgorithm::Hs256 => return Err(Failure::NoPair),
        KeyAlgorithm::EdDsa => pem(Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref()),
        KeyAlgorithm::Es256 => {
            pem(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?.to_pkcs8v1()?.as_ref())
        }
        KeyAlgorithm::Rs256 => {
            let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(RSA_SIZE)?.as_der()?;
            pem(der.as_ref())
        }
    };
    let kid = SigningKey::from_pem(&pem)?.verifying().kid().to_owned();
    Ok(NewKey { pem, kid })
}

fn pem(der: &[u8]) -> SecretString {
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (place, letter) in STANDARD.encode(der).chars().enumerate() {
        if place > 0 && place % PEM_LINE == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text.into()
}

/// Makes a key, writes it down, and says how it is put to use.
///
/// # Errors
/// When there is such a file, or it cannot be written.
pub fn generate(algorithm: KeyAlgorithm, path: &Path) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let key = make(algorithm)?;
    let written = create(path).and_then(|mut file| {
        file.write_all(key.pem.expose_secret().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => Failure::Taken(shown.clone()),
        _ => Failure::Write { path: shown.clone(), cause },
    })?;
    let whole = std::path::absolute(path).map_or(shown, |path| path.display().to_string());
    Ok(how_to_use(algorithm, &whole, &key.kid))
}

/// Nobody else may read it, not even for a moment.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn how_to_use(algorithm: KeyAlgorithm, path: &str, kid: &str) -> String {
    format!(
        "{path}: a private key for {algorithm}, kid {kid}

For a new installation set
  JWT_ALGORITHM={algorithm}
  JWT_PRIVATE_KEY_FILE={path}

Where tokens are in use, nobody is signed out if you go step by step:
  1. add {path} to JWT_PREVIOUS_KEYS on every server, restart them, and wait five minutes:
     by then whoever keeps the public keys has this one too
  2. set the two settings above, and put what signed until now (the file, or the secret of HS256)
     into JWT_PREVIOUS_KEYS in its place; restart
  3. after JWT_REFRESH_TOKEN_EXPIRE_DAYS take that out again
"
    )
}
