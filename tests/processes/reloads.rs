//! Secrets from files, and SIGHUP, which reads them again.

use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, basic_auth},
};

use crate::{
    server::{Folder, Server, run},
    support::{PHONE, wait_until},
};

const OLD: &str = "the old secret of the tests with 32 bytes or more";
const NEW: &str = "the new secret of the tests with 32 bytes or more";
const FILES: [(&str, &str); 4] = [
    ("SECRET_KEY_FILE", "secret-key"),
    ("SECRET_KEY_FALLBACKS_FILE", "fallbacks"),
    ("JWT_SECRET_KEY_FILE", "token-key"),
    ("JWT_PREVIOUS_KEYS_FILE", "previous"),
];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("secret-key", &format!("{OLD}\n"));
    folder.write("token-key", &format!("{OLD}\r\n"));
    folder.write("fallbacks", "");
    folder.write("previous", "");
    folder
}

/// Asks the server to read its settings again, and waits until the log says so as many times.
async fn reload(server: &Server, times: usize) -> String {
    server.hang_up();
    let said = || server.log().matches("SIGHUP: ").count();
    wait_until("the settings were read again", async || said() >= times).await;
    let log = server.log();
    log.lines().rfind(|line| line.contains("SIGHUP: ")).unwrap_or_default().to_owned()
}

async fn sign_in(server: &Server, phone: &str) -> String {
    server.signup(phone).await.ok();
    let code = server.code_for(phone).await;
    server.verify_otp(phone, &code).await.ok().text("/token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_tokens_and_codes_stay_valid_and_new_ones_have_the_new_key() {
    let folder = folder();
    let server = Server::start(&folder, &FILES).await;
    let token = sign_in(&server, PHONE).await;
    let other = "+916205829377";
    server.signup(other).await.ok();
    let code = server.code_for(other).await;

    folder.write("secret-key", NEW);
    folder.write("fallbacks", OLD);
    folder.write("token-key", NEW);
    folder.write("previous", OLD);
    let said = reload(&server, 1).await;
    for name in ["JWT_PREVIOUS_KEYS", "JWT_SECRET_KEY", "SECRET_KEY", "SECRET_KEY_FALLBACKS"] {
        assert!(said.contains(name), "{name} is not in {said}");
    }
    assert!(!server.log().contains(NEW) && !server.log().contains(OLD));

    server.get_as(&token, "/api/auth/profile").await.ok();
    let signed_in = server.verify_otp(other, &code).await.ok();
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_ne!(kid(&signed_in.text("/token")), kid(&token));
    // A code that is sent now is made with the new key.
    sign_in(&server, "+916205829378").await;

    // Without a change nothing changes.
    let said = reload(&server, 2).await;
    assert!(said.contains("the settings were read again"), "{said}");
    assert!(!said.contains("SECRET_KEY"), "{said}");

    // The audit log has the change, and the next start has none to add.
    let audit = run(&folder, &["audit", "--action", "settings_changed"], &FILES);
    assert!(audit.status.success(), "{}", audit.err);
    assert_eq!(audit.out.matches("settings_changed").count(), 2, "{}", audit.out);
    assert!(!audit.out.contains(NEW) && !audit.out.contains(OLD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_would_do_harm_or_cannot_be_read_changes_nothing() {
    let folder = folder();
    let server = Server::start(&folder, &FILES).await;
    let token = sign_in(&server, PHONE).await;

    folder.write("token-key", NEW);
    let said = reload(&server, 1).await;
    assert!(said.contains("JWT_PREVIOUS_KEYS must have the key of before"), "{said}");
    std::fs::remove_file(folder.0.join("token-key")).unwrap();
    let said = reload(&server, 2).await;
    assert!(said.contains("JWT_SECRET_KEY_FILE") && said.contains("cannot be read"), "{said}");
    server.get_as(&token, "/api/auth/profile").await.ok();

    // It was not put off: the right files are taken.
    folder.write("token-key", NEW);
    folder.write("previous", OLD);
    let said = reload(&server, 3).await;
    assert!(said.contains("JWT_SECRET_KEY"), "{said}");
    server.get_as(&token, "/api/auth/profile").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_is_asked_with_its_new_credentials() {
    let twilio = MockServer::start().await;
    let sid = "AC00000000000000000000000000000000";
    let taken = ResponseTemplate::new(201).set_body_json(
        serde_json::json!({ "sid": "SM00000000000000000000000000000000", "status": "queued" }),
    );
    Mock::given(basic_auth(sid, "the second token")).respond_with(taken).mount(&twilio).await;
    let refused = ResponseTemplate::new(401).set_body_json(serde_json::json!({ "code": 20003 }));
    Mock::given(any()).respond_with(refused).with_priority(9).mount(&twilio).await;
    let folder = folder();
    folder.write("auth-token", "the first token\n");
    let server = Server::start(
        &folder,
        &[
            ("TWILIO_API_BASE_URL", &twilio.uri()),
            ("TWILIO_ACCOUNT_SID", sid),
            ("TWILIO_AUTH_TOKEN_FILE", "auth-token"),
            ("TWILIO_PHONE_NUMBER", "+12025550100"),
            ("RATE_LIMITS_ENABLED", "false"),
        ],
    )
    .await;
    assert_eq!(server.signup(PHONE).await.code(), "sms_rejected");
    folder.write("auth-token", "the second token\n");
    // A line of .env that waits for a restart.
    folder.write(".env", "OTP_LENGTH=6\n");
    let said = reload(&server, 1).await;
    assert!(said.contains("TWILIO_AUTH_TOKEN") && said.contains("OTP_LENGTH"), "{said}");
    server.signup(PHONE).await.ok();
}

#[test]
fn a_password_may_come_from_a_file() {
    let folder = folder();
    folder.write("password", "violet-canoe-7350\n");
    let migrated = run(&folder, &["migrate"], &FILES);
    assert!(migrated.status.success(), "{}", migrated.err);
    let arguments = ["createsuperuser", "--noinput", "--username", "boss"];
    let settings = [FILES.as_slice(), &[("LOOPIN_SUPERUSER_PASSWORD_FILE", "password")]].concat();
    let made = run(&folder, &arguments, &settings);
    assert!(made.status.success(), "{}", made.err);
    let both = [settings.as_slice(), &[("LOOPIN_SUPERUSER_PASSWORD", "violet-canoe-7350")]].concat();
    let refused = run(&folder, &arguments, &both);
    assert!(refused.err.contains("LOOPIN_SUPERUSER_PASSWORD_FILE are both set"), "{}", refused.err);
}
