//! Tokens that must be refused, and tokens during a change of keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    keys::{PEMS, make, member, signature_of, signing},
    *,
};

/// The Ed25519 key signs; a key of each other algorithm verifies too.
fn house() -> TokenKeys {
    let others = [KeyAlgorithm::Es256, KeyAlgorithm::Rs256].map(|other| signing(other).verifying().clone());
    let secret = VerifyingKey::secret(&SECRET.into());
    TokenKeys::new(signing(KeyAlgorithm::EdDsa), others.into_iter().chain([secret]).collect(), policy())
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn kid(algorithm: KeyAlgorithm) -> String {
    match algorithm {
        KeyAlgorithm::Hs256 => VerifyingKey::secret(&SECRET.into()).kid().to_owned(),
        other => signing(other).verifying().kid().to_owned(),
    }
}

/// A token with any header and any claims, signed by any key.
fn forged(header: &str, claims: &str, key: &SigningKey) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = signature_of(key, message.as_bytes());
    format!("{message}.{signature}")
}

fn good_claims() -> String {
    serde_json::to_string(&claims()).unwrap()
}

#[track_caller]
fn refused(keys: &TokenKeys, why: &str, token: &str) {
    assert_eq!(keys.read(token, TokenType::Access, now()).err(), Some(TokenError::Invalid), "{why}");
    assert_eq!(keys.read_any_age(token).err(), Some(TokenError::Invalid), "{why}");
}

#[track_caller]
fn taken(keys: &TokenKeys, why: &str, token: &str) {
    assert!(keys.read(token, TokenType::Access, now()).is_ok(), "{why}");
}

#[test]
fn what_we_did_not_sign_is_invalid() {
    let good = serde_json::to_value(claims()).unwrap();
    let (head, signature) = VECTOR.rsplit_once('.').unwrap();
    let body = head.split_once('.').unwrap().1;
    for (why, token) in [
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("many dots", ".".repeat(4000)),
        ("no signature", format!("{head}.")),
        ("half a signature", format!("{head}.{}", &signature[..20])),
        ("two parts", format!("{body}.{signature}")),
        ("five parts", format!("{VECTOR}.{body}.{signature}")),
        ("alg none", format!("{}.{body}.", encode(r#"{"alg":"none","typ":"JWT"}"#))),
        ("alg none with a signature", format!("{}.{body}.{signature}", encode(r#"{"alg":"none"}"#))),
        ("alg nOnE", format!("{}.{body}.{signature}", encode(r#"{"alg":"nOnE"}"#))),
        ("another secret", signed(Algorithm::HS256, "another token secret of 32 bytes!", &good)),
        ("HS384", signed(Algorithm::HS384, SECRET, &good)),
        ("HS512", signed(Algorithm::HS512, SECRET, &good)),
        ("no exp", VECTOR_WITHOUT_EXP.to_owned()),
        ("a space", format!("{VECTOR} ")),
        ("a line", format!("{VECTOR}\n")),
        ("padding", format!("{VECTOR}=")),
        ("twice", format!("{VECTOR}.{VECTOR}")),
        ("huge", "a".repeat(4097)),
        ("huge and of three parts", format!("{head}.{}", "A".repeat(1_000_000))),
        ("other letters", format!("{head}.{}", "é".repeat(21))),
    ] {
        refused(&keys(), why, &token);
    }
}

#[test]
fn a_key_keeps_to_its_algorithm() {
    let house = house();
    let all = [KeyAlgorithm::Hs256, KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256];
    let key_of = |algorithm| match algorithm {
        KeyAlgorithm::Hs256 => SigningKey::secret(&SECRET.into()),
        other => signing(other),
    };
    // Every algorithm in the header with every kid and every signer: a token is valid only if all three agree.
    for alg in all {
        for named in all {
            for signer in all {
                let header = json!({ "alg": alg.as_str(), "kid": kid(named) }).to_string();
                let token = forged(&header, &good_claims(), &key_of(signer));
                let why = format!("{alg} {named} {signer}");
                if alg == named && named == signer {
                    taken(&house, &why, &token);
                } else {
                    refused(&house, &why, &token);
                }
            }
        }
    }
    // Without a kid only a secret is tried: other keys never signed such tokens.
    for algorithm in all {
        let token =
            forged(&json!({ "alg": algorithm.as_str() }).to_string(), &good_claims(), &key_of(algorithm));
        let is_taken = house.read(&token, TokenType::Access, now()).is_ok();
        assert_eq!(is_taken, algorithm == KeyAlgorithm::Hs256, "{algorithm}");
    }
}

/// A public key used as a secret (CVE-2015-9235).
#[test]
fn the_bytes_of_a_public_key_are_no_secret() {
    let house = house();
    for (algorithm, pem) in PEMS.iter() {
        let key = VerifyingKey::from_pem(pem).unwrap();
        let mut guesses = vec![key.kid().to_owned(), pem.expose_secret().to_owned()];
        match algorithm {
            KeyAlgorithm::Hs256 => panic!("a secret has no public half"),
            KeyAlgorithm::EdDsa => guesses.push(member(&key, "x")),
            KeyAlgorithm::Es256 => {
                let [x, y] = ["x", "y"].map(|name| member(&key, name));
                guesses.extend([format!("{x}{y}"), x, y]);
            }
            KeyAlgorithm::Rs256 => guesses.extend(["n", "e"].map(|name| member(&key, name))),
        }
        for guess in guesses {
            let secret = SigningKey::secret(&guess.into());
            for header in [
                json!({ "alg": "HS256", "kid": key.kid() }),
                json!({ "alg": "HS256" }),
                json!({ "alg": algorithm.as_str(), "kid": key.kid() }),
                json!({ "alg": "HS256", "kid": secret.verifying().kid() }),
            ] {
                refused(&house, &header.to_string(), &forged(&header.to_string(), &good_claims(), &secret));
            }
        }
    }
}

#[test]
fn a_header_brings_no_key_and_makes_no_demands() {
    let house = house();
    let stranger = SigningKey::from_pem(&make(KeyAlgorithm::EdDsa)).unwrap();
    let x = member(stranger.verifying(), "x");
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid(KeyAlgorithm::EdDsa) });
    for extra in [
        json!({ "jwk": jwk }),
        json!({ "jku": "https://attacker.example/jwks.json" }),
        json!({ "x5u": "https://attacker.example/x5u.pem" }),
        json!({ "x5c": ["MIIB"] }),
    ] {
        for name in [kid(KeyAlgorithm::EdDsa), stranger.verifying().kid().to_owned()] {
            let mut header = json!({ "alg": "EdDSA", "kid": name });
            header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            refused(&house, &header.to_string(), &forged(&header.to_string(), &good_claims(), &stranger));
        }
    }
    let own = kid(KeyAlgorithm::EdDsa);
    for (header, is_taken) in [
        (format!(r#"{{"alg":"EdDSA","kid":"{own}"}}"#), true),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","jku":"https://attacker.example/"}}"#), true),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","crit":["exp"]}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","crit":["b64"],"b64":false}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","crit":[]}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","crit":null}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","crit":null,"crit":["exp"]}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","crit":"exp"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","typ":null}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","typ":["JWT"]}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","jwk":null}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","other":null}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","other":{{"crit":null}}}}"#), true),
        (r#"{"alg":"EdDSA","kid":null}"#.to_owned(), false),
        (format!(r#"{{"alg":null,"kid":"{own}"}}"#), false),
        (format!(r#"{{"alg":1,"kid":"{own}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{own}"}}"#), false),
        (format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{own}"}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}","kid":"{own}"}}"#), false),
        (format!(r#"{{"alg":["EdDSA"],"kid":"{own}"}}"#), false),
        (format!(r#"{{"alg":"eddsa","kid":"{own}"}}"#), false),
        (format!(r#"{{"kid":"{own}"}}"#), false),
        (r#"{"alg":"EdDSA"}"#.to_owned(), false),
        (r#"{"alg":"EdDSA","kid":""}"#.to_owned(), false),
        (r#"{"alg":"EdDSA","kid":"../../dev/null"}"#.to_owned(), false),
        (format!(r#"{{"alg":"EdDSA","kid":["{own}"]}}"#), false),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}"}} "#), true),
        (format!(r#"{{"alg":"EdDSA","kid":"{own}"}}x"#), false),
        ("[]".to_owned(), false),
        ("null".to_owned(), false),
        (String::new(), false),
    ] {
        let token = forged(&header, &good_claims(), &signing(KeyAlgorithm::EdDsa));
        assert_eq!(house.read(&token, TokenType::Access, now()).is_ok(), is_taken, "{header}");
    }
}

#[test]
fn claims_are_whole_and_said_once() {
    let key = signing(KeyAlgorithm::EdDsa);
    let header = json!({ "alg": "EdDSA", "kid": kid(KeyAlgorithm::EdDsa) }).to_string();
    let good = serde_json::to_value(claims()).unwrap();
    taken(&house(), "all is well", &forged(&header, &good.to_string(), &key));
    for name in ["token_type", "user_id", "sid", "jti", "iat", "exp"] {
        for value in [Value::Null, json!({}), json!([good[name]]), json!("nonsense"), json!(1.5)] {
            let mut claims = good.clone();
            claims[name] = value.clone();
            refused(&house(), &format!("{name} {value}"), &forged(&header, &claims.to_string(), &key));
        }
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        refused(&house(), &format!("no {name}"), &forged(&header, &claims.to_string(), &key));
        let twice = format!("{{\"{name}\":{},{}", good[name], &good.to_string()[1..]);
        refused(&house(), &twice, &forged(&header, &twice, &key));
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1400), "]".repeat(1400));
    for nonsense in ["", "null", "[]", "{}", "1", "{", &deep, &format!("{good}{good}")] {
        refused(&house(), nonsense, &forged(&header, nonsense, &key));
    }
}

#[test]
fn a_token_is_not_valid_before_its_time() {
    let key = signing(KeyAlgorithm::EdDsa);
    let header = json!({ "alg": "EdDSA", "kid": kid(KeyAlgorithm::EdDsa) }).to_string();
    let token = |nbf: &Value| {
        let mut claims = serde_json::to_value(claims()).unwrap();
        claims["nbf"] = nbf.clone();
        forged(&header, &claims.to_string(), &key)
    };
    let second = now().timestamp();
    for nbf in [0, -1, second - 1, second] {
        taken(&house(), &nbf.to_string(), &token(&json!(nbf)));
    }
    for nbf in [second + 1, i64::MAX] {
        let read = house().read(&token(&json!(nbf)), TokenType::Access, now());
        assert_eq!(read.err(), Some(TokenError::Invalid), "{nbf}");
        // Logout works whatever the times in the token are.
        assert!(house().read_any_age(&token(&json!(nbf))).is_ok(), "{nbf}");
    }
    for nbf in [Value::Null, json!("0"), json!([0]), json!({}), json!(true), json!(0.5), json!(1e30)] {
        refused(&house(), &nbf.to_string(), &token(&nbf));
    }
}

#[test]
fn a_claim_that_may_be_left_out_is_of_its_type_where_it_is_there() {
    let key = signing(KeyAlgorithm::EdDsa);
    let header = json!({ "alg": "EdDSA", "kid": kid(KeyAlgorithm::EdDsa) }).to_string();
    for name in ["role", "phone_number", "email", "email_verified", "username", "iss", "aud"] {
        for value in [Value::Null, json!({}), json!([]), json!(["a"]), json!(1)] {
            let mut claims = serde_json::to_value(claims()).unwrap();
            claims[name] = value.clone();
            refused(&house(), &format!("{name} {value}"), &forged(&header, &claims.to_string(), &key));
        }
    }
}

/// Some Base64 decoders ignore unused bits at the end, so that one token has several texts.
#[test]
fn a_token_has_one_text() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let house = house();
    let token = house.issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
    let token = token.access.expose_secret();
    taken(&house, "all is well", token);
    // 64 bytes are 85 letters and two bits.
    let (front, last) = token.split_at(token.len() - 1);
    for letter in ALPHABET.chars().filter(|letter| !last.contains(*letter)) {
        refused(&house, "another last letter", &format!("{front}{letter}"));
    }
    for text in [
        format!("{token}=="),
        format!("{token}\u{0}"),
        token.replace('.', ".\n"),
        token.replacen('.', "=.", 1),
        format!("Bearer {token}"),
    ] {
        refused(&house, "another text", &text);
    }
}

#[test]
fn every_algorithm_signs_and_an_independent_reader_agrees() {
    for (algorithm, pem) in PEMS.iter() {
        let signer = TokenKeys::new(SigningKey::from_pem(pem).unwrap(), vec![], policy());
        let pair = signer.issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
        let token = pair.access.expose_secret();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.kid.as_deref(), Some(signer.verifying()[0].kid()));
        assert_eq!(header.typ.as_deref(), Some("JWT"));
        let key = DecodingKey::from_jwk(signer.verifying()[0].jwk().unwrap());
        let alg: Algorithm = algorithm.as_str().parse().unwrap();
        assert_eq!(header.alg, alg, "{algorithm}");
        let mut validation = Validation::new(alg);
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Claims>(token, &key.unwrap(), &validation).unwrap();
        assert_eq!((read.claims.user_id, read.claims.jti), (Uuid::from_u128(USER), Uuid::from_u128(JTI)));
        // The refresh token is the same, and with all but ES256 the same text.
        let again = signer.issue(&session(), &account(), Uuid::from_u128(1), now()).unwrap();
        let texts = [&pair, &again].map(|pair| pair.refresh.expose_secret().to_owned());
        let jtis = texts.each_ref().map(|text| signer.read(text, TokenType::Refresh, now()).unwrap().jti);
        assert_eq!(jtis[0], jtis[1]);
        assert_eq!(texts[0] == texts[1], *algorithm != KeyAlgorithm::Es256, "{algorithm}");
    }
}

#[test]
fn keys_change_and_tokens_go_on() {
    let [old, new] = [SigningKey::secret(&SECRET.into()), signing(KeyAlgorithm::EdDsa)];
    let halves = [old.verifying().clone(), new.verifying().clone()];
    let before = TokenKeys::new(old.clone(), vec![], policy());
    let announced = TokenKeys::new(old.clone(), vec![halves[1].clone()], policy());
    let after = TokenKeys::new(new.clone(), vec![halves[0].clone()], policy());
    let done = TokenKeys::new(new, vec![], policy());
    let token = |keys: &TokenKeys| {
        let pair = keys.issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
        pair.access.expose_secret().to_owned()
    };
    for (reader, reads_old, reads_new) in
        [(&before, true, false), (&announced, true, true), (&after, true, true), (&done, false, true)]
    {
        let reads = |token: &str| reader.read(token, TokenType::Access, now()).is_ok();
        assert_eq!((reads(&token(&before)), reads(&token(&after))), (reads_old, reads_new));
        // Signed before keys had names.
        assert_eq!(reads(VECTOR_WITHOUT_KID), reads_old);
    }
    // The signing key can also be in the list: it counts once.
    let listed = TokenKeys::new(old.clone(), vec![old.verifying().clone(); 2], policy());
    assert_eq!(listed.verifying().len(), 1);
}

/// An ES256 signature has a second form, (r, n - s). It is accepted, and is the same token with the same `jti`.
#[test]
fn another_spelling_of_a_signature_is_no_other_token() {
    let es256 = TokenKeys::new(signing(KeyAlgorithm::Es256), vec![], policy());
    let token = es256.issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
    let (head, signature) = token.access.expose_secret().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mirrored = [&signature[..32], &order_minus(&signature[32..])[..]].concat();
    assert_ne!(mirrored, signature);
    if let Ok(read) = es256.read(&format!("{head}.{}", encode(mirrored)), TokenType::Access, now()) {
        assert_eq!((read.jti, read.sid), (Uuid::from_u128(JTI), session().id));
    }
    // "Psychic signatures" (CVE-2022-21449), numbers out of range, and the DER of other libraries.
    let der = [&[0x30, 68, 2, 32], &signature[..32], &[2, 32], &signature[32..]].concat();
    for (why, bytes) in [
        ("zeros", vec![0; 64]),
        ("r is zero", [&[0; 32], &signature[32..]].concat()),
        ("s is zero", [&signature[..32], &[0; 32]].concat()),
        ("the order", [P256_ORDER, P256_ORDER].concat()),
        ("ones", vec![255; 64]),
        ("nothing", vec![]),
        ("half", signature[..32].to_vec()),
        ("one more", [&signature[..], &[0]].concat()),
        ("DER", der),
    ] {
        refused(&es256, why, &format!("{head}.{}", encode(bytes)));
    }
}

/// The number of points of P-256 (SEC 2, section 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn order_minus(number: &[u8]) -> [u8; 32] {
    let mut difference = P256_ORDER;
    let mut borrow = false;
    for (byte, less) in difference.iter_mut().zip(number).rev() {
        let (once, first) = byte.overflowing_sub(*less);
        let (twice, second) = once.overflowing_sub(u8::from(borrow));
        (*byte, borrow) = (twice, first || second);
    }
    difference
}

/// Explicit types keep what is signed for one purpose from passing for another (RFC 8725, section 3.11).
#[test]
fn a_token_of_another_type_is_none_of_ours() {
    let own = kid(KeyAlgorithm::EdDsa);
    for (typ, is_taken) in [
        (json!("JWT"), true),
        (json!("jwt"), true),
        (json!("at+jwt"), false),
        (json!("logout+jwt"), false),
        (json!("JWE"), false),
        (json!(""), false),
        (json!(["JWT"]), false),
        (json!(7), false),
    ] {
        let header = json!({ "alg": "EdDSA", "kid": own, "typ": typ }).to_string();
        let token = forged(&header, &good_claims(), &signing(KeyAlgorithm::EdDsa));
        assert_eq!(house().read(&token, TokenType::Access, now()).is_ok(), is_taken, "{typ}");
    }
    // A nested token and compressed claims: the signed content is not a JSON object.
    let inner = house().issue(&session(), &account(), Uuid::from_u128(JTI), now()).unwrap();
    for (extra, payload) in
        [("\"cty\":\"JWT\"", inner.access.expose_secret()), ("\"zip\":\"DEF\"", "\u{1}\u{2}\0{}")]
    {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{own}",{extra}}}"#);
        refused(&house(), extra, &forged(&header, payload, &signing(KeyAlgorithm::EdDsa)));
    }
}

#[test]
fn an_end_is_a_whole_number() {
    let key = signing(KeyAlgorithm::EdDsa);
    let header = json!({ "alg": "EdDSA", "kid": kid(KeyAlgorithm::EdDsa) }).to_string();
    let with_end = |end: &str| {
        let mut claims = serde_json::to_value(claims()).unwrap();
        claims["exp"] = "END".into();
        forged(&header, &claims.to_string().replace("\"END\"", end), &key)
    };
    for end in [
        "\"4102444800\"",
        "4102444800.0",
        "4102444800.5",
        "-0",
        "4.1e9",
        "1e300",
        "18446744073709551615",
        "true",
        "[1]",
    ] {
        refused(&house(), end, &with_end(end));
    }
    for end in ["-1", "0", "-9223372036854775808"] {
        let read = house().read(&with_end(end), TokenType::Access, now());
        assert_eq!(read.err(), Some(TokenError::Expired), "{end}");
    }
}
