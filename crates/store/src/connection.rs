//! The connection pool, transactions, and repeating statements after a lost connection.
//!
//! Unless a function says more, it fails with [`StoreError`] when the database does not answer.

use std::{fmt, sync::Arc};

use migration::{Migrator, MigratorTrait, lock};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait,
};
use secrecy::ExposeSecret;
use tracing::Instrument as _;

use super::{
    StoreError, Unready,
    postgres::{Postgres, PostgresTxn, Run},
    settings::DatabaseSettings,
    sqlite::{self, Sqlite, SqliteTxn},
    start::{from_store, probe},
    traced,
};

/// A pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
}

#[derive(Clone)]
enum Pool {
    Sqlite(Arc<Sqlite>),
    Postgres(Box<Postgres>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.get_database_backend()).finish()
    }
}

/// How the schema of a database differs from that of this version.
#[derive(Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Migrations that have not run yet, oldest first.
    pub pending: Vec<String>,
    /// Migrations that another version ran.
    pub unknown: Vec<String>,
}

/// A transaction. It is rolled back if it is dropped without [`Txn::commit`].
pub struct Txn(Kind);

enum Kind {
    Sqlite(SqliteTxn),
    Postgres(PostgresTxn),
}

impl fmt::Debug for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Txn").field(&self.get_database_backend()).finish()
    }
}

impl From<Sqlite> for Store {
    fn from(sqlite: Sqlite) -> Self {
        Self { pool: Pool::Sqlite(Arc::new(sqlite)) }
    }
}

impl Store {
    /// Opens the pool. PostgreSQL is not connected to yet, so that the first statement reports an outage.
    ///
    /// # Errors
    /// When the URL is not valid, or when the file of SQLite cannot be opened.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let url = settings.url.expose_secret();
        if !url.starts_with("sqlite:") {
            return Ok(Self {
                pool: Pool::Postgres(Box::new(Postgres::new(settings, settings.max_connections)?)),
            });
        }
        Ok(Sqlite::open(settings).await?.into())
    }

    /// Opens a database for reading: nothing is created or changed. `None` when the SQLite file does not exist.
    ///
    /// # Errors
    /// When the URL is not valid, or with why there is no connection to PostgreSQL and what to do.
    pub async fn look(settings: &DatabaseSettings) -> Result<Option<Self>, Unready> {
        let url = settings.url.expose_secret();
        if sqlite::file(url).map_err(StoreError::from)?.is_some_and(|file| !file.exists()) {
            return Ok(None);
        }
        probe(settings).await?;
        if !url.starts_with("sqlite:") {
            // The read-only switch of PostgreSQL is a startup parameter, which poolers such as PgBouncer refuse. The callers
            // only read.
            let postgres = Postgres::new(settings, 1).map_err(|error| from_store(error.into()))?;
            return Ok(Some(Self { pool: Pool::Postgres(Box::new(postgres)) }));
        }
        Ok(Some(Sqlite::look(settings).await?.into()))
    }

    /// Whether the database is an SQLite file that does not exist.
    #[must_use]
    pub fn is_missing(settings: &DatabaseSettings) -> bool {
        let file = sqlite::file(settings.url.expose_secret()).ok().flatten();
        file.is_some_and(|file| !file.exists())
    }

    /// Whether a connection pooler such as PgBouncer is in front of the database, whatever the settings say.
    pub async fn find_pooler(&self) -> Result<bool, StoreError> {
        match &self.pool {
            Pool::Sqlite(_) => Ok(false),
            Pool::Postgres(postgres) => Ok(postgres.find_pooler().await?),
        }
    }

    /// Whether an SQLite file could be created: its folder exists. Says nothing about other databases.
    #[must_use]
    pub fn can_be_made(settings: &DatabaseSettings) -> bool {
        let file = sqlite::file(settings.url.expose_secret()).ok().flatten();
        let folder = file.as_ref().and_then(|file| file.parent());
        folder.is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    }

    /// Which migrations have not run yet, and which ran that this version does not know. Changes nothing: the migrator's own
    /// function would create its table.
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
            // The migrator's own function creates the table first, which needs a right that the role may lack.
            let all =
                Statement::from_string(backend, "SELECT version FROM seaql_migrations ORDER BY version");
            for row in self.query_all_raw(all).await? {
                ran.push(row.try_get("", "version")?);
            }
        }
        let known: Vec<String> =
            Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        let pending = known.iter().filter(|name| !ran.contains(name)).cloned().collect();
        ran.retain(|name| !known.contains(name));
        Ok(Migrations { pending, unknown: ran })
    }

    /// Runs the migrations that have not run yet, in one transaction, and in one server at a time.
    ///
    /// # Errors
    /// Also when a migration fails. No step has run then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match &self.pool {
            Pool::Sqlite(_) => {
                let txn = self.begin().await?;
                Migrator::up(&txn, None).await?;
                txn.commit().await
            }
            Pool::Postgres(postgres) => {
                let (pool, around) = postgres.for_migrations().await?;
                let migrated = migrate_postgres(&pool, around).await;
                let closed = pool.close().await;
                migrated?;
                Ok(closed?)
            }
        }
    }

    /// Begins a transaction. On SQLite it takes the write lock at once: a transaction that reads first and writes later is
    /// refused if another one wrote in between.
    pub async fn begin(&self) -> Result<Txn, StoreError> {
        Ok(Txn(match &self.pool {
            Pool::Sqlite(sqlite) => Kind::Sqlite(sqlite.begin().await?),
            Pool::Postgres(postgres) => Kind::Postgres(postgres.begin().await?),
        }))
    }

    /// Checks that the database answers, and that PostgreSQL takes writes.
    ///
    /// # Errors
    /// Also when it takes no writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.pool {
            Pool::Sqlite(sqlite) => sqlite.ping().await?,
            Pool::Postgres(postgres) => postgres.ping().await?,
        }
        Ok(())
    }

    /// How many connections are open, and how many of them are idle.
    #[must_use]
    pub fn count_connections(&self) -> (u32, u32) {
        let (open, idle) = match &self.pool {
            Pool::Sqlite(sqlite) => sqlite.count_connections(),
            Pool::Postgres(postgres) => postgres.count_connections(),
        };
        (open, u32::try_from(idle).unwrap_or(open))
    }

    /// The same database, for a statement that may run twice without harm. Other statements are repeated only when they
    /// certainly had no effect.
    #[must_use]
    pub fn repeating(&self) -> Repeating<'_> {
        Repeating(self)
    }

    /// The same database, for a statement that reads, and whose best plan depends on its values, as a search does: PostgreSQL
    /// plans it each time. A prepared statement soon gets one plan for all values.
    #[must_use]
    pub fn planning(&self) -> Planning<'_> {
        Planning(self)
    }

    /// Closes all connections when their work is done.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(sqlite) => sqlite.close().await,
            Pool::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// Runs the migrations on PostgreSQL. The isolation level is set first: a server that waited for the lock must see what the
/// other one did. The lock is a row's and belongs to the transaction, not to the session.
async fn migrate_postgres(pool: &DatabaseConnection, around: &[&str]) -> Result<(), DbErr> {
    lock::make(pool).await?;
    let txn = pool.begin().await?;
    txn.execute_unprepared("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    for statement in around {
        txn.execute_unprepared(statement).await?;
    }
    lock::take(&txn).await?;
    Migrator::up(&txn, None).await?;
    for statement in around {
        txn.execute_unprepared(statement).await?;
    }
    txn.commit().await
}

impl Txn {
    /// Commits. After an error the transaction may or may not have been committed.
    pub async fn commit(self) -> Result<(), StoreError> {
        let span = traced::statement("COMMIT");
        match self.0 {
            Kind::Sqlite(txn) => txn.commit().instrument(span).await?,
            Kind::Postgres(txn) => txn.commit().instrument(span).await?,
        }
        Ok(())
    }

    /// Rolls back now rather than when the connection is used next. After an error the transaction is rolled back too.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self.0 {
            Kind::Sqlite(txn) => txn.rollback().await?,
            Kind::Postgres(txn) => txn.rollback().await?,
        }
        Ok(())
    }
}

impl Store {
    async fn execute(&self, stmt: Statement, run: Run) -> Result<ExecResult, DbErr> {
        let span = traced::statement(&stmt.sql);
        match &self.pool {
            Pool::Sqlite(sqlite) => Ok(sqlite.run(&stmt).instrument(span).await?.summary.into()),
            Pool::Postgres(postgres) => Ok(postgres.run(&stmt, run).instrument(span).await?.summary.into()),
        }
    }

    async fn query_one(&self, stmt: Statement, run: Run) -> Result<Option<QueryResult>, DbErr> {
        let span = traced::statement(&stmt.sql);
        match &self.pool {
            Pool::Sqlite(sqlite) => Ok(sqlite.run(&stmt).instrument(span).await?.first_row()),
            Pool::Postgres(postgres) => Ok(postgres.run(&stmt, run).instrument(span).await?.first_row()),
        }
    }

    async fn query_all(&self, stmt: Statement, run: Run) -> Result<Vec<QueryResult>, DbErr> {
        let span = traced::statement(&stmt.sql);
        match &self.pool {
            Pool::Sqlite(sqlite) => Ok(sqlite.run(&stmt).instrument(span).await?.all_rows()),
            Pool::Postgres(postgres) => Ok(postgres.run(&stmt, run).instrument(span).await?.all_rows()),
        }
    }
}

/// How a statement outside of a transaction runs. Our statements that begin with `SELECT` have no effect there.
fn usual(stmt: &Statement) -> Run {
    Run { may_repeat: stmt.sql.starts_with("SELECT"), is_named: true }
}

/// A statement outside of a transaction runs once more after a dead connection or a rollback: any statement if the first try
/// had no effect, and only one that reads if it may have had one.
#[async_trait::async_trait]
impl ConnectionTrait for Store {
    fn get_database_backend(&self) -> DbBackend {
        match self.pool {
            Pool::Sqlite(_) => DbBackend::Sqlite,
            Pool::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        let run = usual(&stmt);
        self.execute(stmt, run).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.pool {
            Pool::Sqlite(sqlite) => Ok(sqlite.execute_text(sql).await?.into()),
            Pool::Postgres(postgres) => Ok(postgres.execute_text(sql).await?.into()),
        }
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        let run = usual(&stmt);
        self.query_one(stmt, run).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let run = usual(&stmt);
        self.query_all(stmt, run).await
    }
}

const REPEATED: Run = Run { may_repeat: true, is_named: true };
const PLANNED: Run = Run { may_repeat: true, is_named: false };

/// A database for statements that may run twice.
#[derive(Debug, Clone, Copy)]
pub struct Repeating<'a>(&'a Store);

#[async_trait::async_trait]
impl ConnectionTrait for Repeating<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute(stmt, REPEATED).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one(stmt, REPEATED).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all(stmt, REPEATED).await
    }
}

/// A database for statements that are planned each time they run.
#[derive(Debug, Clone, Copy)]
pub struct Planning<'a>(&'a Store);

#[async_trait::async_trait]
impl ConnectionTrait for Planning<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute(stmt, PLANNED).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one(stmt, PLANNED).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all(stmt, PLANNED).await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Txn {
    fn get_database_backend(&self) -> DbBackend {
        match self.0 {
            Kind::Sqlite(_) => DbBackend::Sqlite,
            Kind::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        let span = traced::statement(&stmt.sql);
        match &self.0 {
            Kind::Sqlite(txn) => Ok(txn.run(&stmt).instrument(span).await?.summary.into()),
            Kind::Postgres(txn) => Ok(txn.run(&stmt).instrument(span).await?.summary.into()),
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            Kind::Sqlite(txn) => Ok(txn.execute_text(sql).await?.into()),
            Kind::Postgres(txn) => Ok(txn.execute_text(sql).await?.into()),
        }
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        let span = traced::statement(&stmt.sql);
        match &self.0 {
            Kind::Sqlite(txn) => Ok(txn.run(&stmt).instrument(span).await?.first_row()),
            Kind::Postgres(txn) => Ok(txn.run(&stmt).instrument(span).await?.first_row()),
        }
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let span = traced::statement(&stmt.sql);
        match &self.0 {
            Kind::Sqlite(txn) => Ok(txn.run(&stmt).instrument(span).await?.all_rows()),
            Kind::Postgres(txn) => Ok(txn.run(&stmt).instrument(span).await?.all_rows()),
        }
    }
}
