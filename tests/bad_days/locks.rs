//! Others are in the way: deadlocks, locks that take too long, other isolation levels, and the sweep.

use std::time::Duration;

use futures_util::future::join_all;
use loopin_auth::store::{self, Txn};
use sea_orm::ConnectionTrait;

use crate::support::{Answer, Database, PHONE, TestServer, pgbouncer::PgBouncer, postgres, wrong};

/// A database whose new sessions have this setting by themselves.
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

/// Wide limits, because all of them come from one address.
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

/// A transaction of somebody else, which the database never ends because of a deadlock: that is left to the server's.
async fn somebody_else(server: &TestServer) -> Txn {
    let txn = server.services.store.begin().await.expect("a transaction");
    txn.execute_unprepared("SET LOCAL deadlock_timeout = '10min'").await.expect("a superuser");
    txn
}

/// Comes back when somebody waits for a lock in this database.
async fn somebody_waits(server: &TestServer) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while server.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

async fn execute(txn: &Txn, sql: &str) {
    txn.execute_unprepared(sql).await.expect("the statement runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_deadlock_undid_is_tried_once_more() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.sign_in(PHONE).await;
    server.advance(30);
    server.login(PHONE).await.assert_ok();
    let other = somebody_else(&server).await;
    execute(&other, "UPDATE accounts SET bio = bio").await;
    let code = server.last_code_for(PHONE);
    let (answer, ()) = tokio::join!(server.verify_login(PHONE, &code), async {
        somebody_waits(&server).await;
        // The code is used up there, and that transaction waits for the account.
        execute(&other, "UPDATE challenges SET holder = holder").await;
        other.rollback().await.expect("it goes back");
    });
    answer.assert_ok();
    assert_eq!(server.count("SELECT attempts FROM challenges").await, 1, "the guess counts once");
    assert_eq!(server.count("SELECT COUNT(*) FROM sessions").await, 2);
}

/// Others would see such a part, and be refused for a budget that is not spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_is_refused_while_it_waits_charges_no_part_of_its_budgets() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.signup(PHONE).await.assert_ok();
    server.advance(30);
    let (first, second) = (somebody_else(&server).await, somebody_else(&server).await);
    let set = "UPDATE budgets SET rested_at = rested_at + interval '30 s' WHERE key LIKE 'phone/%/sends'";
    execute(&first, set).await;
    execute(&second, "UPDATE budgets SET count = count WHERE key LIKE 'phone/%/sends/%'").await;
    let (answer, ()) = tokio::join!(server.signup(PHONE), async {
        somebody_waits(&server).await;
        first.commit().await.expect("the cooldown began again");
    });
    // The row that is locked still comes after the one that refuses.
    answer.assert_error(429, "otp_cooldown");
    second.rollback().await.expect("it goes back");
    let charged = "SELECT count FROM budgets WHERE key LIKE 'phone/%/sends/%'";
    assert_eq!(server.count(charged).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_a_deadlock_undid_is_tried_once_more() {
    if !postgres::is_there() {
        return;
    }
    let server = TestServer::on(Database::Postgres).await;
    server.sign_in(PHONE).await;
    server.advance(30);
    let other = somebody_else(&server).await;
    let (first, last) =
        ("SELECT MIN(key) FROM budgets", "SELECT MAX(key) FROM budgets WHERE key LIKE 'phone/%'");
    execute(&other, &format!("UPDATE budgets SET count = count WHERE key = ({last})")).await;
    let (answer, ()) = tokio::join!(server.login(PHONE), async {
        somebody_waits(&server).await;
        execute(&other, &format!("UPDATE budgets SET count = count WHERE key = ({first})")).await;
        other.rollback().await.expect("it goes back");
    });
    answer.assert_ok();
}

/// The account is held by somebody else for longer than the database lets anybody wait.
async fn waits_too_long(setting: &str) {
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
    other.rollback().await.expect("it goes back");
    server.verify_login(PHONE, &code).await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_or_a_statement_that_takes_too_long_is_an_outage() {
    waits_too_long("lock_timeout = '100ms'").await;
    waits_too_long("statement_timeout = '300ms'").await;
}

/// Budgets that are over, and one that is not.
async fn over(server: &TestServer, rows: u32) {
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
    over(&server, 10).await;
    let other = server.services.store.begin().await.expect("a transaction");
    execute(&other, "UPDATE budgets SET count = 1 WHERE key = 'over/3'").await;
    let sweep = tokio::time::timeout(
        Duration::from_secs(20),
        store::budgets::purge(&server.services.store, server.now(), 1_000),
    );
    assert_eq!(sweep.await.expect("it does not wait").unwrap(), 9);
    other.rollback().await.expect("it goes back");
    assert_eq!(store::budgets::purge(&server.services.store, server.now(), 1_000).await.unwrap(), 1);
}
