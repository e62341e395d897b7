//! The commands of the program: one file each, with a function `run` that `main` calls.
//!
//! `doctor`, `settings`, `sms` and `audit` also work with settings that cannot start a server, so they build the few parts
//! that they need instead of everything in `app.rs`.
//!
//! To add a check to `doctor`: write a function that returns findings, and call it in `examine`. A check must end within
//! the time limit in `commands/doctor.rs` and must not change anything.

pub mod api_keys;
pub mod audit;
pub mod backup;
pub mod cli;
pub mod createsuperuser;
pub mod doctor;
pub mod events;
pub mod healthcheck;
pub mod import;
pub mod invitations;
pub mod keys;
pub mod migrate;
pub mod openapi;
pub mod output;
pub mod prefixes;
pub mod purge;
pub mod renumber;
mod report;
pub mod restore;
pub mod second_factor;
pub mod serve;
pub mod set_password;
pub mod settings;
pub mod sms;
pub mod unlock;

use std::{error::Error, io, sync::Arc};

use tokio::runtime::Runtime;

use crate::{
    app,
    clock::Clock,
    config::{Config, Problems, Sources},
    flows::Services,
    random::Random,
};

const NOT_MIGRATED: &str = "the database is not migrated: run `loopin-auth migrate` first";

/// Why a command failed. `main` prints it with its causes.
pub type CommandError = Box<dyn Error>;

/// What `main` passes to every command.
pub struct Context {
    /// Where the settings come from.
    pub sources: Sources,
    /// The time.
    pub clock: Clock,
    /// The source of random values.
    pub random: Random,
}

impl Context {
    /// The settings.
    ///
    /// # Errors
    /// All problems of the settings.
    pub fn config(&self) -> Result<Config, Problems> {
        let (config, problems) = self.inspect_config();
        if problems.0.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// The settings with defaults in place of the wrong ones, and all problems.
    fn inspect_config(&self) -> (Config, Problems) {
        let (config, mut problems) = Config::inspect(&self.sources, &self.random);
        problems.0.extend(config.problems_at(self.clock.now()));
        (config, problems)
    }

    /// What use cases need, on a database with all migrations. This function creates neither a database nor tables.
    async fn services(&self, config: &Config) -> Result<Arc<Services>, CommandError> {
        if !app::is_migrated(config).await? {
            return Err(NOT_MIGRATED.into());
        }
        let services = app::services(config, self.clock.clone(), self.random.clone()).await?;
        Ok(Arc::new(services))
    }

    /// Refuses commands that look for a phone without the server's `SECRET_KEY`: rows contain HMACs made with it, and a
    /// generated key would find none. `consequence` completes the error sentence.
    fn require_secret_key(&self, consequence: &str) -> Result<(), String> {
        let is_set = |name: &str| self.sources.get(name).is_some_and(|value| !value.trim().is_empty());
        ["SECRET_KEY", "SECRET_KEY_FILE"]
            .into_iter()
            .any(is_set)
            .then_some(())
            .ok_or_else(|| format!("SECRET_KEY is not set: without the server's own {consequence}"))
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// An error with all its causes, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}
