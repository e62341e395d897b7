//! The second step of the sign-in.

use futures_util::future::join_all;
use loopin_auth::flows::events::Sender;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, PASSWORD, Page, new_account},
    on_both,
    support::{Authenticator, TestServer, hook::Hook},
};

const COOKIE: &str = "loopin_admin";
const CODE: &str = "/admin/sign-in/code";

/// An account of staff with a second factor.
async fn enrolled(server: &TestServer, name: &str) -> Authenticator {
    let id = new_account(server, name, "staff").await;
    server.enrol(&id).await
}

async fn give(browser: &Browser, page: &Page, code: &str) -> Page {
    browser.submit(page, CODE, &[("code", code)]).await
}

async fn live_sessions(server: &TestServer) -> i64 {
    server.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND opened_by = 'console'").await
}

#[track_caller]
fn assert_out(page: &Page) {
    assert!(page.path.starts_with("/admin/sign-in"), "{}: {}", page.path, page.text());
}

on_both! {
    async fn each_step_replaces_the_session_of_the_one_before(server: TestServer) {
        let hook = Hook::that_answers("").await;
        let server = hook.told_by(&server, &[]).await;
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        give(&browser, &page, &app.code(&server)).await;
        Sender::new(&server.services).expect("events are on").send_due().await.expect("the database answers");
        let events = hook.events().await.into_iter().map(|(_, event)| event);
        let of_sessions = events.filter(|event| event["type"].as_str().unwrap().starts_with("session."));
        let [first, replaced, second] = <[Value; 3]>::try_from(of_sessions.collect::<Vec<_>>()).unwrap();
        assert_eq!((&first["type"], &first["data"]["opened_by"]), (&json!("session.started"), &json!("console")));
        assert_eq!((&replaced["type"], &replaced["data"]["reason"]), (&json!("session.ended"), &json!("replaced")));
        assert_eq!(replaced["data"]["session_id"], first["data"]["session_id"]);
        assert_eq!(second["type"], "session.started");
        assert_ne!(second["data"]["session_id"], first["data"]["session_id"]);
    }

    async fn the_code_of_the_app_opens_the_console(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        browser.get("/admin/sign-in").await;
        let first = browser.cookie(COOKIE).unwrap();
        let page = browser.sign_in("staff").await;
        page.assert_status(200).assert_has("Enter your code");
        let second = browser.cookie(COOKIE).unwrap();
        assert_ne!(first, second);
        assert_out(&browser.get("/admin").await);
        let page = give(&browser, &page, &app.code(&server)).await;
        assert_eq!(page.path, "/admin");
        page.assert_status(200).assert_has("Dashboard").assert_has("staff");
        assert_ne!(browser.cookie(COOKIE).unwrap(), second);
        assert_eq!(live_sessions(&server).await, 1, "the session of the first step has ended");
        // It opens nothing any more.
        browser.set_cookie(COOKIE, &second);
        assert_out(&browser.get("/admin").await);
        assert_out(&browser.get(CODE).await);
    }

    async fn a_code_is_refused_in_words_that_help(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        give(&browser, &page, "12345").await.assert_status(422).assert_has("6 digits");
        let page = give(&browser, &page, &app.wrong(&server)).await;
        page.assert_status(401).assert_has("wrong, or it was used before").assert_has("4 tries are left");
        let code = app.code(&server);
        assert_eq!(give(&browser, &page, &code).await.path, "/admin");
        let other = Browser::new(&server);
        let page = other.sign_in("staff").await;
        give(&other, &page, &code).await.assert_status(401).assert_has("used before");
    }

    async fn a_recovery_code_is_typed_into_the_same_field(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        for (code, path) in [(&app.recovery_codes[0], "/admin"), (&app.recovery_codes[0], CODE), (&app.recovery_codes[1], "/admin")] {
            let browser = Browser::new(&server);
            let page = browser.sign_in("staff").await;
            assert_eq!(give(&browser, &page, code).await.path, path);
        }
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        give(&browser, &page, &app.recovery_codes[2]).await;
        browser.get("/admin/account").await.assert_has("7 of 10 recovery codes are left");
    }

    async fn the_way_leads_back_after_both_steps(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        let page = browser.get("/admin/account?a=b&c=d").await;
        let page = browser.submit(&page, "/admin/sign-in", &[("username", "staff"), ("password", PASSWORD)]).await;
        let page = give(&browser, &page, &app.wrong(&server)).await;
        let page = give(&browser, &page, &app.code(&server)).await;
        assert_eq!(page.path, "/admin/account?a=b&c=d");
    }

    async fn the_second_step_may_take_ten_minutes(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        for (seconds, path) in [(599, "/admin"), (600, "/admin/sign-in")] {
            let browser = Browser::new(&server);
            let page = browser.sign_in("staff").await;
            server.advance(seconds);
            let page = give(&browser, &page, &app.code(&server)).await;
            assert_eq!(page.path, path);
        }
    }

    async fn a_session_between_the_steps_may_do_nothing(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        let token = page.form(CODE).value("form_token").unwrap().to_owned();
        for path in ["/admin", "/admin/account", "/admin/nothing"] {
            assert_out(&browser.get(path).await);
        }
        let body = format!("form_token={token}&password={PASSWORD}");
        assert_out(&browser.post("/admin/account/second-factor", &body).await);
        // Its cookie is no token of the API.
        let cookie = browser.cookie(COOKIE).unwrap();
        server.get_as(&cookie, "/api/auth/profile").await.assert_error(401, "token_invalid");
        assert_eq!(give(&browser, &page, &app.code(&server)).await.path, "/admin");
        // Between the steps another form token is needed than after them.
        browser.post("/admin/sign-out", &format!("form_token={token}")).await.assert_status(403);
    }

    async fn five_wrong_codes_close_the_step_and_the_page_says_until_when(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        let mut page = browser.sign_in("staff").await;
        for _ in 0..5 {
            page = give(&browser, &page, &app.wrong(&server)).await;
        }
        let until = server.now() + chrono::Duration::seconds(900);
        let machine = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        for _ in 0..2 {
            page.assert_status(429).assert_has("Too many wrong codes. You can try again at");
            assert!(page.html.contains(&format!("datetime=\"{machine}\"")), "{}", page.html);
            page = give(&browser, &page, &app.code(&server)).await;
        }
        // The password opens the page again, and it still says so.
        Browser::new(&server).sign_in("staff").await.assert_status(429).assert_has("try again at");
        for _ in 0..3 {
            server.advance(900);
            let page = browser.sign_in("staff").await;
            page.assert_status(200);
            for _ in 0..5 {
                give(&browser, &page, &app.wrong(&server)).await;
            }
        }
        server.advance(86_400);
        browser.sign_in("staff").await.assert_status(429).assert_has("Ask an admin to reset");
    }

    async fn wrong_codes_of_the_api_and_of_the_console_count_together(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        for _ in 0..4 {
            let body = json!({"username": "staff", "password": PASSWORD, "totp_code": app.wrong(&server)});
            server.post("/api/auth/login", body).await.assert_ok();
        }
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        give(&browser, &page, &app.wrong(&server)).await.assert_status(429);
    }

    async fn one_code_at_once_opens_one_session(server: TestServer) {
        let opened = "SELECT COUNT(*) FROM sessions WHERE opened_by = 'console' AND second_factor AND role = 'staff'";
        let app = enrolled(&server, "staff").await;
        for (code, expected) in [(app.code(&server), 1), (app.recovery_codes[0].clone(), 2)] {
            let mut waiting = Vec::new();
            for _ in 0..3 {
                let browser = Browser::new(&server);
                let page = browser.sign_in("staff").await;
                waiting.push((browser, page));
            }
            // Each of them twice, as from two windows of one browser.
            let tries = waiting.iter().flat_map(|(browser, page)| [(browser, page), (browser, page)]);
            join_all(tries.map(|(browser, page)| give(browser, page, &code))).await;
            assert_eq!(server.count(opened).await, expected);
            server.execute("UPDATE second_factors SET failures = 0, closed_until = NULL").await;
        }
    }

    async fn without_a_required_factor_the_password_opens_nothing(server: TestServer) {
        let id = new_account(&server, "staff", "staff").await;
        let before = Browser::new(&server);
        before.sign_in("staff").await.assert_has("Dashboard");
        let server = server.second_server(&[("STAFF_SECOND_FACTOR", "required")]).await;
        let sessions = live_sessions(&server).await;
        let browser = Browser::new(&server);
        browser.sign_in("staff").await.assert_status(403).assert_has("Ask an admin for an enrolment link");
        assert_eq!(live_sessions(&server).await, sessions);
        assert_out(&browser.get("/admin").await);
        // A session from before the rule has no rights any more.
        let old = Browser::new(&server);
        old.set_cookie(COOKIE, &before.cookie(COOKIE).unwrap());
        assert_out(&old.get("/admin").await);
        let app = server.enrol(&id).await;
        let page = browser.sign_in("staff").await;
        assert_eq!(give(&browser, &page, &app.code(&server)).await.path, "/admin");
    }

    async fn the_sessions_of_the_console_are_listed_and_ended_like_others(server: TestServer) {
        let app = enrolled(&server, "staff").await;
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        give(&browser, &page, &app.code(&server)).await;
        server.advance(30);
        let body = |code: Option<String>| json!({"username": "staff", "password": PASSWORD, "totp_code": code});
        let alone = server.post("/api/auth/login", body(None)).await.assert_ok().text_at("/access");
        let answer = server.post("/api/auth/login", body(Some(app.code(&server)))).await;
        let token = answer.assert_ok().text_at("/access");
        let listed = server.get_as(&token, "/api/auth/sessions").await;
        assert_eq!(listed.at("/data").as_array().unwrap().len(), 3, "{}", listed.text);
        // Without the second factor they are listed only.
        server.get_as(&alone, "/api/auth/sessions").await.assert_ok();
        server.send_as(&alone, Method::POST, "/api/auth/logout-all", json!({})).await.assert_error(403, "forbidden");
        assert_eq!(browser.get("/admin").await.path, "/admin");
        server.send_as(&token, Method::POST, "/api/auth/logout-all", json!({})).await.assert_ok();
        assert_out(&browser.get("/admin").await);
    }

    async fn a_user_is_refused_in_the_same_words_also_when_disabled(server: TestServer) {
        new_account(&server, "asha", "user").await;
        let id = new_account(&server, "ravi", "staff").await;
        server.enrol(&id).await;
        server.execute("UPDATE accounts SET role = 'user' WHERE username = 'ravi'").await;
        let texts = async || {
            let mut texts = Vec::new();
            for name in ["asha", "ravi", "nobody"] {
                let page = Browser::new(&server).sign_in(name).await;
                page.assert_status(401);
                texts.push(page.text());
            }
            assert!(texts.iter().all(|text| text == &texts[0]), "{texts:?}");
        };
        texts().await;
        server.execute("UPDATE accounts SET is_active = FALSE").await;
        texts().await;
    }

    async fn right_passwords_of_users_count_like_wrong_ones(server: TestServer) {
        new_account(&server, "asha", "user").await;
        for _ in 0..10 {
            Browser::new(&server).sign_in("asha").await.assert_status(401);
        }
        Browser::new(&server).sign_in("asha").await.assert_status(429);
    }

    async fn a_reset_between_the_steps_ends_the_sign_in(server: TestServer) {
        let id = new_account(&server, "staff", "staff").await;
        let app = server.enrol(&id).await;
        let browser = Browser::new(&server);
        let page = browser.sign_in("staff").await;
        server.enrolment_link(&id).await;
        assert_out(&give(&browser, &page, &app.code(&server)).await);
        assert_out(&browser.get("/admin").await);
    }
}
