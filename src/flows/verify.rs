//! `verify-otp` and `verify-login`: signing in with a code.
//!
//! The usual sign-in is one statement, where the database can do that (`verify/at_once.rs`). Everything else is decided step
//! by step in a transaction, here.

mod at_once;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use self::at_once::{ToAnyAccount, ToExistingAccount};
pub use super::guess::CodeRefused;
use super::{
    Error, Services,
    asked_by::GuessedBy,
    budget::GuessOutcome,
    device::{self, Caller},
    events::{self, LeadConvertedBy},
    guess::{Guesser, redeem_at_once},
    recycled::{self, Opened, Opening},
    run_to_completion, session, signups,
};
use crate::{
    domain::{
        access::{Client, TokenPair},
        account::Account,
        address::ClientAddress,
        audit::{Action, Actor, Event},
        device::Device,
        otp::{ChallengeKey, OtpCode},
        phone::PhoneNumber,
        review,
        signups::SignupClosed,
    },
    store::{self, Txn, accounts::PhoneProof, otp::Consumed},
};

/// Who sends a code back.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The client's address.
    pub address: ClientAddress,
    /// The device token that the client shows, if any.
    pub device_token: Option<SecretString>,
}

/// The outcome of `verify-otp`.
#[derive(Debug)]
pub enum SignedUp {
    /// The user is signed in.
    In(SignedIn),
    /// The user is not.
    Refused(Refused),
}

/// The outcome of `verify-login`.
#[derive(Debug)]
pub enum LoggedIn {
    /// The user is signed in.
    In(SignedIn),
    /// The user is not.
    Refused(Refused),
    /// The right code of a phone without an account. The code stays valid for `verify-otp`.
    NoAccount,
}

/// What a user who signs in gets.
#[derive(Debug)]
pub struct SignedIn {
    /// The tokens of the new session.
    pub tokens: TokenPair,
    /// The account.
    pub account: Box<Account>,
    /// What this device shows at its next sign-in.
    pub device_token: SecretString,
}

/// Why a sign-in is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The code is refused.
    Code(CodeRefused),
    /// The right code of a disabled account. It is used up.
    Disabled,
    /// The right code of a phone that has no account and gets none. It is used up.
    SignupClosed,
}

impl From<CodeRefused> for Refused {
    fn from(refused: CodeRefused) -> Self {
        Self::Code(refused)
    }
}

/// Takes a code and signs in. A phone without an account gets one.
///
/// # Errors
/// When the database does not answer: no session is opened.
pub async fn sign_up(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    requester: Requester,
    client: Client,
) -> Result<SignedUp, Error> {
    run_to_completion(services, |services| async move {
        let sign_in = SignIn::prepare(&services, &phone, &requester, client).await?;
        let work = (&ToAnyAccount(&sign_in), |txn, consumed| sign_in.to_any_account(txn, consumed));
        let redeemed =
            redeem_at_once(&services, sign_in.key, &code, sign_in.guesser(), sign_in.now, work).await?;
        Ok(redeemed.unwrap_or_else(|refused| SignedUp::Refused(refused.into())))
    })
    .await
}

/// Takes a code and signs in, if the phone has an account.
///
/// # Errors
/// When the database does not answer: no session is opened.
pub async fn log_in(
    services: &Arc<Services>,
    phone: PhoneNumber,
    code: OtpCode,
    requester: Requester,
    client: Client,
) -> Result<LoggedIn, Error> {
    run_to_completion(services, |services| async move {
        let sign_in = SignIn::prepare(&services, &phone, &requester, client).await?;
        let work = (&ToExistingAccount(&sign_in), |txn, consumed| sign_in.to_existing_account(txn, consumed));
        let redeemed =
            redeem_at_once(&services, sign_in.key, &code, sign_in.guesser(), sign_in.now, work).await?;
        Ok(redeemed.unwrap_or_else(|refused| LoggedIn::Refused(refused.into())))
    })
    .await
}

/// A sign-in by code, and what is known about the caller.
struct SignIn<'a> {
    services: &'a Services,
    key: ChallengeKey<'a>,
    caller: Caller<'a>,
    address: ClientAddress,
    client: Client,
    now: DateTime<Utc>,
}

impl<'a> SignIn<'a> {
    async fn prepare(
        services: &'a Services,
        phone: &'a PhoneNumber,
        requester: &Requester,
        client: Client,
    ) -> Result<Self, Error> {
        let now = services.clock.now();
        let caller = device::caller_with_code(services, phone, requester.device_token.as_ref(), now).await?;
        let key = ChallengeKey::sign_in_by(phone, caller.device);
        Ok(Self { services, key, caller, address: requester.address, client, now })
    }

    fn guesser(&self) -> Guesser<'a> {
        let by = GuessedBy::Client(self.address);
        Guesser { by, device: self.caller.device, fixed: self.caller.fixed }
    }

    /// Signs in to the account of the phone. Creates it if there is none.
    async fn to_any_account(&self, txn: Txn, consumed: Consumed) -> Result<(SignedUp, GuessOutcome), Error> {
        let Opened { account, is_new, unlinked } = match self.open_account(&txn, &consumed).await? {
            Ok(opened) if self.may_open(&opened.account) => opened,
            Ok(_) => {
                txn.rollback().await?;
                let refused = SignedUp::Refused(CodeRefused::NoneRequested.into());
                return Ok((refused, GuessOutcome::Refund));
            }
            Err(SignupClosed) => return self.turn_away(txn).await,
        };
        let invitation = account.invitation_id.filter(|_| is_new);
        let id = account.id;
        let entered = self.open_session(txn, &consumed, account).await?;
        if let Some(old) = unlinked {
            recycled::note(self.services, self.key.phone, (old, id), self.address, self.now);
        }
        if let Some(invitation) = invitation {
            let event = Event::by_owner(Action::InvitationUsed, id).phone(self.key.phone).from(self.address);
            self.services.audit.note(event.with("invitation", invitation), self.now);
        }
        Ok(match entered {
            Ok(signed_in) => (SignedUp::In(signed_in), self.used(is_new)),
            Err(refused) => (SignedUp::Refused(refused), GuessOutcome::Refund),
        })
    }

    /// The account of the phone, or a new one.
    async fn open_account(
        &self,
        txn: &Txn,
        consumed: &Consumed,
    ) -> Result<Result<Opened, SignupClosed>, Error> {
        let Self { services, caller, now, .. } = self;
        let proof = PhoneProof::Code(consumed);
        let (is_review, used_after) = (caller.fixed.is_some(), caller.used_after);
        let open = async |admission| {
            let opening = Opening { admission, is_review, used_after };
            recycled::open_account(services, txn, proof, opening, *now).await
        };
        if let Ok(admission) = services.signups.admit(None) {
            return Ok(Ok(open(admission).await?));
        }
        // Who has an account needs no admission. One that was not used for too long keeps the phone, and is not opened.
        if let Some(account) = store::owners::claim_by_phone(txn, proof, used_after, *now).await? {
            return Ok(Ok(Opened::existing(account)));
        }
        let used = signups::claim_invitation(services, txn, (self.key, consumed), *now).await?;
        let admission = match services.signups.admit(used.as_ref()) {
            Ok(admission) => admission,
            Err(closed) => return Ok(Err(closed)),
        };
        let opened = open(admission).await?;
        // Another request has made the account since it was looked for.
        if let Some(used) = used.filter(|_| !opened.is_new) {
            store::invitations::settle_unused(txn, used).await?;
        }
        Ok(Ok(opened))
    }

    /// Whether the account may be opened: a fixed code opens none that was created in another way in the meantime.
    fn may_open(&self, account: &Account) -> bool {
        self.caller.fixed.is_none() || review::may_open(account)
    }

    /// Uses up the code of a person who gets no account, and is a lead all the same.
    async fn turn_away(&self, txn: Txn) -> Result<(SignedUp, GuessOutcome), Error> {
        store::leads::set_waiting(&txn, self.key.phone, self.now).await?;
        txn.commit().await?;
        let event = Event::by_stranger(Action::SignInRefused).phone(self.key.phone).from(self.address);
        self.services.audit.note(event.with("by", "code").with("reason", "signup_closed"), self.now);
        Ok((SignedUp::Refused(Refused::SignupClosed), GuessOutcome::Refund))
    }

    /// Signs in to the account of the phone, if it has one.
    async fn to_existing_account(
        &self,
        txn: Txn,
        consumed: Consumed,
    ) -> Result<(LoggedIn, GuessOutcome), Error> {
        let (caller, now) = (&self.caller, self.now);
        let Some(account) =
            store::owners::claim_by_phone(&txn, PhoneProof::Code(&consumed), caller.used_after, now).await?
        else {
            txn.rollback().await?;
            return Ok((self.no_account(), GuessOutcome::RefundAndKeep));
        };
        // The account was created in another way in the meantime.
        if !self.may_open(&account) {
            txn.rollback().await?;
            let refused = LoggedIn::Refused(CodeRefused::NoneRequested.into());
            return Ok((refused, GuessOutcome::Refund));
        }
        Ok(match self.open_session(txn, &consumed, account).await? {
            Ok(signed_in) => (LoggedIn::In(signed_in), self.used(false)),
            Err(refused) => (LoggedIn::Refused(refused), GuessOutcome::Refund),
        })
    }

    fn no_account(&self) -> LoggedIn {
        let event = Event::by_stranger(Action::SignInRefused).phone(self.key.phone).from(self.address);
        self.services.audit.note(event.with("by", "code").with("reason", "no_account"), self.now);
        LoggedIn::NoAccount
    }

    /// Whether the message was charged as one to a known phone. A fixed code had no message, so it says nothing about
    /// how many codes of its prefix come back.
    fn used(&self, is_new: bool) -> GuessOutcome {
        let Caller { device, fixed, .. } = &self.caller;
        let was_known = device.is_some() || fixed.is_some() || !(is_new || self.services.hides_accounts);
        GuessOutcome::Used { was_known }
    }

    /// Converts the lead, opens a session and commits. If any of it fails, nothing has happened: the code is not consumed
    /// either, and only the attempt stays counted. The code of a disabled account is consumed.
    async fn open_session(
        &self,
        txn: Txn,
        consumed: &Consumed,
        account: Account,
    ) -> Result<Result<SignedIn, Refused>, Error> {
        let Self { services, now, .. } = self;
        let of = (self.key.phone, account.id);
        events::convert_lead(services, &txn, of, LeadConvertedBy::Code, *now).await?;
        if !account.is_active {
            txn.commit().await?;
            let event = self.event(Action::SignInRefused, &account).with("by", "code");
            services.audit.note(event.with("reason", "account_disabled"), *now);
            return Ok(Err(Refused::Disabled));
        }
        let client = self.client.clone();
        // A block that was made since the code was judged rolls everything back.
        let tokens = session::open_by_code(services, &txn, consumed, &account, client, *now).await?;
        txn.commit().await?;
        Ok(Ok(self.signed_in(account, tokens)))
    }

    /// What follows a sign-in that was committed.
    fn signed_in(&self, account: Account, tokens: TokenPair) -> SignedIn {
        let Self { services, caller, now, .. } = self;
        services.metrics.sign_in("code");
        let event = match caller.fixed {
            Some(_) => self.event(Action::ReviewSignIn, &account).with("sid", tokens.sid),
            None => self
                .event(Action::SignedIn, &account)
                .with("by", "code")
                .with("sid", tokens.sid)
                .with_known("device", caller.device.map(|_| true)),
        };
        services.audit.note(event, *now);
        // A device that shows its token keeps its id, and so its budgets.
        let id = caller.device.unwrap_or_else(|| services.random.bits());
        let device = Device { id, account: account.id, epoch: account.device_epoch };
        let device_token = services.devices.issue(&device, *now);
        SignedIn { tokens, account: Box::new(account), device_token }
    }

    fn event(&self, action: Action, account: &Account) -> Event {
        let event = Event::new(action, Actor::Person(Some(account.id))).about(account.id);
        event.phone(self.key.phone).from(self.address)
    }
}
