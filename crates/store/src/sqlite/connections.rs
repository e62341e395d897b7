//! Connections to SQLite, which are lent in the order in which they are asked for.
//!
//! The pool of sqlx pings each connection that comes back, in a task of its own, and lends it only afterwards: behind the one
//! writer the queue would stand still for that time. A connection to a file needs no such check.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::{
    ConnAcquireErr, DbErr, Statement,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor, SqlSafeStr,
        sqlite::{SqliteConnectOptions, SqliteConnection, SqliteQueryResult, SqliteTransactionManager},
    },
};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::{Answer, connection_error, execution_error, query_error, run_on};
use crate::error::spoils_connection;

/// Connections of one kind. They are opened when they are needed, and stay open.
#[derive(Clone)]
pub(super) struct Connections(Arc<Inner>);

struct Inner {
    options: SqliteConnectOptions,
    count: usize,
    /// One permit for each connection. The queue before them is fair.
    turns: Arc<Semaphore>,
    /// The last one that came back is lent first, so that few are opened.
    idle: Mutex<Vec<SqliteConnection>>,
    /// How long to wait for a turn.
    patience: Duration,
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    pub(super) fn new(options: SqliteConnectOptions, count: usize, patience: Duration) -> Self {
        let (turns, idle) = (Arc::new(Semaphore::new(count)), Mutex::default());
        Self(Arc::new(Inner { options, count, turns, idle, patience }))
    }

    /// Borrows a connection.
    pub(super) async fn lease(&self) -> Result<Lease, DbErr> {
        let turn = self.turn().await?;
        let idle = self.0.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.0.options.connect().await.map_err(connection_error)?,
        };
        Ok(Lease { connection: Some(connection), is_open: false, lender: self.clone(), _turn: turn })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        let turns = Arc::clone(&self.0.turns);
        let closed = || DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed);
        match Arc::clone(&turns).try_acquire_owned() {
            Ok(turn) => Ok(turn),
            Err(TryAcquireError::Closed) => Err(closed()),
            Err(TryAcquireError::NoPermits) => {
                let waiting = tokio::time::timeout(self.0.patience, turns.acquire_owned());
                let turn = waiting.await.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
                turn.map_err(|_| closed())
            }
        }
    }

    /// How many are open, and how many of them are idle.
    pub(super) fn count(&self) -> (usize, usize) {
        let idle = self.0.idle().len();
        let lent = self.0.count.saturating_sub(self.0.turns.available_permits());
        (idle + lent, idle)
    }

    /// Closes all when they came back. Nothing is lent afterwards.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.0.count).unwrap_or(u32::MAX);
        // It is an error if another task has closed them.
        let _all = self.0.turns.acquire_many(all).await;
        self.0.turns.close();
        let idle = std::mem::take(&mut *self.0.idle());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the database pool did not close");
            }
        }
    }
}

/// A borrowed connection. It goes back when this is dropped; an open transaction is rolled back first.
pub(super) struct Lease {
    /// `None`: it is unusable.
    connection: Option<SqliteConnection>,
    /// Whether a transaction is open.
    is_open: bool,
    lender: Connections,
    _turn: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) async fn run(&mut self, stmt: &Statement) -> Result<Answer, DbErr> {
        let result = run_on(self.connection()?, stmt).await;
        self.judge(result, query_error).await
    }

    pub(super) async fn execute_text(&mut self, sql: &str) -> Result<SqliteQueryResult, DbErr> {
        let result = self.connection()?.execute(AssertSqlSafe(sql)).await;
        self.judge(result, execution_error).await
    }

    pub(super) async fn begin(&mut self, begin: &'static str) -> Result<(), DbErr> {
        let begin = Some(begin.into_sql_str());
        let result = SqliteTransactionManager::begin(self.connection()?, begin).await;
        self.is_open = result.is_ok();
        self.judge(result, query_error).await
    }

    pub(super) async fn commit(mut self) -> Result<(), DbErr> {
        let result = SqliteTransactionManager::commit(self.connection()?).await;
        self.is_open = result.is_err();
        self.judge(result, query_error).await
    }

    pub(super) async fn rollback(mut self) -> Result<(), DbErr> {
        let result = SqliteTransactionManager::rollback(self.connection()?).await;
        self.is_open = result.is_err();
        self.judge(result, query_error).await
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, DbErr> {
        self.connection.as_mut().ok_or_else(|| query_error(sqlx::Error::WorkerCrashed))
    }

    /// Closes a connection whose state is not known after this error: SQLite ends a transaction by itself when the disk is full,
    /// and sqlx would count it as open for ever.
    async fn judge<T>(
        &mut self,
        result: Result<T, sqlx::Error>,
        to_error: fn(sqlx::Error) -> DbErr,
    ) -> Result<T, DbErr> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if spoils_connection(&error)
            && let Some(connection) = self.connection.take()
        {
            // The first error counts. The next connection must not meet the locks of this one.
            let _ = connection.close().await;
        }
        Err(to_error(error))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_open {
            SqliteTransactionManager::start_rollback(&mut connection);
        }
        // The turn ends after this, so the next caller finds the connection.
        self.lender.0.idle().push(connection);
    }
}
