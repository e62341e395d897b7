//! A PgBouncer in transaction mode before PostgreSQL: the installed program with its defaults, except for the size of its pool.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use url::Url;

use crate::postgres::free_port;

/// How many connections to PostgreSQL it shares, as many as a server without a pooler has by default. So what is measured is the
/// pooler, and not a smaller number of connections.
const POOL_SIZE: u16 = 16;

/// A PgBouncer that ends with this program.
#[derive(Debug)]
pub struct PgBouncer {
    shell: Child,
    process: u32,
    port: u16,
    version: String,
}

impl PgBouncer {
    /// Starts one before the server at this address. As with PostgreSQL, a shell waits for the end of its standard input.
    pub fn start(folder: &Path, base: &str) -> Result<Self> {
        let program = program().context("no pgbouncer was found. Install it (Debian: pgbouncer)")?;
        let port = free_port()?;
        let folder = folder.join("pgbouncer");
        fs::create_dir(&folder)?;
        fs::write(folder.join("pgbouncer.ini"), configuration(&Url::parse(base)?, port)?)?;
        // It does not run as root.
        let script = format!(
            "cd {folder}; chmod -R a+rX {folder}; if [ \"$(id -u)\" = 0 ]; then \
             setpriv --reuid nobody --clear-groups {program} -q pgbouncer.ini >log 2>&1 & \
             else {program} -q pgbouncer.ini >log 2>&1 & fi; \
             pid=$!; echo $pid >pid; cat >/dev/null; kill $pid; wait",
            folder = folder.display(),
            program = program.display(),
        );
        let shell = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn()?;
        let version = version(&program)?;
        let mut bouncer = Self { shell, process: 0, port, version };
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                let pid = fs::read_to_string(folder.join("pid"))?;
                bouncer.process = pid.trim().parse().context("the process of PgBouncer")?;
                return Ok(bouncer);
            }
            sleep(Duration::from_millis(20));
        }
        bail!("PgBouncer does not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default())
    }

    /// The address of the same database through it.
    pub fn url(&self, url: &str) -> Result<String> {
        let mut url = Url::parse(url)?;
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(self.port)).ok().context("an address with a port")?;
        Ok(url.to_string())
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }

    /// What it says about itself, such as `PgBouncer 1.18.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().ok();
    }
}

fn configuration(base: &Url, port: u16) -> Result<String> {
    let host = base.host_str().context("an address with a host")?;
    let user = if base.username().is_empty() { "postgres" } else { base.username() };
    let password = base.password().map(|password| format!(" password={password}")).unwrap_or_default();
    Ok(format!(
        "[databases]\n* = host={host} port={} user={user}{password}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = {POOL_SIZE}\n",
        base.port().unwrap_or(5432),
    ))
}

fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().context("pgbouncer does not start")?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// On the `PATH`, or where Debian installs it.
fn program() -> Option<PathBuf> {
    let output =
        Command::new("sh").args(["-c", "PATH=$PATH:/usr/sbin command -v pgbouncer"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!path.is_empty()).then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_before_the_server_of_the_address() {
        let base = Url::parse("postgres://me:secret@db.example.com/postgres").unwrap();
        let text = configuration(&base, 6432).unwrap();
        assert!(text.contains("* = host=db.example.com port=5432 user=me password=secret\n"), "{text}");
        assert!(
            text.contains("listen_port = 6432\n") && text.contains("pool_mode = transaction\n"),
            "{text}"
        );
    }
}
