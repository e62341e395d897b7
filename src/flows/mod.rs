//! VERBS. What happens, in which order, in which transaction, and what follows after the commit. Both doors, the API
//! and the admin pages, come here for every act, so that no rule is forgotten at one of them.
//!
//! No rule is here (that is `domain`), and no query (that is `store`).
//!
//! To add a verb:
//! 1. give it a file, and an enum that names every outcome a person can meet; [`Error`] is for what is nobody's choice;
//! 2. read the clock once and hand the time down;
//! 3. commit before anything leaves the house: nothing is sent inside a transaction;
//! 4. run it with [`run_to_completion`], so that a client that hangs up leaves nothing half done.

use std::{future::Future, sync::Arc};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use tracing::Instrument;

use crate::{
    clock::Clock,
    domain::{
        access::{SigningError, TokenKeys},
        budget::BudgetPolicy,
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
    },
    random::Random,
    sms::{Callbacks, Sms, Texts},
    store::{Store, StoreError},
    telemetry::Metrics,
};

pub mod audit;
pub mod bot_check;
pub mod budget;
pub mod change_phone;
mod code;
pub mod confirm;
pub mod delivery;
mod destination;
mod device;
pub mod gate;
pub mod hashing;
pub mod housekeeping;
pub mod inbox;
pub mod interests;
pub mod login;
pub mod password;
pub mod personal_data;
pub mod prefixes;
pub mod profile;
pub mod purge;
mod recycled;
pub mod registration;
pub mod session;
pub mod sessions;
pub mod signup;
pub mod unlock;
pub mod users;
pub mod verify;

pub use code::{CodeSent, DeliveryPreferences, SendOutcome};

/// What the doors need to know of a message that did not go out.
pub use crate::sms::{SendError, UnreachableReason};

/// Everything that the verbs work with. One for the whole server.
#[derive(Debug)]
pub struct Services {
    /// The database.
    pub store: Store,
    /// Who carries messages.
    pub sms: Sms,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
    /// How codes are made and how long they live.
    pub otp: OtpPolicy,
    /// What codes are derived with.
    pub otp_keys: OtpKeys,
    /// What phones and names are called where they may not be kept.
    pub pseudonyms: Pseudonyms,
    /// How often what may happen.
    pub budgets: BudgetPolicy,
    /// What device tokens are signed with.
    pub devices: DeviceKeys,
    /// The numbers of app reviewers.
    pub review: ReviewNumbers,
    /// For how long a number may go unused before it is taken for somebody else's; `None`: for ever.
    pub stale_after: Option<Duration>,
    /// For how long what is over is kept.
    pub retention: Retention,
    /// Whether nobody is told who has an account before she has proved that the phone is hers.
    pub hides_accounts: bool,
    /// Which numbers get messages at all.
    pub destinations: Destinations,
    /// What is written down of what happens.
    pub audit: audit::Audit,
    /// Who judges whether a request is a program's.
    pub bot_check: bot_check::BotCheck,
    /// What passwords are hashed with.
    pub hasher: hashing::Hasher,
    /// What tokens are signed with.
    pub tokens: TokenKeys,
    /// What messages say.
    pub texts: Texts,
    /// By which ways they go.
    pub channels: ChannelPolicy,
    /// How the provider's reports are told from forged ones; `None` when none can come.
    pub callbacks: Option<Callbacks>,
    /// Where a phone without a country code is from.
    pub region: Region,
    /// Where it is decided which day it is.
    pub zone: chrono_tz::Tz,
    /// How short a name may be, in characters.
    pub name_min_chars: u64,
    /// Which hosts pictures may be on.
    pub picture_hosts: PictureHosts,
    /// The interests, as they were a moment ago.
    pub interests: interests::Cache,
    /// What is counted for the operator.
    pub metrics: Metrics,
}

impl Services {
    /// Today's date where the product lives.
    #[must_use]
    pub fn today(&self) -> NaiveDate {
        today_in(self.clock.now(), self.zone)
    }

    /// An account has its phone still if it was used after this time. `None`: it has it always.
    fn used_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.stale_after.map(|after| now - after)
    }
}

/// What stops a verb and is nobody's choice.
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
    /// A challenge was kept although the key of its code is not listed any more: nobody could answer it.
    #[error("an open challenge was kept whose key is not listed")]
    KeyGone,
    /// An account that had gone unused for too long came back at the very moment in which it was to lose its phone, twice.
    #[error("the account of a phone changed while it was looked at")]
    Crowded,
    /// 128 random bits came twice.
    #[error("a new delivery has an id that is taken")]
    Collision,
}

/// Runs a transaction, from its beginning to its commit, and once more if nothing of it happened: it met others (a
/// deadlock), or a connection that takes no writes. What was committed before, an attempt or a charge, is no part of it.
async fn transaction<T, Run, Fut>(run: Run) -> Result<T, Error>
where
    Run: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    match run().await {
        Err(Error::Store(error)) if error.left_nothing() => {
            tracing::info!(cause = %error.with_cause(), "a transaction is tried once more");
            run().await
        }
        result => result,
    }
}

/// Runs a verb to its end even if whoever asked has hung up and nobody waits for it any more.
async fn run_to_completion<T, F, Fut>(services: &Arc<Services>, verb: F) -> T
where
    T: Send + 'static,
    F: FnOnce(Arc<Services>) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
{
    let task = tokio::spawn(verb(Arc::clone(services)).in_current_span());
    match task.await {
        Ok(result) => result,
        // A panic goes on where it would have gone without the task. The runtime cancels tasks only when the process
        // ends, and then nobody waits here.
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}
