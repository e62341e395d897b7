//! Builds the server: from the settings to the services, and from those to the HTTP endpoint and the background tasks. The
//! only file that names every module.

mod hooks;
mod in_force;
mod keys;
mod providers;
mod reload;
mod stopping;
mod tasks;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use poem::{Endpoint, EndpointExt as _, Response};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

use self::{in_force::InForce, keys::Keys, reload::Reloader};
pub use self::{providers::provider, reload::Reread};
use crate::{
    admin,
    bot_check::{self, SiteVerify},
    clock::Clock,
    config::{BotCheckSettings, Config, Environment, SmsSettings},
    domain::{
        bot_check::{Difficulty, PowKeys},
        credentials::HashError,
        delivery::Channel,
        phone::Edition,
    },
    flows::{
        self, Services,
        audit::{self, Audit},
        bot_check::BotCheck,
        hashing::Hasher,
        receipt_writer,
        receipts::Receipts,
    },
    http::{
        self,
        server::{self, Limits, Listener, Tls, TlsError},
    },
    random::Random,
    sms::{Inbox, Room, SetupError, Texts, TextsError},
    store::{DatabaseSettings, Store, StoreError, Unready},
    telemetry::Metrics,
};

/// Open files that are not for connections: the log, the database and its pool.
const OTHER_FILES: u64 = 1_200;

/// Usually a single program reads the metrics.
const METRICS_CONNECTIONS: usize = 16;

/// How long writing the last receipts of messages and entries of the audit log may take.
const LAST_ENTRIES: Duration = Duration::from_secs(5);

/// How long the start waits for a database that does not answer, and how often it tries again.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const START_RETRY_EVERY: Duration = Duration::from_secs(1);

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The database, before it was used.
    #[error("the database cannot be used")]
    Unready(#[from] Unready),
    /// The audit log.
    #[error("the audit log cannot be written")]
    Audit(#[from] flows::Error),
    /// The password hashes.
    #[error("passwords cannot be hashed")]
    Hashing(#[from] HashError),
    /// The SMS provider's settings.
    #[error("the SMS provider cannot be set up")]
    Sms(#[from] SetupError),
    /// The provider of the bot check cannot be set up.
    #[error(transparent)]
    BotCheck(#[from] bot_check::SetupError),
    /// The client for hooks cannot be set up.
    #[error(transparent)]
    Hooks(#[from] outbound::SetupError),
    /// The settings do not name an SMS provider.
    #[error("the settings do not say who carries messages")]
    NoProvider,
    /// The texts of the messages.
    #[error("the texts of the messages cannot be used")]
    Texts(#[from] TextsError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address to listen on.
    #[error("the server cannot listen on {address} ({setting}): {}", advice(*address, cause))]
    Listen {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        cause: std::io::Error,
    },
}

/// Creates the services that the settings describe. Does not connect to the database or to a provider yet.
///
/// # Errors
/// When the URL of the database or of the provider is invalid.
pub async fn services(config: &Config, clock: Clock, random: Random) -> Result<Services, AppError> {
    let sms = match &config.sms {
        SmsSettings::Providers(settings) => providers::room(settings, &clock)?,
        SmsSettings::TestInbox => Room::test_inbox(Inbox::default()),
        SmsSettings::Unknown => return Err(AppError::NoProvider),
    };
    let store = Store::connect(&config.database).await.map_err(Unready::from)?;
    let metrics = Metrics::default();
    let keys = Keys::derive(config);
    Ok(Services {
        audit: Audit::new(store.clone(), random.clone(), Arc::clone(&keys.pseudonyms), metrics.clone()),
        receipts: Arc::new(Receipts::new(store.clone(), metrics.clone())),
        store,
        hasher: Arc::new(Hasher::new(&random)?),
        old_hashes: Arc::default(),
        sms: Arc::new(sms),
        adaptive: config.sms.is_adaptive().then(Arc::default),
        clock,
        random,
        otp: config.otp,
        budgets: config.budgets.clone(),
        devices: keys.devices,
        factor_policy: config.factor_policy,
        factor_keys: keys.factors,
        review: config.safety.review.clone(),
        retention: config.retention,
        stale_after: config.safety.stale_after,
        hides_accounts: config.safety.hides_accounts,
        has_guests: config.safety.has_guests,
        signups: config.safety.signups,
        terms: config.safety.terms.clone(),
        destinations: config.destinations.clone(),
        otp_keys: keys.otp,
        pseudonyms: keys.pseudonyms,
        bot_check: Arc::new(bot_check(config)?),
        before_send: hooks::before_send(config)?.map(Arc::new),
        events: hooks::events(config)?,
        tokens: keys.tokens,
        token_ids: keys.token_ids,
        issuers: Arc::new(hooks::issuers(config)?),
        texts: Arc::new(Texts::load(config.texts.clone())?),
        channels: config.channels.clone(),
        reports: config.report_readers.clone(),
        region: config.region,
        zone: config.zone,
        name_min_chars: config.name_min_chars,
        picture_hosts: config.picture_hosts,
        console: keys.console,
        settings: Arc::new(config.report()),
        interests: Arc::default(),
        blocks: Arc::default(),
        lifecycle: Arc::default(),
        metrics,
    })
}

fn bot_check(config: &Config) -> Result<BotCheck, AppError> {
    Ok(match &config.bot_check {
        BotCheckSettings::Off => BotCheck::Off,
        BotCheckSettings::Pow(difficulty) => proof_of_work(config, *difficulty),
        BotCheckSettings::Provider(settings) => BotCheck::Provider(SiteVerify::new((**settings).clone())?),
    })
}

fn proof_of_work(config: &Config, difficulty: Difficulty) -> BotCheck {
    BotCheck::Pow { keys: PowKeys::derive(&config.secret_key, &config.secret_key_fallbacks), difficulty }
}

/// Creates the endpoint that answers every request.
#[must_use]
pub fn endpoint(config: &Config, services: Arc<Services>) -> impl Endpoint<Output = Response> + use<> {
    let console = admin::console(&services, config.admin.clone());
    let routes = console.routes().iter().map(|route| (route.pattern.clone(), route.method.clone())).collect();
    let pages = http::Pages { prefix: "/admin", endpoint: console.endpoint(), routes };
    http::endpoint(services, config.edge.clone(), pages)
}

/// The OpenAPI document.
#[must_use]
pub fn document(services: &Arc<Services>) -> serde_json::Value {
    http::document(services)
}

fn advice(address: SocketAddr, cause: &std::io::Error) -> String {
    let next = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8000));
    match cause.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("another program listens there; stop it, or set another port, such as {next}")
        }
        std::io::ErrorKind::PermissionDenied => {
            let other = SocketAddr::new(address.ip(), 8000);
            format!(
                "this user may not; ports below 1024 are mostly for root; set another one, such as {other}"
            )
        }
        std::io::ErrorKind::AddrNotAvailable => {
            let all = SocketAddr::new([0, 0, 0, 0].into(), address.port());
            format!("this machine does not have the address; for all of its addresses set {all}")
        }
        _ => "set another address".to_owned(),
    }
}

/// What `migrate` did, and to which database.
#[derive(Debug)]
pub struct Migrated {
    steps: usize,
    place: String,
    is_new: bool,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, place, is_new } = self;
        let steps_are = if *steps == 1 { "migration has" } else { "migrations have" };
        match (steps, is_new) {
            (0, _) => write!(f, "{place}: no migration was left to run"),
            (_, true) => write!(f, "{place}: made, and {steps} {steps_are} run"),
            (_, false) => write!(f, "{place}: {steps} {steps_are} run"),
        }
    }
}

/// Migrates the database, for the command `migrate`.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_alone(config: &Config) -> Result<Migrated, AppError> {
    let is_new = Store::is_missing(&config.database);
    let store = Store::connect(&config.database).await.map_err(Unready::from)?;
    let steps = migrate(&store, &config.database).await?.len();
    store.close().await;
    Ok(Migrated { steps, place: config.database_without_password(), is_new })
}

/// Whether the database exists and all migrations have run. Changes nothing.
///
/// # Errors
/// When the database cannot be used. The error says what to do.
pub async fn is_migrated(config: &Config) -> Result<bool, AppError> {
    let Some(store) = Store::look(&config.database).await? else { return Ok(false) };
    let migrations = store.find_migrations().await?;
    store.close().await;
    Ok(migrations.pending.is_empty())
}

/// Migrates the database and returns the names of the migrations that ran. Waits for a database that does not answer, if
/// waiting may help.
///
/// # Errors
/// When the database does not answer in time, cannot be used, or a migration fails.
pub async fn migrate(store: &Store, settings: &DatabaseSettings) -> Result<Vec<String>, AppError> {
    let end = Instant::now() + START_TIMEOUT;
    let mut tries = 1;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match store.prepare(settings, left).await {
            Err(Unready::Temporary(error)) if Instant::now() + START_RETRY_EVERY < end => {
                let cause =
                    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(tries, cause, "the database does not answer yet: it is asked again");
                tries += 1;
                tokio::time::sleep(START_RETRY_EVERY).await;
            }
            result => {
                let ran = result?;
                if !ran.is_empty() {
                    tracing::info!(migrations = ran.join(" "), "the database was migrated");
                }
                return Ok(ran);
            }
        }
    }
}

/// Serves until it is told to stop, and then completes the requests in progress. `reread` reads the settings again on SIGHUP.
///
/// # Errors
/// When the database cannot be migrated, or the server cannot listen on its address.
pub async fn serve(config: Config, reread: Reread) -> Result<(), AppError> {
    let services = Arc::new(services(&config, Clock::System, Random::System).await?);
    log_start(&config, &services);
    let limits = limits(&config, raise_open_files());
    services.metrics.connections_limit(limits.connections);
    migrate(&services.store, &config.database).await?;
    let endpoint = InForce::new(Arc::new(endpoint(&config, Arc::clone(&services)).boxed()));
    let current = InForce::new(Arc::clone(&services));
    let address = config.bind_addr;
    let tls = config.tls.clone().map(Tls::load).transpose()?;
    let listener = Listener { socket: listen("BIND_ADDR", address).await?, tls: tls.clone() };
    let metrics_server = serve_metrics(&config, &current).await?;
    audit::start(&services, http::VERSION, environment(&config), &config.given).await?;
    tracing::info!(%address, tls = tls.as_ref().map(|_| true), "listening");
    let writers = [
        tokio::spawn(audit::keep_writing(Arc::clone(&services))),
        tokio::spawn(receipt_writer::keep_writing(Arc::clone(&services))),
    ];
    let mut background = tasks::start(&current, config.is_test_mode());
    background.extend(tls.map(|tls| tokio::spawn(server::keep_reloading(tls))));
    let stop = stopping::requested(&services, config.server.shutdown_delay);
    let reloader = Reloader { config, reread, services: current, endpoint: endpoint.clone() };
    background.push(tokio::spawn(stopping::reload_on_hangup(reloader)));
    let metrics = Some(services.metrics.clone());
    server::serve(listener, endpoint, limits, metrics, stop).await.map_err(|cause| AppError::Listen {
        setting: "BIND_ADDR",
        address,
        cause,
    })?;
    stopping::complete(&services).await;
    for task in background.into_iter().chain(metrics_server).chain(writers) {
        task.abort();
    }
    tokio::join!(receipt_writer::finish(&services, LAST_ENTRIES), audit::finish(&services, LAST_ENTRIES));
    services.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|cause| AppError::Listen { setting, address, cause })
}

/// Serves the metrics at their own address until the process ends, so that they show how many requests are still in
/// progress during a shutdown.
async fn serve_metrics(
    config: &Config,
    services: &InForce<Services>,
) -> Result<Option<JoinHandle<()>>, AppError> {
    let Some(address) = config.server.metrics_addr else { return Ok(None) };
    let listener = listen("METRICS_ADDR", address).await?;
    tracing::info!(%address, "metrics");
    let services = services.clone();
    let endpoint = http::metrics::endpoint(move || services.get());
    let limits = Limits::from_connections(METRICS_CONNECTIONS);
    Ok(Some(tokio::spawn(async move {
        if let Err(error) = server::serve(listener, endpoint, limits, None, std::future::pending()).await {
            tracing::error!(%error, "the metrics are not served");
        }
    })))
}

/// How many connections fit into a limit of open files: a connection needs one file, and its call to the provider or the
/// database another.
#[must_use]
pub fn room_for_connections(open_files: u64) -> usize {
    let room = open_files.saturating_sub(OTHER_FILES.min(open_files / 2)) / 2;
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// The number of connections from the settings, or fewer if the limit of open files is too low for them.
fn limits(config: &Config, open_files: Option<u64>) -> Limits {
    let wanted = config.server.max_connections;
    let room = open_files.map_or(wanted, room_for_connections);
    if room < wanted {
        tracing::warn!(
            wanted,
            connections = room,
            open_files,
            "MAX_CONNECTIONS is more than the limit of open files allows"
        );
    }
    Limits::from_connections(wanted.min(room))
}

/// Raises the limit of open files as far as the system allows. A thousand requests that wait for the provider need two
/// thousand sockets, and a common limit is 1,024.
fn raise_open_files() -> Option<u64> {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => {
            tracing::debug!(limit, "open files");
            Some(limit)
        }
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            None
        }
    }
}

fn environment(config: &Config) -> &'static str {
    match config.environment {
        Environment::Dev => "dev",
        Environment::Prod => "prod",
    }
}

/// Logs the settings that an operator wants to see at the start, and warnings about them.
fn log_start(config: &Config, services: &Services) {
    tracing::info!(
        version = http::VERSION,
        environment = ?config.environment,
        database = config.database_without_password(),
        numbering_plans = %Edition::from_plans(),
        "loopin-auth"
    );
    for phone in services.review.ended(services.clock.now()) {
        tracing::warn!(%phone, "the end date of a review number has passed: remove it from OTP_REVIEW_NUMBERS");
    }
    hooks::warn_of_ended(config, services.clock.now());
    let long_texts = services.texts.warnings(config.otp.length.digits(), config.otp.life.num_minutes());
    for warning in config.warnings.iter().chain(&long_texts) {
        tracing::warn!("{warning}");
    }
    let key = config.tokens.signing.verifying();
    tracing::info!(algorithm = %key.algorithm(), kid = key.kid(), others = config.tokens.previous.len(), "tokens");
    tracing::info!(
        channels = channel_names(&config.channels.on),
        fallback = Some(channel_names(&config.channels.fallback)).filter(|names| !names.is_empty()),
        reports = providers::report_addresses(config),
        "messages"
    );
    if config.is_test_mode() {
        tracing::warn!(
            inbox = format!("{}/dev/inbox", config.own_origin()),
            "test mode: no SMS goes out, and codes are shown"
        );
    }
    tracing::info!(odds = %config.odds, "codes");
    if !config.rate_limits_enabled {
        tracing::warn!("RATE_LIMITS_ENABLED is false");
    }
    if config.environment == Environment::Dev {
        tracing::info!(docs = format!("{}/api/docs", config.own_origin()), "try it in the browser");
    }
}

fn channel_names(channels: &[Channel]) -> String {
    channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(",")
}
