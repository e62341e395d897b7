//! Runs the migrations, and what they are written with.
//!
//! It has the names of sea-orm-migration, which compiles sea-schema, and sea-orm with all of its default features. The table
//! that remembers what ran is the same.

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder,
    sea_query::{
        ColumnDef, Expr, ExprTrait, IndexCreateStatement, IndexDropStatement, Query, Table,
        TableAlterStatement, TableCreateStatement, TableDropStatement,
    },
};

/// The names that a migration uses.
pub(crate) mod prelude {
    pub(crate) use async_trait::async_trait;
    pub(crate) use sea_orm::{ConnectionTrait, DbErr, sea_query::*};

    pub(crate) use super::{Connection, MigrationTrait, SchemaManager};
}

/// Columns of the usual kinds. Without `_null` they are `NOT NULL`.
pub(crate) mod schema {
    use sea_orm::sea_query::ColumnDef;

    macro_rules! columns {
        ($null:ident: $($name:ident is $kind:ident,)*) => { $(
            pub(crate) fn $name(name: &'static str) -> ColumnDef {
                ColumnDef::new(name).$kind().$null().take()
            }
        )* };
    }

    columns! { not_null:
        big_integer is big_integer,
        boolean is boolean,
        date is date,
        json is json,
        text is text,
        timestamp_with_time_zone is timestamp_with_time_zone,
        uuid is uuid,
    }

    columns! { null:
        big_integer_null is big_integer,
        date_null is date,
        text_null is text,
        timestamp_with_time_zone_null is timestamp_with_time_zone,
        uuid_null is uuid,
    }

    /// A key that the database counts up.
    pub(crate) fn big_pk_auto(name: &'static str) -> ColumnDef {
        big_integer(name).auto_increment().primary_key().take()
    }
}

/// Remembers which migrations ran.
const TABLE: &str = "seaql_migrations";

/// A step of the schema, in both directions.
#[async_trait]
pub(crate) trait MigrationTrait: Send + Sync {
    /// Makes the change.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr>;

    /// Takes it back.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr>;
}

/// A step with its name.
pub struct Step {
    pub(crate) name: &'static str,
    pub(crate) migration: Box<dyn MigrationTrait>,
}

impl Step {
    /// The name, by which a database remembers that it ran.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A database or a transaction. `ConnectionTrait` has generic functions, so there is no trait object of it.
#[async_trait]
trait Raw: Send + Sync {
    fn backend(&self) -> DbBackend;
    async fn run(&self, stmt: Statement) -> Result<ExecResult, DbErr>;
    async fn run_text(&self, sql: &str) -> Result<ExecResult, DbErr>;
    async fn rows(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr>;
}

#[async_trait]
impl<C: ConnectionTrait + Send> Raw for C {
    fn backend(&self) -> DbBackend {
        self.get_database_backend()
    }

    async fn run(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.execute_raw(stmt).await
    }

    async fn run_text(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_unprepared(sql).await
    }

    async fn rows(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query_all_raw(stmt).await
    }
}

/// What a migration changes the schema with.
pub(crate) struct SchemaManager<'a>(Connection<'a>);

/// The database of a migration.
pub(crate) struct Connection<'a>(&'a dyn Raw);

#[async_trait]
impl ConnectionTrait for Connection<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.0.run(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.run_text(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(stmt).await?.into_iter().next())
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.rows(stmt).await
    }
}

impl<'a> SchemaManager<'a> {
    pub(crate) fn get_connection(&self) -> &Connection<'a> {
        &self.0
    }

    pub(crate) fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    pub(crate) async fn execute(&self, stmt: impl StatementBuilder + Send) -> Result<(), DbErr> {
        let stmt = self.get_database_backend().build(&stmt);
        self.0.execute_raw(stmt).await.map(drop)
    }

    pub(crate) async fn create_table(&self, stmt: TableCreateStatement) -> Result<(), DbErr> {
        self.execute(stmt).await
    }

    pub(crate) async fn alter_table(&self, stmt: TableAlterStatement) -> Result<(), DbErr> {
        self.execute(stmt).await
    }

    pub(crate) async fn drop_table(&self, stmt: TableDropStatement) -> Result<(), DbErr> {
        self.execute(stmt).await
    }

    pub(crate) async fn create_index(&self, stmt: IndexCreateStatement) -> Result<(), DbErr> {
        self.execute(stmt).await
    }

    pub(crate) async fn drop_index(&self, stmt: IndexDropStatement) -> Result<(), DbErr> {
        self.execute(stmt).await
    }
}

/// Runs migrations. The caller begins and commits the transaction around them.
#[async_trait]
pub trait MigratorTrait: Send {
    /// All migrations, oldest first.
    fn migrations() -> Vec<Step>;

    /// Runs the next ones that have not run yet, or all of them.
    async fn up<C: ConnectionTrait + Send>(db: &C, steps: Option<u32>) -> Result<(), DbErr> {
        let manager = SchemaManager(Connection(db));
        let ran = ran(&manager).await?;
        let pending = Self::migrations().into_iter().filter(|step| !ran.contains(&step.name.to_owned()));
        for step in pending.take(at_most(steps)) {
            step.migration.up(&manager).await?;
            remember(&manager, step.name).await?;
        }
        Ok(())
    }

    /// Takes the last ones back, or all of them.
    async fn down<C: ConnectionTrait + Send>(db: &C, steps: Option<u32>) -> Result<(), DbErr> {
        let manager = SchemaManager(Connection(db));
        let ran = ran(&manager).await?;
        let done = Self::migrations().into_iter().rev().filter(|step| ran.contains(&step.name.to_owned()));
        for step in done.take(at_most(steps)) {
            step.migration.down(&manager).await?;
            let forget =
                Query::delete().from_table(TABLE).and_where(Expr::col("version").eq(step.name)).take();
            manager.execute(forget).await?;
        }
        Ok(())
    }
}

fn at_most(steps: Option<u32>) -> usize {
    steps.and_then(|steps| usize::try_from(steps).ok()).unwrap_or(usize::MAX)
}

/// The names of the migrations that ran.
async fn ran(manager: &SchemaManager<'_>) -> Result<Vec<String>, DbErr> {
    let table = Table::create()
        .table(TABLE)
        .if_not_exists()
        .col(ColumnDef::new("version").string().not_null().primary_key())
        .col(ColumnDef::new("applied_at").big_integer().not_null())
        .take();
    manager.execute(table).await?;
    let all = Query::select().column("version").from(TABLE).take();
    let rows = manager.get_connection().query_all(&all).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// Notes that a migration ran, and when: the database's time, because no rule depends on it.
async fn remember(manager: &SchemaManager<'_>, name: &'static str) -> Result<(), DbErr> {
    let now = match manager.get_database_backend() {
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)",
        _ => "unixepoch()",
    };
    let mut insert = Query::insert();
    insert.into_table(TABLE).columns(["version", "applied_at"]).values_panic([name.into(), Expr::cust(now)]);
    manager.execute(insert).await
}
