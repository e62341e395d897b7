//! Wrong codes of a second factor: five close the second step for 15 minutes, twenty in a day lock it until a reset.

use futures_util::future::join_all;
use loopin_auth::domain::audit::Action;
use serde_json::{Value, json};

use crate::{
    audit::{detail, entries_of as entries},
    on_both,
    second_factor::{account, role, sign_in},
    support::{Authenticator, TestServer},
};

const QUARTER: i64 = 900;

/// A server whose other limits do not get in the way, and an admin with a second factor.
async fn enrolled(server: &TestServer) -> (TestServer, Authenticator, String) {
    let user_id = account(server, "boss", "admin").await;
    let app = server.enrol(&user_id).await;
    (server.without_limits().await, app, user_id)
}

async fn give_wrong(server: &TestServer, app: &Authenticator, times: usize) {
    for _ in 0..times {
        assert_eq!(role(&sign_in(server, "boss", Some(&app.wrong(server))).await), "user");
    }
}

async fn give_right(server: &TestServer, app: &Authenticator) -> String {
    server.advance(30);
    role(&sign_in(server, "boss", Some(&app.code(server))).await)
}

on_both! {
    async fn five_wrong_codes_close_the_second_step_for_a_quarter(server: TestServer) {
        let (server, app, _) = enrolled(&server).await;
        give_wrong(&server, &app, 4).await;
        assert_eq!(give_right(&server, &app).await, "admin");
        // Only codes in a row count.
        give_wrong(&server, &app, 4).await;
        assert_eq!(give_right(&server, &app).await, "admin");
        give_wrong(&server, &app, 5).await;
        let closed_at = server.now();
        for code in [app.code_at(server.now() + chrono::Duration::seconds(30)), app.recovery_codes[0].clone()] {
            assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "user", "it is not judged");
        }
        assert_eq!(server.count("SELECT COUNT(*) FROM recovery_codes").await, 10);
        let closures = entries(&server, Action::SecondFactorClosed).await;
        assert_eq!(closures.len(), 1);
        let until = closed_at + chrono::Duration::seconds(QUARTER);
        let refused = entries(&server, Action::SignInRefused).await;
        assert_eq!(refused.len(), 2);
        for entry in closures.iter().chain(&refused) {
            let seen = detail(entry)["until"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            assert!((until - seen).num_seconds().abs() < 1, "{seen}");
        }
        server.advance(QUARTER - 31);
        assert_eq!(give_right(&server, &app).await, "user");
        server.advance(1);
        assert_eq!(role(&sign_in(&server, "boss", Some(&app.code(&server))).await), "admin");
    }

    async fn twenty_in_a_day_lock_it_until_a_reset(server: TestServer) {
        let (server, app, user_id) = enrolled(&server).await;
        for round in 0..4 {
            give_wrong(&server, &app, 5).await;
            server.advance(QUARTER);
            if round < 3 {
                // A right code ends the closure, and forgets nothing of the day.
                assert_eq!(give_right(&server, &app).await, "admin", "{round}");
            }
        }
        for days in [0, 1, 400] {
            server.advance(days * 86_400);
            assert_eq!(give_right(&server, &app).await, "user", "{days}");
            let code = app.recovery_codes[0].clone();
            assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "user");
        }
        let closures = entries(&server, Action::SecondFactorClosed).await;
        assert_eq!(closures.len(), 4);
        assert_eq!(closures.iter().filter(|entry| detail(entry)["until"] == Value::Null).count(), 1);
        let renewed = server.enrol(&user_id).await;
        assert_eq!(role(&sign_in(&server, "boss", Some(&renewed.code(&server))).await), "admin");
    }

    async fn a_day_begins_with_its_first_wrong_code(server: TestServer) {
        let (server, app, _) = enrolled(&server).await;
        for _ in 0..3 {
            give_wrong(&server, &app, 5).await;
            server.advance(QUARTER);
        }
        give_wrong(&server, &app, 4).await;
        server.advance(86_400 - 3 * QUARTER - 31);
        assert_eq!(give_right(&server, &app).await, "admin", "nineteen");
        server.advance(1);
        give_wrong(&server, &app, 5).await;
        server.advance(QUARTER);
        assert_eq!(give_right(&server, &app).await, "admin", "another day");
    }

    async fn the_twentieth_code_may_still_be_right(server: TestServer) {
        let (server, app, _) = enrolled(&server).await;
        for _ in 0..3 {
            give_wrong(&server, &app, 5).await;
            server.advance(QUARTER);
        }
        give_wrong(&server, &app, 4).await;
        assert_eq!(give_right(&server, &app).await, "admin");
        assert_eq!(server.count("SELECT day_failures FROM second_factors").await, 19);
        give_wrong(&server, &app, 1).await;
        assert_eq!(give_right(&server, &app).await, "user");
    }

    async fn a_hundred_guesses_at_once_are_five(server: TestServer) {
        let (server, app, _) = enrolled(&server).await;
        let wrong = app.wrong(&server);
        let answers = join_all((0..100).map(|_| sign_in(&server, "boss", Some(&wrong)))).await;
        assert!(answers.iter().all(|answer| role(answer) == "user"));
        assert_eq!(entries(&server, Action::WrongSecondFactor).await.len(), 5);
        assert_eq!(server.count("SELECT day_failures FROM second_factors").await, 5);
        assert_eq!(give_right(&server, &app).await, "user");
        let left = entries(&server, Action::WrongSecondFactor).await;
        let mut left: Vec<i64> = left.iter().map(|entry| detail(entry)["left"].as_i64().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4]);
    }

    async fn a_clock_that_was_ahead_locks_nobody_out(server: TestServer) {
        let (server, app, _) = enrolled(&server).await;
        server.advance(86_400);
        assert_eq!(give_right(&server, &app).await, "admin");
        give_wrong(&server, &app, 5).await;
        // The clock is set right.
        server.advance(-86_400);
        assert_eq!(give_right(&server, &app).await, "user", "closed");
        server.advance(QUARTER - 31);
        assert_eq!(give_right(&server, &app).await, "user", "closed for a quarter from then on");
        server.advance(1);
        assert_eq!(give_right(&server, &app).await, "admin", "the step of the wrong clock does not count");
        let code = app.code(&server);
        assert_eq!(role(&sign_in(&server, "boss", Some(&code)).await), "user", "and it is used");
        assert_eq!(json!(server.count("SELECT failures FROM second_factors").await), json!(1));
    }
}
