//! A server on a port of its own in this process, and a client that can misbehave.

use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use loopin_auth::{
    app,
    clock::Clock,
    config::Config,
    flows::Services,
    http::server::{self, Limits},
    random::Random,
};
use poem::{Endpoint, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};

/// The whole service without a database, which the requests of these tests do not need.
pub async fn services(settings: &[(&str, &str)]) -> (Config, Arc<Services>) {
    let random = Random::seeded(7);
    let get = |name: &str| {
        let given = settings.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let own = (name == "DATABASE_URL").then_some("sqlite::memory:");
        given.or(own).map(str::to_owned)
    };
    let config = Config::read(&get, &random).expect("the settings are right");
    let services = app::services(&config, Clock::System, random).await.expect("the parts are made");
    (config, Arc::new(services))
}

pub struct Server {
    pub address: SocketAddr,
    pub services: Arc<Services>,
    stop: Option<oneshot::Sender<()>>,
    pub serving: JoinHandle<()>,
}

impl Server {
    /// Starts the service with these limits.
    pub async fn new(limits: Limits) -> Self {
        let (config, services) = services(&[]).await;
        let endpoint = app::endpoint(&config, Arc::clone(&services));
        Self::start_with(endpoint, limits, services).await
    }

    /// Starts a server with another endpoint.
    pub async fn with(endpoint: impl Endpoint<Output = Response> + 'static, limits: Limits) -> Self {
        let (_, services) = services(&[]).await;
        Self::start_with(endpoint, limits, services).await
    }

    async fn start_with(
        endpoint: impl Endpoint<Output = Response> + 'static,
        limits: Limits,
        services: Arc<Services>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let metrics = Some(services.metrics.clone());
        let serving = tokio::spawn(async move {
            let stop_requested = async {
                if stopped.await.is_err() {
                    pending::<()>().await;
                }
            };
            server::serve(listener, endpoint, limits, metrics, stop_requested).await.expect("it serves");
        });
        Self { address, services, stop: Some(stop), serving }
    }

    pub async fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.expect("a connection"))
    }

    /// Asks the server to stop.
    pub fn stop(&mut self) {
        self.stop.take().expect("it is stopped once").send(()).expect("it listens");
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.services.metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().expect("a number")
    }

    /// Waits until the server counts this many open connections.
    pub async fn until_open(&self, connections: u64) {
        for _ in 0..1000 {
            if self.metric("loopin_connections") == connections {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} connections are open, not {connections}", self.metric("loopin_connections"));
    }
}

pub struct Client {
    pub socket: TcpStream,
    since: Instant,
}

/// The limits of the real server, with few connections.
pub fn limits() -> Limits {
    Limits::from_connections(8)
}

pub const HEALTH: &str = "GET /api/health HTTP/1.1\r\nhost: localhost\r\n\r\n";

impl Client {
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, since: Instant::now() }
    }

    /// Seconds since the connection was made.
    pub fn seconds(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    pub async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.expect("it is taken");
    }

    /// Closes the sending half of the connection.
    pub async fn close_half(&mut self) {
        self.socket.shutdown().await.expect("half of it is closed");
    }

    /// Reads one answer that has a content length: its head and its body.
    pub async fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        loop {
            let byte = self.socket.read_u8().await.unwrap_or_else(|error| {
                panic!("{error} after {}", String::from_utf8_lossy(&bytes));
            });
            bytes.push(byte);
            if bytes.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let head = String::from_utf8(bytes).expect("a head is a text");
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().expect("a line").parse().expect("a number"));
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).await.expect("the body");
        head + &String::from_utf8(body).expect("a body is a text")
    }

    /// Reads everything up to the end of the connection, whether it is closed or reset.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.socket.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[track_caller]
    pub fn assert_ended_after(&self, seconds: f64) {
        let took = self.seconds();
        // Timers of the runtime are exact to the millisecond.
        assert!((seconds..seconds + 0.01).contains(&took), "ended after {took} s, not {seconds}");
    }
}
