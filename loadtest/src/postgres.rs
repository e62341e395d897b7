//! A PostgreSQL: one that is started for the measurement with the safe settings of production, or one that is given.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use url::Url;

/// A server that was not started here is asked by `psql`, and its processes are not looked at.
#[derive(Debug)]
pub struct Postgres {
    base: Url,
    programs: Option<PathBuf>,
    started: Option<Started>,
}

/// A server that ends with this program.
#[derive(Debug)]
struct Started {
    process: Child,
    postmaster: u32,
}

impl Postgres {
    /// The server at this address.
    #[must_use]
    pub fn given(base: Url) -> Self {
        Self { base, programs: programs(), started: None }
    }

    /// Starts one in a new folder. A shell waits for the end of its standard input, which this process holds open: so the server
    /// ends with it, even by a signal. Commits wait for the disk, as they do by default.
    pub fn start(folder: &Path) -> Result<Self> {
        let programs = programs().context(
            "no PostgreSQL was found. Install its server programs, name a server by --database-url, or use --sqlite",
        )?;
        let port = free_port()?;
        let script = format!(
            "set -e; data={folder}/postgres; mkdir -p \"$data\"; PATH={programs}:$PATH; export PATH; \
             if [ \"$(id -u)\" = 0 ]; then chown {user} \"$data\"; \
             as() {{ setpriv --reuid {user} --regid {user} --clear-groups \"$@\"; }}; else as() {{ \"$@\"; }}; fi; \
             cd \"$data\"; as initdb -D \"$data/db\" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null; \
             as postgres -D \"$data/db\" -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
               -c max_connections=400 -c fsync=on -c synchronous_commit=on >\"$data/log\" 2>&1 & \
             cat >/dev/null; kill -INT $(head -n 1 \"$data/db/postmaster.pid\"); wait; rm -rf \"$data\"",
            folder = folder.display(),
            programs = programs.display(),
            user = if has_user("postgres") { "postgres" } else { "nobody" },
        );
        let process = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn()?;
        let base = Url::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"))?;
        let mut started = Started { process, postmaster: 0 };
        let mut postgres = Self { base, programs: Some(programs), started: None };
        postgres.wait(&mut started.process)?;
        let pid = fs::read_to_string(folder.join("postgres/db/postmaster.pid"))?;
        started.postmaster =
            pid.lines().next().unwrap_or_default().parse().context("the process of PostgreSQL")?;
        postgres.started = Some(started);
        Ok(postgres)
    }

    /// Waits until the server answers, for at most a minute.
    fn wait(&self, process: &mut Child) -> Result<()> {
        for _ in 0..600 {
            sleep(Duration::from_millis(100));
            if self.run(self.base.as_str(), "SELECT 1").is_ok() {
                return Ok(());
            }
            ensure!(process.try_wait()?.is_none(), "PostgreSQL ended");
        }
        bail!("PostgreSQL does not start")
    }

    /// The process whose children are the backends.
    #[must_use]
    pub fn postmaster(&self) -> Option<u32> {
        self.started.as_ref().map(|started| started.postmaster)
    }

    /// The address of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = self.base.clone();
        url.set_path(database);
        url.to_string()
    }

    /// Makes an empty database, in place of one of the same name. Returns its address.
    pub fn new_database(&self, name: &str) -> Result<String> {
        self.drop_database(name)?;
        self.run(self.base.as_str(), &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// Removes a database.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.run(self.base.as_str(), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    }

    /// Writes to disk what is not there yet, so that it is not written while something else is measured. A role that may not do this
    /// measures without.
    pub fn settle(&self) {
        self.run(self.base.as_str(), "CHECKPOINT").ok();
    }

    /// Runs SQL with `psql`.
    pub fn run(&self, url: &str, sql: &str) -> Result<()> {
        let mut process = Command::new(self.program("psql"))
            .args(["-qX", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", url])
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("psql does not start")?;
        // Closed at the end of the statement, so that psql ends. If it has ended before, its message says why.
        process.stdin.take().context("the input of psql")?.write_all(sql.as_bytes()).ok();
        let output = process.wait_with_output()?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// A program of PostgreSQL, from the folder of the server's programs or from the `PATH`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let found = self.programs.as_ref().map(|folder| folder.join(name)).filter(|path| path.exists());
        found.unwrap_or_else(|| name.into())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

/// A free port of this machine.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn has_user(name: &str) -> bool {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().any(|line| line.starts_with(&format!("{name}:")))
}

/// The folder with the server's programs: the newest one where Debian installs them, or the one of `initdb` on the `PATH`.
fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort_by_key(|folder| version(folder));
    let newest = folders.into_iter().rfind(|folder| folder.join("initdb").exists());
    newest.or_else(|| {
        let output = Command::new("sh").args(["-c", "command -v initdb"]).output().ok()?;
        Path::new(String::from_utf8(output.stdout).ok()?.trim()).parent().map(Path::to_path_buf)
    })
}

/// The number in `/usr/lib/postgresql/17/bin`.
fn version(folder: &Path) -> Option<u32> {
    folder.parent()?.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_path_of_the_address() {
        let base = Url::parse("postgres://me:secret@db.example.com:5433/postgres?sslmode=require").unwrap();
        let server = Postgres::given(base);
        assert_eq!(server.url("load_1"), "postgres://me:secret@db.example.com:5433/load_1?sslmode=require");
        assert_eq!(server.postmaster(), None);
    }

    #[test]
    fn the_newest_version_is_the_highest_number() {
        assert!(
            version(Path::new("/usr/lib/postgresql/17/bin"))
                > version(Path::new("/usr/lib/postgresql/9/bin"))
        );
        assert_eq!(version(Path::new("/usr/bin")), None);
    }
}
