//! Keys that sign and verify tokens, and their public halves as JWKs (RFC 7517).
//!
//! A key has one fixed algorithm, which no token can change (RFC 8725, section 3.1). Its id, `kid`, is computed from the
//! key, so all servers that have the key use the same id.

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
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, crypto,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use rustls_pki_types::pem::{PemObject, SectionKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The allowed lengths of an RSA modulus in bits (RFC 7518, section 3.3; the library's own upper limit).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The `kid` of a secret is the HMAC of this text. The text contains a space, so it can never be the signed part of a
/// token.
const KID_LABEL: &[u8] = b"loopin-auth kid 1";

/// How many bytes of that HMAC the `kid` contains: enough to tell keys apart.
const KID_BYTES: usize = 12;

/// The DER bytes before the 32 bytes of an Ed25519 public key (RFC 8410, section 4).
const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The DER bytes before the 65 bytes of an uncompressed P-256 point (RFC 5480, section 2).
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The first byte of a P-256 point whose two coordinates follow (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// What a new signing key signs to prove that it works.
const PROBE: &[u8] = b"probe";

/// How a key signs, named as in RFC 7518 and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// HMAC with SHA-256: a server that can verify can also sign.
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

    pub(crate) fn as_jwt_algorithm(self) -> Algorithm {
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

/// The text is not the name of a supported algorithm.
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

/// Why a text is not a usable key. Each sentence continues "the file".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM section with a key.
    #[error("holds no key in PEM form")]
    NoKey,
    /// Several keys, so it is not clear which one is meant.
    #[error("holds more than one key")]
    SeveralKeys,
    /// An encrypted key: the server cannot ask for a password when it starts.
    #[error("holds an encrypted key: remove its password, and restrict who can read the file")]
    Encrypted,
    /// A public key cannot sign.
    #[error("holds a public key, but only a private key can sign")]
    PublicOnly,
    /// A key of another type, or a damaged one.
    #[error("holds a key that is not Ed25519, P-256 or RSA, or is damaged")]
    Unusable,
    /// An RSA key that is too weak.
    #[error("holds an RSA key of less than 2048 bits")]
    ShortRsa,
    /// An RSA key that is too slow.
    #[error("holds an RSA key of more than 8192 bits")]
    LongRsa,
}

/// Signing failed. This cannot happen with a key that was tested when it was read, so there are no details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub struct SigningError;

/// SHA-256 in URL-safe Base64.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, bytes))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that verifies tokens.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: KeyAlgorithm,
    kid: String,
    /// `None` for a secret.
    jwk: Option<Jwk>,
    decoding: DecodingKey,
}

// Written by hand so that no part of a key gets into a log.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// Makes an HS256 key from a secret.
    #[must_use]
    pub fn secret(secret: &SecretString) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let tag = hmac::sign(&key, KID_LABEL);
        Self {
            algorithm: KeyAlgorithm::Hs256,
            kid: encode(tag.as_ref().get(..KID_BYTES).unwrap_or_default()),
            jwk: None,
            decoding: DecodingKey::from_secret(secret.expose_secret().as_bytes()),
        }
    }

    /// Reads the PEM of a public key, or of a private key, and keeps the public half only.
    ///
    /// # Errors
    /// A [`KeyError`] when the PEM does not contain exactly one usable key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        match section(pem)? {
            (SectionKind::PublicKey, der) => Self::from_spki(&der),
            _ => SigningKey::from_pem(pem).map(|key| key.verifying),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`.
    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(key) = der.strip_prefix(ED25519_PREFIX) {
            return Self::ed25519(key);
        }
        if let Some(point) = der.strip_prefix(P256_PREFIX) {
            return Self::p256(point);
        }
        let key = rsa::PublicKey::from_der(der).map_err(|_| KeyError::Unusable)?;
        Self::rsa(&RsaPublicKeyComponents::from(&key))
    }

    /// Reads a public key of a JWK set (RFC 7517) that signs with this algorithm. `None` if it is no such key, or too weak.
    #[must_use]
    pub fn from_jwk(jwk: &Value, algorithm: KeyAlgorithm) -> Option<Self> {
        let is = |name: &str, wanted: &str| jwk.get(name).and_then(Value::as_str) == Some(wanted);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok();
        match algorithm {
            KeyAlgorithm::EdDsa if is("kty", "OKP") && is("crv", "Ed25519") => {
                Self::ed25519(&bytes("x")?).ok()
            }
            KeyAlgorithm::Es256 if is("kty", "EC") && is("crv", "P-256") => {
                Self::p256(&[vec![UNCOMPRESSED], bytes("x")?, bytes("y")?].concat()).ok()
            }
            KeyAlgorithm::Rs256 if is("kty", "RSA") => {
                Self::rsa(&RsaPublicKeyComponents { n: bytes("n")?, e: bytes("e")? }).ok()
            }
            // A key of another kind; and a secret is never published.
            KeyAlgorithm::Hs256 | KeyAlgorithm::EdDsa | KeyAlgorithm::Es256 | KeyAlgorithm::Rs256 => None,
        }
    }

    fn ed25519(key: &[u8]) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&ED25519, key).map_err(|_| KeyError::Unusable)?;
        Self::public(KeyAlgorithm::EdDsa, DecodingKey::from_ed_der(key))
    }

    fn p256(point: &[u8]) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::Unusable)?;
        Self::public(KeyAlgorithm::Es256, DecodingKey::from_ec_der(point))
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
        Self::public(KeyAlgorithm::Rs256, DecodingKey::from_rsa_raw_components(&key.n, &key.e))
    }

    /// Adds the JWK and its thumbprint (RFC 7638) to a public key.
    fn public(algorithm: KeyAlgorithm, decoding: DecodingKey) -> Result<Self, KeyError> {
        let jwk = Jwk::from_decoding_key(&decoding, Some(algorithm.as_jwt_algorithm()));
        let mut jwk = jwk.map_err(|_| KeyError::Unusable)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| KeyError::Unusable)?;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(kid.clone());
        Ok(Self { algorithm, kid, jwk: Some(jwk), decoding })
    }

    /// The only algorithm that this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The key's id: the thumbprint of a public key, or a part of an HMAC made with a secret, which does not reveal it.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a JWK; `None` for a secret, which must stay private.
    #[must_use]
    pub fn jwk(&self) -> Option<&Jwk> {
        self.jwk.as_ref()
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

/// A key that signs tokens, with the key that verifies them.
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
    /// Makes an HS256 key from a secret.
    #[must_use]
    pub fn secret(secret: &SecretString) -> Self {
        let encoding = EncodingKey::from_secret(secret.expose_secret().as_bytes());
        Self { verifying: VerifyingKey::secret(secret), encoding }
    }

    /// Reads the PEM of a private key: PKCS #8, SEC 1 (P-256) or PKCS #1 (RSA).
    ///
    /// # Errors
    /// A [`KeyError`] when the PEM does not contain exactly one private key that can sign.
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
        // Some keys can be read but not used: an RSA key for PSS only, or two halves that do not belong together.
        if key.works() { Ok(key) } else { Err(KeyError::Unusable) }
    }

    /// Whether the two halves belong together.
    fn works(&self) -> bool {
        let algorithm = self.verifying.algorithm.as_jwt_algorithm();
        crypto::sign(PROBE, &self.encoding, algorithm)
            .and_then(|signature| crypto::verify(&signature, PROBE, &self.verifying.decoding, algorithm))
            .unwrap_or(false)
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
        // The library only distinguishes its errors by their text.
        let pair = pair.as_ref().map_err(|rejected| match rejected.to_string().as_str() {
            "TooSmall" => KeyError::ShortRsa,
            "TooLarge" => KeyError::LongRsa,
            _ => KeyError::Unusable,
        })?;
        let verifying = VerifyingKey::rsa(&RsaPublicKeyComponents::from(pair.public_key()))?;
        let encoding = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes());
        Ok(Self { verifying, encoding: encoding.map_err(|_| KeyError::Unusable)? })
    }

    /// The public half.
    #[must_use]
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

/// The only key in a PEM text.
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
