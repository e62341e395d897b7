//! The database accepts no writes for a while: a failover, or a setting of an administrator.

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;

use crate::support::{Database, OTHER_PHONE, PHONE, TestServer, Tokens, proxy::Proxy};

/// A server whose PostgreSQL can be made read-only for the connections that are open.
struct Failover {
    server: TestServer,
    proxy: Proxy,
    administrator: TestServer,
    database: String,
    tokens: Tokens,
}

impl Failover {
    async fn new() -> Option<Self> {
        let settings = [("LIMIT_REQUESTS_PER_ADDRESS", "1000/1h")];
        let (server, proxy) = TestServer::behind_proxy(&settings).await?;
        let administrator = TestServer::with(Database::Postgres, &[]).await;
        let tokens = server.sign_in_and_complete(PHONE).await;
        let path = url::Url::parse(server.setting("DATABASE_URL")).expect("a URL").path().to_owned();
        let database = path.trim_start_matches('/').to_owned();
        Some(Self { server, proxy, administrator, database, tokens })
    }

    /// Replaces all connections of the server by read-only ones.
    async fn make_read_only(&self) {
        let statement = format!("ALTER DATABASE {} SET default_transaction_read_only = on", self.database);
        self.administrator.execute(&statement).await;
        self.proxy.cut().await;
        let reads = (0..40).map(|_| self.server.get_as(&self.tokens.access, "/api/auth/profile"));
        for answer in join_all(reads).await {
            answer.assert_ok();
        }
    }

    /// New connections accept writes again. Those that are open stay read-only.
    async fn make_writable(&self) {
        let statement = format!("ALTER DATABASE {} RESET default_transaction_read_only", self.database);
        self.administrator.execute(&statement).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_connection_takes_writes_the_server_says_that_it_is_not_ready() {
    let Some(failover) = Failover::new().await else { return };
    failover.make_read_only().await;
    let server = &failover.server;
    for answer in [server.get("/api/health/ready").await, server.signup(OTHER_PHONE).await] {
        answer.assert_error(503, "database_unavailable");
    }
    server.get_as(&failover.tokens.access, "/api/auth/profile").await.assert_ok();
    failover.make_writable().await;
    server.get("/api/health/ready").await.assert_ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_statement_on_a_connection_that_takes_no_writes_goes_to_another_one() {
    let Some(failover) = Failover::new().await else { return };
    failover.make_read_only().await;
    failover.make_writable().await;
    let server = &failover.server;
    // All at once, so that many of the old connections are used.
    let phones = (0..20).map(|number| format!("+91981111{number:04}"));
    let signups = phones.map(async |phone| server.signup(&phone).await);
    for answer in join_all(signups).await {
        answer.assert_ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_a_transaction() {
    let Some(failover) = Failover::new().await else { return };
    let (server, token) = (&failover.server, failover.tokens.access.as_str());
    failover.make_read_only().await;
    failover.make_writable().await;
    // The request first reads, which every connection can, and then begins a transaction.
    server.send_as(token, Method::POST, "/api/auth/logout-all", json!({})).await.assert_ok();
    server.get_as(token, "/api/auth/profile").await.assert_error(401, "token_revoked");
}
