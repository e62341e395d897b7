//! The second factor of staff at the API: `totp_code` of a sign-in with a password, and what a session may do without it.

use futures_util::future::join_all;
use loopin_auth::{
    domain::{audit::Action, roles::AdminPermission},
    flows::second_factor::{self, Reset},
};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, password_tokens, post_as, register},
    audit::{detail, entries_of as entries},
    forge::claim,
    on_both,
    support::{Answer, Authenticator, TestServer, Tokens},
};

/// The beginnings of the paths that are for staff only.
const STAFF_PATHS: [&str; 3] = ["/api/users", "/api/abuse", "/api/admin"];

/// Replaces every parameter of a path.
const UNKNOWN_ID: &str = "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11";

/// A server on the same database that requires a second factor.
pub async fn required(server: &TestServer) -> TestServer {
    server.second_server(&[("STAFF_SECOND_FACTOR", "required")]).await
}

/// Makes an account with this role, and returns its id.
pub async fn account(server: &TestServer, name: &str, role: &str) -> String {
    let tokens = register(server, name).await;
    server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE username = '{name}'")).await;
    tokens.user_id
}

/// Signs in with the password, and with this code if one is given.
pub async fn sign_in(server: &TestServer, name: &str, code: Option<&str>) -> Answer {
    server.post("/api/auth/login", json!({"username": name, "password": PASSWORD, "totp_code": code})).await
}

/// The role of the session that a sign-in opened.
#[track_caller]
pub fn role(answer: &Answer) -> String {
    claim(&answer.assert_ok().text_at("/access"), "role")
}

/// Every operation of the document that is for staff, as a method and a path.
async fn staff_operations(server: &TestServer) -> Vec<(Method, String)> {
    let document = server.get("/api/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap().clone();
    let mut found = Vec::new();
    for (path, operations) in paths {
        if !STAFF_PATHS.iter().any(|start| path.starts_with(start)) {
            continue;
        }
        let filled: Vec<&str> = path
            .split('/')
            .map(|part| match part {
                "{phone}" => "+916205829376",
                "{prefix}" => "+916205",
                part if part.starts_with('{') => UNKNOWN_ID,
                part => part,
            })
            .collect();
        for method in operations.as_object().unwrap().keys() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            found.push((method, filled.join("/")));
        }
    }
    found
}

async fn try_all(server: &TestServer, tokens: &Tokens, check: impl Fn(&str, &Answer)) {
    let operations = staff_operations(server).await;
    assert!(operations.len() >= 11, "{operations:?}");
    for (method, path) in operations {
        let answer = server.send_as(&tokens.access, method.clone(), &path, json!({})).await;
        check(&format!("{method} {path}"), &answer);
    }
}

on_both! {
    async fn without_the_code_no_route_of_staff_is_open(server: TestServer) {
        let (server, user_id) = (required(&server).await, account(&server, "boss", "admin").await);
        let refused = |what: &str, answer: &Answer| {
            let seen = (answer.status.as_u16(), answer.text_at("/error/code"));
            assert_eq!(seen, (403, "forbidden".to_owned()), "{what}: {}", answer.text);
        };
        // Before a factor is set up, and after.
        let answer = sign_in(&server, "boss", None).await;
        assert_eq!(role(&answer), "user");
        try_all(&server, &password_tokens(&answer), refused).await;
        let app = server.enrol(&user_id).await;
        for code in [None, Some(app.wrong(&server))] {
            let answer = sign_in(&server, "boss", code.as_deref()).await;
            assert_eq!(role(&answer), "user");
            try_all(&server, &password_tokens(&answer), refused).await;
        }
        let answer = sign_in(&server, "boss", Some(&app.code(&server))).await;
        assert_eq!(role(&answer), "admin");
        try_all(&server, &password_tokens(&answer), |what, answer| {
            assert_ne!(answer.status.as_u16(), 403, "{what}: {}", answer.text);
        })
        .await;
    }

    async fn every_way_to_a_password_session_asks_for_the_code(server: TestServer) {
        let (server, user_id) = (required(&server).await, account(&server, "boss", "admin").await);
        let app = server.enrol(&user_id).await;
        let body = |code: Value| json!({"username": "boss@example.com", "password": PASSWORD, "totp_code": code});
        let answer = server.post("/api/token", body(Value::Null)).await;
        assert_eq!(role(&answer), "user");
        let answer = server.post("/api/token", body(json!(app.code(&server)))).await;
        assert_eq!(role(&answer), "admin");
        let tokens = password_tokens(&answer);
        // A refresh keeps what the sign-in proved, in both directions.
        server.advance(31);
        assert_eq!(claim(&server.refresh(&tokens.refresh).await.text_at("/access"), "role"), "admin");
        let user = password_tokens(&sign_in(&server, "boss", None).await);
        let user = password_tokens(&server.refresh(&user.refresh).await);
        assert_eq!(claim(&user.access, "role"), "user");
        // The session sets no other password, and a confirmation gives it no rights.
        let body = json!({"old_password": PASSWORD, "new_password": "copper-lantern-evening-38"});
        post_as(&server, &user, "/api/auth/password", body).await.assert_error(403, "forbidden");
        post_as(&server, &user, "/api/auth/confirm", json!({"password": PASSWORD})).await.assert_ok();
        server.get_as(&user.access, "/api/users").await.assert_error(403, "forbidden");
    }

    async fn a_registered_session_stays_one_of_a_user(server: TestServer) {
        let tokens = register(&server, "asha").await;
        server.execute("UPDATE accounts SET role = 'admin'").await;
        server.get_as(&tokens.access, "/api/users").await.assert_error(403, "forbidden");
        let tokens = password_tokens(&server.refresh(&tokens.refresh).await);
        server.get_as(&tokens.access, "/api/users").await.assert_error(403, "forbidden");
    }

    async fn where_it_is_optional_only_the_enrolled_need_it(server: TestServer) {
        account(&server, "plain", "staff").await;
        let user_id = account(&server, "careful", "staff").await;
        assert_eq!(role(&sign_in(&server, "plain", None).await), "staff");
        // A code of somebody who needs none is not looked at.
        assert_eq!(role(&sign_in(&server, "plain", Some("123456")).await), "staff");
        let app = server.enrol(&user_id).await;
        assert_eq!(role(&sign_in(&server, "careful", None).await), "user");
        assert_eq!(role(&sign_in(&server, "careful", Some(&app.code(&server))).await), "staff");
    }

    async fn a_session_from_before_the_rule_loses_its_rights(server: TestServer) {
        account(&server, "boss", "admin").await;
        let tokens = password_tokens(&sign_in(&server, "boss", None).await);
        server.get_as(&tokens.access, "/api/users").await.assert_ok();
        let strict = required(&server).await;
        strict.get_as(&tokens.access, "/api/users").await.assert_error(401, "token_revoked");
        let tokens = password_tokens(&strict.refresh(&tokens.refresh).await);
        assert_eq!(claim(&tokens.access, "role"), "user");
        strict.get_as(&tokens.access, "/api/users").await.assert_error(403, "forbidden");
        strict.get_as(&tokens.access, "/api/auth/profile").await.assert_ok();
    }

    async fn setting_one_up_ends_the_sessions_with_rights(server: TestServer) {
        let user_id = account(&server, "boss", "admin").await;
        let (first, second) = (sign_in(&server, "boss", None).await, sign_in(&server, "boss", None).await);
        server.enrol(&user_id).await;
        for answer in [first, second] {
            let tokens = password_tokens(&answer);
            server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        }
        let user = password_tokens(&sign_in(&server, "boss", None).await);
        // The app's session, which has no rights, goes on after a reset.
        server.enrol(&user_id).await;
        server.get_as(&user.access, "/api/auth/profile").await.assert_ok();
    }

    async fn a_code_works_once(server: TestServer) {
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        let code = app.code(&server);
        assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "admin");
        assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "user");
        server.advance(30);
        // Neither the used one, which would still be in time, nor one that is older than it.
        assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "user");
        // One step ahead of the server's clock, then the one behind it.
        let next = app.code_at(server.now() + chrono::Duration::seconds(30));
        assert_eq!(role(&sign_in(&server, "boss", Some(&next)).await), "admin");
        assert_eq!(role(&sign_in(&server, "boss", Some(&app.code(&server))).await), "user");
        server.advance(90);
        let late = app.code_at(server.now() - chrono::Duration::seconds(30));
        assert_eq!(role(&sign_in(&server, "boss", Some(&late)).await), "admin");
        let early = app.code_at(server.now() + chrono::Duration::seconds(60));
        assert_eq!(role(&sign_in(&server, "boss", Some(&early)).await), "user");
    }

    async fn one_code_at_once_opens_one_session_with_rights(server: TestServer) {
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        for code in [app.code(&server), app.recovery_codes[0].clone()] {
            let (server, code) = (server.without_limits().await, code);
            let answers = join_all((0..4).map(|_| sign_in(&server, "boss", Some(&code)))).await;
            let roles: Vec<String> = answers.iter().map(role).collect();
            assert_eq!(roles.iter().filter(|role| *role == "admin").count(), 1, "{roles:?}");
            server.execute("UPDATE second_factors SET failures = 0, closed_until = NULL").await;
        }
    }

    async fn each_recovery_code_works_once(server: TestServer) {
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        assert_eq!(app.recovery_codes.len(), 10);
        for (used, code) in app.recovery_codes.iter().enumerate() {
            let typed = if used % 2 == 0 { code.to_uppercase() } else { code.replace('-', "") };
            assert_eq!(role(&sign_in(&server, "boss", Some(&typed)).await), "admin", "{used}");
            assert_eq!(role(&sign_in(&server, "boss", Some(code)).await), "user", "{used}");
            let left = i64::try_from(9 - used).unwrap();
            assert_eq!(server.count("SELECT COUNT(*) FROM recovery_codes").await, left);
        }
        let used = entries(&server, Action::RecoveryCodeUsed).await;
        assert_eq!(used.len(), 10);
        assert_eq!(detail(&used[9])["left"], json!(0));
        assert_eq!(role(&sign_in(&server, "boss", Some(&app.code(&server))).await), "admin");
    }

    async fn a_code_that_cannot_be_one_is_named(server: TestServer) {
        account(&server, "boss", "admin").await;
        for code in [json!(123_456), json!("12345"), json!("1234567"), json!(["123456"]), json!("१२३४५६"), json!("12\u{0}456")] {
            for path in ["/api/auth/login", "/api/token"] {
                let body = json!({"username": "boss", "password": PASSWORD, "totp_code": code});
                let answer = server.post(path, body).await;
                answer.assert_error(422, "validation_failed");
                let fields = answer.at("/error/fields");
                assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["totp_code"], "{code}");
            }
        }
        // An empty field of a form means none.
        assert_eq!(role(&sign_in(&server, "boss", Some("")).await), "admin");
    }

    async fn the_code_is_nothing_without_the_password(server: TestServer) {
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        let code = app.code(&server);
        let body = json!({"username": "boss", "password": "not this one", "totp_code": code});
        server.post("/api/auth/login", body).await.assert_error(401, "credentials_invalid");
        assert_eq!(server.count("SELECT failures FROM second_factors").await, 0);
        assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "admin", "it was not used up");
    }

    async fn a_changed_secret_key_still_reads_the_factor(server: TestServer) {
        // Fallbacks are separated by commas, so this one has none.
        let old = "an earlier secret key of the tests of 32 bytes or more";
        let server = server.second_server(&[("SECRET_KEY", old)]).await;
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        let new = "another secret key of the tests, 32 bytes or more";
        let alone = server.second_server(&[("SECRET_KEY", new)]).await;
        assert_eq!(role(&sign_in(&alone, "boss", Some(&app.code(&server))).await), "user", "it cannot be read");
        assert_eq!(role(&sign_in(&alone, "boss", Some(&app.recovery_codes[0])).await), "user");
        let both = server.second_server(&[("SECRET_KEY", new), ("SECRET_KEY_FALLBACKS", old)]).await;
        assert_eq!(role(&sign_in(&both, "boss", Some(&app.recovery_codes[0])).await), "admin");
        assert_eq!(role(&sign_in(&both, "boss", Some(&app.code(&server))).await), "admin");
        // The sign-in by the app encrypted it with the new key.
        server.advance(30);
        assert_eq!(role(&sign_in(&alone, "boss", Some(&app.code(&server))).await), "admin");
    }

    async fn a_reset_removes_the_factor_and_its_codes(server: TestServer) {
        let (server, user_id) = (required(&server).await, account(&server, "boss", "admin").await);
        let app = server.enrol(&user_id).await;
        let tokens = password_tokens(&sign_in(&server, "boss", Some(&app.code(&server))).await);
        server.advance(30);
        server.enrolment_link(&user_id).await;
        server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        for code in [app.code(&server), app.recovery_codes[0].clone()] {
            assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "user");
        }
        let renewed = server.enrol(&user_id).await;
        assert_ne!(renewed.code(&server), app.code(&server));
        assert_eq!(role(&sign_in(&server, "boss", Some(&app.recovery_codes[0])).await), "user");
        assert_eq!(role(&sign_in(&server, "boss", Some(&renewed.code(&server))).await), "admin");
        let resets = entries(&server, Action::SecondFactorReset).await;
        assert_eq!(resets.iter().map(|entry| detail(entry)["enrolled"].clone()).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(entries(&server, Action::SecondFactorEnrolled).await.len(), 2);
    }

    async fn only_factors_of_other_staff_are_reset(server: TestServer) {
        let user_id = account(&server, "asha", "user").await;
        let permission = AdminPermission::by_command();
        let reset = async |id: &str| second_factor::reset(&server.services, id.parse().unwrap(), permission).await;
        assert!(matches!(reset(&user_id).await, Ok(Reset::NotStaff)));
        assert!(matches!(reset(UNKNOWN_ID).await, Ok(Reset::NotFound)));
        assert_eq!(server.count("SELECT COUNT(*) FROM second_factors").await, 0);
    }

    async fn the_factor_goes_with_its_account_and_the_export_tells_of_it(server: TestServer) {
        account(&server, "other", "admin").await;
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        let enrolled = server.now() - chrono::Duration::seconds(30);
        let tokens = password_tokens(&sign_in(&server, "boss", Some(&app.recovery_codes[3])).await);
        let answer = server.get_as(&tokens.access, "/api/auth/export").await;
        let enrolled = enrolled.to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        let expected = json!({"enrolled_at": enrolled, "recovery_codes_left": 9});
        assert_eq!(answer.assert_ok().at("/second_factor"), expected);
        post_as(&server, &tokens, "/api/auth/delete-account", json!({})).await.assert_ok();
        for table in ["second_factors", "recovery_codes"] {
            assert_eq!(server.count(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
    }

    async fn a_users_factor_is_not_asked_for(server: TestServer) {
        let user_id = account(&server, "asha", "staff").await;
        let app = server.enrol(&user_id).await;
        server.execute("UPDATE accounts SET role = 'user'").await;
        assert_eq!(role(&sign_in(&server, "asha", Some(&app.wrong(&server))).await), "user");
        assert_eq!(server.count("SELECT failures FROM second_factors").await, 0);
        // Staff again, and the factor is still there.
        server.execute("UPDATE accounts SET role = 'staff'").await;
        assert_eq!(role(&sign_in(&server, "asha", None).await), "user");
        assert_eq!(role(&sign_in(&server, "asha", Some(&app.code(&server))).await), "staff");
    }

    async fn what_happens_is_written_down(server: TestServer) {
        let user_id = account(&server, "boss", "admin").await;
        let app = server.enrol(&user_id).await;
        let client = server.from("203.0.113.9");
        sign_in(&client, "boss", Some(&app.wrong(&server))).await;
        sign_in(&client, "boss", Some(&app.code(&server))).await;
        let wrong = entries(&server, Action::WrongSecondFactor).await;
        assert_eq!(wrong.len(), 1);
        assert_eq!(detail(&wrong[0]), json!({"for": "password", "left": 4}));
        assert_eq!(wrong[0].user_id.map(|id| id.to_string()), Some(user_id));
        assert_eq!(wrong[0].address.as_deref(), Some("203.0.113.9"));
        let signed_in = entries(&server, Action::SignedIn).await;
        let factors: Vec<Value> = signed_in.iter().map(|entry| detail(entry)["second_factor"].clone()).collect();
        assert_eq!(factors, [Value::Null, Value::Null, json!("totp")]);
    }
}

/// The app of the tests is an app of the RFC: its codes are those of the vectors.
#[test]
fn the_app_of_these_tests_follows_rfc_6238() {
    let app = Authenticator::new("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
        assert_eq!(app.code_at(chrono::DateTime::from_timestamp(seconds, 0).unwrap()), code);
    }
}
