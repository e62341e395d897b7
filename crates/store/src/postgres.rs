//! PostgreSQL: its pool, its statements and its transactions, directly or through a connection pooler.
//!
//! Statements go to sqlx directly, because SeaORM names every prepared statement. A pooler in transaction mode can give each
//! transaction another backend, where that name is unknown or belongs to another statement.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector, Statement,
    sea_query::Values,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions as _, Connection as _, Either, Executor, PgConnection, PgPool,
        Row as _,
        pool::PoolConnection,
        postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow},
    },
};
use sea_query_sqlx::SqlxValues;
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, OnceCell};

use super::{
    answer,
    error::{Fate, fate},
    settings::{DatabaseSettings, Pooler},
};

/// A connection that was idle for so long is checked before it is used. Busy connections are not: a ping costs as much as a
/// statement.
const PING_AFTER_IDLE: Duration = Duration::from_millis(500);

/// How many connections are checked after one was lost: more than a pool has.
const MOST_SUSPECTS: u32 = 1000;

/// Every transaction names its isolation level, in the round trip of BEGIN: the default of the database can differ, and our
/// guarded statements are written for this level.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The same for single statements. It is a property of the session, so it is not used through a pooler that shares sessions.
/// It is not a startup parameter, because PgBouncer refuses those.
const READ_COMMITTED: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A parameter of our own. PostgreSQL keeps its value from the startup packet; poolers refuse it or leave it out.
const PROBE: &str = "loopin_auth.direct";
const SELECT_PROBE: &str = "SELECT current_setting('loopin_auth.direct', true)";

/// How many more pooled connections are checked, however briefly they were idle: do they still live and take writes? What
/// cuts one connection usually cuts others too, and the next try must not get one of those.
#[derive(Clone, Default)]
struct Suspects(Arc<AtomicU32>);

impl Suspects {
    /// A connection was lost: every other one has to be checked.
    fn suspect_all(&self) {
        self.0.store(MOST_SUSPECTS, Ordering::Relaxed);
    }

    /// Whether the next connection has to be checked. Counts it as checked.
    fn take_one(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

/// A pool of connections to PostgreSQL.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: PgPool,
    options: PgConnectOptions,
    patience: Duration,
    pooler: Arc<OnceCell<Pooler>>,
    suspects: Suspects,
}

/// What a statement returned.
pub(super) type Answer = answer::Answer<PgQueryResult, PgRow>;

/// How a statement runs outside of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Whether it may run twice.
    pub(super) may_repeat: bool,
    /// Whether it stays prepared by a name. If not, it is planned for its values each time, for one more round trip.
    pub(super) is_named: bool,
}

/// Why a statement failed.
struct Failure {
    error: DbErr,
    /// Whether the statement was sent. If not, it had no effect.
    was_sent: bool,
}

impl Postgres {
    /// Creates the pool. It does not connect yet.
    pub(super) fn new(settings: &DatabaseSettings, max_connections: u32) -> Result<Self, DbErr> {
        let options = PgConnectOptions::from_str(settings.url.expose_secret()).map_err(connection_error)?;
        // PgBouncer refuses this parameter of sqlx, and no column here is a float.
        let options = options.extra_float_digits(None).disable_statement_logging();
        let suspects = Suspects::default();
        let pooler = Arc::new(OnceCell::new_with(settings.pooler));
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .after_connect({
                let pooler = Arc::clone(&pooler);
                move |connection, _| {
                    let is_shared = pooler.get() == Some(&Pooler::Transaction);
                    Box::pin(async move {
                        if !is_shared {
                            connection.execute(READ_COMMITTED).await?;
                        }
                        Ok(())
                    })
                }
            })
            .before_acquire({
                let suspects = suspects.clone();
                move |connection, metadata| {
                    let was_idle = metadata.idle_for >= PING_AFTER_IDLE;
                    let is_suspect = suspects.take_one();
                    Box::pin(async move {
                        if is_suspect {
                            return can_write(connection).await;
                        }
                        if was_idle {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                }
            })
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options, patience: settings.acquire_timeout, pooler, suspects })
    }

    /// How many connections are open, and how many of them are idle.
    pub(super) fn count_connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether there is a pooler: a parameter of the startup packet does not arrive then, however busy the pooler is. This does
    /// not show the pooler's mode.
    pub(super) async fn find_pooler(&self) -> Result<bool, DbErr> {
        let looking = detect_pooler(&self.options);
        tokio::time::timeout(self.patience, looking).await.map_err(|_| too_late())?.map_err(connection_error)
    }

    /// The pooler that the settings name, or that is detected. A detected pooler is treated as one in transaction mode, because
    /// what works there works in session mode too.
    async fn pooler(&self) -> Result<Pooler, DbErr> {
        let finding = self.pooler.get_or_try_init(|| async {
            if !self.find_pooler().await? {
                return Ok(Pooler::None);
            }
            tracing::warn!(
                "a connection pooler was found before PostgreSQL, and is taken for one in transaction mode: set \
                 DATABASE_POOLER=transaction, or DATABASE_POOLER=session where it pools sessions"
            );
            Ok(Pooler::Transaction)
        });
        // Waiting for another task's attempt takes no longer than an attempt of its own.
        let found: Result<&Pooler, DbErr> =
            tokio::time::timeout(self.patience, finding).await.map_err(|_| too_late())?;
        found.copied()
    }

    async fn acquire(&self) -> Result<(PoolConnection<sqlx::Postgres>, Pooler), DbErr> {
        let pooler = self.pooler().await?;
        let connection = self.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            error => connection_error(error),
        })?;
        Ok((connection, pooler))
    }

    /// Runs a statement as a transaction of its own. It runs once more on a fresh connection if it had no effect; if it may have
    /// had one, only with `may_repeat`.
    pub(super) async fn run(&self, stmt: &Statement, run: Run) -> Result<Answer, DbErr> {
        let Failure { error, was_sent } = match self.try_once(stmt, run.is_named).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let runs_again = match fate(&error) {
            Fate::Undone | Fate::NeverRan => true,
            Fate::Unknown => run.may_repeat || !was_sent,
            Fate::Answered => false,
        };
        if !runs_again {
            return Err(error);
        }
        self.try_once(stmt, run.is_named).await.map_err(|failure| failure.error)
    }

    async fn try_once(&self, stmt: &Statement, is_named: bool) -> Result<Answer, Failure> {
        let not_sent = |error| Failure { error, was_sent: false };
        let (mut connection, pooler) = self.acquire().await.map_err(not_sent)?;
        let result = match pooler {
            Pooler::None | Pooler::Session => {
                let result = run_on(&mut connection, stmt, is_named).await;
                result.map_err(|error| Failure { error: query_error(error), was_sent: true })
            }
            Pooler::Transaction => run_in_transaction(&mut connection, stmt).await,
        };
        if let Err(failure) = &result
            && self.is_broken(&failure.error)
        {
            connection.close_on_drop();
        }
        result
    }

    /// Runs texts without arguments, in one round trip.
    pub(super) async fn execute_text(&self, sql: &str) -> Result<PgQueryResult, DbErr> {
        let execute = async || {
            let (mut connection, _) = self.acquire().await?;
            let executed = connection.execute(AssertSqlSafe(sql)).await.map_err(execution_error);
            if executed.as_ref().is_err_and(|error| self.is_broken(error)) {
                connection.close_on_drop();
            }
            executed
        };
        match execute().await {
            Err(error) if matches!(fate(&error), Fate::Undone | Fate::NeverRan) => execute().await,
            result => result,
        }
    }

    /// Checks that the database takes writes. A connection on which it does not is replaced once.
    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        let mut tries_left = 2;
        loop {
            tries_left -= 1;
            let (mut connection, _) = self.acquire().await?;
            match can_write(&mut connection).await {
                Ok(true) => return Ok(()),
                Ok(false) if tries_left == 0 => return Err(read_only()),
                Err(error) if tries_left == 0 => return Err(query_error(error)),
                Ok(false) | Err(_) => {
                    self.suspects.suspect_all();
                    connection.close_on_drop();
                }
            }
        }
    }

    /// Begins a transaction, on a fresh connection if the first one is lost: nothing has run in it yet.
    pub(super) async fn begin(&self) -> Result<PostgresTxn, DbErr> {
        let begin = async || {
            let (connection, pooler) = self.acquire().await?;
            let begun = sqlx::Transaction::begin(connection, Some(sqlx::SqlSafeStr::into_sql_str(BEGIN)));
            begun.await.map(|txn| (txn, pooler)).map_err(query_error)
        };
        let (txn, pooler) = match begin().await {
            Err(error) if self.is_broken(&error) => begin().await?,
            result => result?,
        };
        let names_statements = pooler != Pooler::Transaction;
        Ok(PostgresTxn { txn: Mutex::new(txn), names_statements, suspects: self.suspects.clone() })
    }

    /// A pool of one connection for the migrations, and the statements to run before and after them. The migrations go through
    /// SeaORM, which names prepared statements: behind a pooler names of an earlier start may exist, and must not remain.
    pub(super) async fn for_migrations(
        &self,
    ) -> Result<(DatabaseConnection, &'static [&'static str]), DbErr> {
        let is_shared = self.pooler().await? == Pooler::Transaction;
        let options = self.options.clone().statement_cache_capacity(if is_shared { 0 } else { 100 });
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(self.patience);
        let pool = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(options));
        Ok((pool, if is_shared { &["DEALLOCATE ALL"] } else { &[] }))
    }

    /// Whether a connection with this error is unusable. Other connections then have to be checked too.
    fn is_broken(&self, error: &DbErr) -> bool {
        let is_broken = matches!(fate(error), Fate::NeverRan | Fate::Unknown);
        if is_broken {
            self.suspects.suspect_all();
        }
        is_broken
    }
}

/// A transaction. It is rolled back if it is dropped without a commit.
pub(super) struct PostgresTxn {
    txn: Mutex<sqlx::Transaction<'static, sqlx::Postgres>>,
    names_statements: bool,
    suspects: Suspects,
}

impl PostgresTxn {
    pub(super) async fn run(&self, stmt: &Statement) -> Result<Answer, DbErr> {
        let mut txn = self.txn.lock().await;
        self.note_loss(run_on(&mut txn, stmt, self.names_statements).await.map_err(query_error))
    }

    pub(super) async fn execute_text(&self, sql: &str) -> Result<PgQueryResult, DbErr> {
        let mut txn = self.txn.lock().await;
        self.note_loss(txn.execute(AssertSqlSafe(sql)).await.map_err(execution_error))
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let Self { txn, suspects, .. } = self;
        note_loss(&suspects, txn.into_inner().commit().await.map_err(query_error))
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        self.txn.into_inner().rollback().await.map_err(query_error)
    }

    fn note_loss<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        note_loss(&self.suspects, result)
    }
}

/// Notes a broken connection. It returns to the pool with its transaction, and is checked before it is used again.
fn note_loss<T>(suspects: &Suspects, result: Result<T, DbErr>) -> Result<T, DbErr> {
    if let Err(error) = &result
        && matches!(fate(error), Fate::NeverRan | Fate::Unknown)
    {
        suspects.suspect_all();
    }
    result
}

/// Runs a statement, and keeps it prepared on the connection by a name, or not at all. Without a name sqlx takes two round
/// trips, which need the same backend.
async fn run_on(
    connection: &mut PgConnection,
    stmt: &Statement,
    is_named: bool,
) -> Result<Answer, sqlx::Error> {
    let values = stmt.values.clone().unwrap_or(Values(Vec::new()));
    let query = sqlx::query_with(AssertSqlSafe(stmt.sql.as_str()), SqlxValues(values)).persistent(is_named);
    let mut answer = Answer { summary: PgQueryResult::default(), rows: Vec::new() };
    let mut parts = connection.fetch_many(query);
    while let Some(part) = parts.try_next().await? {
        match part {
            Either::Left(summary) => answer.summary.extend([summary]),
            Either::Right(row) => answer.rows.push(row),
        }
    }
    Ok(answer)
}

/// Runs a statement in a transaction of its own, which keeps its round trips on one backend.
async fn run_in_transaction(connection: &mut PgConnection, stmt: &Statement) -> Result<Answer, Failure> {
    let failed = |was_sent| move |error| Failure { error: query_error(error), was_sent };
    let mut txn = connection.begin_with(BEGIN).await.map_err(failed(false))?;
    match run_on(&mut txn, stmt, false).await {
        Ok(answer) => {
            txn.commit().await.map_err(failed(true))?;
            Ok(answer)
        }
        Err(error) => {
            // The first error counts; a lost connection cannot roll back.
            let _ = txn.rollback().await;
            // Without the COMMIT the statement had no effect.
            Err(failed(false)(error))
        }
    }
}

/// Whether this connection takes writes: it does not on a standby or a read-only primary.
async fn can_write(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection.fetch_one("SHOW transaction_read_only").await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}

async fn detect_pooler(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let probing = options.clone().options([(PROBE, "on")]);
    let mut connection = match PgConnection::connect_with(&probing).await {
        Ok(connection) => connection,
        // PgBouncer refuses unknown parameters (08P01), other poolers all of them (0A000). It is a pooler if a start without
        // the parameter succeeds.
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("0A")) =>
        {
            PgConnection::connect_with(options).await?.close().await?;
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let seen: Option<String> = connection.fetch_one(SELECT_PROBE).await?.try_get(0)?;
    connection.close().await?;
    Ok(seen.as_deref() != Some("on"))
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn execution_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

fn too_late() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("no answer in time".to_owned()))
}

fn read_only() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the database takes no writes".to_owned()))
}
