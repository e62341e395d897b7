//! The errors of the original backend, by their number in a list. Each was found by sending it real requests.
//!
//! Three have no test here:
//!
//! - 9 (all database and SMS calls of a worker go through one thread): the server is asynchronous throughout and has a
//!   pool of connections. `sms::a_slow_provider_is_503_within_ten_seconds_and_holds_nobody_up` shows it at work.
//! - 10 (the password of a new account is its phone, and hashing it takes a quarter of a second): an account of these
//!   routes has no password, and no column for one; nothing is hashed.
//! - 32 (its own tests fail): these tests are run before every change.
//!
//! Some are only partly tested here: of 21 that tokens of another secret are refused (tests of the settings check that
//! secrets have no default), of 23 that a code is in no answer and no row (`clippy.toml` allows one source of randomness),
//! of 31 the paths and the pages (`docs/openapi.json` is compared with the served document).

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use crate::{
    forge::{claims, signed_by, with},
    on_both,
    support::{Answer, OTHER_PHONE, PHONE, TestServer, proxy::Proxy, whole_profile, wrong},
};

const COMPLETE: &str = "/api/auth/complete-profile";
const PROFILE: &str = "/api/auth/profile";

/// Completes the profile with this value in one field.
async fn complete_with(server: &TestServer, token: &str, field: &str, value: Value) -> Answer {
    let mut profile = whole_profile();
    profile[field] = value;
    server.send_as(token, Method::POST, COMPLETE, profile).await
}

#[track_caller]
fn assert_field_error(answer: &Answer, field: &str) {
    answer.assert_error(422, "validation_failed");
    assert!(answer.at("/error/fields").get(field).is_some(), "{field} is not among {}", answer.text);
}

on_both! {
    async fn fault_01_a_used_code_opens_neither_door(server: TestServer) {
        server.sign_in(PHONE).await;
        let code = server.last_code_for(PHONE);
        for _ in 0..5 {
            server.verify_otp(PHONE, &code).await.assert_error(400, "otp_not_found");
            server.verify_login(PHONE, &code).await.assert_error(400, "otp_not_found");
        }
    }

    async fn fault_02_of_guesses_sent_together_three_are_judged(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let guesses = (0..200).map(|guess| format!("{guess:04}")).filter(|it| *it != server.last_code_for(PHONE));
        let guesses: Vec<String> = guesses.collect();
        let answers = join_all(guesses.iter().map(|guess| server.verify_otp(PHONE, guess))).await;
        assert_eq!(answers.iter().filter(|it| it.text_at("/error/code") == "otp_invalid").count(), 3);
    }

    async fn fault_03_a_resend_resets_no_attempts_and_is_limited(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        for left in [2, 1] {
            let answer = server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
            assert_eq!(answer.at("/error/attempts_remaining"), json!(left));
            server.signup(PHONE).await.assert_error(429, "otp_cooldown");
            server.advance(30);
            server.signup(PHONE).await.assert_ok();
        }
    }

    // The cooldown stops a flood of messages to one phone; the budgets of hours and days have tests of their own.
    async fn fault_04_one_phone_gets_one_message_in_thirty_seconds(server: TestServer) {
        let answers = join_all((0..50).map(|_| server.signup(PHONE))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 49);
        assert_eq!(server.codes_for(PHONE).len(), 1);
    }

    async fn fault_05_the_profile_is_there_and_whole(server: TestServer) {
        let tokens = server.sign_in_and_complete(PHONE).await;
        let profile = server.get_as(&tokens.access, PROFILE).await;
        profile.assert_ok();
        assert_eq!(profile.at("/birth_date"), json!("1995-01-01"));
        assert_eq!(profile.at("/gender"), json!("male"));
        assert_eq!(profile.at("/event_interests").as_array().unwrap().len(), 3);
        assert_eq!(profile.at("/profile_pictures"), whole_profile()["profile_pictures"]);
    }

    async fn fault_06_a_bad_token_is_401_and_says_who_asks(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for (method, path) in [(Method::GET, PROFILE), (Method::PUT, PROFILE), (Method::POST, COMPLETE)] {
            let bad = server.send_as("abc", method.clone(), path, json!({})).await;
            bad.assert_error(401, "token_invalid");
            let none = server.send(method, path, &[], None).await;
            none.assert_error(401, "token_missing");
            for answer in [bad, none] {
                assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
            }
        }
        server.advance(1801);
        server.get_as(&tokens.access, PROFILE).await.assert_error(401, "token_expired");
    }

    async fn fault_07_a_refusal_is_no_200(server: TestServer) {
        server.login(PHONE).await.assert_error(404, "user_not_found");
        server.verify_otp(PHONE, "1097").await.assert_error(400, "otp_not_found");
        server.signup(PHONE).await.assert_ok();
        server.signup(PHONE).await.assert_error(429, "otp_cooldown");
        server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await.assert_error(400, "otp_invalid");
        server.refresh("abc").await.assert_error(401, "token_invalid");
    }

    async fn fault_08_a_lost_connection_is_replaced(server: TestServer) {
        // SQLite has no connection that could be cut.
        if server.database == Database::Postgres {
            let (proxy, url) = Proxy::before(server.setting("DATABASE_URL")).await;
            let server = server.second_server(&[("DATABASE_URL", &url)]).await;
            server.signup(PHONE).await.assert_ok();
            proxy.go_away().await;
            server.verify_otp(PHONE, "1097").await.assert_error(503, "database_unavailable");
            assert_eq!(server.get("/api/health/ready").await.status, 503);
            proxy.come_back();
            server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
            server.get("/api/health/ready").await.assert_ok();
        }
    }

    async fn fault_11_parallel_right_codes_of_a_new_phone_make_one_account_and_no_error(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        let answers = join_all((0..20).map(|_| server.verify_otp(PHONE, &code))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| !answer.status.is_server_error()));
        // An account and its profile are one row, so there is never one without the other.
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts WHERE profile_id IS NOT NULL").await, 1);
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.verify_login(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn fault_12_parallel_sign_ups_send_one_code_and_it_works(server: TestServer) {
        join_all((0..20).map(|_| server.signup(PHONE))).await;
        assert_eq!(server.codes_for(PHONE).len(), 1);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn fault_13_a_wrong_guess_racing_a_new_code_writes_nothing_back(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let guess = server.wrong_code_for(PHONE);
        // Less than two minutes are left, so the sign-up begins a new code.
        server.advance(500);
        let (renewed, _) = tokio::join!(
            server.signup(PHONE),
            join_all((0..2).map(|_| server.verify_otp(PHONE, &guess))),
        );
        assert_eq!(renewed.assert_ok().at("/data/expires_in"), json!(600));
        server.advance(590);
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn fault_14_the_longest_numbers_are_taken_or_refused_but_never_fail(server: TestServer) {
        assert_field_error(&server.signup("+999999999999999").await, "phone_number");
        assert_field_error(&server.signup("+9162058293761234").await, "phone_number");
        // Germany's 0176 numbers are among the longest mobile numbers.
        server.signup("+4917612345678").await.assert_ok();
    }

    async fn fault_15_with_and_without_a_plus_is_one_account(server: TestServer) {
        let with_plus = server.sign_in(PHONE).await;
        server.advance(30);
        server.login("916205829376").await.assert_ok();
        let answer = server.verify_login("6205829376", &server.last_code_for(PHONE)).await;
        assert_eq!(answer.assert_ok().text_at("/data/user_id"), with_plus.user_id);
        assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 1);
    }

    async fn fault_16_digits_of_another_script_are_refused_and_cost_nothing(server: TestServer) {
        assert_field_error(&server.signup("+٩١٦٢٠٥٨٢٩٣٧٦").await, "phone_number");
        server.signup(PHONE).await.assert_ok();
        let devanagari = |digit: char| char::from_u32('०' as u32 + digit.to_digit(10).unwrap()).unwrap();
        let code: String = server.last_code_for(PHONE).chars().map(devanagari).collect();
        for _ in 0..3 {
            assert_field_error(&server.verify_otp(PHONE, &code).await, "otp_code");
        }
        server.verify_otp(PHONE, &server.last_code_for(PHONE)).await.assert_ok();
    }

    async fn fault_17_the_spelling_that_signs_up_also_verifies(server: TestServer) {
        // Not about the limits, which it would reach.
        let server = server.without_limits().await;
        for spelling in ["+91 (62058) 29376", "0091-62058-29376"] {
            server.signup(spelling).await.assert_ok();
            server.verify_otp(spelling, &server.last_code_for(PHONE)).await.assert_ok();
            server.advance(30);
            server.login(spelling).await.assert_ok();
            server.verify_login(spelling, &server.last_code_for(PHONE)).await.assert_ok();
            server.advance(30);
        }
    }

    // Apps rely on signup and login telling whether an account exists; `HIDE_ACCOUNT_EXISTENCE` changes that. The verify
    // routes tell nothing before the right code.
    async fn fault_18_without_the_code_the_verify_routes_do_not_say_who_has_an_account(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(30);
        server.login(PHONE).await.assert_ok();
        server.signup(OTHER_PHONE).await.assert_ok();
        let known = server.verify_login(PHONE, &server.wrong_code_for(PHONE)).await;
        let unknown = server.verify_login(OTHER_PHONE, &server.wrong_code_for(OTHER_PHONE)).await;
        assert_eq!((known.status, known.text), (unknown.status, unknown.text));
    }

    async fn fault_19_verify_login_without_an_account_uses_nothing_up(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let code = server.last_code_for(PHONE);
        server.verify_login(PHONE, &code).await.assert_error(404, "user_not_found");
        server.verify_otp(PHONE, &code).await.assert_ok();
        server.verify_login(PHONE, &code).await.assert_error(400, "otp_not_found");
    }

    async fn fault_20_logging_out_and_disabling_end_what_tokens_open(server: TestServer) {
        let one = server.sign_in(PHONE).await;
        let life = |token: &str| claims(token)["exp"].as_i64().unwrap() - claims(token)["iat"].as_i64().unwrap();
        assert_eq!(life(&one.access), 30 * 60);
        let endless = with(claims(&one.access), json!({"exp": null}));
        let endless = signed_by(server.setting("JWT_SECRET_KEY"), jsonwebtoken::Algorithm::HS256, &endless);
        server.get_as(&endless, PROFILE).await.assert_error(401, "token_invalid");
        server.send_as(&one.access, Method::POST, "/api/auth/logout", json!({})).await.assert_ok();
        server.get_as(&one.access, PROFILE).await.assert_error(401, "token_revoked");
        let two = server.sign_in(OTHER_PHONE).await;
        server.disable(OTHER_PHONE).await;
        server.get_as(&two.access, PROFILE).await.assert_error(401, "token_revoked");
        server.refresh(&two.refresh).await.assert_error(403, "account_disabled");
        server.advance(30);
        server.login(OTHER_PHONE).await.assert_error(403, "account_disabled");
    }

    async fn fault_21_a_token_of_another_secret_is_refused(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for secret in ["", "secret", "your-secret-key", server.setting("SECRET_KEY")] {
            let forged = signed_by(secret, jsonwebtoken::Algorithm::HS256, &claims(&tokens.access));
            server.get_as(&forged, PROFILE).await.assert_error(401, "token_invalid");
        }
    }

    async fn fault_22_a_failed_send_tells_nothing_of_the_inside_and_can_be_repeated(server: TestServer) {
        let (sid, base) = ("AC0123456789abcdef0123456789abcdef", "http://127.0.0.1:9");
        let twilio = [
            ("TWILIO_TEST_MODE", "false"), ("TWILIO_ACCOUNT_SID", sid), ("TWILIO_AUTH_TOKEN", "token"),
            ("TWILIO_PHONE_NUMBER", "+15005550006"), ("TWILIO_API_BASE_URL", base),
        ];
        let server = server.second_server(&twilio).await;
        for _ in 0..2 {
            let answer = server.signup(PHONE).await;
            answer.assert_error(503, "sms_unavailable");
            for inside in [sid, "127.0.0.1", "twilio", "onnect"] {
                assert!(!answer.text.contains(inside), "{}", answer.text);
            }
        }
    }

    // `tests/leaks.rs` tests that no log has a code outside of test mode.
    async fn fault_23_a_code_is_in_no_answer_and_in_no_row(server: TestServer) {
        let server = TestServer::with(server.database, &[("OTP_LENGTH", "8")]).await;
        let sent = server.signup(PHONE).await;
        let code = server.last_code_for(PHONE);
        let verified = server.verify_otp(PHONE, &code).await;
        for text in [sent.text, verified.assert_ok().text.clone(), claims(&verified.text_at("/token")).to_string()] {
            assert!(!text.contains(&code), "{text}");
        }
        for column in ["id", "key_version", "holder", "opened_at"] {
            let rows = format!("SELECT COUNT(*) FROM challenges WHERE CAST({column} AS TEXT) LIKE '%{code}%'");
            assert_eq!(server.count(&rows).await, 0);
        }
    }

    async fn fault_24_names_are_of_any_script_and_on_one_line(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for name in ["José", "गौरव", "A. R. Rahman", "O’Brien"] {
            complete_with(&server, &tokens.access, "name", json!(name)).await.assert_ok();
        }
        for name in ["Gaurav\nKumar", "Gaurav\u{0}", "G4urav", "Al"] {
            assert_field_error(&complete_with(&server, &tokens.access, "name", json!(name)).await, "name");
        }
    }

    async fn fault_25_birth_dates_are_of_living_people_and_written_in_full(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        for date in ["0001-01-01", "1995-1-1", "2030-01-01", "1995-02-30", "2015-01-01"] {
            assert_field_error(&complete_with(&server, &tokens.access, "birth_date", json!(date)).await, "birth_date");
        }
    }

    async fn fault_26_pictures_are_urls_that_can_be_fetched_by_anybody(server: TestServer) {
        // Public hosts are only required in production, where test mode is off.
        let prod = server.second_server(&[
            ("ENVIRONMENT", "prod"), ("TWILIO_TEST_MODE", "false"), ("TWILIO_ACCOUNT_SID", "AC1"),
            ("TWILIO_AUTH_TOKEN", "token"), ("TWILIO_PHONE_NUMBER", "+15005550006"), ("ALLOWED_HOSTS", "*"),
        ]).await;
        let tokens = server.sign_in(PHONE).await;
        let host = ("host", "api.example.com");
        let bearer = format!("Bearer {}", tokens.access);
        let headers = [host, ("authorization", bearer.as_str()), ("content-type", "application/json")];
        let long = format!("https://example.com/{}", "a".repeat(20_000));
        for url in [
            "http://localhost/a.jpg", "http://169.254.169.254/latest", "http://999.999.999.999/a.jpg", &long,
            "http://10.0.0.1/a.jpg", "http://[::1]/a.jpg", "ftp://example.com/a.jpg", "javascript:alert(1)",
        ] {
            let body = json!({"profile_pictures": [url]}).to_string();
            let answer = prod.send(Method::PUT, PROFILE, &headers, Some(body)).await;
            assert_field_error(&answer, "profile_pictures");
        }
        let body = json!({"profile_pictures": ["https://cdn.company/a.jpg"]}).to_string();
        prod.send(Method::PUT, PROFILE, &headers, Some(body)).await.assert_ok();
    }

    async fn fault_27_complete_profile_reads_its_phone_and_interests_and_writes_all_or_nothing(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let answer = complete_with(&server, &tokens.access, "phone_number", json!(OTHER_PHONE)).await;
        assert_field_error(&answer, "phone_number");
        for interests in [json!([1, 1]), json!([]), json!([999]), json!([1, 2, 3, 4, 5, 6])] {
            let answer = complete_with(&server, &tokens.access, "event_interests", interests).await;
            assert_field_error(&answer, "event_interests");
        }
        let profile = server.get_as(&tokens.access, PROFILE).await;
        assert_eq!(profile.json().get("name"), Some(&Value::Null), "no refused value was stored");
        let mut without_phone = whole_profile();
        without_phone.as_object_mut().unwrap().remove("phone_number");
        server.send_as(&tokens.access, Method::POST, COMPLETE, without_phone).await.assert_ok();
    }

    async fn fault_28_a_nul_is_a_fault_of_its_field(server: TestServer) {
        assert_field_error(&server.signup("+9162058\u{0}29376").await, "phone_number");
        assert_field_error(&server.verify_otp(PHONE, "10\u{0}7").await, "otp_code");
        assert_field_error(&server.refresh("a\u{0}b").await, "refresh");
        let tokens = server.sign_in(PHONE).await;
        for field in ["name", "bio", "location", "gender"] {
            assert_field_error(&complete_with(&server, &tokens.access, field, json!("a\u{0}bc")).await, field);
        }
    }

    async fn fault_29_strangers_learn_nothing_of_the_body_and_nobody_hears_a_code_again(server: TestServer) {
        server.send_as("abc", Method::POST, COMPLETE, json!({"name": 7})).await.assert_error(401, "token_invalid");
        let answer = server.verify_otp(PHONE, "123456789").await;
        assert_field_error(&answer, "otp_code");
        assert!(!answer.text.contains("123456789"), "{}", answer.text);
    }

    async fn fault_30_there_is_no_route_that_nobody_can_use(server: TestServer) {
        let tokens = server.sign_in(PHONE).await;
        let own = format!("/api/users/{}", tokens.user_id);
        assert_eq!(server.get_as(&tokens.access, &own).await.assert_ok().text_at("/id"), tokens.user_id);
        server.get("/api/users").await.assert_error(401, "token_missing");
        server.get_as(&tokens.access, "/api/users").await.assert_error(403, "forbidden");
    }

    async fn fault_31_paths_answer_with_a_slash_and_the_docs_need_nobody_else(server: TestServer) {
        server.post("/api/auth/signup/", json!({"phone_number": PHONE})).await.assert_ok();
        let page = server.get("/api/docs").await;
        for cdn in ["cdn.", "unpkg", "jsdelivr", "googleapis"] {
            assert!(!page.assert_ok().text.contains(&format!("//{cdn}")), "{cdn}");
        }
        let interests = server.get("/api/auth/event-interests").await;
        assert!(interests.at("/data/0/description").is_string());
    }

    async fn fault_03_and_13_together_a_wrong_guess_stays_counted_over_resends(server: TestServer) {
        let server = TestServer::with(server.database, &[("OTP_RESEND_SECONDS", "0"), ("OTP_LENGTH", "8")]).await;
        server.signup(PHONE).await.assert_ok();
        let guess = wrong(&server.last_code_for(PHONE));
        let (_, answers) = tokio::join!(
            join_all((0..20).map(|_| server.signup(PHONE))),
            join_all((0..20).map(|_| server.verify_otp(PHONE, &guess))),
        );
        // Three guesses use the code up, and a sign-up after the third begins the next, with three more.
        let judged = answers.iter().filter(|it| it.text_at("/error/code") == "otp_invalid").count();
        assert!(judged >= 3 && answers.iter().all(|it| !it.status.is_server_error()));
        let mut codes = server.codes_for(PHONE);
        codes.sort_unstable();
        codes.dedup();
        assert!(judged <= 3 * codes.len(), "{judged} guesses at {} codes", codes.len());
    }
}
