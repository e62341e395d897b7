//! A PgBouncer for the tests, in front of PostgreSQL: the real program with its defaults, except for what a test configures.

#![expect(clippy::disallowed_methods, reason = "the environment tells where PgBouncer is")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A PgBouncer. It stops when this is dropped or this process ends, even by a signal: a shell waits for the end of its
/// standard input.
pub struct PgBouncer {
    process: Child,
    port: u16,
}

impl PgBouncer {
    /// Starts one in front of the server of this URL, with more lines of configuration. Without the program it prints a
    /// warning and returns `None`, or panics if `REQUIRE_PGBOUNCER` is set.
    pub fn before(url: &str, pool_mode: &str, more: &str) -> Option<Self> {
        let Some(program) = program() else {
            assert!(
                std::env::var_os("REQUIRE_PGBOUNCER").is_none(),
                "REQUIRE_PGBOUNCER is set, but there is no pgbouncer on the PATH or in /usr/sbin"
            );
            // Written directly, because the test runner captures `eprintln!`.
            let _ = std::io::stderr().write_all(
                b"\n!! NO PGBOUNCER: pgbouncer was not found. THE TESTS THROUGH A CONNECTION POOLER DID NOT RUN.\n\n",
            );
            return None;
        };
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("loopin-auth-pgbouncer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for PgBouncer");
        std::fs::write(folder.join("pgbouncer.ini"), configuration(url, port, pool_mode, more))
            .expect("a file");
        let process = start(&program, &folder);
        let bouncer = Self { process, port };
        assert!(bouncer.answers(), "PgBouncer does not start");
        Some(bouncer)
    }

    /// The URL of the same database through it.
    pub fn url(&self, url: &str) -> String {
        let (_, url) = super::postgres::with_local_port(url, self.port);
        url
    }

    fn answers(&self) -> bool {
        (0..300).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        })
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn configuration(url: &str, port: u16, pool_mode: &str, more: &str) -> String {
    let url = url::Url::parse(url).expect("a URL");
    let password = url.password().map(|password| format!(" password={password}")).unwrap_or_default();
    format!(
        "[databases]\n* = host={} port={} user={}{password}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = {pool_mode}\n{more}\n",
        url.host_str().expect("a host"),
        url.port().unwrap_or(5432),
        url.username(),
    )
}

/// PgBouncer does not run as root.
fn start(program: &Path, folder: &Path) -> Child {
    let script = format!(
        "cd {folder}; if [ \"$(id -u)\" = 0 ]; then user='--reuid nobody --clear-groups'; run=setpriv; else user=; run=env; fi; \
         chmod -R a+rX {folder}; $run $user {program} -q pgbouncer.ini >log 2>&1 & pid=$!; \
         cat >/dev/null; kill -KILL $pid; wait; rm -rf {folder}",
        folder = folder.display(),
        program = program.display(),
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn program() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    folders.push(PathBuf::from("/usr/sbin"));
    folders.into_iter().map(|folder| folder.join("pgbouncer")).find(|program| program.exists())
}
