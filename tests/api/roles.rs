//! `/api/users/{id}`: the rights of each role, and the effects of each operation.

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::{claims, signed, with},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens},
};

/// The phone of a staff member.
pub const STAFF: &str = "+919876543201";

/// The phone of an admin.
pub const ADMIN: &str = "+919876543202";

const UNKNOWN_ID: &str = "0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11";

/// Signs in a user with this role, in a session that has the role, like one that was opened with a password.
pub async fn sign_in_with_role(server: &TestServer, phone: &str, role: &str) -> Tokens {
    let tokens = server.sign_in(phone).await;
    server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE phone = '{phone}'")).await;
    server
        .execute(&format!(
            "UPDATE sessions SET role = '{role}', opened_by = 'password' WHERE account_id IN (SELECT id FROM \
             accounts WHERE phone = '{phone}')"
        ))
        .await;
    let answer = server.refresh(&tokens.refresh).await;
    answer.assert_ok();
    assert_eq!(claims(&answer.text_at("/access"))["role"], json!(role));
    Tokens { access: answer.text_at("/access"), refresh: answer.text_at("/refresh"), ..tokens }
}

pub async fn a_user(server: &TestServer, phone: &str) -> Tokens {
    server.sign_in(phone).await
}

fn path(id: &str) -> String {
    format!("/api/users/{id}")
}

async fn read(server: &TestServer, who: &Tokens, id: &str) -> Answer {
    server.get_as(&who.access, &path(id)).await
}

async fn put(server: &TestServer, who: &Tokens, id: &str, body: Value) -> Answer {
    server.send_as(&who.access, Method::PUT, &path(id), body).await
}

async fn deactivate(server: &TestServer, who: &Tokens, id: &str) -> Answer {
    let bearer = format!("Bearer {}", who.access);
    server.send(Method::DELETE, &path(id), &[("authorization", &bearer)], None).await
}

async fn activate(server: &TestServer, who: &Tokens, id: &str) -> Answer {
    let bearer = format!("Bearer {}", who.access);
    server.send(Method::POST, &format!("{}/activate", path(id)), &[("authorization", &bearer)], None).await
}

async fn active_admins(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM accounts WHERE role = 'admin' AND is_active").await
}

on_both! {
    async fn a_code_sets_no_password_of_staff(server: TestServer) {
        for (phone, role) in [("+919876543231", "staff"), ("+919876543232", "admin")] {
            let tokens = server.sign_in(phone).await;
            server.execute(&format!("UPDATE accounts SET role = '{role}' WHERE phone = '{phone}'")).await;
            let body = json!({ "new_password": "violet-canoe-7350" });
            let answer = server.send_as(&tokens.access, Method::POST, "/api/auth/password", body).await;
            answer.assert_error(403, "forbidden");
            let body = json!({ "username": phone, "password": "violet-canoe-7350" });
            server.post("/api/token", body).await.assert_error(401, "credentials_invalid");
        }
    }

    async fn without_a_token_nobody_learns_anything(server: TestServer) {
        let user = a_user(&server, PHONE).await;
        for id in [user.user_id.as_str(), UNKNOWN_ID, "nonsense"] {
            for (method, path) in [
                (Method::GET, path(id)), (Method::PUT, path(id)), (Method::DELETE, path(id)),
                (Method::POST, format!("{}/activate", path(id))),
            ] {
                server.send(method, &path, &[], None).await.assert_error(401, "token_missing");
            }
        }
    }

    async fn a_user_reads_and_changes_herself_and_nobody_else(server: TestServer) {
        let user = a_user(&server, PHONE).await;
        let other = a_user(&server, OTHER_PHONE).await;
        read(&server, &user, &user.user_id).await.assert_ok();
        read(&server, &user, &user.user_id.to_uppercase()).await.assert_ok();
        for id in [other.user_id.as_str(), UNKNOWN_ID] {
            read(&server, &user, id).await.assert_error(403, "forbidden");
            put(&server, &user, id, json!({"first_name": "X"})).await.assert_error(403, "forbidden");
            put(&server, &user, id, json!({"first_name": 7})).await.assert_error(403, "forbidden");
            deactivate(&server, &user, id).await.assert_error(403, "forbidden");
            activate(&server, &user, id).await.assert_error(403, "forbidden");
        }
        for id in ["nonsense", "7", "%00"] {
            read(&server, &user, id).await.assert_error(404, "user_not_found");
            put(&server, &user, id, json!({})).await.assert_error(404, "user_not_found");
            deactivate(&server, &user, id).await.assert_error(404, "user_not_found");
            activate(&server, &user, id).await.assert_error(404, "user_not_found");
        }
        for own in [json!({"role": "admin"}), json!({"role": "user"}), json!({"is_active": true}), json!({"role": 7})] {
            put(&server, &user, &user.user_id, own).await.assert_error(403, "forbidden");
        }
        deactivate(&server, &user, &user.user_id).await.assert_error(403, "forbidden");
        read(&server, &other, &other.user_id).await.assert_ok();
    }

    async fn names_and_the_address_change_and_null_clears_them(server: TestServer) {
        let user = a_user(&server, PHONE).await;
        let before = read(&server, &user, &user.user_id).await.json();
        server.advance(5);
        let sent = json!({"first_name": " José ", "last_name": "गौरव", "email": "Me@Example.com", "username": "root",
            "is_verified": false, "phone_number": "+911111111111", "password": "x", "id": UNKNOWN_ID});
        let answer = put(&server, &user, &user.user_id, sent).await;
        let after = answer.assert_ok().json();
        assert_eq!(after, read(&server, &user, &user.user_id).await.json());
        let mut expected = before.clone();
        for (name, value) in [("first_name", "José"), ("last_name", "गौरव"), ("email", "Me@Example.com")] {
            expected[name] = json!(value);
        }
        expected["updated_at"] = json!(server.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false));
        assert_eq!(after, expected);
        let answer = put(&server, &user, &user.user_id, json!({"first_name": null})).await;
        assert_eq!((answer.at("/first_name"), answer.text_at("/last_name")), (Value::Null, "गौरव".to_owned()));
        let answer = put(&server, &user, &user.user_id, json!({"last_name": "", "email": null})).await;
        assert_eq!((answer.at("/last_name"), answer.at("/email")), (Value::Null, Value::Null));
        put(&server, &user, &user.user_id, json!({})).await.assert_ok();
        let profile = server.get_as(&user.access, "/api/auth/profile").await;
        assert_eq!(profile.at("/user/email"), Value::Null);
    }

    async fn what_is_wrong_with_a_change_is_named_all_at_once(server: TestServer) {
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = a_user(&server, PHONE).await;
        let body = json!({"first_name": "x".repeat(151), "last_name": "a\u{0}b", "email": "nonsense",
            "role": "root", "is_active": "yes"});
        let answer = put(&server, &admin, &user.user_id, body).await;
        answer.assert_error(422, "validation_failed");
        let named: Vec<String> = answer.at("/error/fields").as_object().unwrap().keys().cloned().collect();
        assert_eq!(named, ["email", "first_name", "is_active", "last_name", "role"]);
        for body in [json!({"role": null}), json!({"is_active": null}), json!({"role": 7}), json!({"email": 7})] {
            put(&server, &admin, &user.user_id, body.clone()).await.assert_error(422, "validation_failed");
        }
        let bearer = format!("Bearer {}", admin.access);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = server.send(Method::PUT, &path(&user.user_id), &headers, Some("[]".to_owned())).await;
        answer.assert_error(400, "malformed_request");
        assert_eq!(read(&server, &admin, &user.user_id).await.text_at("/role"), "user");
    }

    async fn an_address_belongs_to_one_account(server: TestServer) {
        let user = a_user(&server, PHONE).await;
        let other = a_user(&server, OTHER_PHONE).await;
        put(&server, &user, &user.user_id, json!({"email": "me@example.com"})).await.assert_ok();
        put(&server, &user, &user.user_id, json!({"email": "ME@example.com"})).await.assert_ok();
        let taken = put(&server, &other, &other.user_id, json!({"email": "Me@Example.COM", "first_name": "Y"})).await;
        taken.assert_error(409, "email_taken");
        assert_eq!(read(&server, &other, &other.user_id).await.at("/first_name"), Value::Null, "nothing is changed");
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let both = json!({"email": "me@example.com", "role": "staff"});
        put(&server, &admin, &other.user_id, both).await.assert_error(409, "email_taken");
        assert_eq!(read(&server, &admin, &other.user_id).await.text_at("/role"), "user", "nothing is changed");
        put(&server, &user, &user.user_id, json!({"email": null})).await.assert_ok();
        put(&server, &other, &other.user_id, json!({"email": "me@example.com"})).await.assert_ok();
        // Both at once: one gets it.
        let bodies = [&user, &other].map(|who| put(&server, who, &who.user_id, json!({"email": "new@example.com"})));
        let mut statuses: Vec<u16> = join_all(bodies).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }

    async fn staff_act_on_users_and_on_nobody_else(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let colleague = sign_in_with_role(&server, "+919876543203", "staff").await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = a_user(&server, PHONE).await;
        for target in [&colleague, &admin] {
            read(&server, &staff, &target.user_id).await.assert_ok();
            put(&server, &staff, &target.user_id, json!({"first_name": "X"})).await.assert_error(403, "forbidden");
            deactivate(&server, &staff, &target.user_id).await.assert_error(403, "forbidden");
            activate(&server, &staff, &target.user_id).await.assert_error(403, "forbidden");
            assert_eq!(read(&server, &admin, &target.user_id).await.at("/first_name"), Value::Null);
            read(&server, target, &target.user_id).await.assert_ok();
        }
        for body in [json!({"role": "staff"}), json!({"role": "user"}), json!({"is_active": false})] {
            put(&server, &staff, &user.user_id, body).await.assert_error(403, "forbidden");
        }
        for own in [json!({"role": "admin"}), json!({"is_active": true})] {
            put(&server, &staff, &staff.user_id, own).await.assert_error(403, "forbidden");
        }
        deactivate(&server, &staff, &staff.user_id).await.assert_error(403, "forbidden");
        activate(&server, &staff, &staff.user_id).await.assert_error(403, "forbidden");
        put(&server, &staff, &staff.user_id, json!({"first_name": "Own"})).await.assert_ok();
        let answer = put(&server, &staff, &user.user_id, json!({"first_name": "Helped"})).await;
        assert_eq!(answer.assert_ok().text_at("/first_name"), "Helped");
        for answer in [
            read(&server, &staff, UNKNOWN_ID).await,
            put(&server, &staff, UNKNOWN_ID, json!({"first_name": "X"})).await,
            deactivate(&server, &staff, UNKNOWN_ID).await,
            activate(&server, &staff, UNKNOWN_ID).await,
            put(&server, &admin, UNKNOWN_ID, json!({"role": "staff"})).await,
        ] {
            answer.assert_error(404, "user_not_found");
        }
    }

    async fn an_admin_says_who_is_staff_and_that_ends_their_sessions(server: TestServer) {
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let user = a_user(&server, PHONE).await;
        server.get_as(&staff.access, "/api/users").await.assert_ok();
        // Setting the present role is no change.
        put(&server, &admin, &staff.user_id, json!({"role": "staff", "first_name": "S"})).await.assert_ok();
        server.get_as(&staff.access, "/api/users").await.assert_ok();
        let answer = put(&server, &admin, &staff.user_id, json!({"role": "user"})).await;
        assert_eq!(answer.assert_ok().text_at("/role"), "user");
        server.get_as(&staff.access, "/api/users").await.assert_error(401, "token_revoked");
        server.refresh(&staff.refresh).await.assert_error(401, "token_revoked");
        let answer = put(&server, &admin, &user.user_id, json!({"role": "admin"})).await;
        assert_eq!(answer.assert_ok().text_at("/role"), "admin");
        server.get_as(&user.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        for own in [json!({"role": "admin"}), json!({"role": "user"}), json!({"is_active": true}), json!({"is_active": false})] {
            put(&server, &admin, &admin.user_id, own).await.assert_error(403, "forbidden");
        }
        deactivate(&server, &admin, &admin.user_id).await.assert_error(403, "forbidden");
        let answer = put(&server, &admin, &user.user_id, json!({"role": "user", "is_active": false})).await;
        assert_eq!((answer.text_at("/role"), answer.at("/is_active")), ("user".to_owned(), json!(false)));
        assert_eq!(active_admins(&server).await, 1);
    }

    async fn a_phone_code_gives_no_rights_whoever_she_is(server: TestServer) {
        let user = a_user(&server, OTHER_PHONE).await;
        for (phone, role) in [(STAFF, "staff"), (ADMIN, "admin")] {
            sign_in_with_role(&server, phone, role).await;
            server.advance(30);
            server.login(phone).await;
            let answer = server.verify_otp(phone, &server.last_code_for(phone)).await;
            let token = answer.assert_ok().text_at("/token");
            let by_phone = Tokens { access: token.clone(), refresh: String::new(), user_id: answer.text_at("/data/user_id") };
            assert_eq!(claims(&token)["role"], json!("user"));
            server.get_as(&token, "/api/users").await.assert_error(403, "forbidden");
            read(&server, &by_phone, &user.user_id).await.assert_error(403, "forbidden");
            deactivate(&server, &by_phone, &user.user_id).await.assert_error(403, "forbidden");
            put(&server, &by_phone, &user.user_id, json!({"role": "admin"})).await.assert_error(403, "forbidden");
            assert_eq!(read(&server, &by_phone, &by_phone.user_id).await.assert_ok().text_at("/role"), role);
            // The role in the token has no effect without that of the session.
            let forged = signed(&server, &with(claims(&token), json!({"role": role})));
            server.get_as(&forged, "/api/users").await.assert_error(401, "token_revoked");
        }
    }

    async fn a_session_from_before_gives_no_more_than_the_account_has_now(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = a_user(&server, PHONE).await;
        // Like a change of the row by hand: the sessions continue.
        server.execute(&format!("UPDATE accounts SET role = 'user' WHERE phone = '{STAFF}'")).await;
        server.execute(&format!("UPDATE accounts SET role = 'staff' WHERE phone = '{ADMIN}'")).await;
        server.get_as(&staff.access, "/api/users").await.assert_error(403, "forbidden");
        read(&server, &staff, &user.user_id).await.assert_error(403, "forbidden");
        server.get_as(&admin.access, "/api/users").await.assert_ok();
        put(&server, &admin, &user.user_id, json!({"role": "admin"})).await.assert_error(403, "forbidden");
    }

    async fn a_deactivated_user_is_out_at_once_and_stays_out(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let user = server.sign_in_and_complete(PHONE).await;
        let answer = deactivate(&server, &staff, &user.user_id).await;
        assert_eq!(answer.assert_ok().at("/is_active"), json!(false));
        let again = deactivate(&server, &staff, &user.user_id).await;
        assert_eq!(again.assert_ok().at("/is_active"), json!(false));
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 1, "the staff member's");
        for path in ["/api/auth/profile".to_owned(), path(&user.user_id)] {
            server.get_as(&user.access, &path).await.assert_error(401, "token_revoked");
        }
        server.refresh(&user.refresh).await.assert_error(403, "account_disabled");
        server.advance(30);
        server.login(PHONE).await.assert_error(403, "account_disabled");
        server.signup(PHONE).await.assert_error(403, "account_disabled");
        let seen = read(&server, &staff, &user.user_id).await;
        assert_eq!(seen.assert_ok().at("/is_active"), json!(false));

        for _ in 0..2 {
            let answer = activate(&server, &staff, &user.user_id).await;
            assert_eq!(answer.assert_ok().at("/is_active"), json!(true));
        }
        server.get_as(&user.access, "/api/auth/profile").await.assert_error(401, "token_revoked");
        server.refresh(&user.refresh).await.assert_error(401, "token_revoked");
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn a_code_that_was_sent_before_does_not_help_the_deactivated(server: TestServer) {
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let user = server.sign_in_and_complete(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        deactivate(&server, &staff, &user.user_id).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_error(403, "account_disabled");
    }

    async fn admins_who_take_each_other_away_leave_one(server: TestServer) {
        let mut admins = Vec::new();
        for last in 30..34 {
            admins.push(sign_in_with_role(&server, &format!("+9198765432{last}"), "admin").await);
        }
        for round in 0..6 {
            let mut acts = Vec::new();
            for who in &admins {
                for target in admins.iter().filter(|target| target.user_id != who.user_id) {
                    acts.push(async {
                        match round % 3 {
                            0 => deactivate(&server, who, &target.user_id).await,
                            1 => put(&server, who, &target.user_id, json!({"role": "user"})).await,
                            _ => put(&server, who, &target.user_id, json!({"role": "staff", "is_active": false})).await,
                        }
                    });
                }
            }
            for answer in join_all(acts).await {
                assert!([200, 401, 403].contains(&answer.status.as_u16()), "{}", answer.text);
            }
            assert_eq!(active_admins(&server).await, 1, "round {round}");
            server.execute("UPDATE accounts SET role = 'admin', is_active = TRUE").await;
            server.execute("UPDATE sessions SET ended_at = NULL").await;
        }
    }
}
