//! `loopin-auth keys generate`, and a server that signs with what it made.

use serde_json::Value;

use crate::{
    server::{Folder, Server, run},
    support::PHONE,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_made_kept_and_used() {
    let folder = Folder::new();
    // It needs no settings, not even right ones.
    let said = run(&folder, &["keys", "generate"], &[("ENVIRONMENT", "nowhere")]);
    assert!(said.status.success(), "{}", said.err);
    let path = folder.0.join("jwt-key.pem");
    let pem = std::fs::read_to_string(&path).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "it is PKCS #8");
    assert!(!said.out.contains(pem.lines().nth(1).unwrap()), "the key itself is not shown");
    for line in ["JWT_ALGORITHM=EdDSA", "jwt-key.pem", "JWT_PREVIOUS_KEYS", "kid "] {
        assert!(said.out.contains(line), "{line} is not in:\n{}", said.out);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let settings = [("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", "jwt-key.pem")];
    let server = Server::start(&folder, &settings).await;
    server.signup(PHONE).await.ok();
    let code = server.code_for(PHONE).await;
    let signed_in = server.verify_otp(PHONE, &code).await.ok();
    let token = signed_in.body["token"].as_str().unwrap().to_owned();
    let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    assert!(said.out.contains(&format!("kid {kid}")), "{kid} is not in:\n{}", said.out);
    let keys = server.get("/.well-known/jwks.json").await;
    assert_eq!(keys.body["keys"][0]["kid"], Value::String(kid));
}

#[test]
fn a_key_that_is_there_is_left_alone() {
    let folder = Folder::new();
    folder.write("mine.pem", "mine");
    let said = run(&folder, &["keys", "generate", "--out", "mine.pem"], &[]);
    assert_eq!(said.status.code(), Some(1));
    assert!(said.err.contains("mine.pem exists already and is not overwritten"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(folder.0.join("mine.pem")).unwrap(), "mine");
    let said = run(&folder, &["keys", "generate", "--out", "no/such/folder.pem"], &[]);
    assert!(said.err.contains("no/such/folder.pem cannot be written"), "{}", said.err);
    for algorithm in ["ES256", "RS256"] {
        let out = format!("{algorithm}.pem");
        let said = run(&folder, &["keys", "generate", "--algorithm", algorithm, "--out", &out], &[]);
        assert!(said.out.contains(&format!("JWT_ALGORITHM={algorithm}")), "{}{}", said.out, said.err);
    }
    let said = run(&folder, &["keys", "generate", "--algorithm", "HS256", "--out", "new.pem"], &[]);
    assert!(said.err.contains("JWT_SECRET_KEY"), "{}", said.err);
    assert!(!folder.0.join("new.pem").exists());
    for (algorithm, name) in [("eddsa", "EdDSA"), ("es256", "ES256"), ("Rs256", "RS256")] {
        let said = run(&folder, &["keys", "generate", "--algorithm", algorithm, "--out", algorithm], &[]);
        assert!(said.out.contains(&format!("JWT_ALGORITHM={name}")), "{}{}", said.out, said.err);
    }
    let said = run(&folder, &["keys", "generate", "--algorithm", "none"], &[]);
    assert_eq!(said.status.code(), Some(2), "{}", said.err);
    assert!(said.err.contains("must be EdDSA, ES256 or RS256"), "{}", said.err);
}

#[test]
fn a_server_does_not_start_with_a_key_that_is_not_right() {
    let folder = Folder::new();
    let said = run(&folder, &["keys", "generate", "--out", "key.pem"], &[]);
    assert!(said.status.success(), "{}", said.err);
    for (settings, expected) in [
        ([("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", "")], "JWT_PRIVATE_KEY_FILE must be set"),
        ([("JWT_ALGORITHM", "RS256"), ("JWT_PRIVATE_KEY_FILE", "key.pem")], "holds a key for EdDSA"),
        ([("JWT_ALGORITHM", "EdDSA"), ("JWT_PREVIOUS_KEYS", "gone.pem")], "JWT_PREVIOUS_KEYS: item 1"),
    ] {
        let said = run(&folder, &[], &settings);
        assert_eq!(said.status.code(), Some(1));
        assert!(said.err.contains(expected), "{expected:?} is not in:\n{}", said.err);
    }
}
