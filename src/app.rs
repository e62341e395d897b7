//! The only file that names every room: from the settings to the parts, and from the parts to something that answers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use poem::{
    Endpoint, Response, Server,
    listener::{Listener, TcpListener},
};
use tokio::time::MissedTickBehavior;

use crate::{
    clock::Clock,
    config::{Config, Environment, Reports, SmsSettings, TokenSettings},
    domain::{access::TokenKeys, credentials::HashFault, delivery::Channel, otp::OtpKeys},
    flows::{Services, delivery, hashing::Hasher, interests},
    http,
    random::Random,
    sms::{Inbox, SetupError, Sms, Texts, TextsFault, Twilio},
    store::{Store, StoreError},
};

/// How long requests may go on after the server was told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);

/// How often a database that is away at the start is asked again, a second apart.
const START_TRIES: u32 = 60;

/// How often the test inbox is asked what a provider would have reported by now.
const PLAY_EVERY: Duration = Duration::from_millis(250);

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The password hashes.
    #[error("passwords cannot be hashed")]
    Hashing(#[from] HashFault),
    /// The SMS provider's settings.
    #[error("the SMS provider cannot be set up")]
    Sms(#[from] SetupError),
    /// The settings do not say who carries messages.
    #[error("the settings do not say who carries messages")]
    NoProvider,
    /// The texts of the messages.
    #[error("the texts of the messages cannot be used")]
    Texts(#[from] TextsFault),
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
        SmsSettings::Twilio(settings) => {
            Sms::Twilio(Box::new(Twilio::new((**settings).clone(), clock.clone())?))
        }
        SmsSettings::TestInbox => Sms::TestInbox(Inbox::default()),
        SmsSettings::Unknown => return Err(AppError::NoProvider),
    };
    Ok(Services {
        store: Store::connect(&config.database).await?,
        hasher: Hasher::new(&random)?,
        sms,
        clock,
        random,
        otp: config.otp,
        otp_keys: OtpKeys::derive(&config.secret_key, &config.secret_key_fallbacks),
        tokens: token_keys(&config.tokens),
        texts: Texts::load(config.texts.clone())?,
        channels: config.channels.clone(),
        callbacks: config.callbacks.clone(),
        region: config.region,
        zone: config.zone,
        picture_hosts: config.picture_hosts,
        interests: interests::Cache::default(),
    })
}

fn token_keys(settings: &TokenSettings) -> TokenKeys {
    TokenKeys::new(settings.signing.clone(), settings.previous.clone(), settings.policy.clone())
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
    announce(&config, &services.texts);
    raise_open_files();
    migrate(&services.store).await?;
    let endpoint = endpoint(&config, Arc::clone(&services));
    let address = config.bind_addr;
    let cannot_listen = |cause| AppError::Listen { address, cause };
    let acceptor = TcpListener::bind(address).into_acceptor().await.map_err(cannot_listen)?;
    tracing::info!(%address, "listening");
    let playing = config.is_test_mode().then(|| tokio::spawn(play_reports(Arc::clone(&services))));
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(endpoint, told_to_stop(), Some(SHUTDOWN_GRACE))
        .await
        .map_err(cannot_listen)?;
    if let Some(playing) = playing {
        playing.abort();
    }
    services.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Test mode has no provider that would report, so its reports are played, for as long as the server runs.
async fn play_reports(services: Arc<Services>) {
    let mut turns = tokio::time::interval(PLAY_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Err(error) = delivery::play(&services).await {
            tracing::warn!(%error, "test mode: what became of messages could not be written down");
        }
    }
}

/// Lets this process have as many open files as it may. A thousand people who wait for the provider are two thousand
/// sockets, and a usual limit is 1,024.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

fn announce(config: &Config, texts: &Texts) {
    tracing::info!(
        version = http::VERSION,
        environment = ?config.environment,
        database = config.database_without_password(),
        "loopin-auth"
    );
    let long_texts = texts.warnings(config.otp.length.digits(), config.otp.life.num_minutes());
    for warning in config.warnings.iter().chain(&long_texts) {
        tracing::warn!("{warning}");
    }
    let key = config.tokens.signing.verifying();
    tracing::info!(algorithm = %key.algorithm(), kid = key.kid(), others = config.tokens.previous.len(), "tokens");
    tracing::info!(
        channels = words(&config.channels.on),
        fallback = Some(words(&config.channels.fallback)).filter(|words| !words.is_empty()),
        reports = match &config.reports {
            Reports::To(url) => url.as_str(),
            Reports::Played => "played",
            Reports::Never(_) => "none",
        },
        "messages"
    );
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

fn words(channels: &[Channel]) -> String {
    channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(",")
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
