//! The account that a token of a trusted issuer opens, and whether it may.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{
        Error, blocks, device, events,
        recycled::{self, Opening},
    },
    Exchange, Proof, Refused,
};
use crate::{
    domain::{
        account::Account,
        events::{CreatedBy, Fact},
        former_id::FormerId,
        issuer::{self, VouchedPhone, Who},
        phone::PhoneNumber,
        signups::{Admission, SignupClosed},
    },
    store::{
        self, Txn,
        accounts::{NewIds, PhoneProof},
    },
};

/// The account of a token.
pub(super) struct Found {
    pub(super) account: Account,
    /// Whether it was created now.
    pub(super) is_new: bool,
    /// The account that lost the phone because it was not used for too long, and the phone.
    pub(super) unlinked: Option<(Uuid, PhoneNumber)>,
}

impl Found {
    fn existing(account: Account) -> Self {
        Self { account, is_new: false, unlinked: None }
    }
}

impl Exchange<'_> {
    /// Whether the user has an account. The transaction decides; this only says which budgets it needs.
    pub(super) async fn exists(&self, proof: Proof<'_>) -> Result<bool, Error> {
        let db = &self.services.store;
        let found = match &proof.vouched.statement().who {
            Who::Phone(phone) => {
                store::accounts::find_by_phone(db, phone.number(), self.used_after()).await?
            }
            Who::Id { id, .. } => store::accounts::find_by_former_id(db, id).await?,
        };
        Ok(found.is_some())
    }

    fn used_after(&self) -> Option<DateTime<Utc>> {
        self.services.used_after(self.now)
    }

    /// Uses up the token, and finds or creates the account that it opens. On a refusal the transaction must be rolled back,
    /// which makes the token unused again.
    pub(super) async fn find_or_create(
        &self,
        txn: &Txn,
        proof: Proof<'_>,
    ) -> Result<Result<Found, Refused>, Error> {
        // First, so that another request with the same token waits before it looks for an account.
        let is_unused = store::used_tokens::claim(txn, proof.vouched).await?;
        let found = match &proof.vouched.statement().who {
            Who::Phone(phone) => self.by_phone(txn, proof, phone, is_unused).await?,
            Who::Id { id, phone } => self.by_id(txn, proof, (id, phone.as_ref()), is_unused).await?,
        };
        let found = match found {
            Ok(found) => found,
            Err(refused) => return Ok(Err(refused)),
        };
        if !issuer::may_open(&found.account) {
            return Ok(Err(Refused::Staff));
        }
        if blocks::is_shut_out(self.services, found.account.phone.as_ref(), self.now).await? {
            return Err(Error::Blocked);
        }
        if !found.account.is_active {
            return Ok(Err(Refused::Disabled));
        }
        Ok(if is_unused { Ok(found) } else { Err(Refused::Used) })
    }

    /// The account of a phone that the issuer proved, as after a right code.
    async fn by_phone(
        &self,
        txn: &Txn,
        proof: Proof<'_>,
        phone: &VouchedPhone,
        is_unused: bool,
    ) -> Result<Result<Found, Refused>, Error> {
        if let Some(refused) = self.refuses_phone(proof, phone).await? {
            return Ok(Err(refused));
        }
        let (services, by, now) = (self.services, PhoneProof::Issuer(phone), self.now);
        if let Some(account) = store::owners::claim_by_phone(txn, by, self.used_after(), now).await? {
            return Ok(Ok(Found::existing(account)));
        }
        let admission = match self.admit(proof, is_unused) {
            Ok(admission) => admission,
            Err(refused) => return Ok(Err(refused)),
        };
        let opening = Opening { admission, is_review: false, used_after: self.used_after() };
        let opened = recycled::open_account(services, txn, by, opening, now).await?;
        let unlinked = opened.unlinked.map(|old| (old, phone.number().clone()));
        Ok(Ok(Found { account: opened.account, is_new: opened.is_new, unlinked }))
    }

    /// The account of the user who has this id there. A new one gets the same id, and the phone if it is verified.
    async fn by_id(
        &self,
        txn: &Txn,
        proof: Proof<'_>,
        (id, phone): (&FormerId, Option<&VouchedPhone>),
        is_unused: bool,
    ) -> Result<Result<Found, Refused>, Error> {
        if let Some(account) = store::owners::claim_by_former_id(txn, id).await? {
            return Ok(Ok(Found::existing(account)));
        }
        let admission = match self.admit(proof, is_unused) {
            Ok(admission) => admission,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut unlinked = None;
        if let Some(phone) = phone {
            if let Some(refused) = self.refuses_phone(proof, phone).await? {
                return Ok(Err(refused));
            }
            let old = recycled::unlink(self.services, txn, phone.number(), self.now).await?;
            unlinked = old.map(|old| (old, phone.number().clone()));
        }
        let ids = NewIds { admission, account: self.new_id(), profile: self.new_id() };
        let Some(account) = store::accounts::insert_vouched(txn, id, ids, phone, self.now).await? else {
            // Another token of the same user was first, or another user has the phone.
            let found = store::owners::claim_by_former_id(txn, id).await?;
            return Ok(found.map(Found::existing).ok_or(Refused::PhoneTaken));
        };
        let by = CreatedBy::Exchange;
        let created = Fact::UserCreated { by, role: account.role, phone: account.phone.as_ref() };
        events::write_of(self.services, txn, account.id, &[created], self.now).await?;
        Ok(Ok(Found { account, is_new: true, unlinked }))
    }

    /// Why the owner of this phone is not let in, or gets no account with it.
    ///
    /// `SMS_ALLOWED_COUNTRIES` and its like do not matter here: they say who gets messages, and none is sent.
    async fn refuses_phone(&self, proof: Proof<'_>, phone: &VouchedPhone) -> Result<Option<Refused>, Error> {
        let (services, phone) = (self.services, phone.number());
        if let Some(block) = blocks::find(services, phone).await? {
            let event = self.refusal(Some(proof)).with("reason", "blocked").with("block", block.id);
            services.audit.note(event, self.now);
            return Err(Error::Blocked);
        }
        Ok(device::is_review_number(services, phone, self.now).then_some(Refused::ReviewNumber))
    }

    /// Whether a user without an account gets one. A used token may be that of a user who has deleted the account since.
    fn admit(&self, proof: Proof<'_>, is_unused: bool) -> Result<Admission, Refused> {
        if !is_unused {
            return Err(Refused::Used);
        }
        let admitted = proof.issuer.admit_new_account(self.services.signups);
        admitted.map_err(|SignupClosed| Refused::SignupClosed)
    }
}
