//! The only file that names every room: from the settings to the parts, and from the parts to something that answers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use poem::{
    Endpoint, Response, Server,
    listener::{Listener, TcpListener},
};

use crate::{
    clock::Clock,
    config::{Config, Environment, SmsSettings},
    domain::{access::TokenKeys, otp::OtpKeys},
    flows::{Services, interests},
    http,
    random::Random,
    sms::{Inbox, SetupError, Sms, Twilio},
    store::{Store, StoreError},
};

/// How long requests may go on after the server was told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);

/// How often a database that is away at the start is asked again, a second apart.
const START_TRIES: u32 = 60;

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The SMS provider's settings.
    #[error("the SMS provider cannot be set up")]
    Sms(#[from] SetupError),
    /// The network.
    #[error("the server cannot listen on {address} (BIND_ADDR)")]
    Listen {
        /// Where it was told to.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
}

/// Makes the parts that the settings ask for. No connection is made yet.
///
/// # Errors
/// When the database's URL or the provider's is not understood.
pub async fn services(config: &Config, clock: Clock, random: Random) -> Result<Services, AppError> {
    let sms = match &config.sms {
        SmsSettings::Twilio(settings) => Sms::Twilio(Twilio::new(settings.clone())?),
        SmsSettings::TestInbox => Sms::TestInbox(Inbox::default()),
    };
    Ok(Services {
        store: Store::connect(&config.database).await?,
        sms,
        clock,
        random,
        otp: config.otp,
        otp_keys: OtpKeys::derive(&config.secret_key, &config.secret_key_fallbacks),
        tokens: TokenKeys::hs256(&config.jwt_secret_key, config.tokens.clone()),
        product: config.product.clone(),
        region: config.region,
        zone: config.zone,
        picture_hosts: config.picture_hosts,
        interests: interests::Cache::default(),
    })
}

/// Makes the endpoint that answers everything.
pub fn endpoint(config: &Config, services: Arc<Services>) -> impl Endpoint<Output = Response> + use<> {
    http::endpoint(services, config.edge.clone())
}

/// The OpenAPI document.
#[must_use]
pub fn document(services: &Arc<Services>) -> serde_json::Value {
    http::document(services)
}

/// Migrates the database; one that is away is waited for.
///
/// # Errors
/// When it stays away, or a migration fails.
pub async fn migrate(store: &Store) -> Result<(), AppError> {
    let mut tries = 1;
    loop {
        match store.migrate().await {
            Err(StoreError::Unavailable(cause)) if tries < START_TRIES => {
                tracing::warn!(tries, %cause, "the database does not answer yet: it is asked again");
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            result => return Ok(result?),
        }
    }
}

/// Serves until it is told to stop, and then lets the requests that are under way come to their end.
///
/// # Errors
/// When the database cannot be migrated, or the address cannot be listened on.
pub async fn serve(config: Config) -> Result<(), AppError> {
    let services = Arc::new(services(&config, Clock::System, Random::System).await?);
    announce(&config);
    migrate(&services.store).await?;
    let endpoint = endpoint(&config, Arc::clone(&services));
    let address = config.bind_addr;
    let cannot_listen = |cause| AppError::Listen { address, cause };
    let acceptor = TcpListener::bind(address).into_acceptor().await.map_err(cannot_listen)?;
    tracing::info!(%address, "listening");
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(endpoint, told_to_stop(), Some(SHUTDOWN_GRACE))
        .await
        .map_err(cannot_listen)?;
    services.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

fn announce(config: &Config) {
    tracing::info!(
        version = http::VERSION,
        environment = ?config.environment,
        database = config.database_without_password(),
        "loopin-auth"
    );
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.is_test_mode() {
        tracing::warn!(
            inbox = format!("http://{}/dev/inbox", config.bind_addr),
            "test mode: no SMS goes out, and codes are shown"
        );
    }
    if !config.rate_limits_enabled {
        tracing::warn!("RATE_LIMITS_ENABLED is false");
    }
    if config.environment == Environment::Dev {
        tracing::info!(docs = format!("http://{}/api/docs", config.bind_addr), "try it in the browser");
    }
}

/// Ctrl-C, or the signal that process managers send.
async fn told_to_stop() {
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
    }
    tracing::info!("told to stop: requests under way come to their end");
}
