//! `loopin-auth keys generate`, and a server that signs with the key.

use serde_json::Value;

use crate::{
    server::{Folder, Server, run},
    support::PHONE,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_made_kept_and_used() {
    let folder = Folder::new();
    // The command reads no settings, so wrong ones do not matter.
    let output = run(&folder, &["keys", "generate"], &[("ENVIRONMENT", "nowhere")]);
    assert!(output.status.success(), "{}", output.err);
    let path = folder.0.join("jwt-key.pem");
    let pem = std::fs::read_to_string(&path).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "it is PKCS #8");
    assert!(!output.out.contains(pem.lines().nth(1).unwrap()), "the key itself is not shown");
    for line in ["JWT_ALGORITHM=EdDSA", "jwt-key.pem", "JWT_PREVIOUS_KEYS", "kid "] {
        assert!(output.out.contains(line), "{line} is not in:\n{}", output.out);
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
    assert!(output.out.contains(&format!("kid {kid}")), "{kid} is not in:\n{}", output.out);
    let keys = server.get("/.well-known/jwks.json").await;
    assert_eq!(keys.body["keys"][0]["kid"], Value::String(kid));
}

#[test]
fn a_key_that_is_there_is_left_alone() {
    let folder = Folder::new();
    folder.write("mine.pem", "mine");
    let output = run(&folder, &["keys", "generate", "--out", "mine.pem"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.err.contains("mine.pem exists already and is not overwritten"), "{}", output.err);
    assert_eq!(std::fs::read_to_string(folder.0.join("mine.pem")).unwrap(), "mine");
    let output = run(&folder, &["keys", "generate", "--out", "no/such/folder.pem"], &[]);
    assert!(output.err.contains("no/such/folder.pem cannot be written"), "{}", output.err);
    for algorithm in ["ES256", "RS256"] {
        let out = format!("{algorithm}.pem");
        let output = run(&folder, &["keys", "generate", "--algorithm", algorithm, "--out", &out], &[]);
        assert!(output.out.contains(&format!("JWT_ALGORITHM={algorithm}")), "{}{}", output.out, output.err);
    }
    let output = run(&folder, &["keys", "generate", "--algorithm", "HS256", "--out", "new.pem"], &[]);
    assert!(output.err.contains("JWT_SECRET_KEY"), "{}", output.err);
    assert!(!folder.0.join("new.pem").exists());
    for (algorithm, name) in [("eddsa", "EdDSA"), ("es256", "ES256"), ("Rs256", "RS256")] {
        let output = run(&folder, &["keys", "generate", "--algorithm", algorithm, "--out", algorithm], &[]);
        assert!(output.out.contains(&format!("JWT_ALGORITHM={name}")), "{}{}", output.out, output.err);
    }
    let output = run(&folder, &["keys", "generate", "--algorithm", "none"], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", output.err);
    assert!(output.err.contains("must be EdDSA, ES256 or RS256"), "{}", output.err);
}

#[test]
fn a_server_does_not_start_with_a_key_that_is_not_right() {
    let folder = Folder::new();
    let output = run(&folder, &["keys", "generate", "--out", "key.pem"], &[]);
    assert!(output.status.success(), "{}", output.err);
    for (settings, expected) in [
        ([("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", "")], "JWT_PRIVATE_KEY_FILE must be set"),
        ([("JWT_ALGORITHM", "RS256"), ("JWT_PRIVATE_KEY_FILE", "key.pem")], "holds a key for EdDSA"),
        ([("JWT_ALGORITHM", "EdDSA"), ("JWT_PREVIOUS_KEYS", "gone.pem")], "JWT_PREVIOUS_KEYS: item 1"),
    ] {
        let output = run(&folder, &[], &settings);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.err.contains(expected), "{expected:?} is not in:\n{}", output.err);
    }
}
