//! Keys: what signs tokens, what verifies them, and what of them anybody may see.
//!
//! A key knows its algorithm, and no token can talk it into another one (RFC 8725, section 3.1). Its name, `kid`, is made
//! from the key, so that every server that has the key calls it the same.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    digest,
    error::KeyRejected,
    hmac, rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rustls_pki_types::pem::{PemObject, SectionKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::jws;

/// The least and the greatest length of an RSA modulus, in bits (RFC 7518, section 3.3; the library's own limit).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What the `kid` of a secret is the HMAC of. It holds a space, so it is never what a token is the HMAC of.
const KID_LABEL: &[u8] = b"loopin-auth kid 1";

/// How much of that HMAC is shown, in bytes: enough to tell keys apart.
const KID_BYTES: usize = 12;

/// What stands before the 32 bytes of an Ed25519 key (RFC 8410, section 4).
const ED25519_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What stands before the 65 bytes of a P-256 point that is not compressed (RFC 5480, section 2).
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// How a key signs. The names are those of RFC 7518 and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// HMAC with SHA-256: whoever verifies can sign.
    Hs256,
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
}

impl KeyAlgorithm {
    /// The name in a token's header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    pub(super) fn as_jwt_algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no algorithm that a key here can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be HS256, EdDSA, ES256 or RS256")]
pub struct UnknownAlgorithm;

impl FromStr for KeyAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::Hs256, Self::EdDsa, Self::Es256, Self::Rs256];
        all.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or(UnknownAlgorithm)
    }
}

/// Why a text is no key. Each reads on from "the file".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM, or none with a key.
    #[error("holds no key in PEM form")]
    NoKey,
    /// Two keys: which is meant?
    #[error("holds more than one key")]
    SeveralKeys,
    /// Nobody is there at the start to type the password.
    #[error("holds a key that is encrypted: take the password off and let nobody else read the file")]
    Encrypted,
    /// A public key cannot sign.
    #[error("holds a public key, and only a private one can sign")]
    PublicOnly,
    /// Another kind of key, or a damaged one.
    #[error("holds a key that is neither Ed25519 nor P-256 nor RSA, or is damaged")]
    Unusable,
    /// RSA with a modulus that is too short.
    #[error("holds an RSA key of less than 2048 bits")]
    ShortRsa,
    /// RSA with a modulus that takes too long.
    #[error("holds an RSA key of more than 8192 bits")]
    LongRsa,
}

/// Signing failed. With a key that was tried at the start it cannot, so nobody is told more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub struct SigningError;

/// The public half of a key, as a JWK shows it: numbers in Base64 for URLs (RFC 7517, RFC 7518, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicNumbers {
    /// `OKP`, curve Ed25519.
    Ed25519 {
        /// The key.
        x: String,
    },
    /// `EC`, curve P-256.
    P256 {
        /// One coordinate.
        x: String,
        /// The other.
        y: String,
    },
    /// `RSA`.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
}

impl PublicNumbers {
    /// The thumbprint: SHA-256 over the required members in the order of the alphabet (RFC 7638; RFC 8037, appendix A.3).
    fn thumbprint(&self) -> String {
        let members = match self {
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        fingerprint(members.as_bytes())
    }
}

/// SHA-256 in Base64 for URLs.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, bytes))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that verifies.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: KeyAlgorithm,
    kid: String,
    numbers: Option<PublicNumbers>,
    decoding: DecodingKey,
}

// By hand, so that no part of a key is ever in a log.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// HS256.
    #[must_use]
    pub fn secret(secret: &SecretString) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let tag = hmac::sign(&key, KID_LABEL);
        Self {
            algorithm: KeyAlgorithm::Hs256,
            kid: encode(tag.as_ref().get(..KID_BYTES).unwrap_or_default()),
            numbers: None,
            decoding: DecodingKey::from_secret(secret.expose_secret().as_bytes()),
        }
    }

    /// Reads the PEM of a public key, or of a private one, of which only the public half is kept.
    ///
    /// # Errors
    /// [`KeyError`] says why it is no key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        match section(pem)? {
            (SectionKind::PublicKey, der) => Self::from_spki(&der),
            _ => SigningKey::from_pem(pem).map(|key| key.verifying),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`.
    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(key) = der.strip_prefix(ED25519_HEAD) {
            return Self::ed25519(key);
        }
        if let Some(point) = der.strip_prefix(P256_HEAD) {
            return Self::p256(point);
        }
        let key = rsa::PublicKey::from_der(der).map_err(|_| KeyError::Unusable)?;
        Self::rsa(&RsaPublicKeyComponents::from(&key))
    }

    fn ed25519(key: &[u8]) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&ED25519, key).map_err(|_| KeyError::Unusable)?;
        let numbers = PublicNumbers::Ed25519 { x: encode(key) };
        Ok(Self::public(KeyAlgorithm::EdDsa, numbers, DecodingKey::from_ed_der(key)))
    }

    fn p256(point: &[u8]) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::Unusable)?;
        let [0x04, coordinates @ ..] = point else {
            return Err(KeyError::Unusable);
        };
        let (x, y) = coordinates.split_at_checked(32).ok_or(KeyError::Unusable)?;
        let numbers = PublicNumbers::P256 { x: encode(x), y: encode(y) };
        Ok(Self::public(KeyAlgorithm::Es256, numbers, DecodingKey::from_ec_der(point)))
    }

    fn rsa(key: &RsaPublicKeyComponents<Vec<u8>>) -> Result<Self, KeyError> {
        let unused = key.n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = key.n.len() * 8 - unused;
        if bits < *RSA_BITS.start() {
            return Err(KeyError::ShortRsa);
        }
        if bits > *RSA_BITS.end() {
            return Err(KeyError::LongRsa);
        }
        key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| KeyError::Unusable)?;
        let numbers = PublicNumbers::Rsa { n: encode(&key.n), e: encode(&key.e) };
        let decoding = DecodingKey::from_rsa_raw_components(&key.n, &key.e);
        Ok(Self::public(KeyAlgorithm::Rs256, numbers, decoding))
    }

    fn public(algorithm: KeyAlgorithm, numbers: PublicNumbers, decoding: DecodingKey) -> Self {
        let kid = numbers.thumbprint();
        Self { algorithm, kid, numbers: Some(numbers), decoding }
    }

    /// The only algorithm that it verifies.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Its name. Of a secret it tells nothing: a part of an HMAC under it. Of a public key it is the thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What anybody may see; a secret has nothing of that kind.
    #[must_use]
    pub fn numbers(&self) -> Option<&PublicNumbers> {
        self.numbers.as_ref()
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// What a new key is tried with.
#[derive(Serialize, Deserialize)]
struct Probe {}

/// A key that signs, and verifies what it signed.
#[derive(Clone)]
pub struct SigningKey {
    verifying: VerifyingKey,
    encoding: EncodingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.verifying).finish()
    }
}

impl SigningKey {
    /// HS256.
    #[must_use]
    pub fn secret(secret: &SecretString) -> Self {
        let encoding = EncodingKey::from_secret(secret.expose_secret().as_bytes());
        Self { verifying: VerifyingKey::secret(secret), encoding }
    }

    /// Reads the PEM of a private key: PKCS #8, also SEC 1 for P-256 and PKCS #1 for RSA.
    ///
    /// # Errors
    /// [`KeyError`] says why it is no key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let (kind, der) = section(pem)?;
        let key = match kind {
            SectionKind::PrivateKey => Self::pkcs8(&der, pem)?,
            SectionKind::EcPrivateKey => {
                Self::p256(&EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der))?
            }
            SectionKind::RsaPrivateKey => Self::rsa(&RsaKeyPair::from_der(&der), pem)?,
            _ => return Err(KeyError::PublicOnly),
        };
        // Some keys can be read and not used: an RSA key that is for PSS only, two halves that do not fit.
        let probe = jws::sign(&key, &Probe {}).map_err(|_| KeyError::Unusable)?;
        let read: Option<Probe> = jws::open(&probe, std::slice::from_ref(&key.verifying));
        read.map(|_| key).ok_or(KeyError::Unusable)
    }

    fn pkcs8(der: &[u8], pem: &SecretString) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let verifying = VerifyingKey::ed25519(pair.public_key().as_ref())?;
            return Ok(Self { verifying, encoding: EncodingKey::from_ed_der(der) });
        }
        match Self::p256(&EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)) {
            Ok(key) => Ok(key),
            Err(_) => Self::rsa(&RsaKeyPair::from_pkcs8(der), pem),
        }
    }

    fn p256(pair: &Result<EcdsaKeyPair, KeyRejected>) -> Result<Self, KeyError> {
        let pair = pair.as_ref().map_err(|_| KeyError::Unusable)?;
        let verifying = VerifyingKey::p256(pair.public_key().as_ref())?;
        let der = pair.to_pkcs8v1().map_err(|_| KeyError::Unusable)?;
        Ok(Self { verifying, encoding: EncodingKey::from_ec_der(der.as_ref()) })
    }

    fn rsa(pair: &Result<RsaKeyPair, KeyRejected>, pem: &SecretString) -> Result<Self, KeyError> {
        // The library tells its reasons apart by their text alone.
        let pair = pair.as_ref().map_err(|rejected| match rejected.to_string().as_str() {
            "TooSmall" => KeyError::ShortRsa,
            "TooLarge" => KeyError::LongRsa,
            _ => KeyError::Unusable,
        })?;
        let verifying = VerifyingKey::rsa(&RsaPublicKeyComponents::from(pair.public_key()))?;
        let encoding = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes());
        Ok(Self { verifying, encoding: encoding.map_err(|_| KeyError::Unusable)? })
    }

    /// The half that verifies.
    #[must_use]
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

/// The one key of a PEM text.
fn section(pem: &SecretString) -> Result<(SectionKind, Vec<u8>), KeyError> {
    let text = pem.expose_secret();
    if text.contains("ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    let mut found = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|_| KeyError::NoKey)?;
        let is_key = matches!(
            kind,
            SectionKind::PrivateKey
                | SectionKind::EcPrivateKey
                | SectionKind::RsaPrivateKey
                | SectionKind::PublicKey
        );
        if is_key && found.replace((kind, der)).is_some() {
            return Err(KeyError::SeveralKeys);
        }
    }
    found.ok_or(KeyError::NoKey)
}
