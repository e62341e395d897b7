//! Events of an account that is deleted in the same moment.

use serde_json::json;

use crate::support::{Database, TestServer, hook::Hook, postgres, wait_until};

/// A number whose messages are reported as lost a few seconds later.
const LOST: &str = "+15005550011";

/// An arbitrary advisory lock, which the trigger waits for.
const LOCK: i64 = 4711;

/// A report is about to write an event about the user while the account is deleted. Nothing about the user may be left but that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_in_the_moment_of_a_deletion_leaves_no_event_about_the_user() {
    if !postgres::is_there() {
        return;
    }
    let hook = Hook::that_answers("").await;
    let server = hook.told_by(&TestServer::on(Database::Postgres).await, &[]).await;
    let user = server.sign_in(LOST).await;
    // The event of a lost message is written when this transaction ends.
    let other = server.services.store.begin().await.expect("a transaction");
    sea_orm::ConnectionTrait::execute_unprepared(&other, &format!("SELECT pg_advisory_xact_lock({LOCK})"))
        .await
        .expect("the lock is free");
    let wait = format!("BEGIN PERFORM pg_advisory_xact_lock({LOCK}); RETURN NEW; END");
    server.execute(&format!("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $${wait}$$")).await;
    server
        .execute(
            "CREATE TRIGGER wait BEFORE INSERT ON outbox FOR EACH ROW \
             WHEN (NEW.kind = 'message.undelivered') EXECUTE FUNCTION wait()",
        )
        .await;
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deletion = async {
        wait_until("the report waits", async || server.count_unsettled(waiting).await == 1).await;
        let ended = async {
            wait_until("the deletion waits", async || server.count_unsettled(waiting).await == 2).await;
            other.rollback().await.expect("the rollback succeeds");
        };
        let method = poem::http::Method::POST;
        let delete = server.send_as(&user.access, method, "/api/auth/delete-account", json!({}));
        tokio::join!(delete, ended).0.assert_ok();
    };
    tokio::join!(server.play(4), deletion);
    let kinds = "SELECT string_agg(kind, ' ') FROM outbox";
    assert_eq!(server.text(kinds).await, "user.deleted");
}
