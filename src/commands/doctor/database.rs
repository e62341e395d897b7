//! The checks of the database: does it answer, are all migrations applied, is there a connection pooler.

use super::{Finding, failure, fine, in_time, warning};
use crate::{
    commands::with_causes,
    config::{Config, Environment, Problems},
    store::{Migrations, Pooler, Store, Unready},
};

pub(super) async fn check(config: &Config, problems: &Problems) -> Vec<Finding> {
    if problems.0.iter().any(|problem| problem.starts_with("DATABASE_URL ")) {
        return vec![warning("database", "not checked: fix DATABASE_URL first")];
    }
    let mut findings =
        in_time("database", "it does not answer: check DATABASE_URL, the network and the server", async {
            match Store::look(&config.database).await {
                Ok(Some(store)) => {
                    let findings = check_store(config, &store).await;
                    store.close().await;
                    findings
                }
                Ok(None) => {
                    vec![no_file(config), warning("migrations", "none is applied: there is no database yet")]
                }
                Err(error) => no_answer(config, &error),
            }
        })
        .await;
    findings.extend(sqlite_in_prod(config));
    findings
}

fn sqlite_in_prod(config: &Config) -> Option<Finding> {
    let is_sqlite = kind(config) == "SQLite" && config.environment == Environment::Prod;
    is_sqlite.then(|| {
        warning(
            "database",
            "SQLite in prod means one server only, one write at a time, and a file on a local disk that you must back up \
             yourself, because it contains all accounts. PostgreSQL has none of these limits",
        )
    })
}

/// SQLite creates a missing file, but no folder.
fn no_file(config: &Config) -> Finding {
    let url = config.database_without_password();
    if Store::can_be_made(&config.database) {
        warning(
            "database",
            format!("{url} does not exist yet: loopin-auth migrate or the first start creates it"),
        )
    } else {
        failure(
            "database",
            format!(
                "{url} does not exist, and neither does its folder: create the folder, or change DATABASE_URL"
            ),
        )
    }
}

fn no_answer(config: &Config, error: &Unready) -> Vec<Finding> {
    let (kind, url) = (kind(config), config.database_without_password());
    let cause = with_causes(error);
    let advice = match error {
        Unready::Temporary(_) => ": check DATABASE_URL and the server",
        // The error contains the remedy.
        Unready::NeedsOperator(_) => "",
    };
    vec![
        failure("database", format!("{kind} at {url}: {cause}{advice}")),
        warning("migrations", "not checked: the database comes first"),
    ]
}

fn kind(config: &Config) -> &'static str {
    if config.database_without_password().starts_with("sqlite:") { "SQLite" } else { "PostgreSQL" }
}

async fn check_store(config: &Config, store: &Store) -> Vec<Finding> {
    if let Err(error) = store.ping().await {
        return no_answer(config, &error.into());
    }
    let (kind, url) = (kind(config), config.database_without_password());
    let answers = fine("database", format!("{kind} at {url} answers"));
    let migrations = match store.find_migrations().await {
        Ok(Migrations { unknown, .. }) if !unknown.is_empty() => failure(
            "migrations",
            format!(
                "{} unknown to this version: run the newer version that applied them",
                unknown.join(", ")
            ),
        ),
        Ok(Migrations { pending, .. }) if pending.is_empty() => fine("migrations", "all are applied"),
        Ok(Migrations { pending, .. }) => warning(
            "migrations",
            format!(
                "{} pending: run loopin-auth migrate, or start the server, which does the same",
                pending.len()
            ),
        ),
        Err(error) => failure("migrations", with_causes(&error)),
    };
    let mut findings = vec![answers];
    findings.extend(pooler(config, store).await);
    findings.push(migrations);
    findings
}

/// Compares `DATABASE_POOLER` with the pooler that was found; `None` if there is none and none is set.
async fn pooler(config: &Config, store: &Store) -> Option<Finding> {
    const ABOUT: &str = "connection pooler";
    let is_there = match store.find_pooler().await {
        Ok(is_there) => is_there,
        Err(error) => return Some(warning(ABOUT, with_causes(&error))),
    };
    match (config.database.pooler, is_there) {
        (None | Some(Pooler::None), false) => None,
        (None, true) => Some(warning(
            ABOUT,
            "there is one in front of PostgreSQL, such as PgBouncer, and transaction mode is assumed: set \
             DATABASE_POOLER=transaction, or DATABASE_POOLER=session if that is its pool_mode, which is faster",
        )),
        (Some(Pooler::None), true) => Some(failure(
            ABOUT,
            "there is one in front of PostgreSQL, such as PgBouncer, but DATABASE_POOLER=none: set it to the pooler's \
             pool_mode, transaction or session, or statements may get the values of other requests",
        )),
        (Some(Pooler::Session), true) => {
            Some(fine(ABOUT, "there is one, in session mode as DATABASE_POOLER says"))
        }
        (Some(Pooler::Transaction), true) => Some(fine(ABOUT, "there is one, in transaction mode")),
        (Some(Pooler::Session | Pooler::Transaction), false) => Some(warning(
            ABOUT,
            "none was found, but DATABASE_POOLER names one: without the setting, statements take fewer round trips",
        )),
    }
}
