//! Several servers on one database: what one of them changes, and work that one of them does for all.

use chrono::Duration;
use loopin_auth::{
    flows::{
        blocks::FRESH_FOR,
        housekeeping::{self, COUNT_EVERY, PURGE_EVERY},
        interests::CACHED_FOR,
    },
    store::leases,
};

use crate::{
    admin_blocks::{admin, block, end},
    on_both,
    support::{Database, OTHER_PHONE, PHONE, TestServer},
};

const INTERESTS: &str = "/api/auth/event-interests";

/// A second server that has copies of blocks and interests.
async fn other(server: &TestServer) -> TestServer {
    let other = server.second_server(&[]).await;
    other.signup(OTHER_PHONE).await.assert_ok();
    assert_eq!(count_interests(&other).await, 10);
    other
}

async fn count_interests(server: &TestServer) -> usize {
    server.get(INTERESTS).await.assert_ok().at("/data").as_array().unwrap().len()
}

/// A row by hand, which the triggers count.
async fn insert_block(server: &TestServer, phone: &str) {
    let id = match server.database {
        Database::Postgres => "'01a1fc92-62af-76bb-98c3-320c45c7951a'",
        Database::Sqlite => "X'01a1fc9262af76bb98c3320c45c7951a'",
    };
    let now = server.now().to_rfc3339();
    let insert = format!(
        "INSERT INTO blocks (id, kind, value, reason, made_at) VALUES ({id}, 'phone', '{phone}', 'a test', '{now}')"
    );
    server.execute(&insert).await;
}

on_both! {
    async fn a_block_of_one_server_holds_at_the_other_within_five_seconds_and_ends_so(server: TestServer) {
        let other = other(&server).await;
        let admin = admin(&server).await;
        assert!(FRESH_FOR <= Duration::seconds(5));
        let id = block(&server, &admin, "phone", PHONE).await;
        server.signup(PHONE).await.assert_error(400, "phone_unreachable");
        server.advance(FRESH_FOR.num_seconds());
        other.signup(PHONE).await.assert_error(400, "phone_unreachable");
        end(&server, &admin, &id).await.assert_ok();
        server.advance(FRESH_FOR.num_seconds());
        other.signup(PHONE).await.assert_ok();
    }

    async fn a_copy_is_read_again_only_for_another_version(server: TestServer) {
        let other = other(&server).await;
        let version = server.count("SELECT version FROM versions WHERE name = 'blocks'").await;
        insert_block(&server, PHONE).await;
        assert_eq!(server.count("SELECT version FROM versions WHERE name = 'blocks'").await, version + 1);
        // As if nothing had changed: the other server does not read the rows.
        server.execute("UPDATE versions SET version = version - 1 WHERE name = 'blocks'").await;
        server.advance(FRESH_FOR.num_seconds());
        other.signup(PHONE).await.assert_ok();
        server.execute("UPDATE versions SET version = version + 1 WHERE name = 'blocks'").await;
        server.advance(30);
        other.signup(PHONE).await.assert_error(400, "phone_unreachable");
        // The removal of blocks that ended, with their user or by age, is in no copy.
        server.execute("UPDATE blocks SET ended_at = made_at").await;
        let version = server.count("SELECT version FROM versions WHERE name = 'blocks'").await;
        server.execute("DELETE FROM blocks").await;
        assert_eq!(server.count("SELECT version FROM versions WHERE name = 'blocks'").await, version);
    }

    async fn an_interest_that_one_server_changed_shows_at_the_other_within_five_seconds(server: TestServer) {
        let other = other(&server).await;
        assert!(CACHED_FOR <= Duration::seconds(5));
        server.execute("UPDATE event_interests SET is_active = FALSE WHERE name = 'Technology'").await;
        server.advance(CACHED_FOR.num_seconds());
        assert_eq!(count_interests(&other).await, 9);
        server.execute("DELETE FROM event_interests WHERE name = 'Technology'").await;
        server.execute("UPDATE event_interests SET is_active = FALSE WHERE name = 'Entertainment'").await;
        server.advance(CACHED_FOR.num_seconds());
        assert_eq!(count_interests(&other).await, 8);
    }

    /// A server that is killed does not return its leases: they end by themselves.
    async fn work_of_a_server_that_died_is_taken_over_when_its_lease_is_over(server: TestServer) {
        let other = server.second_server(&[]).await;
        let now = server.now();
        for (name, every) in [("purge", PURGE_EVERY), ("count", COUNT_EVERY)] {
            assert!(leases::claim(&server.services.store, name, now + every, now).await.unwrap());
        }
        drop(server);
        let seconds = COUNT_EVERY.num_seconds();
        other.advance(seconds - 1);
        assert!(housekeeping::count_if_due(&other.services).await.unwrap().is_none());
        other.advance(1);
        assert!(housekeeping::count_if_due(&other.services).await.unwrap().is_some());
        other.advance(PURGE_EVERY.num_seconds() - seconds - 1);
        assert!(housekeeping::purge_if_due(&other.services).await.unwrap().is_none());
        other.advance(1);
        assert!(housekeeping::purge_if_due(&other.services).await.unwrap().is_some());
    }
}
