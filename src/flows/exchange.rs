//! `exchange`: a token of a trusted issuer opens a session here, once, without a message.
//!
//! Each exchange that opens no session counts as a wrong guess of its address, so that a flood of bad tokens ends. The keys of
//! an issuer are looked up (`exchange/keys.rs`) before the transaction, which uses up the token first: of two requests with one
//! token, one opens a session.

mod account;
mod keys;

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

pub use self::keys::{KeyCache, KeyRing};
use self::{account::Found, keys::IssuerAway};
use super::{
    Error, Services, blocks,
    budget::{self, BudgetClaim},
    events::{self, LeadConvertedBy},
    recycled, run_to_completion, session, transaction,
};
use crate::{
    domain::{
        access::{Client, TokenPair},
        account::Account,
        address::ClientAddress,
        audit::{Action, Event, Fact},
        budget::BudgetExceeded,
        device::Device,
        issuer::{self, NotVouched, TrustedIssuer, UnverifiedToken, Vouched},
    },
    store::Txn,
};

/// How a session is opened here, for the audit log and the metrics.
const BY: &str = "exchange";

/// The trusted issuers, each with its keys.
#[derive(Debug, Default)]
pub struct Issuers(pub Vec<(TrustedIssuer, KeyRing)>);

/// A user who is signed in.
pub struct SignedIn {
    /// The tokens.
    pub tokens: TokenPair,
    /// The account.
    pub account: Box<Account>,
    /// For the device's next sign-in by a code.
    pub device_token: SecretString,
    /// Whether the account was created now.
    pub is_new: bool,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The outcome of an exchange.
#[derive(Debug)]
pub enum Exchanged {
    /// The user is signed in.
    In(SignedIn),
    /// No session is opened. The token can be sent again.
    Refused(Refused),
}

/// Why no session is opened.
#[derive(Debug, Clone, Copy)]
pub enum Refused {
    /// It is not a token of a trusted issuer for this server, or it is one of ours.
    Invalid,
    /// It has expired.
    Expired,
    /// It opened a session before.
    Used,
    /// The user has no account, and the issuer may not create one.
    SignupClosed,
    /// The new account's phone belongs to another account.
    PhoneTaken,
    /// The account is disabled.
    Disabled,
    /// The account is one of staff.
    Staff,
    /// The phone is a review number, which only its fixed code opens.
    ReviewNumber,
    /// Too many bad tokens, or new accounts, from this address.
    Budget(BudgetExceeded),
    /// The issuer's keys cannot be fetched.
    IssuerUnavailable {
        /// Seconds until they are tried again.
        retry_after: i64,
    },
}

impl Refused {
    /// The outcome in the metrics, and the reason in the audit log.
    fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::Used => "token_used",
            Self::SignupClosed => "signup_closed",
            Self::PhoneTaken => "phone_taken",
            Self::Disabled => "account_disabled",
            Self::Staff => "staff",
            Self::ReviewNumber => "review_number",
            Self::Budget(_) => "rate_limited",
            Self::IssuerUnavailable { .. } => "issuer_unavailable",
        }
    }
}

impl From<NotVouched> for Refused {
    fn from(why: NotVouched) -> Self {
        match why {
            // A key that the issuer does not publish is no key of the issuer.
            NotVouched::Invalid | NotVouched::UnknownKey => Self::Invalid,
            NotVouched::Expired => Self::Expired,
        }
    }
}

impl From<IssuerAway> for Refused {
    fn from(away: IssuerAway) -> Self {
        Self::IssuerUnavailable { retry_after: away.retry_after }
    }
}

/// Opens a session for the user whom a token of a trusted issuer names.
///
/// # Errors
/// When the database does not answer: no session is opened, and the token can be sent again. [`Error::Blocked`] when the address
/// or the phone is blocked.
pub async fn exchange(
    services: &Arc<Services>,
    token: SecretString,
    client: Client,
    from: ClientAddress,
) -> Result<Exchanged, Error> {
    run_to_completion(services, move |services| async move {
        // Nothing can be tried, so nothing is counted.
        if services.issuers.0.is_empty() {
            return Ok(Exchanged::Refused(Refused::Invalid));
        }
        let now = services.clock.now();
        let refused = || Event::by_stranger(Action::SignInRefused).with("by", BY);
        blocks::check_address(&services, from, refused, now).await?;
        let exchange = Exchange { services: &services, client, from, now };
        let charges = services.budgets.exchange(from, now);
        let exchanged = match budget::claim(&services, charges, now).await? {
            Ok(budget_claim) => exchange.charged(token.expose_secret(), &budget_claim).await?,
            Err(exceeded) => Exchanged::Refused(exchange.refuse(Refused::Budget(exceeded), None)),
        };
        services.metrics.exchange(match &exchanged {
            Exchanged::In(_) => "signed_in",
            Exchanged::Refused(refused) => refused.as_str(),
        });
        Ok(exchanged)
    })
    .await
}

/// A request of an exchange.
struct Exchange<'a> {
    services: &'a Services,
    client: Client,
    from: ClientAddress,
    now: DateTime<Utc>,
}

/// An issuer and the token that it signed.
#[derive(Clone, Copy)]
struct Proof<'a> {
    issuer: &'a TrustedIssuer,
    vouched: &'a Vouched,
}

impl Exchange<'_> {
    /// The exchange was charged. The charge is returned if a session is opened, or if it is not the client's fault.
    async fn charged(&self, token: &str, budget_claim: &BudgetClaim) -> Result<Exchanged, Error> {
        let (issuer, vouched) = match self.vouch(token).await {
            Ok(proof) => proof,
            Err(refused) => {
                if let Refused::IssuerUnavailable { .. } = refused {
                    self.refund(budget_claim).await;
                }
                return Ok(Exchanged::Refused(refused));
            }
        };
        let proof = Proof { issuer, vouched: &vouched };
        let registration = match self.claim_registration(proof).await? {
            Ok(registration) => registration,
            Err(exceeded) => {
                return Ok(Exchanged::Refused(self.refuse(Refused::Budget(exceeded), Some(proof))));
            }
        };
        let exchanged = transaction(|| self.open(proof)).await?;
        let (is_in, is_new) = match &exchanged {
            Exchanged::In(signed_in) => (true, signed_in.is_new),
            Exchanged::Refused(_) => (false, false),
        };
        if is_in {
            self.refund(budget_claim).await;
        }
        if let Some(registration) = registration.filter(|_| !is_new) {
            self.refund(&registration).await;
        }
        Ok(exchanged)
    }

    /// If the database fails here, the charge stays and the user is signed in anyway.
    async fn refund(&self, budget_claim: &BudgetClaim) {
        if let Err(error) = budget::refund(self.services, budget_claim).await {
            tracing::error!(%error, "the charge of an exchange could not be returned");
        }
    }

    /// Finds the issuer of a token, and verifies it. Several issuers may have the same `iss`, while one changes its algorithm.
    async fn vouch(&self, text: &str) -> Result<(&TrustedIssuer, Vouched), Refused> {
        let Self { services, now, .. } = self;
        let Some(token) = UnverifiedToken::read(text) else {
            return Err(self.refuse(Refused::Invalid, None));
        };
        if token.is_ours(&services.token_ids, services.tokens.policy()) {
            return Err(self.refuse(Refused::Invalid, None));
        }
        let mut refused = Refused::Invalid;
        let may_be =
            |(issuer, _): &&(TrustedIssuer, KeyRing)| token.may_be_of(issuer) && !issuer.is_over(*now);
        for (issuer, ring) in services.issuers.0.iter().filter(may_be) {
            let keys = ring.keys(services, issuer, &token, *now).await;
            let vouched = keys.map_err(Refused::from).and_then(|keys| Ok(token.vouch(issuer, &keys, *now)?));
            match vouched {
                Ok(vouched) => return Ok((issuer, vouched)),
                // What says more wins: an issuer whose keys are missing may be the one.
                Err(Refused::Invalid) => {}
                Err(why) => refused = why,
            }
        }
        Err(self.refuse(refused, None))
    }

    /// Counts a new account for its address, before there is one. `None` if the user has an account, or gets none.
    async fn claim_registration(
        &self,
        proof: Proof<'_>,
    ) -> Result<Result<Option<BudgetClaim>, BudgetExceeded>, Error> {
        let Self { services, now, .. } = self;
        let may_create = proof.issuer.admit_new_account(services.signups).is_ok();
        if !may_create || self.exists(proof).await? {
            return Ok(Ok(None));
        }
        Ok(budget::claim(services, services.budgets.registration(self.from, *now), *now).await?.map(Some))
    }

    /// One try of the transaction.
    async fn open(&self, proof: Proof<'_>) -> Result<Exchanged, Error> {
        let txn = self.services.store.begin().await?;
        let found = self.find_or_create(&txn, proof).await?;
        match found {
            Ok(found) => Ok(Exchanged::In(self.enter(txn, proof, found).await?)),
            Err(refused) => {
                txn.rollback().await?;
                Ok(Exchanged::Refused(self.refuse(refused, Some(proof))))
            }
        }
    }

    /// Opens the session and commits. If any of it fails, nothing has happened.
    async fn enter(&self, txn: Txn, proof: Proof<'_>, found: Found) -> Result<SignedIn, Error> {
        let Self { services, now, .. } = self;
        let (now, Found { account, is_new, unlinked }) = (*now, found);
        let statement = proof.vouched.statement();
        if let Some(phone) =
            statement.who.phone().filter(|phone| account.phone.as_ref() == Some(phone.number()))
        {
            let of = (phone.number(), account.id);
            events::convert_lead(services, &txn, of, LeadConvertedBy::Exchange, now).await?;
        }
        let proved_at = issuer::proved_at(statement, &account, now);
        let opening = (proof.vouched, proved_at);
        let client = self.client.clone();
        let tokens = session::open_by_exchange(services, &txn, opening, &account, client, now).await?;
        txn.commit().await?;
        services.metrics.sign_in(BY);
        let event = Event::by_owner(Action::SignedIn, account.id).from(self.from).with("by", BY);
        let event = event.with("issuer", Fact::shown(&proof.issuer.name)).with("sid", tokens.sid);
        let event = event.with_known("new_account", is_new.then_some(true));
        services.audit.note(with_phone(event, proof, Some(&account)), now);
        if let Some((old, phone)) = unlinked {
            recycled::note(services, &phone, (old, account.id), self.from, now);
        }
        let device = Device { id: services.random.bits(), account: account.id, epoch: account.device_epoch };
        let device_token = services.devices.issue(&device, now);
        Ok(SignedIn { tokens, account: Box::new(account), device_token, is_new })
    }

    /// Records why no session is opened.
    fn refuse(&self, refused: Refused, proof: Option<Proof<'_>>) -> Refused {
        let event = self.refusal(proof).with("reason", refused.as_str());
        let event = match refused {
            Refused::Budget(exceeded) => {
                event.with("budget", exceeded.budget.as_str()).with_known("retry_after", exceeded.retry_after)
            }
            _ => event,
        };
        self.services.audit.note(event, self.now);
        refused
    }

    /// The beginning of the audit entry of a refusal.
    fn refusal(&self, proof: Option<Proof<'_>>) -> Event {
        let event = Event::by_stranger(Action::SignInRefused).from(self.from).with("by", BY);
        let event = event.with_known("issuer", proof.map(|proof| Fact::shown(&proof.issuer.name)));
        match proof {
            Some(proof) => with_phone(event, proof, None),
            None => event,
        }
    }

    fn new_id(&self) -> Uuid {
        self.services.random.id(self.now)
    }
}

/// The phone that the token proves, or that of the account.
fn with_phone(event: Event, proof: Proof<'_>, account: Option<&Account>) -> Event {
    let of_account = account.and_then(|account| account.phone.as_ref());
    let of_token = proof.vouched.statement().who.phone().map(issuer::VouchedPhone::number);
    match of_account.or(of_token) {
        Some(phone) => event.phone(phone),
        None => event,
    }
}
