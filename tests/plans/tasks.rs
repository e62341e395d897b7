//! The background tasks of a server: counting, playing reports, and removing old rows.

use loopin_auth::flows::{blocks, delivery, housekeeping};

use super::observed::{Exception, Observed, Planning};

/// Makes some rows of each table so old that they are removed, and some without what an earlier version did not write.
const AGE: &str = "
    UPDATE sessions SET expires_at = TIMESTAMPTZ '{now}' + interval '9 days' WHERE expires_at < TIMESTAMPTZ '{now}';
    UPDATE sessions SET ended_at = created_at - interval '2 years', created_at = created_at - interval '3 years'
        WHERE id IN (SELECT id FROM sessions ORDER BY id LIMIT 20);
    UPDATE sessions SET expires_at = created_at - interval '2 years'
        WHERE id IN (SELECT id FROM sessions ORDER BY id DESC LIMIT 20);
    UPDATE messages SET created_at = created_at - interval '3 years' WHERE id IN (SELECT id FROM messages ORDER BY id LIMIT 20);
    UPDATE messages SET region = NULL WHERE id IN (SELECT id FROM messages ORDER BY id DESC LIMIT 20);
    UPDATE leads SET region = NULL WHERE id IN (SELECT id FROM leads ORDER BY id LIMIT 20);
    UPDATE challenges SET opened_at = opened_at - interval '1 year', expires_at = expires_at - interval '1 year'
        WHERE phone IN (SELECT phone FROM challenges ORDER BY phone LIMIT 20);
    UPDATE budgets SET ends_at = ends_at - interval '1 year' WHERE key IN (SELECT key FROM budgets ORDER BY key LIMIT 20);
    UPDATE budgets SET ends_at = ends_at + interval '9 years' WHERE key IN (SELECT key FROM budgets ORDER BY key DESC LIMIT 20);
    DELETE FROM leases;
    ANALYZE;
";

/// Reads of large tables that are right here: which task, the table, and why.
const EXCEPTIONS: &[Exception] = &[
    (
        "removing",
        "outbox",
        "it is empty here, because no events are sent. `plans/events.rs` removes from a large one",
    ),
    (
        "removing",
        "messages",
        "the statistics cannot tell 20 old messages from 600, and for 600 of 60,000 rows reading all is cheaper. Of 3,000,000 \
     messages the same statement finds its rows by the index",
    ),
];

/// Planned for their values: the size of a batch is a value, and without it PostgreSQL expects a tenth of the table. Such a plan costs
/// more, so PostgreSQL never prefers it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_reads_a_whole_table() {
    let Some(mut observed) = Observed::new(Planning::Custom, &[], EXCEPTIONS.to_vec()).await else { return };
    let server = observed.server.clone();
    server.execute(&AGE.replace("{now}", &server.now().to_rfc3339())).await;
    server.signup("+919876543250").await.assert_ok();
    server.advance(3);
    observed.watch("playing reports", async |server| delivery::play(&server.services).await).await.unwrap();
    observed.watch("reading blocks", async |server| blocks::refresh(&server.services).await).await.unwrap();
    observed
        .watch("writing the audit log", async |server| server.services.audit.flush().await)
        .await
        .unwrap();
    let counted =
        observed.watch("counting", async |server| housekeeping::count_if_due(&server.services).await);
    assert!(counted.await.unwrap().is_some());
    let purged =
        observed.watch("removing", async |server| housekeeping::purge_if_due(&server.services).await).await;
    let purged = purged.unwrap().expect("it is due");
    assert!(
        purged.sessions >= 20 && purged.messages >= 20 && purged.challenges >= 20 && purged.budgets >= 20
    );
    observed.assert_all_right();
    observed.assert_exceptions_are_used();
}
