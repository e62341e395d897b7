//! The floor: the SQL that a scenario cannot do without, run by `pgbench` without any server before it. No server on this database can
//! be faster.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::postgres::Postgres;

/// The fewest codes that are made for verifications, and how many for each second of a longer measurement.
const FEWEST_CODES: usize = 400_000;
const CODES_PER_SECOND: usize = 40_000;

const DATABASE: &str = "loadtest_floor";
const SCHEMA: &str = include_str!("../floor/schema.sql");
const CODES: &str = include_str!("../floor/codes.sql");
const SESSIONS: &str = include_str!("../floor/sessions.sql");

/// A script of `pgbench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// One upsert of a code.
    Signup,
    /// Takes an attempt, makes an account, opens a session: one transaction.
    Verify,
    /// The same as one statement.
    VerifyInOneStatement,
    /// A session joined with its account.
    Profile,
    /// All statements of a sign-up, a verification and a profile.
    Flow,
}

/// How many clients, and for how many seconds.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Connections.
    pub connections: u16,
    /// Seconds.
    pub seconds: u16,
}

/// What `pgbench` reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Transactions that were committed.
    pub committed: u64,
    /// Transactions that failed.
    pub failed: u64,
    /// Committed transactions a second.
    pub per_second: f64,
}

impl Floor {
    /// The name in tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Signup => "floor: one upsert",
            Self::Verify => "floor: one transaction",
            Self::VerifyInOneStatement => "floor: one statement",
            Self::Profile => "floor: one select",
            Self::Flow => "floor: the same statements",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Signup => include_str!("../floor/signup.sql"),
            Self::Verify => include_str!("../floor/verify.sql"),
            Self::VerifyInOneStatement => include_str!("../floor/verify_in_one_statement.sql"),
            Self::Profile => include_str!("../floor/profile.sql"),
            Self::Flow => include_str!("../floor/flow.sql"),
        }
    }

    /// The rows that it needs.
    fn rows(self, seconds: u16) -> String {
        match self {
            Self::Signup | Self::Flow => String::new(),
            Self::Profile => SESSIONS.to_owned(),
            Self::Verify | Self::VerifyInOneStatement => {
                let codes = FEWEST_CODES.max(CODES_PER_SECOND * usize::from(seconds));
                CODES.replace(":codes", &codes.to_string())
            }
        }
    }

    /// Makes an empty database with the rows that the script needs.
    pub fn prepare(self, postgres: &Postgres, seconds: u16) -> Result<()> {
        let url = postgres.new_database(DATABASE)?;
        postgres.run(&url, &format!("{SCHEMA}\n{}", self.rows(seconds)))?;
        postgres.settle();
        Ok(())
    }

    /// Runs the script.
    pub fn run(self, postgres: &Postgres, size: Size, folder: &Path) -> Result<Report> {
        let script = folder.join("floor.sql");
        fs::write(&script, self.script())?;
        let clients = size.connections.to_string();
        let output = Command::new(postgres.program("pgbench"))
            .args(["-n", "-M", "prepared", "-j", "2", "-D", "k=0", "-c", &clients])
            .args(["-D", &format!("clients={clients}"), "-T", &size.seconds.to_string(), "-f"])
            .arg(&script)
            .arg(postgres.url(DATABASE))
            .output()
            .context("pgbench does not start")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        postgres.drop_database(DATABASE)?;
        parse(&text).with_context(|| format!("pgbench said something else: {text}"))
    }
}

/// Whether `pgbench` is there.
#[must_use]
pub fn is_there(postgres: &Postgres) -> bool {
    Command::new(postgres.program("pgbench")).arg("--version").output().is_ok()
}

/// Reads the report that `pgbench` prints at its end.
fn parse(text: &str) -> Option<Report> {
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(label))?;
        line.split([' ', '/']).find(|word| !word.is_empty())
    };
    Some(Report {
        committed: after("number of transactions actually processed:")?.parse().ok()?,
        // PostgreSQL 14 and earlier end at the first failed transaction.
        failed: after("number of failed transactions:").and_then(|count| count.parse().ok()).unwrap_or(0),
        per_second: after("tps =")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "pgbench (15.19 (Debian 15.19-0+deb12u1))\n\
        transaction type: floor.sql\nscaling factor: 1\nquery mode: prepared\nnumber of clients: 32\n\
        number of threads: 2\nmaximum number of tries: 1\nduration: 10 s\n\
        number of transactions actually processed: 176401\n\
        number of failed transactions: 3 (0.002%)\nlatency average = 1.814 ms\n\
        initial connection time = 46.201 ms\ntps = 17640.257110 (without initial connection time)\n";

    #[test]
    fn the_report_of_pgbench_is_read() {
        let expected = Report { committed: 176_401, failed: 3, per_second: 17_640.257_11 };
        assert_eq!(parse(REPORT), Some(expected));
        let old = REPORT
            .replace("number of failed transactions: 3 (0.002%)\n", "")
            .replace("176401\n", "176401/176401\n");
        assert_eq!(parse(&old), Some(Report { failed: 0, ..expected }));
        assert_eq!(parse("pgbench: error: connection refused"), None);
    }

    #[test]
    fn a_long_measurement_has_codes_enough() {
        assert!(Floor::Verify.rows(10).contains("400000"));
        assert!(Floor::Verify.rows(60).contains("2400000"));
        assert_eq!(Floor::Signup.rows(60), "");
    }
}
