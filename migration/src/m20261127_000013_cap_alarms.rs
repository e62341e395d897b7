//! A column of its own for the alarm of a daily cap. So far `answered` was 1 on the row of a day once the operator was told,
//! and on the row of a prefix it counts verified messages. From now on it only counts these.
//!
//! The statistics of prefixes stay in `budgets`: sent messages are counted by the one statement that also checks and charges
//! all limits of a request, and verified messages by the one that settles them. SQLite cannot write two tables in one
//! statement, so a table of their own would cost every send and every sign-in a further round trip, and the two tables
//! could disagree after a crash.

use crate::runner::prelude::*;
use crate::runner::schema::boolean;

pub struct Migration;

const ALARM: &str = "is_alarm_sent";

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean(ALARM).default(false).take();
        manager.alter_table(Table::alter().table("budgets").add_column(column).take()).await?;
        // `answered` stays 1 on these rows: servers of the version before still read it, and the rows end with the next day.
        // While both versions serve, each of them sends the alarms of a day once.
        let marked = days().value(ALARM, true).and_where(Expr::col("answered").gt(0)).take();
        manager.execute(marked).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let marked = days().value("answered", 1).and_where(Expr::col(ALARM)).take();
        manager.execute(marked).await?;
        manager.alter_table(Table::alter().table("budgets").drop_column(ALARM).take()).await
    }
}

/// An update of the rows of days: their keys begin with `day/`, and `0` follows the slash.
fn days() -> UpdateStatement {
    Query::update()
        .table("budgets")
        .and_where(Expr::col("key").gte("day/"))
        .and_where(Expr::col("key").lt("day0"))
        .take()
}
