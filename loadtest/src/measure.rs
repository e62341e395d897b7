//! Runs the scenarios: the servers and the floors in turns, each time on a new database.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::{
    floor::{self, Floor, Size},
    load::Load,
    meter::{Meter, PeakMemory},
    options::Options,
    pgbouncer::PgBouncer,
    postgres::Postgres,
    process,
    report::{Round, Row},
    scenario::Scenario,
    server::{Server, Setup},
};

/// The names of the servers in the table, without a pooler and with one.
const NAMES: [[&str; 2]; 2] = [["A", "A, PgBouncer"], ["B", "B, PgBouncer"]];

/// How long a server rests before its memory is read.
const REST: Duration = Duration::from_millis(500);

const DATABASE: &str = "loadtest_server";

/// A folder that is removed at the end.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(parent: &Path) -> Result<Self> {
        let path = std::path::absolute(parent)?.join(format!("loopin-auth-loadtest-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A server program.
#[derive(Debug)]
pub struct Contender {
    /// Its name in the table.
    pub name: &'static str,
    /// The path as it was given.
    pub given: PathBuf,
    /// Whether PgBouncer is before its database.
    pub is_pooled: bool,
    program: PathBuf,
}

/// What is compared, and the database for it.
#[derive(Debug)]
pub struct Bench<'a> {
    options: &'a Options,
    servers: Vec<Contender>,
    has_floors: bool,
    log: Option<PathBuf>,
    // They end before their folder is removed: fields are dropped in this order.
    pgbouncer: Option<PgBouncer>,
    postgres: Option<Postgres>,
    folder: Folder,
}

impl<'a> Bench<'a> {
    /// Starts PostgreSQL, if it is needed.
    pub fn new(options: &'a Options) -> Result<Self> {
        let given = std::iter::once(&options.server).chain(&options.other);
        let mut servers = Vec::new();
        for (names, given) in NAMES.into_iter().zip(given) {
            let program =
                fs::canonicalize(given).with_context(|| format!("there is no {}", given.display()))?;
            let ways = [false, true].into_iter().take(1 + usize::from(options.pgbouncer));
            servers.extend(names.into_iter().zip(ways).map(|(name, is_pooled)| Contender {
                name,
                given: given.clone(),
                is_pooled,
                program: program.clone(),
            }));
        }
        let log = options.server_log.as_ref().map(std::path::absolute).transpose()?;
        let folder = Folder::new(&options.folder)?;
        let postgres = match (&options.database_url, options.sqlite) {
            (Some(url), _) => Some(Postgres::given(url.clone())),
            (None, true) => None,
            (None, false) => Some(Postgres::start(&folder.0)?),
        };
        let has_floors = !options.no_floor && postgres.as_ref().is_some_and(floor::is_there);
        let pgbouncer = match &postgres {
            Some(postgres) if options.pgbouncer => {
                Some(PgBouncer::start(&folder.0, &postgres.url("postgres"))?)
            }
            _ => None,
        };
        Ok(Self { options, servers, has_floors, log, pgbouncer, postgres, folder })
    }

    /// The version of PgBouncer, if it is measured.
    #[must_use]
    pub fn pooler(&self) -> Option<&str> {
        self.pgbouncer.as_ref().map(PgBouncer::version)
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Contender] {
        &self.servers
    }

    /// Measures a scenario: all rounds of all servers and floors.
    pub async fn compare(&self, scenario: Scenario, has_limits: bool) -> Result<Vec<Row>> {
        let title = scenario.title();
        let floors = if self.has_floors && !has_limits { scenario.floors() } else { &[] };
        let row = |of, has_limits| Row { scenario: title, has_limits, of, rounds: Vec::new() };
        let mut of_servers: Vec<Row> =
            self.servers.iter().map(|server| row(server.name, has_limits)).collect();
        let mut of_floors: Vec<Row> = floors.iter().map(|floor| row(floor.title(), false)).collect();
        for number in 1..=self.options.rounds {
            for (server, row) in self.servers.iter().zip(&mut of_servers) {
                let round = self.measure(server, scenario, has_limits).await;
                let round = round.with_context(|| format!("{title} of {}", server.given.display()))?;
                self.show(row, number, &round);
                row.rounds.push(round);
            }
            for (floor, row) in floors.iter().zip(&mut of_floors) {
                let round = self.measure_floor(*floor)?;
                self.show(row, number, &round);
                row.rounds.push(round);
            }
        }
        of_servers.extend(of_floors);
        Ok(of_servers)
    }

    /// A line for the person who waits.
    fn show(&self, row: &Row, number: u16, round: &Round) {
        let limits = if row.has_limits { ", limits on" } else { "" };
        let (rounds, rate) = (self.options.rounds, round.per_second);
        eprintln!("{}{limits}, round {number} of {rounds}, {}: {rate:.1}/s", row.scenario, row.of);
    }

    async fn measure(&self, server: &Contender, scenario: Scenario, has_limits: bool) -> Result<Round> {
        let folder = self.folder.0.join("server");
        fs::create_dir(&folder)?;
        let database = match &self.postgres {
            Some(postgres) => postgres.new_database(DATABASE)?,
            None => format!("sqlite://{}", folder.join("loadtest.sqlite3").display()),
        };
        let log = self.log.as_deref();
        let program = &server.program;
        let direct = Setup { program, database: &database, pooler: "none", has_limits, folder: &folder, log };
        direct.migrate()?;
        if let Some(postgres) = &self.postgres {
            postgres.settle();
        }
        let pgbouncer = self.pgbouncer.as_ref().filter(|_| server.is_pooled);
        let pooled = pgbouncer.map(|pgbouncer| pgbouncer.url(&database)).transpose()?;
        let setup = match &pooled {
            Some(url) => Setup { database: url, pooler: "transaction", ..direct },
            None => direct,
        };
        let round = self.load(setup, scenario, pgbouncer).await?;
        fs::remove_dir_all(&folder)?;
        if let Some(postgres) = &self.postgres {
            postgres.drop_database(DATABASE)?;
        }
        Ok(round)
    }

    /// Starts the server, and stops it at the end.
    async fn load(
        &self,
        setup: Setup<'_>,
        scenario: Scenario,
        pgbouncer: Option<&PgBouncer>,
    ) -> Result<Round> {
        let server = Server::start(setup).await?;
        sleep(REST).await;
        let memory_at_rest = process::memory(server.process());
        let peak = PeakMemory::of(server.process());
        let pooler = pgbouncer.map(PgBouncer::process);
        let mut meter = Meter::new(Some(server.process()), self.postmaster(), pooler);
        let mut load = Load::new(server.address, self.options.connections.into());
        let length = Duration::from_secs(self.options.seconds.into());
        let tally = load.measure(scenario, length, &mut meter).await?;
        Ok(Round {
            memory_at_rest,
            memory_peak: peak.mebibytes(),
            start: Some(server.start.as_secs_f64() * 1000.0),
            ..Round::new(tally, meter.elapsed().as_secs_f64(), meter.used())
        })
    }

    fn measure_floor(&self, floor: Floor) -> Result<Round> {
        let postgres = self.postgres.as_ref().context("floors are measured on PostgreSQL")?;
        let size = Size { connections: self.options.connections, seconds: self.options.seconds };
        floor.prepare(postgres, size.seconds)?;
        let mut meter = Meter::new(None, self.postmaster(), None);
        meter.start();
        let report = floor.run(postgres, size, &self.folder.0)?;
        meter.stop();
        Ok(Round::of_floor(report, meter.used()))
    }

    fn postmaster(&self) -> Option<u32> {
        self.postgres.as_ref().and_then(Postgres::postmaster)
    }
}
