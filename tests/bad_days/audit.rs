//! The database goes away, and the audit log loses nothing.

use std::sync::Arc;

use loopin_auth::{
    domain::audit::{Action, Event, Filter},
    flows::audit,
    store,
};

use crate::support::{TestServer, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_the_database_is_away_is_written_in_order_when_it_is_back() {
    let Some((server, proxy)) = TestServer::behind_proxy(&[]).await else { return };
    let note = |numbers: std::ops::Range<i64>| {
        for number in numbers {
            let event = Event::by_stranger(Action::WrongCode).with("left", number);
            server.services.audit.note(event, server.now());
            server.advance(1);
        }
    };
    let written = async || -> Vec<i64> {
        let db = &server.services.store;
        let all = store::audit::list_after(db, &Filter::default(), None, 10_000).await.unwrap();
        all.iter().map(|entry| entry.detail.get("left").unwrap().as_i64().unwrap()).collect()
    };
    note(0..3);
    server.services.audit.flush().await.unwrap();
    proxy.go_away().await;
    note(3..700);
    assert!(server.services.audit.flush().await.is_err(), "there is no database");
    // The entries that a batch may have been writing when the connection was cut.
    note(700..900);
    let writer = tokio::spawn(audit::keep_writing(Arc::clone(&server.services)));
    proxy.come_back();
    wait_until("the entries are written", async || written().await.len() >= 900).await;
    writer.abort();
    assert_eq!(written().await, (0..900).collect::<Vec<i64>>());
    assert_eq!((server.services.audit.waiting(), server.services.audit.lost()), (0, 0));
}
