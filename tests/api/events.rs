//! Events: what is written, by which request, and that nothing is written of what did not happen.

use loopin_auth::flows::events::{Sender, Sent};
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, confirm_by_code, post_as, post_empty_as, sign_in_from},
    budgets::Guesser,
    on_both,
    roles::{ADMIN, STAFF, sign_in_with_role},
    support::{OTHER_PHONE, PHONE, TestServer, Tokens, hook::Hook, whole_profile},
};

const NEW: &str = "+919812345678";

/// Sends what is due, and returns the payloads in the order in which they came, each once.
pub async fn sent(server: &TestServer, hook: &Hook) -> Vec<Value> {
    server.settle().await;
    hook.forget().await;
    // A lease of another sender is over by then.
    server.advance(31);
    send(&mut Sender::new(&server.services).expect("events are on")).await;
    let events = hook.events().await;
    let mut ids: Vec<&String> = events.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), events.len(), "an event was sent twice: {events:?}");
    assert_eq!(waiting(server).await, 0);
    events.into_iter().map(|(_, payload)| payload).collect()
}

pub async fn send(sender: &mut Sender) -> Sent {
    sender.send_due().await.expect("the database answers")
}

pub async fn waiting(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM outbox WHERE died_at IS NULL").await
}

/// Type and data, sorted by the type: events of a user and of a lead may come in either order.
fn facts(events: Vec<Value>) -> Vec<(String, Value)> {
    let fact = |event: Value| (event["type"].as_str().unwrap().to_owned(), event["data"].clone());
    let mut facts: Vec<_> = events.into_iter().map(fact).collect();
    facts.sort_by(|(one, _), (other, _)| one.cmp(other));
    facts
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds
}

async fn lead_id(server: &TestServer, phone: &str) -> Value {
    let id = match server.database {
        crate::support::Database::Postgres => "id::text",
        crate::support::Database::Sqlite => {
            "lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) \
             || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21))"
        }
    };
    json!(server.text(&format!("SELECT {id} FROM leads WHERE phone = '{phone}'")).await)
}

fn sid(tokens: &Tokens) -> Value {
    json!(crate::forge::claim(&tokens.access, "sid"))
}

/// Lets the database refuse such changes of `outbox`, and no others.
async fn refuse(server: &TestServer, change: &str) {
    let all = ["INSERT", "UPDATE"];
    match server.database {
        crate::support::Database::Sqlite => {
            for other in all {
                server.execute(&format!("DROP TRIGGER IF EXISTS refuse_{other}")).await;
            }
            if all.contains(&change) {
                let refusal = "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END";
                server
                    .execute(&format!("CREATE TRIGGER refuse_{change} BEFORE {change} ON outbox {refusal}"))
                    .await;
            }
        }
        crate::support::Database::Postgres => {
            let refusal = "BEGIN RAISE EXCEPTION 'refused by the test'; END";
            let function = "CREATE OR REPLACE FUNCTION refuse_outbox() RETURNS trigger LANGUAGE plpgsql AS";
            server.execute(&format!("{function} $${refusal}$$")).await;
            server.execute("DROP TRIGGER IF EXISTS refuse ON outbox").await;
            if all.contains(&change) {
                let each = "FOR EACH ROW EXECUTE FUNCTION refuse_outbox()";
                server.execute(&format!("CREATE TRIGGER refuse BEFORE {change} ON outbox {each}")).await;
            }
        }
    }
}

on_both! {
    async fn a_new_user_is_a_lead_an_account_and_a_session(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let at = server.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        let tokens = server.sign_in(PHONE).await;
        let expires = server.now() + chrono::Duration::days(7);
        let events = sent(&server, &hook).await;
        assert!(events.iter().all(|event| event["timestamp"] == json!(at)), "{events:?}");
        let (lead, user) = (lead_id(&server, PHONE).await, json!(tokens.user_id));
        assert_eq!(
            facts(events),
            [
                ("lead.converted".to_owned(), json!({"lead_id": lead, "user_id": user, "by": "code"})),
                ("lead.created".to_owned(), json!({"lead_id": lead, "source": "signup", "country": "IN"})),
                (
                    "session.started".to_owned(),
                    json!({
                        "user_id": user,
                        "session_id": sid(&tokens),
                        "opened_by": "code",
                        "expires_at": expires.to_rfc3339_opts(chrono::SecondsFormat::Micros, false),
                    })
                ),
                ("user.created".to_owned(), json!({"user_id": user, "created_by": "code", "role": "user"})),
            ]
        );
        // The same user again: neither a lead nor an account.
        let again = sign_in_from(&server, PHONE, "Again").await;
        let events = sent(&server, &hook).await;
        assert_eq!(kinds(&events), ["session.started"]);
        assert_eq!(events[0]["data"]["session_id"], sid(&again));
    }

    async fn phones_are_included_only_where_the_settings_say_so(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[("EVENTS_INCLUDE_PHONE", "true")]).await;
        let tokens = server.sign_in(PHONE).await;
        let with_phone = facts(sent(&server, &hook).await);
        let phones: Vec<_> = with_phone.iter().map(|(kind, data)| (kind.as_str(), data["phone_number"].clone())).collect();
        assert_eq!(phones, [
            ("lead.converted", json!(PHONE)),
            ("lead.created", json!(PHONE)),
            ("session.started", Value::Null),
            ("user.created", json!(PHONE)),
        ]);
        confirm_by_code(&server, &tokens, PHONE).await;
        post_empty_as(&server, &tokens, "/api/auth/delete-account").await.assert_ok();
        assert_eq!(facts(sent(&server, &hook).await), [("user.deleted".to_owned(), json!({"user_id": tokens.user_id}))]);
    }

    async fn a_profile_is_completed_once_and_updated_often(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let tokens = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        let complete = "/api/auth/complete-profile";
        post_as(&server, &tokens, complete, whole_profile()).await.assert_ok();
        let events = facts(sent(&server, &hook).await);
        // It replaces the whole profile.
        let fields = ["name", "birth_date", "gender", "bio", "location", "event_interests", "profile_pictures"];
        assert_eq!(events, [
            ("user.profile_completed".to_owned(), json!({"user_id": tokens.user_id})),
            ("user.updated".to_owned(), json!({"user_id": tokens.user_id, "fields": fields})),
        ]);
        let body = json!({"bio": "Hello", "phone": "+919812345678"});
        server.send_as(&tokens.access, Method::PUT, "/api/auth/profile", body).await.assert_ok();
        let events = facts(sent(&server, &hook).await);
        let data = json!({"user_id": tokens.user_id, "fields": ["phone", "bio"]});
        assert_eq!(events, [("user.updated".to_owned(), data)]);
        // What is refused is no event.
        let body = json!({"bio": 1});
        assert_eq!(server.send_as(&tokens.access, Method::PUT, "/api/auth/profile", body).await.status.as_u16(), 422);
        assert_eq!(waiting(&server).await, 0);
    }

    async fn another_phone_ends_the_other_sessions(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[("EVENTS_INCLUDE_PHONE", "true")]).await;
        let elsewhere = server.sign_in(PHONE).await;
        let tokens = sign_in_from(&server, PHONE, "Here").await;
        sent(&server, &hook).await;
        post_as(&server, &tokens, "/api/auth/change-phone", json!({"phone_number": NEW})).await.assert_ok();
        let body = json!({"phone_number": NEW, "otp_code": server.last_code_for(NEW)});
        post_as(&server, &tokens, "/api/auth/verify-change-phone", body).await.assert_ok();
        assert_eq!(facts(sent(&server, &hook).await), [
            ("session.ended".to_owned(), json!({"user_id": tokens.user_id, "session_id": sid(&elsewhere), "reason": "phone_changed"})),
            ("user.phone_changed".to_owned(), json!({"user_id": tokens.user_id, "phone_number": NEW, "previous_phone_number": PHONE})),
        ]);
    }

    async fn sessions_that_end_say_why(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let first = server.sign_in(PHONE).await;
        let second = sign_in_from(&server, PHONE, "Second").await;
        let third = sign_in_from(&server, PHONE, "Third").await;
        sent(&server, &hook).await;
        let ended = async |server: &TestServer| {
            let facts = facts(sent(server, &hook).await);
            facts.into_iter().map(|(kind, data)| (kind, data["session_id"].clone(), data["reason"].clone())).collect::<Vec<_>>()
        };
        let end = |tokens: &Tokens, reason: &str| ("session.ended".to_owned(), sid(tokens), json!(reason));
        server.post("/api/auth/logout", json!({"refresh": first.refresh})).await.assert_ok();
        assert_eq!(ended(&server).await, [end(&first, "logged_out")]);
        // Ended before.
        server.post("/api/auth/logout", json!({"refresh": first.refresh})).await.assert_ok();
        assert_eq!(waiting(&server).await, 0);
        let next = server.refresh(&second.refresh).await.assert_ok().text_at("/refresh");
        server.refresh(&next).await.assert_ok();
        server.advance(31);
        server.refresh(&second.refresh).await.assert_error(401, "token_revoked");
        assert_eq!(ended(&server).await, [end(&second, "token_reused")]);
        post_as(&server, &third, "/api/auth/password", json!({"new_password": PASSWORD})).await.assert_ok();
        assert_eq!(waiting(&server).await, 0, "the own session goes on");
        post_empty_as(&server, &third, "/api/auth/logout-all").await.assert_ok();
        assert_eq!(ended(&server).await, [end(&third, "logged_out")]);
    }

    async fn staff_change_and_deactivate_users(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let admin = sign_in_with_role(&server, ADMIN, "admin").await;
        let user = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        let path = format!("/api/users/{}", user.user_id);
        let body = json!({"first_name": "Gaurav", "is_active": true});
        server.send_as(&admin.access, Method::PUT, &path, body).await.assert_ok();
        let data = json!({"user_id": user.user_id, "fields": ["first_name"]});
        assert_eq!(facts(sent(&server, &hook).await), [("user.updated".to_owned(), data)]);
        server.send_as(&admin.access, Method::PUT, &path, json!({"is_active": false})).await.assert_ok();
        assert_eq!(facts(sent(&server, &hook).await), [
            ("session.ended".to_owned(), json!({"user_id": user.user_id, "session_id": sid(&user), "reason": "rights_changed"})),
            ("user.deactivated".to_owned(), json!({"user_id": user.user_id})),
        ]);
        server.send_as(&admin.access, Method::PUT, &path, json!({"is_active": true, "role": "staff"})).await.assert_ok();
        let data = json!({"user_id": user.user_id, "fields": ["role", "is_active"]});
        assert_eq!(facts(sent(&server, &hook).await), [("user.updated".to_owned(), data)]);
    }

    async fn staff_verify_a_phone_by_hand(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let staff = sign_in_with_role(&server, STAFF, "staff").await;
        server.login(PHONE).await.assert_error(404, "user_not_found");
        server.signup(PHONE).await.assert_ok();
        sent(&server, &hook).await;
        let lead = lead_id(&server, PHONE).await;
        let path = format!("/api/admin/leads/{}/verify", lead.as_str().unwrap());
        let verified = post_as(&server, &staff, &path, json!({})).await;
        verified.assert_ok();
        let facts = facts(sent(&server, &hook).await);
        let user = facts[0].1["user_id"].clone();
        assert_eq!(facts, [
            ("lead.converted".to_owned(), json!({"lead_id": lead, "user_id": user, "by": "staff"})),
            ("user.created".to_owned(), json!({"user_id": user, "created_by": "staff", "role": "user"})),
        ]);
    }

    async fn a_registration_is_an_account_and_a_session(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let tokens = crate::again::register(&server, "gaurav").await;
        let events = sent(&server, &hook).await;
        assert_eq!(kinds(&events), ["session.started", "user.created"]);
        let created = facts(events)[1].1.clone();
        assert_eq!(created, json!({"user_id": tokens.user_id, "created_by": "password", "role": "user"}));
        let body = json!({"username": "rohan", "email": "rohan@example.com", "password": PASSWORD});
        assert_eq!(server.post("/api/register", body.clone()).await.status.as_u16(), 201);
        assert_eq!(kinds(&sent(&server, &hook).await), ["user.created"]);
        // Rolled back, because the name is taken.
        assert_eq!(server.post("/api/register", body.clone()).await.status.as_u16(), 409);
        server.post("/api/auth/register", body).await.assert_error(409, "username_taken");
        assert_eq!(waiting(&server).await, 0);
    }

    async fn a_lost_message_is_told_once(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let lost = "+15005550011";
        let delivery = server.signup(lost).await.assert_ok().at("/data/delivery_id");
        assert_eq!(kinds(&sent(&server, &hook).await), ["lead.created"]);
        server.play(4).await;
        server.play(4).await;
        let [(kind, data)] = <[_; 1]>::try_from(facts(sent(&server, &hook).await)).unwrap();
        let lead = lead_id(&server, lost).await;
        let expected = json!({
            "user_id": null, "lead_id": lead, "message_id": data["message_id"], "delivery_id": delivery,
            "attempt": 1, "channel": "sms", "provider": "test_inbox", "status": "undelivered", "reason": "invalid",
        });
        assert_eq!((kind.as_str(), data), ("message.undelivered", expected));
        // The provider refuses another one at once.
        server.signup("+15005550001").await.assert_error(400, "phone_unreachable");
        let facts = facts(sent(&server, &hook).await);
        assert_eq!(facts.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["lead.created", "message.undelivered"]);
        assert_eq!(facts[1].1["status"], "failed");
    }

    async fn a_code_for_another_phone_is_about_the_user_who_waits_for_it(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[("EVENTS_INCLUDE_PHONE", "true")]).await;
        let tokens = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        let lost = "+15005550011";
        post_as(&server, &tokens, "/api/auth/change-phone", json!({"phone_number": lost})).await.assert_ok();
        server.play(4).await;
        let [(kind, data)] = <[_; 1]>::try_from(facts(sent(&server, &hook).await)).unwrap();
        assert_eq!((kind.as_str(), &data["phone_number"]), ("message.undelivered", &json!(lost)));
        assert_eq!((&data["user_id"], &data["lead_id"]), (&json!(tokens.user_id), &Value::Null));
        // So it goes with its user.
        server.advance(30);
        post_as(&server, &tokens, "/api/auth/change-phone", json!({"phone_number": lost})).await.assert_ok();
        server.play(4).await;
        post_empty_as(&server, &tokens, "/api/auth/delete-account").await.assert_ok();
        assert_eq!(kinds(&sent(&server, &hook).await), ["user.deleted"]);
    }

    async fn a_locked_phone_is_told_once(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let user = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        let (mut guesser, attacker) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..10 {
            guesser.guess(&attacker, 30).await.assert_error(400, "otp_invalid");
        }
        let locked_at = server.now();
        guesser.guess(&attacker, 30).await.assert_error(429, "phone_locked");
        let [(kind, data)] = <[_; 1]>::try_from(facts(sent(&server, &hook).await)).unwrap();
        let until = data["until"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert!(until > locked_at, "{until}");
        let expected = json!({
            "user_id": user.user_id, "lead_id": lead_id(&server, PHONE).await,
            "limit": data["limit"], "until": data["until"],
        });
        assert_eq!((kind.as_str(), data), ("phone.locked", expected));
    }

    async fn a_right_code_that_is_the_last_allowed_guess_locks_nothing(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let user = server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        let (mut guesser, attacker) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..9 {
            guesser.guess(&attacker, 30).await.assert_error(400, "otp_invalid");
        }
        server.advance(30);
        server.signup(PHONE).await;
        attacker.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
        // Not even for a moment, and what comes after it is not held up.
        let events = facts(sent(&server, &hook).await);
        assert_eq!(events.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["session.started"]);
        assert_eq!(events[0].1["user_id"], json!(user.user_id));
    }

    async fn a_phone_is_locked_together_with_its_event_or_not_at_all(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        server.sign_in(PHONE).await;
        sent(&server, &hook).await;
        let (mut guesser, attacker) = (Guesser::new(&server, PHONE), server.from("203.0.113.7"));
        for _ in 0..9 {
            guesser.guess(&attacker, 30).await.assert_error(400, "otp_invalid");
        }
        let guesses = "SELECT CAST(SUM(count) AS BIGINT) FROM budgets WHERE key LIKE '%guesses%'";
        let before = server.count(guesses).await;
        // No event can be written: no guess that would lock the phone is judged.
        refuse(&server, "INSERT").await;
        let refused = guesser.guess(&attacker, 30).await;
        assert!(refused.status.is_server_error(), "{}", refused.text);
        assert_eq!(server.count(guesses).await, before);
        refuse(&server, "UPDATE").await;
        // Now it cannot be released, as after a kill: the guess is charged, and the event comes half a minute later.
        guesser.guess(&attacker, 30).await.assert_error(400, "otp_invalid");
        guesser.guess(&attacker, 30).await.assert_error(429, "phone_locked");
        assert_eq!(waiting(&server).await, 1);
        let mut sender = Sender::new(&server.services).unwrap();
        hook.forget().await;
        refuse(&server, "nothing").await;
        assert_eq!(send(&mut sender).await, Sent::default(), "it is held");
        server.advance(30);
        assert_eq!(send(&mut sender).await.taken, 1);
        assert_eq!(hook.events().await[0].1["type"], "phone.locked");
    }

    async fn nothing_is_written_of_what_did_not_happen(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        server.signup(PHONE).await.assert_ok();
        sent(&server, &hook).await;
        let code = server.last_code_for(PHONE);
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        // The right code of no account, which is rolled back.
        server.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        assert_eq!(waiting(&server).await, 0);
        server.verify_otp(PHONE, &code).await.assert_ok();
        sent(&server, &hook).await;
        // A disabled account gets no session.
        server.disable(PHONE).await;
        server.execute("UPDATE challenges SET consumed_at = NULL, attempts = 0").await;
        server.verify_otp(PHONE, &code).await.assert_error(403, "account_disabled");
        // Both consume the code; one of them signs in.
        server.signup(OTHER_PHONE).await.assert_ok();
        let code = server.last_code_for(OTHER_PHONE);
        futures_util::future::join(server.verify_otp(OTHER_PHONE, &code), server.verify_otp(OTHER_PHONE, &code)).await;
        let events = sent(&server, &hook).await;
        assert_eq!(kinds(&events), ["lead.converted", "lead.created", "session.started", "user.created"]);
    }

    async fn nothing_is_written_without_a_receiver(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        server.post("/api/auth/logout", json!({"refresh": tokens.refresh})).await.assert_ok();
        assert_eq!(waiting(&server).await, 0);
        assert!(Sender::new(&server.services).is_none());
    }
}
