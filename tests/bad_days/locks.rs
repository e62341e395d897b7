//! Concurrent transactions: deadlocks, locks that take too long, other isolation levels, and the purge of budgets.

use std::time::Duration;

use futures_util::future::join_all;
use loopin_auth::store::{self, Txn};
use sea_orm::ConnectionTrait;

use crate::support::{Answer, Database, PHONE, TestServer, pgbouncer::PgBouncer, postgres, wrong};

/// Makes a database with this setting as the default of its sessions.
async fn database_with(setting: &str) -> String {
    let url = postgres::new_database().await;
    let server = TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await;
    let name = url::Url::parse(&url).expect("a URL").path().trim_start_matches('/').to_owned();
    server.execute(&format!("ALTER DATABASE {name} SET {setting}")).await;
    server.services.store.close().await;
    url
}

async fn many_sign_in_at_once(server: &TestServer) {
    let phones: Vec<String> = (0..40).map(|number| format!("+9198766{number:05}")).collect();
    for answer in join_all(phones.iter().map(|phone| server.signup(phone))).await {
        answer.assert_ok();
    }
    let verify = async |phone: &String| server.verify_otp(phone, &server.last_code_for(phone)).await;
    for answer in join_all(phones.iter().map(verify)).await {
        answer.assert_ok();
    }
    server.advance(30);
    server.signup(&phones[0]).await.assert_ok();
    let wrong = wrong(&server.last_code_for(&phones[0]));
    let answers = join_all((0..40).map(|_| server.verify_otp(&phones[0], &wrong))).await;
    let count =
        |code| answers.iter().filter(|answer: &&Answer| answer.text_at("/error/code") == code).count();
    assert_eq!((count("otp_invalid"), count("otp_attempts_exhausted")), (3, 37));
}

/// Wide limits, because all requests come from one address.
const WIDE: [(&str, &str); 3] = [
    ("LIMIT_REQUESTS_PER_ADDRESS", "1000/1h"),
    ("LIMIT_GUESSES_PER_ADDRESS", "1000/1h"),
    ("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "1000/1h"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_default_isolation_level_changes_nothing() {
    if !postgres::is_there() {
        return;
    }
    let url = database_with("default_transaction_isolation = serializable").await;
    let settings = [WIDE.as_slice(), &[("DATABASE_URL", &url)]].concat();
    many_sign_in_at_once(&TestServer::with(Database::Postgres, &settings).await).await;

    let url = database_with("default_transaction_isolation = serializable").await;
    let Some(bouncer) = PgBouncer::before(&url, "transaction", "default_pool_size = 5") else { return };
    let url = bouncer.url(&url);
    let settings = [WIDE.as_slice(), &[("DATABASE_URL", &url)]].concat();
    many_sign_in_at_once(&TestServer::with(Database::Postgres, &settings).await).await;
}

/// PostgreSQL looks for a deadlock once, so long after a wait began. On a slow machine the other half of the deadlock can
/// take more than the usual second.
async fn server_that_finds_deadlocks_late() -> TestServer {
    let url = database_with("deadlock_timeout = '3s'").await;
    TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await
}

/// Another transaction. In a deadlock the database ends the server's transaction, not this one.
async fn other_transaction(server: &TestServer) -> Txn {
    let txn = server.services.store.begin().await.expect("a transaction");
    txn.execute_unprepared("SET LOCAL deadlock_timeout = '10min'").await.expect("a superuser");
    txn
}

/// Waits until a transaction waits for a lock in this database.
async fn lock_wait(server: &TestServer) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while server.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

async fn execute(txn: &Txn, sql: &str) {
    txn.execute_unprepared(sql).await.expect("the statement runs");
}

/// Waits for the server's transaction by a lock of the whole table. PostgreSQL grants such a lock in the moment in which it
/// undoes the server's transaction. The server's second try could take a lock of a row first, and deadlock again.
async fn lock_table(txn: &Txn, table: &str) {
    execute(txn, &format!("LOCK TABLE {table} IN SHARE MODE")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_deadlock_undid_is_tried_once_more() {
    if !postgres::is_there() {
        return;
    }
    let server = server_that_finds_deadlocks_late().await;
    server.sign_in(PHONE).await;
    server.advance(30);
    server.login(PHONE).await.assert_ok();
    let other = other_transaction(&server).await;
    execute(&other, "UPDATE accounts SET bio = bio").await;
    let code = server.last_code_for(PHONE);
    let (answer, ()) = tokio::join!(server.verify_login(PHONE, &code), async {
        lock_wait(&server).await;
        // The server's transaction has used up the code, and waits for the account.
        lock_table(&other, "challenges").await;
        other.rollback().await.expect("the rollback succeeds");
    });
    answer.assert_ok();
    assert_eq!(server.count("SELECT attempts FROM challenges").await, 1, "the guess counts once");
    assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 2);
}

/// Other requests would see a partial charge, and be refused for a budget that is not used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_is_refused_while_it_waits_charges_no_part_of_its_budgets() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.signup(PHONE).await.assert_ok();
    server.advance(30);
    let (first, second) = (other_transaction(&server).await, other_transaction(&server).await);
    let set = "UPDATE budgets SET rested_at = rested_at + interval '30 s' WHERE key LIKE 'phone/%/sends'";
    execute(&first, set).await;
    execute(&second, "UPDATE budgets SET count = count WHERE key LIKE 'phone/%/sends/%'").await;
    let (answer, ()) = tokio::join!(server.signup(PHONE), async {
        lock_wait(&server).await;
        first.commit().await.expect("the cooldown begins again");
    });
    // The row that is still locked comes after the one that refuses.
    answer.assert_error(429, "otp_cooldown");
    second.rollback().await.expect("the rollback succeeds");
    let charged = "SELECT count FROM budgets WHERE key LIKE 'phone/%/sends/%'";
    assert_eq!(server.count(charged).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_a_deadlock_undid_is_tried_once_more() {
    if !postgres::is_there() {
        return;
    }
    let server = server_that_finds_deadlocks_late().await;
    server.sign_in(PHONE).await;
    server.advance(30);
    let other = other_transaction(&server).await;
    let last = "SELECT MAX(key) FROM budgets WHERE key LIKE 'phone/%'";
    execute(&other, &format!("UPDATE budgets SET count = count WHERE key = ({last})")).await;
    let (answer, ()) = tokio::join!(server.login(PHONE), async {
        lock_wait(&server).await;
        // The server's statement has charged the budgets before the last one.
        lock_table(&other, "budgets").await;
        other.rollback().await.expect("the rollback succeeds");
    });
    answer.assert_ok();
}

/// Another transaction holds the account for longer than this setting allows to wait.
async fn assert_timeout_is_an_outage(setting: &str) {
    if !postgres::is_there() {
        return;
    }
    let url = database_with(setting).await;
    let server = TestServer::with(Database::Postgres, &[("DATABASE_URL", &url)]).await;
    server.sign_in(PHONE).await;
    server.advance(30);
    server.login(PHONE).await.assert_ok();
    let code = server.last_code_for(PHONE);
    let other = server.services.store.begin().await.expect("a transaction");
    execute(&other, "UPDATE accounts SET bio = bio").await;
    let answer = server.verify_login(PHONE, &code).await;
    answer.assert_error(503, "database_unavailable");
    assert!(answer.header("retry-after").is_some(), "{setting}");
    other.rollback().await.expect("the rollback succeeds");
    server.verify_login(PHONE, &code).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_or_a_statement_that_takes_too_long_is_an_outage() {
    assert_timeout_is_an_outage("lock_timeout = '100ms'").await;
    assert_timeout_is_an_outage("statement_timeout = '300ms'").await;
}

/// Inserts budgets that have ended, and one that has not.
async fn insert_ended(server: &TestServer, rows: u32) {
    let numbers = (0..rows).map(|number| format!("('over/{number}', '', 0, 0, '2000-01-01 00:00:00+00:00')"));
    let values: Vec<String> =
        numbers.chain(["('goes on', '', 0, 0, '2999-01-01 00:00:00+00:00')".to_owned()]).collect();
    let insert = "INSERT INTO budgets (key, log, count, answered, ends_at) VALUES ";
    server.execute(&format!("{insert}{}", values.join(", "))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_waits_for_nobody() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    insert_ended(&server, 10).await;
    let other = server.services.store.begin().await.expect("a transaction");
    execute(&other, "UPDATE budgets SET count = 1 WHERE key = 'over/3'").await;
    let sweep = tokio::time::timeout(
        Duration::from_secs(20),
        store::budgets::purge(&server.services.store, server.now(), 1_000),
    );
    assert_eq!(sweep.await.expect("it does not wait").unwrap(), 9);
    other.rollback().await.expect("the rollback succeeds");
    assert_eq!(store::budgets::purge(&server.services.store, server.now(), 1_000).await.unwrap(), 1);
}
