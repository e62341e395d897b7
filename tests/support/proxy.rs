//! A proxy between the server and PostgreSQL. It counts round trips, and it can be away for a while.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::watch,
};

/// A proxy on this machine.
pub struct Proxy {
    pub address: SocketAddr,
    round_trips: Arc<AtomicU64>,
    is_away: Arc<AtomicBool>,
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// A proxy to this server.
    pub async fn to(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let round_trips = Arc::new(AtomicU64::new(0));
        let is_away = Arc::new(AtomicBool::new(false));
        let (cut, cuts) = watch::channel(0);
        let (counter, away) = (Arc::clone(&round_trips), Arc::clone(&is_away));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if away.load(Ordering::SeqCst) {
                    continue;
                }
                let (server, counter, mut cuts) = (server.clone(), Arc::clone(&counter), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    // Messages are small and wait for each other: none is held back to be sent with the next.
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (mut from_server, mut to_server) = server.into_split();
                    let (from_client, mut to_client) = client.into_split();
                    tokio::select! {
                        _ = forward(from_client, &mut to_server, &counter) => {}
                        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, round_trips, is_away, cut }
    }

    /// How often a client waited for an answer so far.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// Cuts all connections and takes no new ones.
    pub fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }

    /// Cuts all connections, and takes new ones at once, as a restart does.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

/// Passes on what the client says. In PostgreSQL's protocol (version 3, message formats) a client waits for an answer
/// after `Query` ('Q') and after `Sync` ('S'): those are the round trips. A `Sync` that ends nothing is how the pool
/// asks whether a connection still lives, each time it comes back to the pool; no request waits for that.
async fn forward(
    mut client: OwnedReadHalf,
    server: &mut (impl AsyncWriteExt + Unpin),
    counter: &AtomicU64,
) -> std::io::Result<()> {
    let mut is_started = false;
    let mut is_asking = false;
    loop {
        // The first message has no type: a length, and the start-up parameters.
        let kind = if is_started { Some(client.read_u8().await?) } else { None };
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        if let Some(kind) = kind {
            if kind == b'Q' || (kind == b'S' && is_asking) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            is_asking = !matches!(kind, b'Q' | b'S');
            server.write_all(&[kind]).await?;
        }
        server.write_all(&length.to_be_bytes()).await?;
        server.write_all(&body).await?;
        is_started = true;
    }
}
