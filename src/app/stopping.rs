//! The signals of a server. At its end it is told to stop, serves on until load balancers have noticed, and completes what it
//! began.

use std::{io::IsTerminal as _, time::Duration};

use super::reload::Reloader;
use crate::flows::Services;

/// How long use cases may take whose client has gone: as long as a message, which takes longest. Those with a client had the
/// grace of the listener.
const LAST_USE_CASES: Duration = Duration::from_secs(10);

/// Waits until the server is told to stop, says that it is not ready any more, and serves on for this long. A second signal ends
/// that.
pub(super) async fn requested(services: &Services, delay: Duration) {
    signal().await;
    services.lifecycle.stop();
    if !delay.is_zero() {
        tracing::info!(seconds = delay.as_secs(), "stopping: not ready any more, and serving on for a while");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = signal() => {}
        }
    }
    tracing::info!("stopping: requests in progress are completed");
}

/// Waits for Ctrl-C, for SIGTERM, which process managers send, or for the end of the terminal.
async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
        () = terminal_closed() => {}
    }
}

/// Waits until the terminal that the server was started in is closed. The system then sends SIGHUP, as an operator does who
/// wants the settings to be read again, but the terminal is gone.
async fn terminal_closed() {
    #[cfg(unix)]
    if std::io::stderr().is_terminal()
        && let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
    {
        while hangup.recv().await.is_some() {
            if !std::io::stderr().is_terminal() {
                return;
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Reads the settings again at each SIGHUP, for as long as the server runs.
#[cfg(unix)]
pub(super) async fn reload_on_hangup(mut reloader: Reloader) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        reloader.reload().await;
    }
}

/// There is no such signal.
#[cfg(not(unix))]
pub(super) async fn reload_on_hangup(_: Reloader) {}

/// Waits for the use cases whose client has gone: what was sent must be written down.
pub(super) async fn complete(services: &Services) {
    if tokio::time::timeout(LAST_USE_CASES, services.lifecycle.all_done()).await.is_err() {
        tracing::warn!(running = services.lifecycle.running(), "use cases were cut off at the end");
    }
}
