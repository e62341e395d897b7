//! The database goes away, and no receipt of the provider is lost.

use std::sync::Arc;

use loopin_auth::flows::receipt_writer;

use crate::support::{PHONE, TestServer, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_provider_accepted_is_written_when_the_database_is_back() {
    let settings = [("RATE_LIMITS_ENABLED", "false"), ("OTP_RESEND_SECONDS", "0")];
    let Some((server, proxy)) = TestServer::behind_proxy(&settings).await else { return };
    for _ in 0..3 {
        server.signup(PHONE).await.assert_ok();
    }
    proxy.go_away().await;
    let queue = &server.services.receipts;
    assert!(queue.flush().await.is_err(), "there is no database");
    assert_eq!(queue.waiting(), 3);
    let writer = tokio::spawn(receipt_writer::keep_writing(Arc::clone(&server.services)));
    server.signup(PHONE).await.assert_error(503, "database_unavailable");
    proxy.come_back();
    wait_until("the receipts are written", async || queue.waiting() == 0).await;
    writer.abort();
    let written = "SELECT COUNT(*) FROM messages WHERE status = 'queued'";
    assert_eq!(server.count_unsettled(written).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_answer_is_lost_is_written_once_more() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    server.signup(PHONE).await.assert_ok();
    proxy.lose_the_answer_to("WITH written AS (UPDATE messages");
    server.services.receipts.flush().await.unwrap();
    assert!(proxy.has_lost_it());
    assert_eq!(server.count("SELECT COUNT(*) FROM messages WHERE status = 'queued'").await, 1);
}
