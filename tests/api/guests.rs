//! `POST /api/auth/guest`: an account without a phone and without a name, and how it becomes a user's.

use futures_util::future::join_all;
use loopin_auth::domain::audit::Action;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{assert_goes_on, assert_over, post_as, register, sign_in_from, tokens_of},
    budgets::assert_refused,
    forge::{claims, signed, with},
    on_both,
    prefixes::entries,
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, hook::Hook, whole_profile},
};

pub const PATH: &str = "/api/auth/guest";
const PROFILE: &str = "/api/auth/profile";
const CHANGE: &str = "/api/auth/change-phone";
const VERIFY: &str = "/api/auth/verify-change-phone";
const HOUR: i64 = 3600;

/// A server with guests, on the same database.
pub async fn with_guests(server: &TestServer, more: &[(&str, &str)]) -> TestServer {
    server.second_server(&[&[("GUESTS", "on")], more].concat()).await
}

/// A new guest.
pub async fn enter(server: &TestServer) -> Tokens {
    tokens_of(&server.send(Method::POST, PATH, &[], None).await)
}

/// Verifies a phone as this user.
pub async fn verify_phone(server: &TestServer, tokens: &Tokens, phone: &str) {
    post_as(server, tokens, CHANGE, json!({ "phone_number": phone })).await.assert_ok();
    let body = json!({ "phone_number": phone, "otp_code": server.last_code_for(phone) });
    post_as(server, tokens, VERIFY, body).await.assert_ok();
}

async fn refreshed(server: &TestServer, tokens: &Tokens) -> Tokens {
    let answer = server.refresh(&tokens.refresh).await;
    answer.assert_ok();
    Tokens {
        access: answer.text_at("/access"),
        refresh: answer.text_at("/refresh"),
        user_id: tokens.user_id.clone(),
    }
}

/// The profile without the phone, which a guest does not have.
fn profile_of_guest() -> Value {
    let mut profile = whole_profile();
    profile.as_object_mut().unwrap().remove("phone_number");
    profile
}

on_both! {
    async fn without_the_setting_there_are_none(server: TestServer) {
        for server in [server.clone(), server.second_server(&[("GUESTS", "off")]).await] {
            for path in [PATH, "/api/auth/guest/"] {
                server.post(path, json!({})).await.assert_error(404, "not_found");
            }
            server.get(PATH).await.assert_error(405, "method_not_allowed");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 0);
        assert_eq!(server.count("SELECT COUNT(*) FROM budgets").await, 0);
    }

    async fn a_guest_is_in_with_nothing(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let headers = [("x-device-name", "Pixel 8")];
        let answer = server.send(Method::POST, PATH, &headers, None).await;
        let tokens = tokens_of(&answer);
        assert_eq!(answer.at("/data"), json!({
            "user_id": tokens.user_id, "phone_number": null, "name": null, "is_verified": false,
            "needs_profile_completion": true, "refresh_token": tokens.refresh, "expires_in": 1800,
        }));
        assert_eq!((answer.text_at("/message"), answer.at("/success")), ("Login successful".to_owned(), json!(true)));
        let access = claims(&tokens.access);
        assert_eq!((&access["role"], &access["phone_verified"], &access["sub"]), (&json!("guest"), &json!(false), &json!(tokens.user_id)));
        for absent in ["phone_number", "email", "username", "name"] {
            assert_eq!(access[absent], Value::Null, "{absent}");
        }
        let profile = server.get_as(&tokens.access, PROFILE).await;
        assert_eq!((profile.assert_ok().at("/phone_number"), profile.at("/is_verified")), (Value::Null, json!(false)));
        assert_eq!(profile.at("/is_active"), json!(true));
        // The next one is another account.
        assert_ne!(enter(&server).await.user_id, tokens.user_id);
        let registered = entries(&server, Action::Registered).await;
        assert_eq!(registered.len(), 2);
        assert!(registered.iter().all(|entry| entry.detail.get("by") == Some(&json!("guest"))));
        assert_eq!(registered[0].detail.get("sid"), Some(&access["sid"]));
        let text = server.services.metrics.text();
        assert!(text.lines().any(|line| line == "loopin_sign_ins_total{how=\"guest\"} 2"), "{text}");
    }

    async fn whatever_is_in_the_body_is_not_read(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        for body in ["", "{}", "[", "{\"role\": \"admin\"}", "\u{0}"] {
            let answer = server.send(Method::POST, PATH, &[("content-type", "text/plain")], Some(body.to_owned())).await;
            assert_eq!(claims(&tokens_of(&answer).access)["role"], json!("guest"), "{body:?}");
        }
    }

    async fn twenty_guests_of_an_address_in_an_hour(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let one = server.from("203.0.113.7");
        for _ in 0..20 {
            enter(&one).await;
        }
        for _ in 0..2 {
            assert_refused(&one.post(PATH, json!({})).await, "rate_limited", "guests", (20, HOUR), HOUR);
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 20);
        let refused = entries(&server, Action::RegistrationRefused).await;
        assert_eq!(refused.len(), 2);
        assert_eq!((refused[0].detail.get("budget"), refused[0].detail.get("by")), (Some(&json!("guests")), Some(&json!("guest"))));
        enter(&server.from("203.0.113.8")).await;
        // Registrations are counted by themselves.
        register(&one, "asha").await;
        server.advance(HOUR);
        enter(&one).await;
    }

    async fn parallel_requests_do_not_pass_the_limit(server: TestServer) {
        let server = with_guests(&server, &[("LIMIT_GUESTS_PER_ADDRESS", "3/1h")]).await;
        let answers = join_all((0..12).map(|_| server.post(PATH, json!({})))).await;
        let entered = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(entered, 3);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 3);
    }

    async fn where_sign_ups_are_closed_nobody_comes_as_a_guest(server: TestServer) {
        let open = with_guests(&server, &[]).await;
        let before = enter(&open).await;
        for value in ["invited", "closed"] {
            let closed = with_guests(&server, &[("SIGNUPS", value)]).await;
            closed.post(PATH, json!({})).await.assert_error(403, "signup_closed");
            // Who is a guest already goes on, and becomes a user.
            assert_goes_on(&closed, &before).await;
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
        let closed = with_guests(&server, &[("SIGNUPS", "closed")]).await;
        verify_phone(&closed, &before, PHONE).await;
        assert_eq!(claims(&refreshed(&closed, &before).await.access)["role"], json!("user"));
    }

    async fn a_network_that_is_blocked_has_no_guests(server: TestServer) {
        let admin = crate::roles::sign_in_with_role(&server, crate::roles::ADMIN, "admin").await;
        let body = json!({"kind": "address", "value": "203.0.113.0/24", "reason": "fraud"});
        let answer = server.send_as(&admin.access, Method::POST, "/api/admin/blocks", body).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
        let server = with_guests(&server, &[]).await;
        server.from("203.0.113.7").post(PATH, json!({})).await.assert_error(403, "forbidden");
        enter(&server).await;
    }

    async fn with_a_verified_phone_the_guest_is_a_user_and_keeps_everything(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let guest = enter(&server).await;
        post_as(&server, &guest, "/api/auth/complete-profile", profile_of_guest()).await.assert_ok();
        let body = json!({"bio": "Music."});
        server.send_as(&guest.access, Method::PUT, PROFILE, body).await.assert_ok();
        let before = server.get_as(&guest.access, PROFILE).await.json();
        // Much later than a sign-in counts as recent: a guest has nothing to confirm with.
        server.advance(25 * 60);
        verify_phone(&server, &guest, PHONE).await;
        let mut after = server.get_as(&guest.access, PROFILE).await.json();
        assert_eq!((&after["phone_number"], &after["is_verified"]), (&json!(PHONE), &json!(true)));
        for changed in ["phone_number", "is_verified", "updated_at"] {
            after[changed] = before[changed].clone();
        }
        assert_eq!(after, before);
        // The session has the rights of a user at once, and its tokens say so after a refresh.
        let sessions = server.get_as(&guest.access, "/api/auth/sessions").await;
        assert_eq!(sessions.assert_ok().at("/data").as_array().unwrap().len(), 1);
        let user = refreshed(&server, &guest).await;
        let access = claims(&user.access);
        assert_eq!((&access["role"], &access["phone_number"], &access["phone_verified"]), (&json!("user"), &json!(PHONE), &Value::Null));
        assert_eq!(access["user_id"], json!(guest.user_id));
        server.get_as(&user.access, "/api/auth/export").await.assert_ok();
        // The phone signs in to the same account.
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        let again = tokens_of(&server.verify_login(PHONE, &server.last_code_for(PHONE)).await);
        assert_eq!(again.user_id, guest.user_id);
        // Now the rules for users hold: a proof is needed.
        server.advance(11 * 60);
        let body = json!({ "phone_number": OTHER_PHONE });
        post_as(&server, &user, CHANGE, body).await.assert_error(403, "reauthentication_required");
    }

    async fn a_phone_that_has_an_account_is_taken(server: TestServer) {
        let owner = server.sign_in(PHONE).await;
        let server = with_guests(&server, &[]).await;
        let guest = enter(&server).await;
        server.advance(30);
        post_as(&server, &guest, CHANGE, json!({ "phone_number": PHONE })).await.assert_error(409, "phone_taken");
        assert!(server.codes_for(PHONE).is_empty());
        // Where accounts are hidden, only after the right code.
        let hidden = with_guests(&server, &[("HIDE_ACCOUNT_EXISTENCE", "true")]).await;
        post_as(&hidden, &guest, CHANGE, json!({ "phone_number": PHONE })).await.assert_ok();
        let body = json!({ "phone_number": PHONE, "otp_code": hidden.last_code_for(PHONE) });
        post_as(&hidden, &guest, VERIFY, body).await.assert_error(409, "phone_taken");
        assert_eq!(claims(&refreshed(&server, &guest).await.access)["role"], json!("guest"));
        assert_goes_on(&server, &owner).await;
    }

    async fn of_two_guests_one_gets_the_phone(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let (one, two) = (enter(&server).await, enter(&server).await);
        post_as(&server, &one, CHANGE, json!({ "phone_number": PHONE })).await.assert_ok();
        let first = server.last_code_for(PHONE);
        server.advance(30);
        post_as(&server, &two, CHANGE, json!({ "phone_number": PHONE })).await.assert_ok();
        let second = server.last_code_for(PHONE);
        let body = |code: &str| json!({ "phone_number": PHONE, "otp_code": code });
        let (a, b) = tokio::join!(
            post_as(&server, &one, VERIFY, body(&first)),
            post_as(&server, &two, VERIFY, body(&second)),
        );
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", a.text, b.text);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE role = 'user'").await, 1);
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE role = 'user'").await, 1);
    }

    async fn the_lead_of_the_phone_is_converted(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'new'").await, 1);
        let guest = enter(&server).await;
        server.advance(30);
        verify_phone(&server, &guest, PHONE).await;
        assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE state = 'converted'").await, 1);
    }

    async fn receivers_of_events_follow_a_guest(server: TestServer) {
        let hook = Hook::that_answers("allow").await;
        let server = hook.told_by(&server, &[("GUESTS", "on")]).await;
        let guest = enter(&server).await;
        let sent = crate::events::sent(&server, &hook).await;
        let of = |kind: &str, sent: &[Value]| sent.iter().find(|event| event["type"] == kind).map(|event| event["data"].clone());
        let created = json!({"user_id": guest.user_id, "created_by": "guest", "role": "guest"});
        assert_eq!(of("user.created", &sent), Some(created));
        assert_eq!(of("session.started", &sent).unwrap()["opened_by"], json!("guest"));
        assert_eq!(sent.len(), 2);
        verify_phone(&server, &guest, PHONE).await;
        let sent = crate::events::sent(&server, &hook).await;
        assert_eq!(of("user.updated", &sent), Some(json!({"user_id": guest.user_id, "fields": ["role"]})));
        assert!(of("user.phone_changed", &sent).is_some(), "{sent:?}");
    }

    async fn a_claimed_role_opens_nothing(server: TestServer) {
        let server = with_guests(&server, &[]).await;
        let (guest, user) = (enter(&server).await, server.sign_in(PHONE).await);
        // The holder of the secret can write claims, and still the row decides.
        for role in ["user", "staff", "admin", "Guest", ""] {
            let token = signed(&server, &with(claims(&guest.access), json!({"role": role})));
            for path in [PROFILE, "/api/auth/export", "/api/users"] {
                server.get_as(&token, path).await.assert_error(401, "token_revoked");
            }
        }
        // A user does not pass as a guest either: only a session that was a guest's has such tokens.
        let token = signed(&server, &with(claims(&user.access), json!({"role": "guest"})));
        server.get_as(&token, PROFILE).await.assert_error(401, "token_revoked");
        // The required second factor of staff raises nobody.
        let strict = with_guests(&server, &[("STAFF_SECOND_FACTOR", "required")]).await;
        strict.get_as(&guest.access, "/api/auth/export").await.assert_error(403, "forbidden");
        assert_eq!(claims(&refreshed(&strict, &guest).await.access)["role"], json!("guest"));
    }

    async fn a_guest_sends_no_more_codes_than_a_stranger(server: TestServer) {
        // The codes of an address are what is counted, not its guests.
        let server = with_guests(&server, &[("LIMIT_GUESTS_PER_ADDRESS", "100/1h")]).await;
        let one = server.from("203.0.113.7");
        let mut guest = enter(&one).await;
        for number in 0..20 {
            if number == 10 {
                guest = enter(&one).await;
            }
            let phone = format!("+9198123{number:05}");
            post_as(&one, &guest, CHANGE, json!({ "phone_number": phone })).await.assert_ok();
        }
        let refused = post_as(&one, &guest, CHANGE, json!({ "phone_number": OTHER_PHONE })).await;
        assert_refused(&refused, "rate_limited", "address-requests", (20, HOUR), HOUR);
        // It is one limit with signing up.
        one.signup(OTHER_PHONE).await.assert_error(429, "rate_limited");
        assert!(server.codes_for(OTHER_PHONE).is_empty());
        // Users have proved a phone, and are not counted.
        let user = sign_in_from(&server, PHONE, "Phone").await;
        post_as(&one, &user, CHANGE, json!({ "phone_number": OTHER_PHONE })).await.assert_ok();
    }

    async fn a_guest_solves_the_challenges_of_strangers(server: TestServer) {
        let server = with_guests(&server, &[("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "8")]).await;
        let one = server.from("203.0.113.7");
        let guest = enter(&one).await;
        for _ in 0..11 {
            one.login("1").await.assert_error(422, "validation_failed");
        }
        let body = json!({ "phone_number": PHONE });
        let refused = post_as(&one, &guest, CHANGE, body.clone()).await;
        let solved = crate::bot_check::solve(&refused);
        let wrong = json!({ "phone_number": PHONE, "challenge_response": "nothing" });
        post_as(&one, &guest, CHANGE, wrong).await.assert_error(403, "challenge_required");
        let answered = json!({ "phone_number": PHONE, "challenge_response": solved });
        post_as(&one, &guest, CHANGE, answered.clone()).await.assert_ok();
        // It is spent.
        server.advance(30);
        post_as(&one, &guest, CHANGE, answered).await.assert_error(403, "challenge_required");
        assert_eq!(server.codes_for(PHONE).len(), 1);
        // A user with a phone is asked for none.
        let user = server.sign_in(OTHER_PHONE).await;
        post_as(&one, &user, CHANGE, body).await.assert_ok();
    }

    async fn with_one_session_for_each_user_a_guest_keeps_its_own(server: TestServer) {
        let server = with_guests(&server, &[("SESSIONS_PER_USER", "1")]).await;
        let (one, two) = (enter(&server).await, enter(&server).await);
        assert_goes_on(&server, &one).await;
        assert_goes_on(&server, &two).await;
        verify_phone(&server, &one, PHONE).await;
        let here = sign_in_from(&server, PHONE, "Here").await;
        assert_eq!(here.user_id, one.user_id);
        assert_over(&server, &one).await;
    }
}
