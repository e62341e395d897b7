//! A process of the server program, in test mode, on a database of its own.

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use crate::{
    client::{Call, Connection},
    postgres::free_port,
};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// Every user has an address of its own in `X-Forwarded-For`, no user waits for the next code, and numbers that begin alike are many.
/// The other limits are those of production.
const SETTINGS: [(&str, &str); 7] = [
    ("SECRET_KEY", "a secret key of the load test, 32 bytes or more"),
    ("JWT_SECRET_KEY", "a token secret of the load test, 32 bytes or more"),
    ("TWILIO_TEST_MODE", "true"),
    ("TRUSTED_PROXIES", "127.0.0.1"),
    ("OTP_RESEND_SECONDS", "0"),
    ("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "1000/1h"),
    ("NO_COLOR", "1"),
];

/// What a server is started with.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its database.
    pub database: &'a str,
    /// `DATABASE_POOLER`.
    pub pooler: &'static str,
    /// Whether its limits are on.
    pub has_limits: bool,
    /// The folder that it runs in. There must be no `.env`.
    pub folder: &'a Path,
    /// Where its log goes. `None`: nowhere.
    pub log: Option<&'a Path>,
}

impl Setup<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command
            .current_dir(self.folder)
            .env_clear()
            .envs(SETTINGS)
            .env("DATABASE_URL", self.database)
            .env("DATABASE_POOLER", self.pooler)
            .env("RATE_LIMITS_ENABLED", self.has_limits.to_string())
            .stdin(Stdio::null());
        command
    }

    /// Brings the database up to date, so that the start that is measured finds it ready.
    pub fn migrate(&self) -> Result<()> {
        let output = self.command().arg("migrate").output().context("the server program does not start")?;
        ensure!(
            output.status.success(),
            "{} migrate: {}{}",
            self.program.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took from the start of the process to the first answer.
    pub start: Duration,
}

impl Server {
    /// Starts one and waits for its first answer.
    pub async fn start(setup: Setup<'_>) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut command = setup.command();
        command.env("BIND_ADDR", address.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(path) = setup.log {
            let log = File::options().create(true).append(true).open(path)?;
            command.stderr(log.try_clone()?).stdout(log);
        }
        let began = Instant::now();
        let process = command.spawn().context("the server program does not start")?;
        let mut server = Self { process, address, start: Duration::ZERO };
        while began.elapsed() < PATIENCE {
            if server.answers().await {
                server.start = began.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.process.try_wait()? {
                bail!("{} ended: {status}. --server-log FILE shows why", setup.program.display());
            }
            sleep(Duration::from_millis(1)).await;
        }
        bail!("{} gives no answer", setup.program.display())
    }

    async fn answers(&self) -> bool {
        let call = Call { path: "/api/health", ..Call::default() };
        let answer = Connection::new(self.address).send(call).await;
        answer.is_ok_and(|answer| answer.with("healthy").is_ok())
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
