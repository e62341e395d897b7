//! Key files for one test.

use std::path::PathBuf;

use loopin_auth::{
    commands::keys::{self, KeyAlgorithm},
    domain::access::VerifyingKey,
    random::Random,
};
use secrecy::ExposeSecret;

/// A private key in a file that is removed at the end of the test.
pub struct KeyFile {
    pub algorithm: KeyAlgorithm,
    pub kid: String,
    pub path: PathBuf,
    /// The content of the file.
    pub pem: String,
}

impl KeyFile {
    /// A new key.
    pub fn new(algorithm: KeyAlgorithm) -> Self {
        let name = format!("loopin-auth-key-{}.pem", uuid::Uuid::from_bytes(Random::System.bytes()));
        let path = std::env::temp_dir().join(name);
        keys::generate(algorithm, &path).expect("a key is made");
        let pem = std::fs::read_to_string(&path).expect("it was written");
        let kid = VerifyingKey::from_pem(&pem.clone().into()).expect("it is a key").kid().to_owned();
        Self { algorithm, kid, path, pem }
    }

    /// The value of `JWT_PRIVATE_KEY_FILE`.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path that is text")
    }

    /// The settings of a server that signs with it.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("JWT_ALGORITHM", self.algorithm.as_str()), ("JWT_PRIVATE_KEY_FILE", self.path())]
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One key of each algorithm that has a public half.
pub fn one_of_each() -> [KeyFile; 3] {
    [KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256].map(KeyFile::new)
}

/// A new secret, in hexadecimal.
pub fn secret() -> String {
    Random::System.secret().expose_secret().to_owned()
}
