//! A country changes its numbering plan: accounts, leads and blocks get their new numbers.
//!
//! 500 rows are written in one transaction, while servers keep working: a user who signs in with the new number before it was written gets
//! a new account, so this is a conflict for the report. A row that has its new number is not one of the old plan any more, so a run that
//! was killed goes on where it was, and one after it changes nothing.

use std::{collections::HashSet, io};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Services, events, transaction};
use crate::{
    domain::{
        audit::{Action, Actor, Event, Fact as AuditFact},
        block::Target,
        events::{Fact, Subject},
        phone::PhoneNumber,
        renumbering::{Conflict, Counts, Judged, Reason, Renumbering, Row},
    },
    store::{
        self, StoreError,
        renumbering::{Renumbered, Written},
    },
};

/// How many rows are written in one transaction.
const BATCH: u64 = 500;

/// How often a batch is tried from which another request took a number between the look and the write.
const ROUNDS: usize = 4;

/// What is done, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The change of the plan.
    pub change: Renumbering,
    /// Whether everything is decided and nothing is written.
    pub is_dry_run: bool,
}

/// What happens, to be shown.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// So many rows were looked at.
    Done(u64),
    /// A row keeps its number.
    Told(&'a Conflict),
}

/// Why a run ended before its end. What was written until then stays, and the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum RenumberError {
    /// The database does not answer.
    #[error("the renumbering stopped; run it again to go on")]
    Flow(#[from] Error),
    /// The report cannot be written.
    #[error("the report cannot be written")]
    Report(#[source] io::Error),
}

impl From<StoreError> for RenumberError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// What takes each step as it happens.
pub type Watch<'a> = &'a mut (dyn FnMut(Step<'_>) -> io::Result<()> + Send);

/// Gives everybody their new number.
///
/// # Errors
/// See [`RenumberError`].
pub async fn renumber(
    services: &Services,
    options: Options,
    watch: Watch<'_>,
) -> Result<Counts, RenumberError> {
    let mut run = Run {
        services,
        options,
        watch,
        counts: Counts::default(),
        looked: 0,
        kept: HashSet::new(),
        has_begun: false,
    };
    run.accounts().await?;
    run.leads().await?;
    run.blocks().await?;
    run.snapshots().await?;
    run.prefix_blocks().await?;
    run.finish().await
}

struct Run<'a> {
    services: &'a Services,
    options: Options,
    watch: Watch<'a>,
    counts: Counts,
    looked: u64,
    /// Old numbers that their accounts keep: so do their leads and blocks.
    kept: HashSet<String>,
    /// Whether the audit log says that it began: only if something was written.
    has_begun: bool,
}

impl Run<'_> {
    fn tell(&mut self, step: Step<'_>) -> Result<(), RenumberError> {
        (self.watch)(step).map_err(RenumberError::Report)
    }

    fn looked_at(&mut self, rows: usize) -> Result<(), RenumberError> {
        self.looked += u64::try_from(rows).unwrap_or_default();
        self.tell(Step::Done(self.looked))
    }

    fn refuse(&mut self, row: Row, id: Uuid, reason: Reason) -> Result<(), RenumberError> {
        self.counts.conflicts += 1;
        self.tell(Step::Told(&Conflict { row, id, reason }))
    }

    /// Writes into the audit log that it began, before the first rows.
    async fn begin(&mut self) -> Result<(), RenumberError> {
        if self.options.is_dry_run || self.has_begun {
            return Ok(());
        }
        let event = self.event(Action::RenumberingBegan);
        let (services, now) = (self.services, self.services.clock.now());
        let txn = services.store.begin().await?;
        services.audit.write(&txn, event, now).await?;
        txn.commit().await?;
        self.has_begun = true;
        Ok(())
    }

    fn event(&self, action: Action) -> Event {
        let change = &self.options.change;
        let event = Event::new(action, Actor::Command).with("from", AuditFact::shown(change.from()));
        event.with("to", AuditFact::shown(change.to()))
    }

    async fn accounts(&mut self) -> Result<(), RenumberError> {
        let mut after = Uuid::nil();
        loop {
            let (services, change) = (self.services, self.options.change.clone());
            let page = store::renumbering::list_accounts(&services.store, &change, after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let (looked, mut wanted, mut former) = (page.len(), Vec::new(), Vec::new());
            for row in page {
                if row.former_phone.is_some_and(|phone| matches!(change.judge(&phone), Judged::Moves(_))) {
                    former.push(row.id);
                }
                let Some(old) = row.phone else { continue };
                match change.judge(&old) {
                    Judged::Other => {}
                    Judged::Moves(new) => wanted.push(Renumbered { id: row.id, old, new }),
                    Judged::NotInPlan => {
                        self.kept.insert(old.full().to_owned());
                        self.refuse(Row::Account, row.id, Reason::NotInPlan)?;
                    }
                }
            }
            self.account_batch(&change, wanted, &former).await?;
            self.looked_at(looked)?;
        }
    }

    /// Writes a batch of accounts with what belongs to their numbers.
    async fn account_batch(
        &mut self,
        change: &Renumbering,
        mut wanted: Vec<Renumbered>,
        former: &[Uuid],
    ) -> Result<(), RenumberError> {
        let services = self.services;
        for _ in 0..ROUNDS {
            let owners =
                store::renumbering::list_owners(&services.store, wanted.iter().map(|it| &it.new)).await?;
            let (taken, free): (Vec<_>, Vec<_>) =
                wanted.into_iter().partition(|it| owners.contains_key(it.new.full()));
            for Renumbered { id, old, new } in taken {
                let Some(by) = owners.get(new.full()) else { continue };
                self.kept.insert(old.full().to_owned());
                self.refuse(Row::Account, id, Reason::Taken(*by))?;
            }
            if self.options.is_dry_run || free.is_empty() && former.is_empty() {
                self.counts.accounts += u64::try_from(free.len()).unwrap_or_default();
                return Ok(());
            }
            self.begin().await?;
            let now = services.clock.now();
            let written = transaction(|| write_accounts(services, change, &free, former, now)).await?;
            match written {
                Some(rows) => {
                    self.counts.accounts += rows.accounts;
                    self.counts.leads += rows.leads;
                    self.counts.blocks += rows.blocks;
                    return Ok(());
                }
                None => wanted = free,
            }
        }
        for Renumbered { id, old, .. } in wanted {
            self.kept.insert(old.full().to_owned());
            self.refuse(Row::Account, id, Reason::Busy)?;
        }
        Ok(())
    }

    async fn leads(&mut self) -> Result<(), RenumberError> {
        let mut after = Uuid::nil();
        loop {
            let (services, change) = (self.services, self.options.change.clone());
            let page = store::renumbering::list_leads(&services.store, &change, after, BATCH).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let looked = page.len();
            let pairs = self.pairs(&change, page, Row::Lead)?;
            if self.options.is_dry_run {
                self.counts.leads += u64::try_from(pairs.len()).unwrap_or_default();
            } else if !pairs.is_empty() {
                self.begin().await?;
                let written = transaction(|| write_leads(services, &change, &pairs)).await?;
                self.counts.leads += written;
            }
            self.looked_at(looked)?;
        }
    }

    async fn blocks(&mut self) -> Result<(), RenumberError> {
        let mut after = Uuid::nil();
        loop {
            let (services, change) = (self.services, self.options.change.clone());
            let page = store::renumbering::list_blocks(&services.store, &change, after, BATCH).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let looked = page.len();
            let pairs = self.pairs(&change, page, Row::Block)?;
            if self.options.is_dry_run {
                self.counts.blocks += u64::try_from(pairs.len()).unwrap_or_default();
            } else if !pairs.is_empty() {
                self.begin().await?;
                let now = services.clock.now();
                let written = transaction(|| write_blocks(services, &change, &pairs, now)).await?;
                self.counts.blocks += written;
            }
            self.looked_at(looked)?;
        }
    }

    /// Old and new numbers of rows that are not an account's.
    fn pairs(
        &mut self,
        change: &Renumbering,
        page: Vec<(Uuid, PhoneNumber)>,
        row: Row,
    ) -> Result<Vec<(PhoneNumber, PhoneNumber)>, RenumberError> {
        let mut pairs = Vec::with_capacity(page.len());
        for (id, old) in page {
            match change.judge(&old) {
                // The report has its account.
                _ if self.kept.contains(old.full()) => {}
                Judged::Other => {}
                Judged::Moves(new) => pairs.push((old, new)),
                Judged::NotInPlan => self.refuse(row, id, Reason::NotInPlan)?,
            }
        }
        Ok(pairs)
    }

    /// Numbers in what is kept to undo merges of accounts.
    async fn snapshots(&mut self) -> Result<(), RenumberError> {
        if self.options.is_dry_run {
            return Ok(());
        }
        let mut after = Uuid::nil();
        loop {
            let (services, change) = (self.services, &self.options.change);
            let last = transaction(|| write_snapshots(services, change, after)).await?;
            let Some(last) = last else { return Ok(()) };
            after = last;
        }
    }

    /// Blocks of longer beginnings than the whole plan: nobody can say by rule what they mean in the new one.
    async fn prefix_blocks(&mut self) -> Result<(), RenumberError> {
        let beginning = self.options.change.from().beginning();
        let live = store::blocks::list_live(&self.services.store, self.services.clock.now()).await?;
        for block in live {
            let is_longer = |value: &str| value.len() > beginning.len() && value.starts_with(&beginning);
            if matches!(block.target, Target::Prefix(_)) && is_longer(&block.target.value()) {
                self.refuse(Row::Block, block.id, Reason::Prefix)?;
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<Counts, RenumberError> {
        if self.has_begun {
            let counts = self.counts;
            let event = self
                .event(Action::RenumberingEnded)
                .with("accounts", counts.accounts)
                .with("leads", counts.leads)
                .with("blocks", counts.blocks)
                .with("conflicts", counts.conflicts);
            self.services.audit.note(event, self.services.clock.now());
            self.services.audit.flush().await?;
        }
        Ok(self.counts)
    }
}

/// Writes accounts, their leads and their blocks, with events and entries of the audit log. `None` when another request has taken
/// one of the numbers.
async fn write_accounts(
    services: &Services,
    change: &Renumbering,
    wanted: &[Renumbered],
    former: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Option<Counts>, Error> {
    // Dropping the transaction rolls it back.
    let txn = services.store.begin().await?;
    let pairs: Vec<_> = wanted.iter().map(|it| (it.old.clone(), it.new.clone())).collect();
    // Before the accounts, as when a block is made: a user whose number is blocked has no moment without the block.
    let Written::Rows(blocks) = store::renumbering::set_blocks(&txn, change, &pairs, now).await? else {
        return Ok(None);
    };
    let these = store::renumbering::claim_accounts(&txn, wanted).await?;
    let Written::Rows(accounts) = store::renumbering::set_accounts(&txn, change, &these, now).await? else {
        return Ok(None);
    };
    store::renumbering::set_former(&txn, change, former).await?;
    let pairs: Vec<_> = these.iter().map(|it| (it.old.clone(), it.new.clone())).collect();
    let Written::Rows(leads) = store::renumbering::set_leads(&txn, change, &pairs).await? else {
        return Ok(None);
    };
    let facts: Vec<_> = these
        .iter()
        .map(|it| {
            (Subject::user(it.id), Fact::PhoneChanged { phone: Some(&it.new), previous: Some(&it.old) })
        })
        .collect();
    events::write(services, &txn, &facts, now).await?;
    let entry = |it: &Renumbered| {
        let mark = services.pseudonyms.phone(&it.old);
        let event = Event::new(Action::PhoneRenumbered, Actor::Command).about(it.id).phone(&it.new);
        event.with("old_phone", &it.old).with("old_phone_mark", &mark)
    };
    services.audit.write_all(&txn, these.iter().map(entry).collect(), now).await?;
    txn.commit().await?;
    Ok(Some(Counts { accounts, leads, blocks, ..Counts::default() }))
}

async fn write_leads(
    services: &Services,
    change: &Renumbering,
    pairs: &[(PhoneNumber, PhoneNumber)],
) -> Result<u64, Error> {
    for _ in 0..ROUNDS {
        let txn = services.store.begin().await?;
        if let Written::Rows(rows) = store::renumbering::set_leads(&txn, change, pairs).await? {
            txn.commit().await?;
            return Ok(rows);
        }
    }
    // A lead was requested for one of the new numbers each time. The next run joins the two.
    Ok(0)
}

async fn write_blocks(
    services: &Services,
    change: &Renumbering,
    pairs: &[(PhoneNumber, PhoneNumber)],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    for _ in 0..ROUNDS {
        let txn = services.store.begin().await?;
        if let Written::Rows(rows) = store::renumbering::set_blocks(&txn, change, pairs, now).await? {
            txn.commit().await?;
            return Ok(rows);
        }
    }
    Ok(0)
}

/// Changes the numbers in a page of snapshots. Returns the last id, or none at the end.
async fn write_snapshots(
    services: &Services,
    change: &Renumbering,
    after: Uuid,
) -> Result<Option<Uuid>, Error> {
    let txn = services.store.begin().await?;
    let merges = store::merges::claim_snapshots(&txn, after, BATCH).await?;
    let last = merges.last().map(|merge| merge.id);
    for merge in merges {
        let Some(mut snapshot) = merge.snapshot else { continue };
        let mut is_changed = false;
        for text in snapshot.phones_mut() {
            let judged = PhoneNumber::from_e164(text).map(|phone| change.judge(&phone));
            if let Some(Judged::Moves(new)) = judged {
                new.full().clone_into(text);
                is_changed = true;
            }
        }
        if is_changed {
            store::merges::set_snapshot(&txn, merge.id, &snapshot).await?;
        }
    }
    txn.commit().await?;
    Ok(last)
}
