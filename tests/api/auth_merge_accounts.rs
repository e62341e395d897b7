//! `POST /api/auth/merge-accounts`: a user with two accounts makes one of them.

use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{
        PASSWORD, assert_goes_on, assert_over, confirm_by_code, post_as, post_empty_as, register,
        sign_in_from, tokens_of,
    },
    forge::claims,
    on_both,
    prefixes::entries,
    roles::{STAFF, sign_in_with_role},
    support::{Answer, OTHER_PHONE, PHONE, TestServer, Tokens, whole_profile, wrong},
};

const ASK: &str = "/api/auth/change-phone";
const PATH: &str = "/api/auth/merge-accounts";
const THIRD: &str = "+919812345678";

/// Asks for the code.
pub async fn ask(server: &TestServer, tokens: &Tokens, phone: &str) -> Answer {
    server.advance(30);
    post_as(server, tokens, ASK, json!({ "phone_number": phone, "merge": true })).await
}

/// Sends the code back.
pub async fn merge(server: &TestServer, tokens: &Tokens, phone: &str, code: &str) -> Answer {
    post_as(server, tokens, PATH, json!({ "phone_number": phone, "otp_code": code })).await
}

/// Both.
pub async fn join_with(server: &TestServer, tokens: &Tokens, phone: &str) -> Answer {
    ask(server, tokens, phone).await.assert_ok();
    merge(server, tokens, phone, &server.last_code_for(phone)).await
}

async fn profile(server: &TestServer, tokens: &Tokens) -> Answer {
    let answer = server.get_as(&tokens.access, "/api/auth/profile").await;
    answer.assert_ok();
    answer
}

async fn complete(server: &TestServer, tokens: &Tokens, changes: Value) {
    let mut body = whole_profile();
    body.as_object_mut().unwrap().remove("phone_number");
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.send_as(&tokens.access, Method::POST, "/api/auth/complete-profile", body).await.assert_ok();
}

pub async fn accounts(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM accounts").await
}

on_both! {
    async fn a_password_account_and_a_phone_account_become_one(server: TestServer) {
        let other = server.sign_in_and_complete(PHONE).await;
        let own = register(&server, "gaurav").await;
        // The user is told first that the number has an account.
        let told = post_as(&server, &own, ASK, json!({ "phone_number": PHONE })).await;
        told.assert_error(409, "phone_taken");
        let sent = ask(&server, &own, "62058 29376").await;
        sent.assert_ok();
        assert_eq!((sent.at("/data/phone_number"), sent.at("/data/expires_in")), (json!(PHONE), json!(600)));
        let answer = merge(&server, &own, PHONE, &server.last_code_for(PHONE)).await;
        let now = tokens_of(&answer);
        assert_eq!(now.user_id, own.user_id, "the account of the session stays");
        let data = answer.at("/data");
        assert_eq!((&data["phone_number"], &data["name"]), (&json!(PHONE), &json!("Gaurav Kumar")));
        assert_eq!((&data["is_verified"], &data["needs_profile_completion"]), (&json!(true), &json!(false)));
        assert_eq!(data["expires_in"], json!(1800));
        assert_eq!(claims(&now.access)["phone_number"], json!(PHONE));
        assert_eq!(claims(&now.access)["sid"], claims(&own.access)["sid"], "the session goes on");
        for tokens in [&now, &own] {
            let shown = profile(&server, tokens).await;
            assert_eq!((shown.text_at("/user/username"), shown.text_at("/name")), ("gaurav".to_owned(), "Gaurav Kumar".to_owned()));
            assert_eq!((shown.at("/event_interests").as_array().unwrap().len(), shown.text_at("/phone_number")), (3, PHONE.to_owned()));
        }
        server.refresh(&now.refresh).await.assert_ok();
        assert_over(&server, &other).await;
        assert_eq!(accounts(&server).await, 1);
        // Both ways in lead to it, and the device token is one of it.
        server.advance(30);
        let body = json!({ "phone_number": PHONE, "device_token": data["device_token"] });
        server.post("/api/auth/login", body).await.assert_ok();
        let body = json!({ "phone_number": PHONE, "otp_code": server.last_code_for(PHONE), "device_token": data["device_token"] });
        let by_phone = server.post("/api/auth/verify-login", body).await;
        assert_eq!(by_phone.assert_ok().text_at("/data/user_id"), own.user_id);
        let signed_in = entries(&server, Action::SignedIn).await;
        let known = signed_in.iter().filter(|entry| entry.detail.get("device").is_some());
        assert_eq!(known.count(), 1);
        let body = json!({ "username": "gaurav", "password": PASSWORD });
        server.post("/api/auth/login", body).await.assert_ok();
    }

    async fn the_old_id_is_gone_for_staff_and_for_its_user_only(server: TestServer) {
        let other = server.sign_in(PHONE).await;
        let own = register(&server, "gaurav").await;
        let stranger = server.sign_in(OTHER_PHONE).await;
        join_with(&server, &own, PHONE).await.assert_ok();
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        let path = format!("/api/users/{}", other.user_id);
        for (who, tokens, status, code) in [
            ("the user", &own, 410, "account_merged"),
            ("staff", &staff, 410, "account_merged"),
            ("a stranger", &stranger, 403, "forbidden"),
        ] {
            for (method, path) in [
                (Method::GET, path.clone()),
                (Method::PUT, path.clone()),
                (Method::DELETE, path.clone()),
                (Method::POST, format!("{path}/activate")),
                (Method::POST, format!("{path}/reunite")),
            ] {
                let answer = server.send_as(&tokens.access, method.clone(), &path, json!({"first_name": "A"})).await;
                let seen = (answer.status.as_u16(), answer.text_at("/error/code"));
                assert_eq!(seen, (status, code.to_owned()), "{who}: {method} {path}");
                let into = if status == 410 { json!(own.user_id) } else { Value::Null };
                assert_eq!(answer.at("/error/merged_into"), into, "{who}");
            }
        }
        server.get(&path).await.assert_error(401, "token_missing");
    }

    async fn the_profile_with_more_stays_and_the_interests_of_both(server: TestServer) {
        let other = server.sign_in(PHONE).await;
        complete(&server, &other, json!({"name": "Other Name", "event_interests": [3, 4]})).await;
        let own = register(&server, "gaurav").await;
        complete(&server, &own, json!({"name": "Own Name", "bio": "I am longer", "event_interests": [1, 2, 3]})).await;
        let own = tokens_of(&join_with(&server, &own, PHONE).await);
        let shown = profile(&server, &own).await;
        assert_eq!((shown.text_at("/name"), shown.text_at("/bio")), ("Own Name".to_owned(), "I am longer".to_owned()));
        let ids = |shown: &Answer| -> Vec<i64> {
            let all = shown.at("/event_interests");
            let mut ids: Vec<i64> = all.as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&shown), [1, 2, 3, 4]);
        let counted = "SELECT CAST(COALESCE(SUM(accounts), 0) AS bigint) FROM interest_counts";
        assert_eq!(server.count(counted).await, 4, "the counts follow");
        // The other way round: what goes has more, and more interests than a profile may have.
        let third = server.sign_in(THIRD).await;
        complete(&server, &third, json!({"name": "Third Name", "bio": "More", "location": "Goa", "event_interests": [5, 6, 7]})).await;
        let own = tokens_of(&join_with(&server, &own, THIRD).await);
        let shown = profile(&server, &own).await;
        assert_eq!((shown.text_at("/name"), shown.text_at("/location")), ("Third Name".to_owned(), "Goa".to_owned()));
        assert_eq!(ids(&shown).len(), 5);
        assert_eq!(accounts(&server).await, 1);
    }

    async fn of_two_phones_the_proved_one_stays_and_both_get_a_notice(server: TestServer) {
        let server = server.without_limits().await;
        server.sign_in(PHONE).await;
        let elsewhere = sign_in_from(&server, OTHER_PHONE, "Elsewhere").await;
        let own = sign_in_from(&server, OTHER_PHONE, "Here").await;
        server.advance(30);
        server.signup(OTHER_PHONE).await.assert_ok();
        let pending = server.last_code_for(OTHER_PHONE);
        let own = tokens_of(&join_with(&server, &own, PHONE).await);
        assert_eq!(profile(&server, &own).await.text_at("/phone_number"), PHONE);
        assert_over(&server, &elsewhere).await;
        for phone in [PHONE, OTHER_PHONE] {
            let notice = &server.inbox_of(phone)[0];
            assert!(notice.otp_code.is_none() && notice.body.contains("were joined"), "{phone}: {}", notice.body);
        }
        // The number that was left is nobody's, its codes are gone, and its lead follows.
        server.verify_login(OTHER_PHONE, &pending).await.assert_error(400, "otp_not_found");
        assert_eq!(server.count("SELECT COUNT(*) FROM leads").await, 1);
        assert_eq!(server.count(&format!("SELECT COUNT(*) FROM messages WHERE phone = '{OTHER_PHONE}' AND template = 'otp'")).await, 0);
        server.advance(60);
        assert_ne!(server.sign_in(OTHER_PHONE).await.user_id, own.user_id);
    }

    async fn what_the_account_that_stays_lacks_comes_along(server: TestServer) {
        let named = register(&server, "asha").await;
        post_as(&server, &named, ASK, json!({ "phone_number": PHONE })).await.assert_ok();
        let body = json!({ "phone_number": PHONE, "otp_code": server.last_code_for(PHONE) });
        post_as(&server, &named, "/api/auth/verify-change-phone", body).await.assert_ok();
        let own = server.sign_in(OTHER_PHONE).await;
        let own = tokens_of(&join_with(&server, &own, PHONE).await);
        let user = server.get_as(&own.access, &format!("/api/users/{}", own.user_id)).await;
        assert_eq!((user.text_at("/username"), user.text_at("/email")), ("asha".to_owned(), "asha@example.com".to_owned()));
        let body = json!({ "username": "asha@example.com", "password": PASSWORD });
        let signed_in = server.post("/api/auth/login", body).await;
        assert_eq!(claims(&signed_in.text_at("/access"))["user_id"], json!(own.user_id));
    }

    async fn it_needs_a_fresh_proof_both_times(server: TestServer) {
        server.sign_in(PHONE).await;
        let own = server.sign_in(OTHER_PHONE).await;
        server.advance(601);
        ask(&server, &own, PHONE).await.assert_error(403, "reauthentication_required");
        assert_eq!(server.codes_for(PHONE).len(), 1);
        confirm_by_code(&server, &own, OTHER_PHONE).await;
        ask(&server, &own, PHONE).await.assert_ok();
        server.advance(571);
        let code = server.last_code_for(PHONE);
        merge(&server, &own, PHONE, &code).await.assert_error(403, "reauthentication_required");
        assert_eq!(accounts(&server).await, 2);
        confirm_by_code(&server, &own, OTHER_PHONE).await;
        merge(&server, &own, PHONE, &code).await.assert_ok();
    }

    async fn the_code_is_of_this_account_number_and_purpose(server: TestServer) {
        let settings = [("OTP_LENGTH", "8"), ("RATE_LIMITS_ENABLED", "false")];
        let server = TestServer::with(server.database, &settings).await;
        server.sign_in(PHONE).await;
        let (own, other) = (register(&server, "gaurav").await, register(&server, "asha").await);
        ask(&server, &own, PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        merge(&server, &other, PHONE, &code).await.assert_error(400, "otp_not_found");
        merge(&server, &own, THIRD, &code).await.assert_error(400, "otp_not_found");
        server.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
        let body = json!({ "phone_number": PHONE, "otp_code": code });
        post_as(&server, &own, "/api/auth/verify-change-phone", body).await.assert_error(400, "otp_not_found");
        // A code of another purpose does not join.
        server.login(PHONE).await.assert_ok();
        let sign_in = server.last_code_for(PHONE);
        let answer = merge(&server, &own, PHONE, &sign_in).await;
        answer.assert_error(400, "otp_invalid");
        assert_eq!(answer.at("/error/attempts_remaining"), json!(2));
        merge(&server, &own, PHONE, &wrong(&code)).await.assert_error(400, "otp_invalid");
        merge(&server, &own, PHONE, &code).await.assert_ok();
        merge(&server, &own, PHONE, &code).await.assert_error(422, "validation_failed");
    }

    async fn before_the_right_code_nothing_tells_whether_the_number_has_an_account(server: TestServer) {
        let server = server.without_limits().await;
        server.sign_in(PHONE).await;
        server.disable(PHONE).await;
        sign_in_with_role(&server, STAFF, "staff").await;
        let own = register(&server, "gaurav").await;
        let mut seen = Vec::new();
        for phone in [PHONE, STAFF, THIRD] {
            let sent = ask(&server, &own, phone).await;
            let code = server.last_code_for(phone);
            let guessed = merge(&server, &own, phone, &wrong(&code)).await;
            let delivery = sent.text_at("/data/delivery_id");
            seen.push((sent.text.replace(phone, "").replace(&delivery, ""), guessed.status, guessed.text));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0], seen[2]);
        for (phone, status, code) in
            [(PHONE, 403, "account_disabled"), (STAFF, 403, "forbidden"), (THIRD, 404, "user_not_found")]
        {
            let right = server.last_code_for(phone);
            merge(&server, &own, phone, &right).await.assert_error(status, code);
            // Nothing has happened, and the code stays valid.
            merge(&server, &own, phone, &right).await.assert_error(status, code);
        }
        assert_eq!(accounts(&server).await, 3);
        assert_goes_on(&server, &own).await;
    }

    async fn accounts_of_staff_blocked_and_stale_ones_stay(server: TestServer) {
        let server = server.second_server(&[("PHONE_STALE_DAYS", "90"), ("RATE_LIMITS_ENABLED", "false")]).await;
        server.sign_in(PHONE).await;
        server.advance(91 * 86_400);
        let own = register(&server, "gaurav").await;
        // The number may have another owner: it counts as a number without an account.
        join_with(&server, &own, PHONE).await.assert_error(404, "user_not_found");
        // A code from before the block.
        server.sign_in(OTHER_PHONE).await;
        ask(&server, &own, OTHER_PHONE).await.assert_ok();
        let code = server.last_code_for(OTHER_PHONE);
        let id = match server.database {
            Database::Postgres => "'0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11'",
            Database::Sqlite => "x'0199aa555a2b7c609d3c0c8f3f4f2a11'",
        };
        let block = format!(
            "INSERT INTO blocks (id, kind, value, reason, made_at) VALUES ({id}, 'phone', '{OTHER_PHONE}', 'a test', \
             '2026-03-14T09:00:00+00:00')"
        );
        server.execute(&block).await;
        // The copy of the blocks is not compared yet: the transaction looks itself.
        merge(&server, &own, OTHER_PHONE, &code).await.assert_error(403, "forbidden");
        server.advance(6);
        merge(&server, &own, OTHER_PHONE, &code).await.assert_error(403, "forbidden");
        ask(&server, &own, OTHER_PHONE).await.assert_error(400, "phone_unreachable");
        // Staff do not join their own account with that of a user.
        let staff = sign_in_with_role(&server, STAFF, "admin").await;
        server.sign_in(THIRD).await;
        join_with(&server, &staff, THIRD).await.assert_error(403, "forbidden");
        assert_eq!(accounts(&server).await, 5);
    }

    async fn all_faults_of_a_body_are_named_at_once(server: TestServer) {
        let own = server.sign_in(PHONE).await;
        for (path, body, fields) in [
            (PATH, json!({ "otp_code": 1234 }), 2),
            (PATH, json!({ "phone_number": "1", "otp_code": "12" }), 2),
            (ASK, json!({ "phone_number": "1", "channel": "pigeon", "merge": "yes" }), 3),
            (PATH, json!({ "phone_number": PHONE, "otp_code": "1234" }), 1),
        ] {
            let answer = post_as(&server, &own, path, body).await;
            answer.assert_error(422, "validation_failed");
            let named = answer.at("/error/fields");
            assert_eq!(named.as_object().map(serde_json::Map::len), Some(fields), "{}", answer.text);
        }
        ask(&server, &own, PHONE).await.assert_error(422, "validation_failed");
        server.post(PATH, json!({})).await.assert_error(401, "token_missing");
        merge(&server, &own, OTHER_PHONE, "1234").await.assert_error(400, "otp_not_found");
    }

    async fn a_session_that_has_ended_joins_nothing(server: TestServer) {
        server.sign_in(PHONE).await;
        let own = register(&server, "gaurav").await;
        ask(&server, &own, PHONE).await.assert_ok();
        post_empty_as(&server, &own, "/api/auth/logout-all").await.assert_ok();
        merge(&server, &own, PHONE, &server.last_code_for(PHONE)).await.assert_error(401, "token_revoked");
        assert_eq!(accounts(&server).await, 2);
    }
}
