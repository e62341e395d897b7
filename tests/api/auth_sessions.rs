//! `GET /api/auth/sessions`, `DELETE /api/auth/sessions` and `DELETE /api/auth/sessions/{id}`

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    again::{PASSWORD, assert_goes_on, assert_over, password_tokens, post_empty_as, register, sign_in_from},
    forge::{claim, claims},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, Tokens},
};

const PATH: &str = "/api/auth/sessions";
const DAY: i64 = 24 * 60 * 60;

async fn list(server: &crate::support::TestServer, tokens: &Tokens) -> Vec<Value> {
    let answer = server.get_as(&tokens.access, PATH).await;
    answer.assert_ok();
    assert_eq!(answer.at("/success"), json!(true));
    assert_eq!(answer.at("/token"), Value::Null);
    answer.at("/data").as_array().expect("a list").clone()
}

async fn end(server: &crate::support::TestServer, tokens: &Tokens, id: &str) -> Answer {
    server.send_as(&tokens.access, Method::DELETE, &format!("{PATH}/{id}"), json!({})).await
}

fn sid(tokens: &Tokens) -> String {
    claim(&tokens.access, "sid")
}

fn names(sessions: &[Value]) -> Vec<&str> {
    sessions.iter().filter_map(|session| session["device"].as_str()).collect()
}

on_both! {
    async fn a_device_has_a_name_in_any_script(server: TestServer) {
        let encoded = "UTF-8''%E0%A4%97%E0%A5%8C%E0%A4%B0%E0%A4%B5%20%F0%9F%93%B1";
        let tokens = sign_in_from(&server, PHONE, encoded).await;
        assert_eq!(names(&list(&server, &tokens).await), ["गौरव 📱"]);
        for path in ["verify-otp", "verify-login", "login", "register"] {
            let document = server.get("/api/openapi.json").await;
            let parameters = document.at(&format!("/paths/~1api~1auth~1{path}/post/parameters")).to_string();
            assert!(parameters.contains("X-Device-Name"), "{path}: {parameters}");
        }
    }

    async fn they_are_listed_by_their_last_use(server: TestServer) {
        let start = server.now();
        let old = sign_in_from(&server, PHONE, "  Old\tphone ").await;
        let tablet = sign_in_from(&server, PHONE, "Tablet").await;
        let sessions = list(&server, &tablet).await;
        assert_eq!(names(&sessions), ["Tablet", "Oldphone"]);
        assert_eq!(
            sessions[1],
            json!({
                "id": sid(&old),
                "device": "Oldphone",
                "address": sessions[1]["address"],
                "created_at": (start + chrono::Duration::seconds(30)).to_rfc3339_opts(chrono::SecondsFormat::Micros, false),
                "last_used_at": sessions[1]["created_at"],
                "current": false,
            })
        );
        assert!(sessions[1]["address"].is_string());
        assert_eq!(sessions[0]["current"], json!(true));
        // A refresh counts as a use, a read request does not.
        server.advance(60);
        assert_goes_on(&server, &tablet).await;
        server.refresh(&old.refresh).await.assert_ok();
        let sessions = list(&server, &tablet).await;
        assert_eq!(names(&sessions), ["Oldphone", "Tablet"]);
        assert_ne!(sessions[0]["last_used_at"], sessions[0]["created_at"]);
        assert_eq!(sessions[1]["last_used_at"], sessions[1]["created_at"]);
    }

    async fn the_user_agent_names_a_device_that_has_no_name(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let body = json!({ "phone_number": PHONE, "otp_code": server.last_code_for(PHONE) });
        let long = format!("Loopin/{}", "9".repeat(300));
        let headers = [("content-type", "application/json"), ("user-agent", long.as_str())];
        let answer = server.send(Method::POST, "/api/auth/verify-otp", &headers, Some(body.to_string())).await;
        let tokens = crate::again::tokens_of(&answer);
        let sessions = list(&server, &tokens).await;
        assert_eq!(sessions[0]["device"].as_str().map(str::len), Some(200));
        assert!(long.starts_with(sessions[0]["device"].as_str().unwrap()));
    }

    async fn nobody_sees_or_ends_another_persons(server: TestServer) {
        let mine = server.sign_in(PHONE).await;
        let other = server.sign_in(OTHER_PHONE).await;
        assert_eq!(list(&server, &mine).await.len(), 1);
        end(&server, &other, &sid(&mine)).await.assert_error(404, "not_found");
        for id in ["0199aa55-5a2b-7c60-9d3c-0c8f3f4f2a11", "7", "x'--"] {
            end(&server, &mine, id).await.assert_error(404, "not_found");
        }
        server.send_as(&other.access, Method::DELETE, PATH, json!({})).await.assert_ok();
        assert_goes_on(&server, &mine).await;
        assert_goes_on(&server, &other).await;
    }

    async fn one_is_ended_at_once(server: TestServer) {
        let old = server.sign_in(PHONE).await;
        let new = sign_in_from(&server, PHONE, "New").await;
        end(&server, &new, &sid(&old)).await.assert_ok();
        assert_over(&server, &old).await;
        assert_eq!(names(&list(&server, &new).await), ["New"]);
        // It has ended already.
        end(&server, &new, &sid(&old)).await.assert_error(404, "not_found");
        // A user can also end the current session.
        end(&server, &new, &sid(&new)).await.assert_ok();
        assert_over(&server, &new).await;
    }

    async fn the_others_are_ended_at_once(server: TestServer) {
        let one = server.sign_in(PHONE).await;
        let two = sign_in_from(&server, PHONE, "Two").await;
        let here = sign_in_from(&server, PHONE, "Here").await;
        let answer = server.send_as(&here.access, Method::DELETE, PATH, json!({})).await;
        answer.assert_ok();
        assert_eq!(answer.at("/data/ended"), json!(2));
        assert_over(&server, &one).await;
        assert_over(&server, &two).await;
        assert_eq!(names(&list(&server, &here).await), ["Here"]);
        server.refresh(&here.refresh).await.assert_ok();
    }

    async fn one_that_died_of_disuse_is_not_listed(server: TestServer) {
        let old = server.sign_in(PHONE).await;
        server.advance(7 * DAY);
        let new = sign_in_from(&server, PHONE, "New").await;
        assert_eq!(names(&list(&server, &new).await), ["New"]);
        end(&server, &new, &sid(&old)).await.assert_error(404, "not_found");
    }

    async fn a_stranger_sees_nothing(server: TestServer) {
        server.get(PATH).await.assert_error(401, "token_missing");
        for path in [PATH, "/api/auth/sessions/7"] {
            server.send(Method::DELETE, path, &[], None).await.assert_error(401, "token_missing");
        }
        let tokens = server.sign_in(PHONE).await;
        server.get_as(&tokens.refresh, PATH).await.assert_error(401, "token_invalid");
        let slash = server.get_as(&tokens.access, "/api/auth/sessions/").await;
        slash.assert_ok();
    }

    async fn the_twenty_first_ends_the_one_that_was_used_longest_ago(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        let mut all = Vec::new();
        for number in 0..20 {
            all.push(sign_in_from(&server, PHONE, &format!("Device {number}")).await);
        }
        assert_eq!(list(&server, &all[19]).await.len(), 20);
        // The first session was used, so the second is the oldest.
        server.refresh(&all[0].refresh).await.assert_ok();
        all.push(sign_in_from(&server, PHONE, "Device 20").await);
        assert_over(&server, &all[1]).await;
        let sessions = list(&server, &all[20]).await;
        assert_eq!(sessions.len(), 20);
        assert_eq!(sessions[0]["device"], json!("Device 20"));
        assert!(!names(&sessions).contains(&"Device 1"), "{sessions:?}");
        assert!(names(&sessions).contains(&"Device 0"), "{sessions:?}");
    }

    async fn thirty_at_once_are_twenty_at_most(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        let first = register(&server, "gaurav").await;
        server.advance(1);
        let other_server = server.second_server(&[]).await;
        let body = json!({ "username": "gaurav", "password": PASSWORD });
        let answers = join_all((0..30).map(|number| {
            let other = if number % 2 == 0 { &server } else { &other_server };
            other.post("/api/auth/login", body.clone())
        })).await;
        let all: Vec<Tokens> = answers.iter().map(|answer| {
            answer.assert_ok();
            password_tokens(answer)
        }).collect();
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 20);
        assert_over(&server, &first).await;
        let mut live = 0;
        for tokens in &all {
            live += i32::from(server.get_as(&tokens.access, PATH).await.status == 200);
        }
        assert_eq!(live, 20);
    }

    async fn another_persons_do_not_count(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        let other = server.sign_in(OTHER_PHONE).await;
        for number in 0..21 {
            sign_in_from(&server, PHONE, &format!("Device {number}")).await;
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 21);
        server.refresh(&other.refresh).await.assert_ok();
    }

    async fn use_keeps_a_session_alive_until_it_is_ninety_days_old(server: TestServer) {
        let end = server.now().timestamp() + 90 * DAY;
        let mut tokens = server.sign_in(PHONE).await;
        for day in [6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 66, 72, 78, 84, 89] {
            server.clock.advance(chrono::Duration::days(day) - (server.now() - crate::support::start()));
            let answer = server.refresh(&tokens.refresh).await;
            answer.assert_ok();
            tokens = Tokens { user_id: tokens.user_id, ..password_tokens(&answer) };
            let expires = claims(&tokens.refresh)["exp"].as_i64().unwrap();
            assert_eq!(expires, end.min(server.now().timestamp() + 7 * DAY), "day {day}");
        }
        server.advance(DAY - 1);
        let last = server.refresh(&tokens.refresh).await;
        last.assert_ok();
        let last = Tokens { user_id: String::new(), ..password_tokens(&last) };
        assert_eq!(claims(&last.refresh)["exp"].as_i64(), Some(end));
        server.advance(1);
        server.refresh(&last.refresh).await.assert_error(401, "token_expired");
        // Signing in begins a new session.
        let anew = sign_in_from(&server, PHONE, "Anew").await;
        assert_eq!(names(&list(&server, &anew).await), ["Anew"]);
    }

    async fn the_greatest_age_is_a_setting(server: TestServer) {
        let settings = [("SESSION_MAX_DAYS", "3"), ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "2")];
        let server = crate::support::TestServer::with(server.database, &settings).await;
        let begun = server.now().timestamp();
        let tokens = server.sign_in(PHONE).await;
        assert_eq!(claims(&tokens.refresh)["exp"].as_i64(), Some(begun + 2 * DAY));
        server.advance(2 * DAY - 1);
        let next = server.refresh(&tokens.refresh).await;
        next.assert_ok();
        assert_eq!(claims(&next.text_at("/refresh"))["exp"].as_i64(), Some(begun + 3 * DAY));
    }

    async fn a_session_that_is_older_than_it_may_be_now_is_over(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.advance(2 * DAY);
        let stricter = server.second_server(&[("SESSION_MAX_DAYS", "1")]).await;
        stricter.refresh(&tokens.refresh).await.assert_error(401, "token_expired");
        server.refresh(&tokens.refresh).await.assert_ok();
    }

    async fn without_the_database_nothing_is_said(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        server.services.store.close().await;
        server.get_as(&tokens.access, PATH).await.assert_error(503, "database_unavailable");
        post_empty_as(&server, &tokens, "/api/auth/logout-all").await.assert_error(503, "database_unavailable");
    }
}
