//! The budgets of wrong passwords: for one name from one address, for one name, from one address.

use serde_json::json;

use crate::{
    again::{PASSWORD, post_as, register},
    budgets::{assert_refused, stranger},
    on_both,
    support::{Answer, PHONE, TestServer},
};

const QUARTER: i64 = 900;
const WRONG: &str = "copper-lantern-evening-38";

async fn try_password(server: &TestServer, name: &str, password: &str) -> Answer {
    server.post("/api/auth/login", json!({"username": name, "password": password})).await
}

#[track_caller]
fn assert_wrong(answer: &Answer) {
    answer.assert_error(401, "credentials_invalid");
}

on_both! {
    async fn ten_wrong_passwords_for_a_name_from_one_address_in_a_quarter(server: TestServer) {
        register(&server, "gaurav").await;
        let one = server.from("203.0.113.7");
        // A name with an account and one without, each in two spellings.
        for spellings in [["gaurav", " GAURAV "], ["nobody@example.com", "Nobody@Example.COM  "]] {
            for number in 0..10 {
                assert_wrong(&try_password(&one, spellings[number % 2], WRONG).await);
                server.advance(1);
            }
            let made = server.services.hasher.made();
            let budget = "name-passwords-from-address";
            for password in [WRONG, PASSWORD] {
                let refused = try_password(&one, spellings[0], password).await;
                assert_refused(&refused, "rate_limited", budget, (10, QUARTER), QUARTER - 10);
                let refused = one.post("/api/token", json!({"username": spellings[1], "password": password})).await;
                assert_refused(&refused, "rate_limited", budget, (10, QUARTER), QUARTER - 10);
            }
            assert_eq!(server.services.hasher.made(), made, "nothing was hashed");
            // From another address the name can still be tried.
            assert_wrong(&try_password(&stranger(&server, 1), spellings[0], WRONG).await);
            server.advance(QUARTER - 11);
            let refused = try_password(&one, spellings[0], WRONG).await;
            assert_refused(&refused, "rate_limited", budget, (10, QUARTER), 1);
            server.advance(1);
            assert_wrong(&try_password(&one, spellings[0], WRONG).await);
            let refused = try_password(&one, spellings[0], WRONG).await;
            assert_refused(&refused, "rate_limited", budget, (10, QUARTER), 1);
        }
    }

    async fn a_hundred_wrong_passwords_for_a_name_in_a_quarter(server: TestServer) {
        for number in 0..100 {
            assert_wrong(&try_password(&stranger(&server, number / 10), "gaurav", WRONG).await);
        }
        let refused = try_password(&stranger(&server, 10), "gaurav", WRONG).await;
        assert_refused(&refused, "rate_limited", "name-passwords", (100, QUARTER), QUARTER);
        assert_wrong(&try_password(&stranger(&server, 10), "asha", WRONG).await);
        server.advance(QUARTER - 1);
        let refused = try_password(&stranger(&server, 11), "gaurav", WRONG).await;
        assert_refused(&refused, "rate_limited", "name-passwords", (100, QUARTER), 1);
        server.advance(1);
        assert_wrong(&try_password(&stranger(&server, 11), "gaurav", WRONG).await);
    }

    async fn fifty_wrong_passwords_from_an_address_in_a_quarter(server: TestServer) {
        let one = server.from("203.0.113.7");
        for number in 0..50 {
            assert_wrong(&try_password(&one, &format!("name{}", number / 5), WRONG).await);
        }
        let refused = try_password(&one, "another", WRONG).await;
        assert_refused(&refused, "rate_limited", "address-passwords", (50, QUARTER), QUARTER);
        assert_wrong(&try_password(&stranger(&server, 1), "another", WRONG).await);
        server.advance(QUARTER - 1);
        let refused = try_password(&one, "another", WRONG).await;
        assert_refused(&refused, "rate_limited", "address-passwords", (50, QUARTER), 1);
        server.advance(1);
        assert_wrong(&try_password(&one, "another", WRONG).await);
    }

    async fn a_right_password_gives_its_charge_back_and_nothing_else(server: TestServer) {
        register(&server, "gaurav").await;
        let one = server.from("203.0.113.7");
        for _ in 0..3 {
            for _ in 0..3 {
                assert_wrong(&try_password(&one, "gaurav", WRONG).await);
            }
            for _ in 0..4 {
                try_password(&one, "gaurav", PASSWORD).await.assert_ok();
            }
        }
        // After nine wrong passwords, right ones are always accepted, and one more wrong one.
        for _ in 0..3 {
            try_password(&one, "gaurav", PASSWORD).await.assert_ok();
        }
        server.execute("UPDATE accounts SET is_active = FALSE").await;
        try_password(&one, "gaurav", PASSWORD).await.assert_error(403, "account_disabled");
        server.execute("UPDATE accounts SET is_active = TRUE").await;
        assert_wrong(&try_password(&one, "gaurav", WRONG).await);
        try_password(&one, "gaurav", PASSWORD).await.assert_error(429, "rate_limited");
        assert_eq!(server.count("SELECT MAX(count) FROM budgets WHERE key LIKE '%/passwords%'").await, 10);
    }

    async fn whoever_stole_a_session_cannot_try_passwords_without_end(server: TestServer) {
        let tokens = register(&server, "gaurav").await;
        let thief = server.from("203.0.113.7");
        let budget = "name-passwords-from-address";
        for _ in 0..5 {
            let answer = post_as(&thief, &tokens, "/api/auth/confirm", json!({"password": WRONG})).await;
            answer.assert_error(422, "validation_failed");
            let body = json!({"old_password": WRONG, "new_password": "amber-lantern-evening-38"});
            post_as(&thief, &tokens, "/api/auth/password", body).await.assert_error(422, "validation_failed");
        }
        let made = server.services.hasher.made();
        for (path, body) in [
            ("/api/auth/confirm", json!({"password": PASSWORD})),
            ("/api/auth/password", json!({"old_password": PASSWORD, "new_password": WRONG})),
        ] {
            let refused = post_as(&thief, &tokens, path, body).await;
            assert_refused(&refused, "rate_limited", budget, (10, QUARTER), QUARTER);
        }
        assert_eq!(server.services.hasher.made(), made, "nothing was hashed");
        // The user's attempts from another address count there, and right ones are returned.
        for _ in 0..11 {
            post_as(&stranger(&server, 1), &tokens, "/api/auth/confirm", json!({"password": PASSWORD}))
                .await
                .assert_ok();
        }
        // A client cannot use up this budget, because its key is no name that can be entered.
        for name in [&tokens.user_id, "gaurav"] {
            for _ in 0..10 {
                try_password(&stranger(&server, 2), name, WRONG).await;
            }
        }
        post_as(&stranger(&server, 2), &tokens, "/api/auth/confirm", json!({"password": PASSWORD}))
            .await
            .assert_ok();
        server.advance(QUARTER);
        let body = json!({"old_password": PASSWORD, "new_password": WRONG});
        post_as(&thief, &tokens, "/api/auth/password", body).await.assert_ok();
        server.services.audit.flush().await.unwrap();
        let refused = "SELECT COUNT(*) FROM audit WHERE action = 'sign_in_refused' AND user_id IS NOT NULL \
                       AND detail LIKE '%name-passwords-from-address%'";
        assert_eq!(server.count(refused).await, 2);
    }

    async fn a_phone_is_one_name_however_it_is_written(server: TestServer) {
        let one = server.from("203.0.113.7");
        for spelling in [PHONE, "062058 29376", "0091 62058-29376", "(62058) 29376", "6205829376"] {
            for _ in 0..2 {
                assert_wrong(&try_password(&one, spelling, WRONG).await);
            }
        }
        try_password(&one, PHONE, WRONG).await.assert_error(429, "rate_limited");
        let with_phone = "SELECT COUNT(*) FROM budgets WHERE key LIKE '%6205829376%'";
        assert_eq!(server.count(with_phone).await, 0);
    }
}
