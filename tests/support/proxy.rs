//! A proxy between the server and PostgreSQL. It counts round trips, and it can simulate an outage.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
};

use super::postgres;

/// A proxy on this machine.
pub struct Proxy {
    pub address: SocketAddr,
    round_trips: Arc<AtomicU64>,
    is_away: Arc<AtomicBool>,
    cut: watch::Sender<u64>,
    open: Arc<Mutex<Open>>,
    lose: Lose,
}

/// Every connection holds a copy of the sender while it is open, so the receiver ends when the last connection closes.
type Open = (mpsc::Sender<()>, mpsc::Receiver<()>);

/// The beginning of the statement whose answer is to be lost.
type Lose = Arc<Mutex<Option<String>>>;

impl Proxy {
    /// A proxy to the PostgreSQL of this URL, and the URL of the same database through the proxy.
    pub async fn before(url: &str) -> (Self, String) {
        let (server, _) = postgres::with_local_port(url, 0);
        let proxy = Self::to(server).await;
        let (_, url) = postgres::with_local_port(url, proxy.address.port());
        (proxy, url)
    }

    /// A proxy to this server.
    async fn to(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let round_trips = Arc::new(AtomicU64::new(0));
        let is_away = Arc::new(AtomicBool::new(false));
        let (cut, cuts) = watch::channel(0);
        let (counter, away) = (Arc::clone(&round_trips), Arc::clone(&is_away));
        let lose = Lose::default();
        let to_lose = Arc::clone(&lose);
        let open: Arc<Mutex<Open>> = Arc::new(Mutex::new(mpsc::channel(1)));
        let now_open = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if away.load(Ordering::SeqCst) {
                    continue;
                }
                let (server, counter, mut cuts) = (server.clone(), Arc::clone(&counter), cuts.clone());
                let (lose, is_lost) = (Arc::clone(&to_lose), AtomicBool::new(false));
                cuts.mark_unchanged();
                let is_open = now_open.lock().expect("no thread panics").0.clone();
                tokio::spawn(async move {
                    let _is_open = is_open;
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    // Messages are small and depend on each other, so none is delayed to be sent with the next.
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (mut from_server, mut to_server) = server.into_split();
                    let (from_client, mut to_client) = client.into_split();
                    tokio::select! {
                        _ = forward(from_client, &mut to_server, &counter, (&lose, &is_lost)) => {}
                        _ = answer(&mut from_server, &mut to_client, &is_lost) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, round_trips, is_away, cut, open, lose }
    }

    /// How many times a client has waited for an answer so far.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// Cuts all connections and accepts no new ones.
    pub async fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
        self.cut().await;
    }

    /// Lets the database run the next statement with this beginning, and cuts its connection before the answer.
    pub fn lose_the_answer_to(&self, statement: &str) {
        *self.lose.lock().expect("no thread panics") = Some(statement.to_owned());
    }

    /// Whether the answer has been lost.
    pub fn has_lost_it(&self) -> bool {
        self.lose.lock().expect("no thread panics").is_none()
    }

    /// Accepts connections again.
    pub fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }

    /// Cuts all connections and accepts new ones at once, like a restart. They are closed when this returns, so the next
    /// statement cannot use one of them.
    pub async fn cut(&self) {
        let (sender, mut ended) =
            std::mem::replace(&mut *self.open.lock().expect("no thread panics"), mpsc::channel(1));
        drop(sender);
        self.cut.send_modify(|cuts| *cuts += 1);
        let _ = ended.recv().await;
    }
}

/// Forwards the messages of the client. In PostgreSQL's protocol (version 3, message formats) a client waits for an answer
/// after `Query` ('Q') and after `Sync` ('S'): those are the round trips. A `Sync` alone is the pool's check
/// whether a connection still works, each time it comes back to the pool; no request waits for it.
async fn forward(
    mut client: OwnedReadHalf,
    server: &mut (impl AsyncWriteExt + Unpin),
    counter: &AtomicU64,
    (lose, is_lost): (&Lose, &AtomicBool),
) -> std::io::Result<()> {
    let mut is_started = false;
    let mut statements: HashMap<Vec<u8>, String> = HashMap::new();
    let mut has_unsynced = false;
    loop {
        // The first message has no type: a length, and the start-up parameters.
        let kind = if is_started { Some(client.read_u8().await?) } else { None };
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        if let Some(kind) = kind {
            let parts: Vec<&[u8]> = body.splitn(3, |byte| *byte == 0).collect();
            match (kind, parts.as_slice()) {
                // `Parse`: the name and the statement. `Bind`: the portal and the name.
                (b'P', [name, statement, ..]) => {
                    statements.insert(name.to_vec(), String::from_utf8_lossy(statement).into_owned());
                }
                (b'B', [_, name, ..]) => {
                    let mut lose = lose.lock().expect("no thread panics");
                    let statement = statements.get(*name).map(String::as_str).unwrap_or_default();
                    if lose.as_ref().is_some_and(|beginning| statement.starts_with(beginning.as_str())) {
                        *lose = None;
                        is_lost.store(true, Ordering::SeqCst);
                    }
                }
                _ => {}
            }
            if kind == b'Q' || (kind == b'S' && has_unsynced) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            has_unsynced = !matches!(kind, b'Q' | b'S');
            server.write_all(&[kind]).await?;
        }
        server.write_all(&length.to_be_bytes()).await?;
        server.write_all(&body).await?;
        is_started = true;
    }
}

/// Forwards the messages of the server, until an answer is to be lost. Then it ends when that answer is complete, with
/// `ReadyForQuery` ('Z', five bytes), so that the server has run the statement.
async fn answer(
    server: &mut OwnedReadHalf,
    client: &mut OwnedWriteHalf,
    is_lost: &AtomicBool,
) -> std::io::Result<()> {
    let mut chunk = vec![0; 65_536];
    loop {
        let length = server.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        let said = &chunk[..length];
        if !is_lost.load(Ordering::SeqCst) {
            client.write_all(said).await?;
        } else if said.len() >= 6 && said[said.len() - 6..].starts_with(&[b'Z', 0, 0, 0, 5]) {
            return Ok(());
        }
    }
}
