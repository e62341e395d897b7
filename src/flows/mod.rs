//! Use cases. Each decides what happens in which order, in which transaction, and what follows the commit. The API and the
//! command line both call these functions for every change, so that neither forgets a rule.
//!
//! Rules belong to `domain` and queries to `store`; neither is here. Every function fails with [`Error`] when the database
//! does not answer. Where that matters to the caller, its `# Errors` section says what has not happened then.
//!
//! To add a use case:
//! 1. Create a file for it, with an enum that names every outcome a user can meet. [`Error`] is for the other failures.
//! 2. Read the clock once, and pass the time on.
//! 3. Commit before anything is sent: nothing is sent inside a transaction.
//! 4. Run it with [`run_to_completion`], so that a client that disconnects leaves nothing half done.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::Arc,
};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    clock::Clock,
    domain::{
        access::{SigningError, TokenKeys},
        budget::BudgetPolicy,
        console::ConsoleKeys,
        credentials::HashError,
        delivery::ChannelPolicy,
        destination::Destinations,
        device::DeviceKeys,
        otp::{OtpKeys, OtpPolicy},
        phone::Region,
        profile::{PictureHosts, today_in},
        pseudonym::Pseudonyms,
        retention::Retention,
        review::ReviewNumbers,
        second_factor::{FactorKeys, FactorPolicy},
        settings::Report,
        signups::Signups,
        terms::TermsVersion,
        token_ids::TokenIds,
    },
    hooks::EventReceiver,
    random::Random,
    sms::{ReportReaders, Room, Texts},
    store::{Store, StoreError},
    telemetry::Metrics,
};

pub mod adaptive;
pub mod api_keys;
mod asked_by;
pub mod audit;
mod batches;
pub mod before_send;
pub mod blocks;
pub mod bot_check;
pub mod budget;
mod cached;
pub mod change_password;
pub mod change_phone;
mod code;
pub mod confirm;
pub mod console;
pub mod delivery;
mod destination;
mod device;
pub mod events;
pub mod exchange;
pub mod forgot_password;
pub mod gate;
pub mod gauges;
mod guess;
pub mod guest;
pub mod hashing;
pub mod housekeeping;
pub mod import;
pub mod inbox;
pub mod interests;
pub mod introspect;
pub mod invitations;
pub mod leads;
pub mod lifecycle;
pub mod login;
pub mod merge;
pub mod move_phone;
mod notice;
pub mod old_hashes;
pub mod password;
pub mod personal_data;
pub mod phone_report;
pub mod prefixes;
pub mod profile;
pub mod purge;
pub mod receipt_writer;
pub mod receipts;
mod recycled;
pub mod registration;
pub mod renumbering;
mod request_code;
pub mod resend;
pub mod reset_password;
mod routing;
pub mod second_factor;
pub mod session;
pub mod sessions;
pub mod set_password;
pub mod signup;
mod signups;
pub mod statistics;
pub mod unlock;
pub mod users;
pub mod verifications;
pub mod verify;

pub use code::{CodeSent, DeliveryPreferences, SendOutcome};
pub use request_code::CodeRequest;

/// Why a message was not sent, and when it may be tried again.
pub use crate::sms::{DEFAULT_RETRY_AFTER, SendError, UnreachableReason};

/// What the use cases work with. One for the whole server, until the settings are read again: the next one has other keys and
/// providers, and shares all else.
#[derive(Debug, Clone)]
pub struct Services {
    /// The database.
    pub store: Store,
    /// The SMS provider, or the inbox of test mode.
    pub sms: Arc<Room>,
    /// Adaptive routing, if it is on.
    pub adaptive: Option<Arc<adaptive::Adaptive>>,
    /// The clock. Tests set it.
    pub clock: Clock,
    /// The source of random bytes. Tests seed it.
    pub random: Random,
    /// Length, life and attempts of codes.
    pub otp: OtpPolicy,
    /// The keys that codes are derived with.
    pub otp_keys: Arc<OtpKeys>,
    /// The keys that hash phones and names where they must not be stored.
    pub pseudonyms: Arc<Pseudonyms>,
    /// All rate limits.
    pub budgets: BudgetPolicy,
    /// The keys that sign device tokens.
    pub devices: Arc<DeviceKeys>,
    /// Whether staff need a second factor.
    pub factor_policy: FactorPolicy,
    /// The keys that encrypt second factors.
    pub factor_keys: Arc<FactorKeys>,
    /// The phones with a fixed code, for app reviewers.
    pub review: ReviewNumbers,
    /// How long an account may be unused before its phone counts as recycled; `None`: never.
    pub stale_after: Option<Duration>,
    /// How long old rows are kept.
    pub retention: Retention,
    /// Whether a caller learns that a phone has an account only after the right code.
    pub hides_accounts: bool,
    /// Whether there are guests.
    pub has_guests: bool,
    /// Who may sign up.
    pub signups: Signups,
    /// The terms that users have to accept, if there are any.
    pub terms: Option<TermsVersion>,
    /// Which numbers get messages at all.
    pub destinations: Destinations,
    /// The audit log.
    pub audit: audit::Audit,
    /// What the provider confirmed about messages, until it is written.
    pub receipts: Arc<receipts::Receipts>,
    /// The bot check.
    pub bot_check: Arc<bot_check::BotCheck>,
    /// The hook that is asked before a code is sent, if there is one.
    pub before_send: Option<Arc<before_send::Hook>>,
    /// The operator's receiver of events, if there is one.
    pub events: Option<Arc<EventReceiver>>,
    /// Hashes passwords in threads of its own.
    pub hasher: Arc<hashing::Hasher>,
    /// The cached costs of password hashes that came from another system.
    pub old_hashes: Arc<old_hashes::Cache>,
    /// The keys that sign access and refresh tokens.
    pub tokens: Arc<TokenKeys>,
    /// Marks the ids of our tokens, and recognises them.
    pub token_ids: Arc<TokenIds>,
    /// The other systems whose tokens open a session here.
    pub issuers: Arc<exchange::Issuers>,
    /// The texts of messages.
    pub texts: Arc<Texts>,
    /// Which channels are on, and which follow a lost message.
    pub channels: ChannelPolicy,
    /// Verifies the providers' delivery reports.
    pub reports: ReportReaders,
    /// The region of a phone without a country code.
    pub region: Region,
    /// The time zone that decides when a day begins.
    pub zone: chrono_tz::Tz,
    /// The minimum length of a name in characters.
    pub name_min_chars: u64,
    /// The hosts that pictures may be on.
    pub picture_hosts: PictureHosts,
    /// The keys of the admin console's forms.
    pub console: Arc<ConsoleKeys>,
    /// The settings in force, for people to read.
    pub settings: Arc<Report>,
    /// The cached list of interests.
    pub interests: Arc<interests::Cache>,
    /// The cached list of live blocks.
    pub blocks: Arc<blocks::Cache>,
    /// Whether the server stops, and what it still does.
    pub lifecycle: Arc<lifecycle::Lifecycle>,
    /// The counters and gauges for the operator.
    pub metrics: Metrics,
}

impl Services {
    /// Today's date in the configured time zone.
    #[must_use]
    pub fn today(&self) -> NaiveDate {
        today_in(self.clock.now(), self.zone)
    }

    /// The id of a new token.
    fn new_jti(&self) -> Uuid {
        self.token_ids.mark(self.random.bits())
    }

    /// An account keeps its phone if it was used after this time. `None`: it always does.
    fn used_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.stale_after.map(|after| now - after)
    }
}

/// Why a use case failed, apart from the outcomes that its own enum names.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The password hash.
    #[error(transparent)]
    Hashing(#[from] HashError),
    /// A challenge was kept although the key of its code is not listed any more, so it cannot be answered.
    #[error("an open challenge was kept whose key is not listed")]
    KeyGone,
    /// An account that was unused for too long was used again while it was losing its phone, also at the second try.
    #[error("the account of a phone changed while it was looked at")]
    AccountChangedTwice,
    /// The phone, the client's address or the account's phone is blocked by an admin. Nothing was sent, and no user is let in.
    /// It is here and not among the outcomes, because every use case that sends or lets in can meet it, with the same answer.
    #[error("blocked by an admin")]
    Blocked,
    /// The same 128 random bits came twice.
    #[error("a new delivery has an id that is taken")]
    Collision,
}

/// Runs a transaction from begin to commit, and retries it once if nothing of it happened: after a deadlock, or on a
/// connection that takes no writes. What was committed before it, such as an attempt or a charge, is not repeated.
async fn transaction<T, Run, Fut>(run: Run) -> Result<T, Error>
where
    Run: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    match run().await {
        Err(Error::Store(error)) if error.left_nothing() => {
            tracing::info!(cause = %error.with_cause(), "a transaction is retried");
            run().await
        }
        result => result,
    }
}

/// Runs a use case in a task of its own, so that it completes even if the client disconnects. A server that stops waits for it.
async fn run_to_completion<T, F, Fut>(services: &Arc<Services>, use_case: F) -> T
where
    T: Send + 'static,
    F: FnOnce(Arc<Services>) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let use_case = use_case(Arc::clone(services)).in_current_span();
    let running = services.lifecycle.begin();
    let task = spawn(Box::pin(async move {
        // A client that disconnected does not receive.
        let _ = sender.send(use_case.await);
        drop(running);
    }));
    if let Ok(result) = receiver.await {
        return result;
    }
    match task.await {
        // A panic continues in the caller, as without the task. The runtime cancels tasks only when the process ends, and
        // then nothing waits here.
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        // A task without a panic has sent its result.
        Ok(()) => pending().await,
    }
}

/// Runs what no client waits for. A server that stops waits for it.
fn in_background(services: &Arc<Services>, work: impl Future<Output = ()> + Send + 'static) {
    let (work, running) = (work.in_current_span(), services.lifecycle.begin());
    drop(spawn(Box::pin(async move {
        work.await;
        drop(running);
    })));
}

/// Not generic: the compiler would build the machinery of a task once for each use case.
fn spawn(use_case: Pin<Box<dyn Future<Output = ()> + Send>>) -> JoinHandle<()> {
    tokio::spawn(use_case)
}
