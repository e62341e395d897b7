//! What a guest may do: the profile, verifying a phone, logging out and deleting the account. Every operation of the document is tried
//! with a guest's token.

use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{assert_goes_on, assert_over, post_as, post_empty_as},
    guests::{enter, with_guests},
    on_both,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{Answer, PHONE, TestServer},
};

/// The operations with a token that are open to a guest.
const OPEN: [(&str, &str); 7] = [
    ("get", "/api/auth/profile"),
    ("put", "/api/auth/profile"),
    ("post", "/api/auth/complete-profile"),
    ("post", "/api/auth/change-phone"),
    ("post", "/api/auth/verify-change-phone"),
    ("post", "/api/auth/logout"),
    ("post", "/api/auth/delete-account"),
];

/// Whether an operation takes a token of a user.
fn is_gated(operation: &Value) -> bool {
    let schemes = operation["security"].as_array().expect("every operation says which token it takes");
    schemes.iter().any(|scheme| !scheme["Bearer"].is_null())
}

async fn ask(server: &TestServer, token: &str, method: &str, path: &str) -> Answer {
    let filled = |segment: &str| match segment {
        "{phone}" => "+916205829376".to_owned(),
        "{prefix}" => "+916205".to_owned(),
        parameter if parameter.starts_with('{') => "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11".to_owned(),
        segment => segment.to_owned(),
    };
    let path = path.split('/').map(filled).collect::<Vec<_>>().join("/");
    let bearer = format!("Bearer {token}");
    // A body that no operation takes: the gate comes before it.
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    server.send(method.to_uppercase().parse().unwrap(), &path, &headers, Some("[".to_owned())).await
}

on_both! {
    async fn every_operation_is_open_or_closed_to_a_guest(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let (guest, user) = (enter(&server).await, server.sign_in(PHONE).await);
        let document = server.get("/api/openapi.json").await.json();
        let (mut open, mut closed) = (0, 0);
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let known = (method.as_str(), path.as_str());
                if !is_gated(operation) {
                    continue;
                }
                let forbidden = operation["responses"]["403"]["description"].as_str().unwrap_or_default();
                let says_so = forbidden.contains("`forbidden`: the user is a guest");
                assert_eq!(says_so, !OPEN.contains(&known), "{known:?} says: {forbidden}");
                if OPEN.contains(&known) {
                    open += 1;
                    continue;
                }
                closed += 1;
                ask(&server, &guest.access, method, path).await.assert_error(403, "forbidden");
                // It is the guest who is refused: for a user anything else comes after the gate. This one would end the session.
                if path != "/api/auth/logout-all" {
                    let answer = ask(&server, &user.access, method, path).await;
                    let message = answer.text_at("/message");
                    assert!(answer.status != 401 && !message.contains("guests"), "{known:?}: {message}");
                }
            }
        }
        assert_eq!(open, OPEN.len());
        assert!(closed >= 30, "{closed}");
        assert_goes_on(&server, &guest).await;
        assert_goes_on(&server, &user).await;
    }

    async fn a_guest_learns_nothing_about_others(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let (guest, user) = (enter(&server).await, server.sign_in(PHONE).await);
        for id in [&user.user_id, &guest.user_id] {
            server.get_as(&guest.access, &format!("/api/users/{id}")).await.assert_error(403, "forbidden");
            let body = json!({"email": "taken@example.com"});
            server.send_as(&guest.access, Method::PUT, &format!("/api/users/{id}"), body).await.assert_error(403, "forbidden");
        }
        // No way to a password, by which the account could be signed in to.
        let body = json!({"new_password": "violet-canoe-7350"});
        post_as(&server, &guest, "/api/auth/password", body).await.assert_error(403, "forbidden");
        for (path, body) in [("/api/auth/confirm-code", json!({})), ("/api/auth/confirm", json!({"otp_code": "1234"}))] {
            post_as(&server, &guest, path, body).await.assert_error(403, "forbidden");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE password_hash IS NOT NULL").await, 0);
    }

    async fn faults_in_the_body_of_an_open_operation_are_named(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let guest = enter(&server).await;
        let answer = post_as(&server, &guest, "/api/auth/change-phone", json!({"phone_number": "1", "channel": "fax", "challenge_response": 7})).await;
        answer.assert_error(422, "validation_failed");
        let fields: Vec<String> = answer.at("/error/fields").as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["challenge_response", "channel", "phone_number"]);
        // A guest has no phone to name.
        let answer = server.send_as(&guest.access, Method::PUT, "/api/auth/profile", json!({"phone_number": PHONE})).await;
        answer.assert_error(422, "validation_failed");
        let body = json!({"phone_number": PHONE, "name": "Asha", "birth_date": "1995-01-01", "gender": "female",
            "event_interests": [1], "profile_pictures": ["https://example.com/1.jpg"]});
        post_as(&server, &guest, "/api/auth/complete-profile", body).await.assert_error(422, "validation_failed");
        let claimed = server.send_as(&guest.access, Method::PUT, "/api/auth/profile", json!({"phone": PHONE})).await;
        assert_eq!((claimed.assert_ok().at("/phone"), claimed.at("/phone_number")), (json!(PHONE), Value::Null));
    }

    async fn a_guest_logs_out_and_deletes_the_account(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let (one, two) = (enter(&server).await, enter(&server).await);
        post_empty_as(&server, &one, "/api/auth/logout").await.assert_ok();
        assert_over(&server, &one).await;
        // Later than a sign-in counts as recent: there is nothing to confirm with.
        server.advance(25 * 60);
        post_empty_as(&server, &two, "/api/auth/delete-account").await.assert_ok();
        assert_over(&server, &two).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 1);
    }

    async fn a_token_that_is_no_good_is_401_before_anything_else(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let guest = enter(&server).await;
        for path in ["/api/auth/export", "/api/auth/profile"] {
            server.get(path).await.assert_error(401, "token_missing");
            server.get_as(&guest.refresh, path).await.assert_error(401, "token_invalid");
        }
        server.advance(30 * 60);
        server.get_as(&guest.access, "/api/auth/export").await.assert_error(401, "token_expired");
    }

    async fn staff_find_guests_and_may_switch_them_off(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let guest = enter(&server).await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let list = server.get_as(&staff.access, "/api/users").await.assert_ok().at("/users");
        let listed = list.as_array().unwrap().iter().find(|user| user["id"] == guest.user_id).unwrap().clone();
        assert_eq!(listed["role"], json!("guest"));
        let path = format!("/api/users/{}", guest.user_id);
        assert_eq!(server.get_as(&staff.access, &path).await.assert_ok().text_at("/role"), "guest");
        // No role makes a guest a user: nobody could sign in to the account.
        for role in ["user", "staff", "admin"] {
            server.send_as(&admin.access, Method::PUT, &path, json!({"role": role})).await.assert_error(403, "forbidden");
        }
        // And nobody becomes a guest.
        for id in [&guest.user_id, &staff.user_id] {
            let path = format!("/api/users/{id}");
            let answer = server.send_as(&admin.access, Method::PUT, &path, json!({"role": "guest"})).await;
            answer.assert_error(422, "validation_failed");
        }
        server.send_as(&staff.access, Method::PUT, &path, json!({"first_name": "Asha"})).await.assert_ok();
        server.send_as(&staff.access, Method::DELETE, &path, json!({})).await.assert_ok();
        assert_over_or_disabled(&server, &guest).await;
    }
}

/// The access token is revoked, and the refresh token is that of a disabled account.
async fn assert_over_or_disabled(server: &TestServer, tokens: &crate::support::Tokens) {
    server.get_as(&tokens.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
    server.refresh(&tokens.refresh).await.assert_error(403, "account_disabled");
}
