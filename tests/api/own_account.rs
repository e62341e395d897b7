//! What a session of staff that has fewer rights than its account may do to that account: read, change the profile, and end
//! itself. It was opened by a phone code, or without the second factor.

use loopin_auth::{
    domain::{
        access::SignedIn, address::ClientAddress, credentials::Password, otp::OtpCode, phone::PhoneNumber,
        roles, users::Edit,
    },
    flows::{
        change_password,
        change_phone::{self, Refused},
        gate,
        personal_data::{self, DeleteOutcome},
        users,
    },
};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, assert_goes_on, confirm_by_code, password_tokens, tokens_of},
    on_both,
    roles::{ADMIN, STAFF, sign_in_with_role},
    second_factor::{account, required, role, sign_in},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, whole_profile},
};

const NEW_PASSWORD: &str = "violet-canoe-7350";

/// The beginnings of the paths of operations on other accounts and other things.
const OTHERS: [&str; 2] = ["/api/abuse", "/api/admin"];

/// The operations of the document on the own account that such a session may do.
const OPEN: [(&str, &str); 10] = [
    ("get", "/api/auth/profile"),
    ("put", "/api/auth/profile"),
    ("post", "/api/auth/complete-profile"),
    ("get", "/api/auth/sessions"),
    ("post", "/api/auth/logout"),
    ("post", "/api/auth/confirm-code"),
    ("post", "/api/auth/confirm"),
    ("get", "/api/auth/export"),
    ("get", "/api/dashboard"),
    ("post", "/api/dashboard"),
];

/// Those that it may not do, but for reading the own row and ending itself.
const CLOSED: [(&str, &str); 14] = [
    ("delete", "/api/auth/sessions"),
    ("delete", "/api/auth/sessions/{id}"),
    ("post", "/api/auth/logout-all"),
    ("post", "/api/auth/change-phone"),
    ("post", "/api/auth/verify-change-phone"),
    ("post", "/api/auth/merge-accounts"),
    ("post", "/api/auth/password"),
    ("post", "/api/auth/delete-account"),
    ("get", "/api/users"),
    ("post", "/api/users"),
    ("put", "/api/users/{id}"),
    ("delete", "/api/users/{id}"),
    ("post", "/api/users/{id}/activate"),
    ("post", "/api/users/{id}/reunite"),
];

/// The id of the session of these tokens.
fn sid(tokens: &Tokens) -> String {
    crate::forge::claim(&tokens.access, "sid")
}

/// A body that the operation would take.
fn body(path: &str) -> Value {
    match path {
        "/api/auth/change-phone" => json!({ "phone_number": OTHER_PHONE }),
        "/api/auth/verify-change-phone" | "/api/auth/merge-accounts" => {
            json!({ "phone_number": OTHER_PHONE, "otp_code": "1234" })
        }
        "/api/auth/password" => json!({ "old_password": PASSWORD, "new_password": NEW_PASSWORD }),
        "/api/users/{id}" => json!({ "email": "taken.over@example.com" }),
        _ => json!({}),
    }
}

/// Tries every closed operation. `whole` is a session of the same account with all of its rights.
async fn assert_closed(server: &TestServer, less: &Tokens, whole: &Tokens) {
    let sessions = server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await;
    for (method, path) in CLOSED {
        let id = if path.starts_with("/api/users") { less.user_id.clone() } else { sid(whole) };
        let method: Method = method.to_uppercase().parse().unwrap();
        let answer =
            server.send_as(&less.access, method.clone(), &path.replace("{id}", &id), body(path)).await;
        let seen = (answer.status.as_u16(), answer.text_at("/error/code"));
        assert_eq!(seen, (403, "forbidden".to_owned()), "{method} {path}: {}", answer.text);
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, sessions);
    assert!(server.codes_for(OTHER_PHONE).is_empty());
    assert_goes_on(server, whole).await;
}

/// Does what stays open, and ends with the end of this session.
async fn assert_open(server: &TestServer, less: &Tokens) {
    server.get_as(&less.access, "/api/auth/profile").await.assert_ok();
    server.get_as(&less.access, "/api/auth/sessions").await.assert_ok();
    server.get_as(&less.access, "/api/auth/export").await.assert_ok();
    server.get_as(&less.access, &format!("/api/users/{}", less.user_id)).await.assert_ok();
    let body = json!({ "name": "Asha Rao" });
    server.send_as(&less.access, Method::PUT, "/api/auth/profile", body).await.assert_ok();
    let mut profile = whole_profile();
    profile.as_object_mut().unwrap().remove("phone_number");
    server.send_as(&less.access, Method::POST, "/api/auth/complete-profile", profile).await.assert_ok();
    let own = format!("/api/auth/sessions/{}", sid(less));
    server.send_as(&less.access, Method::DELETE, &own, json!({})).await.assert_ok();
}

async fn by_code(server: &TestServer, phone: &str) -> Tokens {
    server.advance(30);
    server.login(phone).await.assert_ok();
    let answer: Answer = server.verify_otp(phone, &server.last_code_for(phone)).await;
    tokens_of(&answer)
}

/// The caller of a request that was authenticated before something changed.
async fn who(server: &TestServer, tokens: &Tokens) -> SignedIn {
    let token = gate::read(&server.services, &tokens.access).unwrap();
    gate::enter(&server.services, &token).await.unwrap().unwrap()
}

fn from() -> ClientAddress {
    ClientAddress::new([203, 0, 113, 7].into())
}

/// Like a change of the role in the moment between the check of the token and the act.
async fn promote(server: &TestServer) {
    server.execute("UPDATE accounts SET role = 'admin'").await;
}

on_both! {
    async fn every_operation_on_the_own_account_is_decided(server: TestServer) {
        let document = server.get("/api/openapi.json").await.json();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let known = (method.as_str(), path.as_str());
                let is_elsewhere = OTHERS.iter().any(|start| path.starts_with(start)) || known == ("get", "/api/users/{id}");
                let schemes = operation["security"].as_array();
                let needs_token = schemes.is_some_and(|all| all.iter().any(|scheme| !scheme["Bearer"].is_null()));
                if !needs_token || is_elsewhere {
                    continue;
                }
                assert!(OPEN.contains(&known) != CLOSED.contains(&known), "{known:?} must be in one of the two lists");
                let says_so = !operation["responses"]["403"].is_null();
                assert!(says_so || !CLOSED.contains(&known), "{known:?} has no 403");
            }
        }
    }

    async fn a_phone_code_does_not_control_an_account_of_staff(server: TestServer) {
        for (phone, role) in [(STAFF, "staff"), (ADMIN, "admin")] {
            let whole = sign_in_with_role(&server, phone, role).await;
            let less = by_code(&server, phone).await;
            assert_closed(&server, &less, &whole).await;
            // Proof of the phone does not help.
            server.advance(30);
            confirm_by_code(&server, &less, phone).await;
            assert_closed(&server, &less, &whole).await;
            assert_open(&server, &less).await;
            assert_goes_on(&server, &whole).await;
        }
    }

    async fn a_password_without_the_second_factor_does_not_either(server: TestServer) {
        let (server, user_id) = (required(&server).await, account(&server, "boss", "admin").await);
        // Before a factor is set up, and after.
        let alone = password_tokens(&sign_in(&server, "boss", None).await);
        let answer = server.send_as(&alone.access, Method::POST, "/api/auth/delete-account", json!({})).await;
        answer.assert_error(403, "forbidden");
        let app = server.enrol(&user_id).await;
        let whole = sign_in(&server, "boss", Some(&app.code(&server))).await;
        assert_eq!(role(&whole), "admin");
        let whole = password_tokens(&whole);
        let less = password_tokens(&sign_in(&server, "boss", None).await);
        assert_closed(&server, &less, &whole).await;
        assert_open(&server, &less).await;
        // Nothing was changed, not even a guess at the password was charged: the whole session changes it.
        let body = json!({ "old_password": PASSWORD, "new_password": NEW_PASSWORD });
        server.send_as(&whole.access, Method::POST, "/api/auth/password", body).await.assert_ok();
    }

    async fn where_the_factor_is_optional_the_password_is_enough(server: TestServer) {
        account(&server, "boss", "admin").await;
        account(&server, "other", "admin").await;
        let whole = password_tokens(&sign_in(&server, "boss", None).await);
        let path = format!("/api/users/{}", whole.user_id);
        let body = json!({ "email": "new@example.com", "first_name": "Asha" });
        server.send_as(&whole.access, Method::PUT, &path, body).await.assert_ok();
        let body = json!({ "old_password": PASSWORD, "new_password": NEW_PASSWORD });
        server.send_as(&whole.access, Method::POST, "/api/auth/password", body).await.assert_ok();
        server.send_as(&whole.access, Method::DELETE, "/api/auth/sessions", json!({})).await.assert_ok();
        let body = json!({ "phone_number": OTHER_PHONE });
        server.send_as(&whole.access, Method::POST, "/api/auth/change-phone", body).await.assert_ok();
        let body = json!({ "phone_number": OTHER_PHONE, "otp_code": server.last_code_for(OTHER_PHONE) });
        server.send_as(&whole.access, Method::POST, "/api/auth/verify-change-phone", body).await.assert_ok();
        server.send_as(&whole.access, Method::POST, "/api/auth/delete-account", json!({})).await.assert_ok();
    }

    async fn an_account_that_just_got_a_role_is_not_deleted(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let before = who(&server, &tokens).await;
        promote(&server).await;
        let outcome = personal_data::delete_account(&server.services, before, from()).await.unwrap();
        assert_eq!(outcome, DeleteOutcome::Forbidden);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn an_account_that_just_got_a_role_keeps_its_phone(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let body = json!({ "phone_number": OTHER_PHONE });
        server.send_as(&tokens.access, Method::POST, "/api/auth/change-phone", body).await.assert_ok();
        let before = who(&server, &tokens).await;
        promote(&server).await;
        let phone = PhoneNumber::parse(OTHER_PHONE, server.services.region).unwrap();
        let code = OtpCode::parse(&server.last_code_for(OTHER_PHONE), server.services.otp.length).unwrap();
        let changed = change_phone::verify(&server.services, before, phone, code, vec![], from()).await.unwrap();
        assert_eq!(changed, change_phone::Changed::Refused(Refused::Forbidden));
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM accounts WHERE phone = '{PHONE}'")).await, 1);
    }

    async fn an_account_that_just_got_a_role_keeps_its_password_and_address(server: TestServer) {
        let tokens = crate::again::register(&server, "asha").await;
        let before = who(&server, &tokens).await;
        let permission = roles::may_edit(&before, before.account().id).unwrap();
        promote(&server).await;
        let edit = Edit { email: Some(None), ..Edit::default() };
        let changed = users::change(&server.services, permission, edit, from()).await.unwrap();
        assert!(matches!(changed, users::Changed::Forbidden), "{changed:?}");
        let new = Password::check(NEW_PASSWORD, &[]).unwrap();
        let changed = change_password::change(&server.services, before, Some(PASSWORD.into()), new, from()).await.unwrap();
        assert_eq!(changed, change_password::Changed::Forbidden);
        sign_in(&server, "asha@example.com", None).await.assert_ok();
    }
}
