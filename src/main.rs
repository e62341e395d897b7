//! The commands.

use std::{collections::HashMap, path::Path, process::ExitCode, sync::Arc};

use chrono::Duration;
use clap::{Parser, Subcommand};
use loopin_auth::{app, clock::Clock, config::Config, flows::purge, random::Random, telemetry};

/// Sign-in by phone number, hosted by yourself.
///
/// Settings are environment variables, also from a file `.env`; `.env.example` describes them all.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Migrate the database and serve; what happens without a command
    Serve,
    /// Migrate the database and stop
    Migrate,
    /// Remove challenges, messages and sessions that were over long ago; accounts and leads stay
    Purge {
        /// How many days ago they were over, at least
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..))]
        older_than_days: u16,
    },
    /// Print the OpenAPI document
    Openapi,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loopin-auth: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let variables = variables()?;
    let mut config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if !matches!(command, Command::Openapi) {
        telemetry::start(config.log_format, config.debug);
    }
    runtime.block_on(async {
        match command {
            Command::Serve => app::serve(config).await?,
            Command::Migrate => {
                let services = app::services(&config, Clock::System, Random::System).await?;
                app::migrate(&services.store).await?;
                println!("the database is up to date");
            }
            Command::Purge { older_than_days } => {
                let services = app::services(&config, Clock::System, Random::System).await?;
                let purged = purge::purge(&services, Duration::days(i64::from(older_than_days))).await?;
                println!(
                    "removed {} challenges, {} messages, {} sessions",
                    purged.challenges, purged.messages, purged.sessions
                );
            }
            Command::Openapi => {
                // The document says nothing of rows: it is printed without a database, in a folder that may not be
                // written to.
                config.database.url = "sqlite::memory:".into();
                let services = app::services(&config, Clock::System, Random::System).await?;
                println!("{:#}", app::document(&Arc::new(services)));
            }
        }
        Ok(())
    })
}

/// What is wrong with `.env`. The value of a line may be a secret, so of a bad line only the name is told.
fn unreadable(error: dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, _) => {
            let name = line.split_once('=').map_or("a line without =", |(name, _)| name.trim());
            format!(
                ".env cannot be read at {name}: write NAME=value, and quote a value that has spaces, # or $"
            )
        }
        error => format!(".env cannot be read: {error}"),
    }
}

/// The variables of `.env`, if there is one, under those of the environment.
fn variables() -> Result<HashMap<String, String>, Box<dyn std::error::Error>> {
    let mut variables = HashMap::new();
    if Path::new(".env").exists() {
        for variable in dotenvy::from_path_iter(".env").map_err(unreadable)? {
            let (name, value) = variable.map_err(unreadable)?;
            variables.insert(name, value);
        }
    }
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    variables.extend(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    Ok(variables)
}
