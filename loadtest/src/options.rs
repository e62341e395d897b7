//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, value_parser};

use crate::scenario::Scenario;

/// Measures how many requests a second one server answers, or compares two servers.
///
/// Every server is started anew for each measurement, on a new database with all migrations. Two servers are measured in turns, so
/// that a busy machine slows both of them. Build with `--release`: numbers of a debug build say nothing.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
pub struct Options {
    /// The server program, such as target/release/loopin-auth.
    pub server: PathBuf,

    /// Another server program, to compare.
    pub other: Option<PathBuf>,

    /// What to measure; can be given several times. Without it: everything.
    #[arg(long = "scenario", value_name = "SCENARIO", value_enum)]
    pub scenarios: Vec<Scenario>,

    /// Whether the server's rate limits are off or on. "both" measures sign-ups, verifications and the whole flow twice.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Limits::Both)]
    pub limits: Limits,

    /// How many connections send at the same time, each one request after another.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = value_parser!(u16).range(1..=256))]
    pub connections: u16,

    /// How many seconds each measurement takes. Preparing comes on top of it.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u16).range(1..=600))]
    pub seconds: u16,

    /// How often each measurement is repeated. The table shows the median.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u16).range(1..=99))]
    pub rounds: u16,

    /// Use an SQLite file instead of PostgreSQL.
    #[arg(long, conflicts_with = "database_url")]
    pub sqlite: bool,

    /// Use this PostgreSQL instead of starting one. Its role must be allowed to create databases.
    #[arg(long, value_name = "URL")]
    pub database_url: Option<url::Url>,

    /// Also measure each server behind PgBouncer in transaction mode. Needs its program.
    #[arg(long, conflicts_with = "sqlite")]
    pub pgbouncer: bool,

    /// Do not run the bare SQL statements in pgbench.
    #[arg(long)]
    pub no_floor: bool,

    /// Where databases and files are kept meanwhile. Choose a real disk: on a disk in memory, commits cost nothing.
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,

    /// Also write every round to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Append the log of the servers to this file. Without it the log is thrown away.
    #[arg(long, value_name = "FILE")]
    pub server_log: Option<PathBuf>,
}

/// Whether the rate limits of the server are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Limits {
    /// `RATE_LIMITS_ENABLED=false`.
    Off,
    /// The server's own limits. Every phone has an address of its own, so they are charged and refuse nothing.
    On,
    /// Both, where limits make a difference.
    Both,
}

impl Options {
    /// What is measured, each with whether the limits are on.
    #[must_use]
    pub fn runs(&self) -> Vec<(Scenario, bool)> {
        let all = Scenario::value_variants();
        let scenarios = if self.scenarios.is_empty() { all } else { &self.scenarios };
        let with_limits = |scenario: Scenario| {
            let is_limited = scenario.is_limited();
            let off = (!is_limited || self.limits != Limits::On).then_some((scenario, false));
            let on = (is_limited && self.limits != Limits::Off).then_some((scenario, true));
            off.into_iter().chain(on)
        };
        scenarios.iter().copied().flat_map(with_limits).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn runs(arguments: &[&str]) -> Vec<(Scenario, bool)> {
        let arguments = ["loadtest", "server"].iter().chain(arguments);
        Options::try_parse_from(arguments).unwrap().runs()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn limits_make_a_second_run_of_what_they_slow_down() {
        let only = ["--scenario", "signup", "--scenario", "health"];
        let with = |limits: &str| runs(&[&only[..], &["--limits", limits]].concat());
        let (signup, health) = (Scenario::Signup, Scenario::Health);
        assert_eq!(with("both"), [(signup, false), (signup, true), (health, false)]);
        assert_eq!(with("off"), [(signup, false), (health, false)]);
        assert_eq!(with("on"), [(signup, true), (health, false)]);
        assert_eq!(runs(&[]).len(), 13);
    }
}
