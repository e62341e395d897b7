//! A process of the program, and a client for it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use loopin_auth::random::Random;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// The longest time that a process may take to be ready or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// The secrets that several processes share: two servers of one service, or one server before and after a crash.
pub const SECRETS: [(&str, &str); 2] = [
    ("SECRET_KEY", "a secret key of the tests, 32 bytes or more"),
    ("JWT_SECRET_KEY", "a token secret of the tests, 32 bytes or more"),
];

/// An empty folder that is removed at the end of the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("loopin-auth-process-{}", Random::System.bits()));
        std::fs::create_dir(&path).expect("a folder for the test");
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("the file is written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program with these arguments, and with these settings as its whole environment.
pub fn program(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopin-auth"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    command
}

/// The result of a command that has ended.
pub struct CommandOutput {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// Runs the program to its end.
pub fn run(folder: &Folder, arguments: &[&str], settings: &[(&str, &str)]) -> CommandOutput {
    output_of(&mut program(&folder.0, arguments, settings))
}

/// Runs the program to its end with this standard input.
pub fn run_with_input(
    folder: &Folder,
    arguments: &[&str],
    settings: &[(&str, &str)],
    input: &str,
) -> CommandOutput {
    let file = folder.0.join("input.txt");
    std::fs::write(&file, input).expect("a file with the input");
    let input = std::fs::File::open(&file).expect("the file is there");
    output_of(program(&folder.0, arguments, settings).stdin(input))
}

/// Runs the program to its end by another one, such as `timeout 30`.
pub fn run_by(
    other: &[&str],
    folder: &Folder,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> CommandOutput {
    let own = program(&folder.0, arguments, settings);
    let mut command = Command::new(other[0]);
    command.args(&other[1..]).arg(own.get_program()).args(own.get_args());
    command.current_dir(&folder.0).env_clear().envs(settings.iter().copied()).stdin(Stdio::null());
    output_of(&mut command)
}

fn output_of(command: &mut Command) -> CommandOutput {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    CommandOutput { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// A free port.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A running server. It is killed at the end of the test.
pub struct Server {
    process: Child,
    pub base: String,
    pub client: Client,
    log: PathBuf,
}

/// A response of the server.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub fn code(&self) -> String {
        self.text("/error/code")
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self
    }
}

impl Server {
    /// Starts one and waits until it is ready.
    pub async fn start(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        let mut server = Self::begin(folder, settings);
        server.ready().await;
        server
    }

    /// Starts one, on a port of its own unless the settings name one.
    pub fn begin(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        let log = folder.0.join(format!("log-{}", Random::System.bits()));
        let file = File::options().create(true).append(true).open(&log).expect("a file for the log");
        let copy = file.try_clone().expect("the same file");
        let mut server = Self::begin_with(folder, settings, copy.into(), file.into());
        server.log = log;
        server
    }

    /// Starts one with another standard output and standard error.
    pub fn begin_with(folder: &Folder, settings: &[(&str, &str)], out: Stdio, err: Stdio) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut all = vec![("BIND_ADDR", address.as_str())];
        all.extend_from_slice(settings);
        let address = all.iter().rev().find(|(name, _)| *name == "BIND_ADDR").expect("an address").1;
        let mut command = program(&folder.0, &[], &all);
        command.stdout(out).stderr(err);
        Self::spawn(command, address)
    }

    /// Starts one by this command, which listens on this address.
    pub fn spawn(mut command: Command, address: &str) -> Self {
        let process = command.spawn().expect("the program starts");
        let client = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().expect("a client");
        Self { process, base: format!("http://{address}"), client, log: PathBuf::new() }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the server answers that it is ready.
    pub async fn ready(&mut self) {
        let url = format!("{}/api/health/ready", self.base);
        let waiting = async {
            loop {
                if self.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
                let ended = self.process.try_wait().expect("the process is ours");
                assert!(
                    ended.is_none(),
                    "the server ended: {}",
                    std::fs::read_to_string(&self.log).unwrap_or_default()
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the server gets ready");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().expect("the process is ours");
        self.process.wait().expect("the process is ours");
    }

    /// `SIGTERM`, which process managers send.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// `SIGHUP`, at which the settings are read again.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(killed.expect("kill runs").success());
    }

    /// Waits until it ends.
    pub async fn ended(&mut self) -> ExitStatus {
        let waiting = async {
            loop {
                if let Some(status) = self.process.try_wait().expect("the process is ours") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the server ends")
    }

    /// Sends a request. Fails if the server ends before it answers.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let body = serde_json::from_str(&response.text().await?).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_send(Method::POST, path, None, Some(body)).await.expect("an answer")
    }

    pub async fn post_as(&self, token: &str, path: &str, body: Value) -> Answer {
        self.try_send(Method::POST, path, Some(token), Some(body)).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_send(Method::GET, path, None, None).await.expect("an answer")
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.try_send(Method::GET, path, Some(token), None).await.expect("an answer")
    }

    pub async fn signup(&self, phone: &str) -> Answer {
        self.post("/api/auth/signup", json!({ "phone_number": phone })).await
    }

    pub async fn verify_otp(&self, phone: &str, code: &str) -> Answer {
        self.post("/api/auth/verify-otp", json!({ "phone_number": phone, "otp_code": code })).await
    }

    /// The last code that this process sent to the phone.
    pub async fn code_for(&self, phone: &str) -> String {
        let path = format!("/dev/inbox.json?phone_number={}", phone.replace('+', "%2B"));
        self.get(&path).await.ok().text("/messages/0/otp_code")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
