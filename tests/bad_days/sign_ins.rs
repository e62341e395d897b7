//! Sign-ins that wait for another transaction of PostgreSQL: the one statement that signs a user in must see what was committed
//! while it waited.

use loopin_auth::store::Txn;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::support::{Answer, Database, PHONE, TestServer, postgres};

/// Another transaction, which holds what this statement touches.
async fn holding(server: &TestServer, sql: &str) -> Txn {
    let txn = server.services.store.begin().await.expect("a transaction");
    txn.execute_unprepared(sql).await.expect("the statement runs");
    txn
}

/// Waits until so many transactions wait for a lock in this database.
async fn lock_waits(server: &TestServer, most: i64) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while server.count(waiting).await < most {
        tokio::task::yield_now().await;
    }
}

/// Inserts an account with this phone, like the one that there is.
fn account_of(phone: &str) -> String {
    format!(
        "INSERT INTO accounts SELECT (json_populate_record(accounts, json_build_object('id', gen_random_uuid(), \
         'profile_id', gen_random_uuid(), 'phone', '{phone}'))).* FROM accounts"
    )
}

/// Verifies this code. The other transaction runs this statement and commits while the sign-in waits for it.
async fn verify_while(server: &TestServer, code: &str, other: Txn, sql: &str) -> Answer {
    let (answer, ()) = tokio::join!(server.verify_otp(PHONE, code), async {
        lock_waits(server, 1).await;
        other.execute_unprepared(sql).await.expect("the statement runs");
        other.commit().await.expect("it commits");
    });
    answer
}

/// A user with one session, and a code that was not used yet.
async fn user_with_a_code() -> Option<(TestServer, String)> {
    if !postgres::is_there() {
        return None;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.sign_in(PHONE).await;
    server.advance(30);
    server.login(PHONE).await.assert_ok();
    let code = server.last_code_for(PHONE);
    Some((server, code))
}

const HOLD_ACCOUNT: &str = "UPDATE accounts SET bio = bio";
const SESSIONS: &str = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_was_committed_while_a_sign_in_waited_refuses_it() {
    let Some((server, code)) = user_with_a_code().await else { return };
    let other = holding(&server, HOLD_ACCOUNT).await;
    let block = format!(
        "INSERT INTO blocks (id, kind, value, reason, made_at) \
         VALUES (gen_random_uuid(), 'phone', '{PHONE}', 'fraud', now())"
    );
    verify_while(&server, &code, other, &block).await.assert_error(403, "forbidden");
    assert_eq!(server.count(SESSIONS).await, 1, "no session was opened");
    assert_eq!(server.count("SELECT COUNT(*) FROM challenges WHERE consumed_at IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_were_committed_while_a_sign_in_waited_count() {
    let Some((server, code)) = user_with_a_code().await else { return };
    let other = holding(&server, HOLD_ACCOUNT).await;
    let nineteen_more = "INSERT INTO sessions SELECT (json_populate_record(sessions, \
                         json_build_object('id', gen_random_uuid(), 'refresh_jti', gen_random_uuid()))).* \
                         FROM sessions, generate_series(1, 19)";
    verify_while(&server, &code, other, nineteen_more).await.assert_ok();
    assert_eq!(server.count(SESSIONS).await, 20, "the oldest of 21 was ended");
}

/// The statement began when there was no account. With the limits on it would credit the prefix with a newcomer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_was_committed_while_a_sign_in_waited_is_found() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.sign_in("+919876500001").await;
    server.signup(PHONE).await.assert_ok();
    let code = server.last_code_for(PHONE);
    let messages = "SELECT (SUM(length(log)) / 24)::bigint FROM budgets WHERE key LIKE 'prefix/%'";
    let unanswered = server.count(messages).await;
    let other = holding(&server, &account_of(PHONE)).await;
    let answer = verify_while(&server, &code, other, "SELECT 1").await;
    answer.assert_ok();
    assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 2);
    assert_eq!(server.count(messages).await, unanswered, "a known phone does not answer for its prefix");
}

/// A message to this phone locks the prefix before the challenge. So must the sign-in that settles both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_and_the_next_message_do_not_wait_for_each_other() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.sign_in("+919876500001").await;
    server.signup(PHONE).await.assert_ok();
    let code = server.last_code_for(PHONE);
    server.advance(30);
    let other = holding(&server, &account_of(PHONE)).await;
    let (verified, sent, ()) = tokio::join!(
        server.verify_otp(PHONE, &code),
        async {
            lock_waits(&server, 1).await;
            server.signup(PHONE).await
        },
        async {
            lock_waits(&server, 2).await;
            other.rollback().await.expect("the rollback succeeds");
        }
    );
    verified.assert_ok();
    sent.assert_ok();
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(server.count(deadlocks).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_and_a_stranger_with_right_codes_share_the_account() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::with(Database::Postgres, &[("RATE_LIMITS_ENABLED", "false")]).await;
    for round in 0..10 {
        let phone = format!("+9198765{round:05}");
        server.signup(&phone).await.assert_ok();
        let device =
            server.verify_otp(&phone, &server.last_code_for(&phone)).await.text_at("/data/device_token");
        server.advance(30);
        server.login(&phone).await.assert_ok();
        let of_stranger = server.last_code_for(&phone);
        let body = json!({ "phone_number": phone, "device_token": device });
        server.post("/api/auth/login", body).await.assert_ok();
        let of_device = server.last_code_for(&phone);
        let body = json!({ "phone_number": phone, "otp_code": of_device, "device_token": device });
        let (device, stranger) = tokio::join!(
            server.post("/api/auth/verify-login", body),
            server.verify_otp(&phone, &of_stranger),
        );
        device.assert_ok();
        stranger.assert_ok();
        let sessions = format!(
            "SELECT COUNT(*) FROM sessions WHERE account_id = (SELECT id FROM accounts WHERE phone = '{phone}')"
        );
        assert_eq!(server.count(&sessions).await, 3);
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM accounts").await, 10);
}
