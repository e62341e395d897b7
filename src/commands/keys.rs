//! `loopin-auth keys generate`: a new private key for tokens, in a file that only its owner can read.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::Unspecified,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::{CommandError, output::print};
pub use crate::domain::access::KeyAlgorithm;
use crate::domain::access::{KeyError, SigningKey};

/// NIST SP 800-57 part 1 accepts 2,048 bits until 2030, and 3,072 bits long after that.
const RSA_SIZE: KeySize = KeySize::Rsa3072;

/// The length of a line of PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// Why no key was generated.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// HS256 uses a secret and not a key pair.
    #[error(
        "HS256 has no key file: set JWT_SECRET_KEY to 32 random bytes or more, such as the output of openssl rand -hex 32"
    )]
    NoPair,
    /// The existing file may be in use.
    #[error("{0} exists already and is not overwritten: name another file with --out")]
    Taken(String),
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// The file.
        path: String,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The cryptographic library failed.
    #[error("the key could not be generated")]
    Library(#[from] Unspecified),
    /// The server would refuse the key.
    #[error("the generated key cannot be used")]
    Unusable(#[from] KeyError),
}

/// A new key. Its `Debug` shows no part of it.
#[derive(Debug)]
pub struct NewKey {
    /// PKCS #8 in PEM form.
    pub pem: SecretString,
    /// Its id in tokens.
    pub kid: String,
}

/// Parses the name of an algorithm in any letter case. HS256 is accepted here, because [`make`] explains why it has no key.
///
/// # Errors
/// When the name is unknown.
pub fn algorithm(name: &str) -> Result<KeyAlgorithm, &'static str> {
    [KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256, KeyAlgorithm::Hs256]
        .into_iter()
        .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
        .ok_or("must be EdDSA, ES256 or RS256")
}

/// Generates a key.
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

/// Generates a key and prints how to use it. It needs no settings.
///
/// # Errors
/// A [`Failure`], or when the output cannot be written.
pub fn run(algorithm: KeyAlgorithm, path: &Path) -> Result<ExitCode, CommandError> {
    print(generate(algorithm, path)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Generates a key, writes it into a new file, and returns how to use it.
///
/// # Errors
/// When the file exists or cannot be written.
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

/// Creates a file that only its owner can read, from the first moment on.
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

For an installation in use, these steps keep all users signed in:
  1. add {path} to JWT_PREVIOUS_KEYS on every server, restart them, and wait five minutes:
     by then all services that cache the public keys have this one
  2. set the two settings above, and in JWT_PREVIOUS_KEYS replace this file with the old key
     (its file, or the secret of HS256); restart
  3. after JWT_REFRESH_TOKEN_EXPIRE_DAYS remove the old key
"
    )
}
