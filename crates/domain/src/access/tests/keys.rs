//! Keys: reading files, key ids, and the examples of the standards.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;

use super::*;

/// The private key of RFC 8037, appendix A.1.
pub const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";

/// The public key of RFC 7515, appendix A.3.
const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0\
    s2ldbqkLJK2KRiMohYjlrQ==";

/// The public key of RFC 7638, section 3.1.
const RSA: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbf\
    AAtVT86zwu1RK7aPFFxuhDR1L6tSoc/BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ/2W+5JsGY4Hc5n9yBXArwl93lqt7/RN5w6Cf0h4QyQ5v+65YGjQ\
    R0/FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt+bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3\
    XPksINHaQ+G/xBniIqbw0Ls1jF44+csFCur+kEgU8awapJzKnqDKgwIDAQAB";

/// Both halves of a key of 1,024 bits, made for this test by OpenSSL.
const SHORT_PRIVATE: &str = "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAKSLTOAEe2pQKPkSupDq8tu43/m4MGbetHfh9o5XKsMdQ8yg\
    SBqHL5hMbviII2/QbBddJdFQ7eqFDRJgjNvwyfgCDEpPx4EHMZYFjpdj5Qfi3DDbZlnroGvfuvrg/btHc4ME/Ohk04ZfxD1IOLPSmtvlQDXaX/kGyKTp\
    FFuQ/QsbAgMBAAECgYANsDj4+eZ6daiy78ftfl4twTeAwr3kEOrafkXQmZfJG4okX8Ef09c1yEYDDvBDwQb8+pbGzwC73c20lauiMGncwcifMfYYKoET\
    xkmhrTjRfwM7fPAcDkkHffI31U7iQl9K+FGqAcYsmeFEZBnHmC5bcjLJ2DnynLm/K1swpj4FwQJBAM77cNyx4cIH2iYQrBW7JQF/OhjgOFKiPqWeaGqf\
    pgQCWtG5VCQ4oJZQsvBGmJru6wKnqcTf/1e9yiewh0+VOekCQQDLgv+ky+V8sxyhceZ5zwqEu7Iye/E3FlJ2so66a0A3KSiYGBVPz2A+YEap6+wrjzjL\
    Y5Rk9TrrgP+0UcxMvLZjAkAm7OiTyKxBVkKzZ+1FBPX3qxqc9QYCnFqVwQ24B6AsHtk/mc/2I+QngLO2NkCa2pW94RQvX0ThFmM/RZac496JAkEApx4e\
    wfwxqjIHK8g1pAdRsufTEEPZNAxfkVtVe14BMIra6/Ky5YP8m5xByt2SZb7Ju7M9M55xUNzwnemh483/0wJAVirFjWlRxgV+DTz+M5cweYzGa4WbFx8C\
    jl8J0wfR1/iU6RJjmsIl/zaXxSvWQ/v33Vw9tQq0nrlIbfE71urzVQ==";
const SHORT_PUBLIC: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCki0zgBHtqUCj5ErqQ6vLbuN/5uDBm3rR34faOVyrDHUPMoEgahy+YTG74\
    iCNv0GwXXSXRUO3qhQ0SYIzb8Mn4AgxKT8eBBzGWBY6XY+UH4tww22ZZ66Br37r64P27R3ODBPzoZNOGX8Q9SDiz0prb5UA12l/5Bsik6RRbkP0LGwIDAQAB";

/// One key of each algorithm, in PEM form. RSA takes a while to make.
pub static PEMS: LazyLock<[(KeyAlgorithm, SecretString); 3]> = LazyLock::new(|| {
    [KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256]
        .map(|algorithm| (algorithm, make(algorithm)))
});

/// A new key in PEM form.
pub fn make(algorithm: KeyAlgorithm) -> SecretString {
    let ec = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let der = match algorithm {
        KeyAlgorithm::Hs256 => panic!("HS256 has a secret, and no pair"),
        KeyAlgorithm::EdDsa => Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec(),
        KeyAlgorithm::Es256 => EcdsaKeyPair::generate(ec).unwrap().to_pkcs8v1().unwrap().as_ref().to_vec(),
        KeyAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            der.as_ref().to_vec()
        }
    };
    pem("PRIVATE KEY", &STANDARD.encode(der))
}

pub fn signing(algorithm: KeyAlgorithm) -> SigningKey {
    let pem = PEMS.iter().find(|(known, _)| *known == algorithm).map(|(_, pem)| pem);
    SigningKey::from_pem(pem.unwrap()).unwrap()
}

pub fn pem(label: &str, body: &str) -> SecretString {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into()
}

fn private(body: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(&pem("PRIVATE KEY", body))
}

fn public(body: &str) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::from_pem(&pem("PUBLIC KEY", body))
}

/// The Base64 text of a PEM.
fn body(pem: &SecretString) -> String {
    pem.expose_secret().lines().filter(|line| !line.starts_with("-----")).collect()
}

fn verifies(key: &VerifyingKey, jws: &str) -> bool {
    let (message, signature) = jws.rsplit_once('.').unwrap();
    is_signed(key, message.as_bytes(), signature)
}

/// A member of the key's JWK.
pub fn member(key: &VerifyingKey, name: &str) -> String {
    let jwk = serde_json::to_value(key.jwk().unwrap()).unwrap();
    jwk[name].as_str().unwrap_or_else(|| panic!("{jwk} has a {name}")).to_owned()
}

/// The signature in URL-safe Base64.
pub fn signature_of(key: &SigningKey, message: &[u8]) -> String {
    let algorithm = key.verifying().algorithm().as_jwt_algorithm();
    jsonwebtoken::crypto::sign(message, key.encoding(), algorithm).unwrap()
}

fn is_signed(key: &VerifyingKey, message: &[u8], signature: &str) -> bool {
    let verified =
        jsonwebtoken::crypto::verify(signature, message, key.decoding(), key.algorithm().as_jwt_algorithm());
    // An error means that the key is not for this algorithm.
    verified.unwrap_or(false)
}

#[test]
fn the_examples_of_the_standards_hold() {
    // RFC 8037, appendix A: the key, its thumbprint, and the only possible signature of that message.
    let key = private(ED25519).unwrap();
    assert_eq!(key.verifying().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    assert_eq!(member(key.verifying(), "kty"), "OKP");
    assert_eq!(member(key.verifying(), "crv"), "Ed25519");
    assert_eq!(member(key.verifying(), "x"), x);
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(signature_of(&key, message.as_bytes()), signature);
    assert!(verifies(key.verifying(), &format!("{message}.{signature}")));

    // RFC 7515, appendix A.3.
    let key = public(P256).unwrap();
    let message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij\
        p0cnVlfQ";
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verifies(&key, &format!("{message}.{signature}")));
    assert!(!verifies(&key, &format!("{message}X.{signature}")));
    assert_eq!(key.algorithm(), KeyAlgorithm::Es256);
    let [x, y] =
        ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
    assert_eq!(["kty", "crv", "x", "y"].map(|name| member(&key, name)), ["EC", "P-256", x, y]);

    // RFC 7638, section 3.1.
    let key = public(RSA).unwrap();
    assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(key.algorithm(), KeyAlgorithm::Rs256);
}

#[test]
fn a_secret_is_called_something_that_does_not_give_it_away() {
    // Computed with Python's hmac, cut to 12 bytes.
    assert_eq!(VerifyingKey::secret(&SECRET.into()).kid(), "eaOvnn7ZhghdB888");
    assert_ne!(VerifyingKey::secret(&format!("{SECRET}!").into()).kid(), "eaOvnn7ZhghdB888");
    assert_eq!(VerifyingKey::secret(&SECRET.into()).jwk(), None);
}

#[test]
fn a_key_signs_for_itself_only() {
    let keys: Vec<SigningKey> = PEMS.iter().map(|(_, pem)| SigningKey::from_pem(pem).unwrap()).collect();
    let secret = SigningKey::secret(&SECRET.into());
    let all: Vec<&SigningKey> = keys.iter().chain([&secret]).collect();
    for (place, key) in all.iter().enumerate() {
        let signature = signature_of(key, b"a message");
        for (other_place, other) in all.iter().enumerate() {
            let is_verified = is_signed(other.verifying(), b"a message", &signature);
            assert_eq!(is_verified, place == other_place, "{key:?} {other:?}");
        }
        assert!(!is_signed(key.verifying(), b"another message", &signature));
        assert!(!is_signed(key.verifying(), b"a message", ""));
    }
}

#[test]
fn the_public_half_has_the_same_name() {
    for (algorithm, pem) in PEMS.iter() {
        let key = SigningKey::from_pem(pem).unwrap();
        let half = VerifyingKey::from_pem(pem).unwrap();
        assert_eq!((half.algorithm(), half.kid()), (*algorithm, key.verifying().kid()));
        assert!(is_signed(&half, b"m", &signature_of(&key, b"m")));
    }
}

#[test]
fn older_forms_of_private_keys_are_read() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let key = SigningKey::from_pem(&pem("EC PRIVATE KEY", &STANDARD.encode(sec1.as_ref()))).unwrap();
    let modern = private(&STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref())).unwrap();
    assert_eq!(key.verifying().kid(), modern.verifying().kid());

    // PKCS #8 is PKCS #1 after 26 bytes that say that it is RSA.
    let pkcs8 = STANDARD.decode(body(&PEMS[2].1)).unwrap();
    let key = SigningKey::from_pem(&pem("RSA PRIVATE KEY", &STANDARD.encode(&pkcs8[26..]))).unwrap();
    assert_eq!(key.verifying().kid(), signing(KeyAlgorithm::Rs256).verifying().kid());
}

#[test]
fn openssls_parameters_before_a_key_are_passed_over() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let text = format!(
        "{}{}",
        pem("EC PARAMETERS", "BggqhkjOPQMBBw==").expose_secret(),
        pem("EC PRIVATE KEY", &STANDARD.encode(sec1.as_ref())).expose_secret()
    );
    assert_eq!(SigningKey::from_pem(&text.into()).unwrap().verifying().algorithm(), KeyAlgorithm::Es256);
}

#[test]
fn what_is_no_key_is_told_apart() {
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let p384 = STANDARD.encode(p384.to_pkcs8v1().unwrap().as_ref());
    let whole = STANDARD.decode(ED25519).unwrap();
    let damaged = STANDARD.encode(&whole[..whole.len() - 1]);
    let armour = pem("PRIVATE KEY", ED25519);
    let twice = format!("{0}{0}", armour.expose_secret());
    for (text, expected) in [
        (SecretString::from(""), KeyError::NoKey),
        (SecretString::from(ED25519), KeyError::NoKey),
        (pem("PRIVATE KEY", "no base64 at all!"), KeyError::NoKey),
        (pem("CERTIFICATE", ED25519), KeyError::NoKey),
        (twice.into(), KeyError::SeveralKeys),
        (pem("ENCRYPTED PRIVATE KEY", ED25519), KeyError::Encrypted),
        (
            pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA"),
            KeyError::Encrypted,
        ),
        (pem("PUBLIC KEY", P256), KeyError::PublicOnly),
        (pem("PRIVATE KEY", &p384), KeyError::Unusable),
        (pem("PRIVATE KEY", &damaged), KeyError::Unusable),
        (pem("PRIVATE KEY", "AAAA"), KeyError::Unusable),
        (pem("EC PRIVATE KEY", ED25519), KeyError::Unusable),
        (pem("RSA PRIVATE KEY", ED25519), KeyError::Unusable),
        (pem("PRIVATE KEY", SHORT_PRIVATE), KeyError::ShortRsa),
    ] {
        assert_eq!(SigningKey::from_pem(&text).err(), Some(expected), "{}", text.expose_secret());
    }
    assert_eq!(public(SHORT_PUBLIC).err(), Some(KeyError::ShortRsa));
    assert_eq!(public("AAAA").err(), Some(KeyError::Unusable));
    // A point that is not on the curve: the last coordinate has one bit too many.
    let mut point = STANDARD.decode(P256).unwrap();
    *point.last_mut().unwrap() ^= 1;
    assert_eq!(public(&STANDARD.encode(&point)).err(), Some(KeyError::Unusable));
}

#[test]
fn no_part_of_a_key_is_shown() {
    for (_, pem) in PEMS.iter() {
        let key = SigningKey::from_pem(pem).unwrap();
        let shown = format!("{key:?} {:?}", key.verifying());
        assert!(shown.contains(key.verifying().kid()), "{shown}");
        assert!(!shown.contains(&body(pem)[..40]) && shown.len() < 400, "{shown}");
    }
}

#[test]
fn an_algorithm_has_one_name() {
    for algorithm in [KeyAlgorithm::Hs256, KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256] {
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
    }
    for name in ["none", "hs256", "HS512", "PS256", "Ed25519", ""] {
        assert_eq!(name.parse::<KeyAlgorithm>(), Err(UnknownAlgorithm), "{name}");
    }
}
