//! The connection pool, and how it survives a database that goes away.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
    sqlx::{self, Connection as _, sqlite},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    StoreError, Unready,
    error::{connection_lost, is_locked, never_ran},
    start::{of_store, probe},
};

/// Half a second of silence, and a pooled connection is asked whether it still lives before it is used. Busy
/// connections are not asked: a ping costs as much as a statement.
const PING_AFTER_IDLE: Duration = Duration::from_millis(500);

/// Any number, the same in every server: who holds it migrates, the others wait.
const MIGRATION_LOCK: i64 = 0x6c6f_6f70_696e;

/// After a loss so many connections are asked whether they live: more than a pool has.
const MOST_SUSPECTS: u32 = 1000;

/// How often an SQLite file is opened that another process keeps locked: for five seconds, as a statement waits.
const MOST_OPENINGS: u32 = 100;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://…`, `postgres://…` or `postgresql://…`, TLS parameters included.
    pub url: SecretString,
    /// The most connections that are open at once.
    pub max_connections: u32,
    /// How long a request waits for a connection before it is told that the database does not answer.
    pub acquire_timeout: Duration,
}

/// A pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: DatabaseConnection,
    suspects: Suspects,
}

/// How many more pooled connections are asked whether they still live, however briefly they were idle. A lost connection
/// is rarely alone: whatever cut it cut its neighbours too, and the next try must not meet one of those.
#[derive(Clone, Default)]
struct Suspects(Arc<AtomicU32>);

impl Suspects {
    /// A connection was lost: every other one is suspected.
    fn are(&self, connections: u32) {
        self.0.store(connections, Ordering::Relaxed);
    }

    /// Whether the next connection is one of them; it is not any more.
    fn has_next(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.pool.get_database_backend()).finish()
    }
}

/// How the schema of a database and that of this version differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Those that have not run yet, oldest first.
    pub pending: Vec<String>,
    /// Those that another version ran.
    pub unknown: Vec<String>,
}

/// A transaction: dropped without [`Txn::commit`], it never was.
#[derive(Debug)]
pub struct Txn(DatabaseTransaction);

impl Store {
    /// Opens the pool. No connection is made yet, so that a database that is away is met by the first statement, which
    /// knows how to say so.
    ///
    /// # Errors
    /// When the URL is not understood.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let url = settings.url.expose_secret();
        make_sqlite_file(url)?;
        let suspects = Suspects::default();
        let mut options = ConnectOptions::new(url);
        options
            // SQLite in memory is one database per connection.
            .max_connections(if url.contains(":memory:") { 1 } else { settings.max_connections })
            .min_connections(0)
            .connect_lazy(true)
            .connect_timeout(settings.acquire_timeout)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire_if_idle_for(PING_AFTER_IDLE)
            .map_sqlx_postgres_before_acquire({
                let suspects = suspects.clone();
                move |connection, _| {
                    let is_suspect = suspects.has_next();
                    Box::pin(async move {
                        if is_suspect {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                }
            })
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(|options| {
                options
                    // Made above, once: a file that goes away later is an outage, not a new and empty database.
                    .create_if_missing(false)
                    .journal_mode(sqlite::SqliteJournalMode::Wal)
                    // What a person had removed is not to be read from free pages of the file.
                    .pragma("secure_delete", "ON")
                    // With WAL this loses nothing in a crash of the process, which is what an embedded default owes.
                    .synchronous(sqlite::SqliteSynchronous::Normal)
                    .busy_timeout(Duration::from_secs(5))
            });
        if url.contains(":memory:") {
            options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        }
        Ok(Self { pool: open(options).await?, suspects })
    }

    /// Opens a database to look at it: nothing is made or changed. `None` when it is an SQLite file that is not there.
    ///
    /// # Errors
    /// When the URL is not understood, or why there is no connection to PostgreSQL, and what to do about it.
    pub async fn look(settings: &DatabaseSettings) -> Result<Option<Self>, Unready> {
        let url = settings.url.expose_secret();
        if sqlite_file(url).map_err(of_store)?.is_some_and(|file| !file.exists()) {
            return Ok(None);
        }
        probe(settings).await?;
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(1)
            .connect_lazy(true)
            .connect_timeout(settings.acquire_timeout)
            .acquire_timeout(settings.acquire_timeout)
            .sqlx_logging(false)
            // PostgreSQL's own switch is a parameter of the start, which poolers such as PgBouncer refuse; what asks
            // through this reads only.
            .map_sqlx_sqlite_opts(|options| options.create_if_missing(false).pragma("query_only", "ON"));
        let pool = Database::connect(options).await.map_err(|error| of_store(error.into()))?;
        Ok(Some(Self { pool, suspects: Suspects::default() }))
    }

    /// Whether the database is an SQLite file that is not there.
    #[must_use]
    pub fn is_missing(settings: &DatabaseSettings) -> bool {
        let file = sqlite_file(settings.url.expose_secret()).ok().flatten();
        file.is_some_and(|file| !file.exists())
    }

    /// Whether an SQLite file that is not there could be made: its folder is there. Says nothing of other databases.
    #[must_use]
    pub fn can_be_made(settings: &DatabaseSettings) -> bool {
        let file = sqlite_file(settings.url.expose_secret()).ok().flatten();
        let folder = file.as_ref().and_then(|file| file.parent());
        folder.is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    }

    /// Which migrations have not run yet, and which ran that this version does not know. Changes nothing, not even to
    /// make the list of them, as the migrator's own question would.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_migrations(&self) -> Result<Migrations, StoreError> {
        let backend = self.get_database_backend();
        let is_there = match backend {
            DbBackend::Sqlite => {
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'"
            }
            _ => {
                "SELECT 1 FROM information_schema.tables WHERE table_name = 'seaql_migrations' \
                 AND table_schema = current_schema()"
            }
        };
        let mut ran: Vec<String> = Vec::new();
        if self.query_one_raw(Statement::from_string(backend, is_there)).await?.is_some() {
            let models = Migrator::get_migration_models(self).await?;
            ran.extend(models.into_iter().map(|model| model.version));
        }
        let known: Vec<String> =
            Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        let pending = known.iter().filter(|name| !ran.contains(name)).cloned().collect();
        ran.retain(|name| !known.contains(name));
        Ok(Migrations { pending, unknown: ran })
    }

    /// Runs the migrations that have not run yet, all in one transaction, and one server at a time.
    ///
    /// # Errors
    /// When the database does not answer or a step fails; nothing has changed then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let txn = self.begin().await?;
        if self.pool.get_database_backend() == DbBackend::Postgres {
            txn.0.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
        }
        Migrator::up(&txn.0, None).await?;
        txn.commit().await
    }

    /// Begins a transaction. On SQLite it takes the write lock at once, because one that reads first and then wants to
    /// write can be refused for what others wrote in between.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&self) -> Result<Txn, StoreError> {
        let begin = || {
            self.pool.begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
        };
        // Nothing has run in it yet, so a lost connection costs nothing.
        match begin().await {
            Err(error) if self.has_lost_connection(&error) => Ok(Txn(begin().await?)),
            result => Ok(Txn(result?)),
        }
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// How many connections are open, and how many of these nobody uses at the moment.
    #[must_use]
    pub fn count_connections(&self) -> (u32, u32) {
        let (open, idle) = if self.pool.get_database_backend() == DbBackend::Sqlite {
            let pool = self.pool.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.pool.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        };
        (open, u32::try_from(idle).unwrap_or(open))
    }

    /// Closes all connections, once their work is done.
    pub async fn close(&self) {
        if let Err(error) = self.pool.clone().close().await {
            tracing::warn!(%error, "the database pool did not close");
        }
    }
}

/// Opens the pool. Turning an SQLite file to WAL does not wait for another process that does the same, whatever the busy
/// time-out says, so of two that start at once on a new file one is told to try again.
async fn open(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let mut tries = 1;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if tries < MOST_OPENINGS && is_locked(&error) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

fn of_driver(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// The file of an SQLite database; `None` for every other one.
fn sqlite_file(url: &str) -> Result<Option<PathBuf>, StoreError> {
    if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
        return Ok(None);
    }
    let options: sqlite::SqliteConnectOptions = url.parse().map_err(of_driver)?;
    Ok(Some(options.get_filename().to_owned()))
}

/// Makes the file of an SQLite database that does not exist yet. An empty file is an empty database.
fn make_sqlite_file(url: &str) -> Result<(), StoreError> {
    let Some(file) = sqlite_file(url)? else { return Ok(()) };
    match std::fs::File::create_new(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let file = file.display();
            Err(DbErr::Custom(format!("the file of the database, {file}, cannot be made: {error}")).into())
        }
        _ => Ok(()),
    }
}

impl Txn {
    /// Makes it so.
    ///
    /// # Errors
    /// When the database does not answer: then it may or may not have happened.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    /// Makes it never have been, now rather than when the connection is used next.
    ///
    /// # Errors
    /// When the database does not answer: then it never was, either.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.0.rollback().await?)
    }
}

impl Store {
    /// Whether the connection was lost. Then its neighbours are suspected of the same.
    fn has_lost_connection(&self, error: &DbErr) -> bool {
        let is_lost = connection_lost(error);
        if is_lost {
            self.suspects.are(MOST_SUSPECTS);
        }
        is_lost
    }

    /// Whether a statement that failed may be asked once more. One that surely never ran may. One that may have run may
    /// if it reads, or if it is an UPDATE: each of ours is guarded or says the same twice, and the worst that a second
    /// one does is to count one more guess, never one fewer. An INSERT may not: each comes after a statement that would
    /// have met the dead connection.
    fn may_ask_again(&self, sql: &str, error: &DbErr) -> bool {
        let bears_repetition = ["SELECT", "UPDATE"].iter().any(|verb| sql.starts_with(verb));
        self.has_lost_connection(error) && (never_ran(error) || bears_repetition)
    }
}

/// A statement outside of a transaction that meets a connection which had died before is asked once more on a fresh
/// one.
#[async_trait::async_trait]
impl ConnectionTrait for Store {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        match self.pool.execute_raw(stmt.clone()).await {
            Err(error) if self.may_ask_again(&stmt.sql, &error) => self.pool.execute_raw(stmt).await,
            result => result,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self.pool.execute_unprepared(sql).await {
            Err(error) if self.may_ask_again(sql, &error) => self.pool.execute_unprepared(sql).await,
            result => result,
        }
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.pool.query_one_raw(stmt.clone()).await {
            Err(error) if self.may_ask_again(&stmt.sql, &error) => self.pool.query_one_raw(stmt).await,
            result => result,
        }
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.pool.query_all_raw(stmt.clone()).await {
            Err(error) if self.may_ask_again(&stmt.sql, &error) => self.pool.query_all_raw(stmt).await,
            result => result,
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Txn {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one_raw(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(stmt).await
    }
}
