//! Writing the rows of an import, several hundred in one transaction. A dry run decides the same, in a transaction that is rolled
//! back, and writes nothing in it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, ImportError, Run, Services, Step, WaitingLead, store};
use crate::{
    domain::{
        account::Role,
        former_id::FormerId,
        import::{Group, Line, Merged, Newcomer, Outcome, Reason, Subject},
        pseudonym::Pseudonym,
        signups::Admission,
    },
    flows::transaction,
    store::{
        Txn,
        accounts::NewIds,
        imports::{Arrival, Taken},
    },
};

/// How often rows are tried from which another request took something between the look and the write.
const ROUNDS: usize = 4;

/// What became of the person of a group who gets an account.
#[derive(Debug, Clone)]
enum Kept {
    /// The account is there now.
    Came(Box<Newcomer>),
    /// An earlier run brought it.
    WasThere,
    /// The row does not come.
    Refused(Reason),
}

/// What became of a group.
#[derive(Debug)]
struct Settled {
    kept: Kept,
    /// For each of those who are merged: whether an earlier run brought the row.
    merged_were_there: Vec<bool>,
}

impl Settled {
    fn has_come(&self) -> bool {
        matches!(self.kept, Kept::Came(_))
    }
}

impl Run<'_> {
    /// Writes the rows that wait, and tells what became of them.
    pub(super) async fn write(&mut self) -> Result<(), ImportError> {
        self.write_people().await?;
        self.write_leads().await
    }

    async fn write_people(&mut self) -> Result<(), ImportError> {
        let groups = std::mem::take(&mut self.people);
        if groups.is_empty() {
            return Ok(());
        }
        let this = &*self;
        let settled = transaction(|| async {
            let batch = Batch { run: this, now: this.services.clock.now() };
            let txn = this.services.store.begin().await?;
            let settled = batch.settle(&txn, &groups).await?;
            batch.end(txn, settled.iter().any(Settled::has_come)).await?;
            Ok(settled)
        })
        .await?;
        self.has_begun |= !self.options.is_dry_run && settled.iter().any(Settled::has_come);
        for (group, settled) in groups.into_iter().zip(settled) {
            self.tell_group(group, settled)?;
        }
        Ok(())
    }

    fn tell_group(&mut self, group: Group, settled: Settled) -> Result<(), ImportError> {
        let Group { kept, merged } = group;
        let (into, has_come) = (kept.old_id.to_string(), settled.has_come());
        match settled.kept {
            Kept::WasThere => self.counts.already_there += 1,
            Kept::Refused(reason) => self.refuse(Subject::Person, (kept.place, into.clone()), reason)?,
            Kept::Came(came) => {
                self.counts.accounts += 1;
                self.counts.staff += u64::from(came.role > Role::User);
                if !came.left_out.is_empty() {
                    self.counts.incomplete += 1;
                    self.tell_about(kept.place, into.clone(), Outcome::Incomplete(came.left_out))?;
                }
            }
        }
        for (Merged { place, old_id }, was_there) in merged.into_iter().zip(settled.merged_were_there) {
            if was_there {
                self.counts.already_there += 1;
            } else if has_come {
                self.counts.merged += 1;
                self.tell_about(place, old_id.to_string(), Outcome::Merged(into.clone()))?;
            } else {
                self.refuse(Subject::Person, (place, old_id.to_string()), Reason::PhoneTaken)?;
            }
        }
        Ok(())
    }

    fn tell_about(&mut self, place: u64, old_id: String, outcome: Outcome) -> Result<(), ImportError> {
        self.tell(Step::Told(&Line { subject: Subject::Person, place, old_id, outcome }))
    }

    async fn write_leads(&mut self) -> Result<(), ImportError> {
        let leads = std::mem::take(&mut self.leads);
        if leads.is_empty() {
            return Ok(());
        }
        let this = &*self;
        let (came, has_written) = transaction(|| async {
            let batch = Batch { run: this, now: this.services.clock.now() };
            let txn = this.services.store.begin().await?;
            let (came, has_written) = batch.settle_leads(&txn, &leads).await?;
            batch.end(txn, has_written).await?;
            Ok((came, has_written))
        })
        .await?;
        self.has_begun |= !self.options.is_dry_run && has_written;
        self.counts.leads += came;
        self.counts.already_there += u64::try_from(leads.len()).unwrap_or_default() - came;
        Ok(())
    }
}

/// A batch in its transaction.
struct Batch<'a, 'b> {
    run: &'a Run<'b>,
    now: DateTime<Utc>,
}

impl Batch<'_, '_> {
    fn services(&self) -> &Services {
        self.run.services
    }

    /// Commits if something was written. Else nothing is, not even that the import began.
    async fn end(&self, txn: Txn, has_written: bool) -> Result<(), Error> {
        if has_written && !self.run.options.is_dry_run {
            self.run.begin(&txn, self.now).await?;
            txn.commit().await?;
        } else {
            txn.rollback().await?;
        }
        Ok(())
    }

    /// The hashes of a row, the one of the current key first.
    fn keys(&self, subject: &str, old_id: &str) -> Vec<Pseudonym> {
        self.services().pseudonyms.imported_with_all(self.run.options.source.as_str(), subject, old_id)
    }

    /// The hash of each row that no earlier run brought.
    async fn new_keys(
        &self,
        txn: &Txn,
        rows: impl Iterator<Item = (&str, String)>,
    ) -> Result<Vec<Option<Pseudonym>>, Error> {
        let keys: Vec<Vec<Pseudonym>> = rows.map(|(subject, old_id)| self.keys(subject, &old_id)).collect();
        let known = store::imports::list_known(txn, keys.iter().flatten()).await?;
        let is_known = |keys: &[Pseudonym]| keys.iter().any(|key| known.contains(key.as_str()));
        let new = keys.into_iter().map(|keys| if is_known(&keys) { None } else { keys.into_iter().next() });
        Ok(new.collect())
    }

    /// Decides about each group, and adds the accounts.
    async fn settle(&self, txn: &Txn, groups: &[Group]) -> Result<Vec<Settled>, Error> {
        let person = |id: &FormerId| (Subject::Person.as_str(), id.to_string());
        let ids = groups.iter().flat_map(|group| {
            std::iter::once(&group.kept.old_id).chain(group.merged.iter().map(|merged| &merged.old_id))
        });
        let mut new = self.new_keys(txn, ids.map(person)).await?.into_iter();
        let mut settled = Vec::with_capacity(groups.len());
        let mut keys = Vec::with_capacity(groups.len());
        let mut candidates = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            let own: Vec<Option<Pseudonym>> = new.by_ref().take(1 + group.merged.len()).collect();
            if own.first().is_some_and(Option::is_some) {
                candidates.push((at, group.kept.clone()));
            }
            let merged_were_there = own.iter().skip(1).map(Option::is_none).collect();
            settled.push(Settled { kept: Kept::WasThere, merged_were_there });
            keys.push(own);
        }
        let results = self.add(txn, candidates).await?;
        let results = self.know_again(txn, results, &keys).await?;
        let mut came = Vec::new();
        for (at, kept) in results {
            if let Some(settled) = settled.get_mut(at) {
                settled.kept = kept;
                if settled.has_come() {
                    came.extend(
                        keys.get_mut(at).map(std::mem::take).unwrap_or_default().into_iter().flatten(),
                    );
                }
            }
        }
        if !self.run.options.is_dry_run {
            store::imports::insert_known(txn, &came).await?;
        }
        Ok(settled)
    }

    /// Looks again at the rows that are refused: another import that runs now may have brought them since the first look.
    async fn know_again(
        &self,
        txn: &Txn,
        mut results: Vec<(usize, Kept)>,
        keys: &[Vec<Option<Pseudonym>>],
    ) -> Result<Vec<(usize, Kept)>, Error> {
        let key_of = |at: usize| keys.get(at).and_then(|own| own.first()?.as_ref());
        let refused = results.iter().filter(|(_, kept)| matches!(kept, Kept::Refused(_)));
        let refused: Vec<&Pseudonym> = refused.filter_map(|(at, _)| key_of(*at)).collect();
        if refused.is_empty() {
            return Ok(results);
        }
        let known = store::imports::list_known(txn, refused).await?;
        for (at, kept) in &mut results {
            if key_of(*at).is_some_and(|key| known.contains(key.as_str())) {
                *kept = Kept::WasThere;
            }
        }
        Ok(results)
    }

    /// Adds accounts, each with its place among the groups. What another account has is left out, or the row is refused.
    async fn add(
        &self,
        txn: &Txn,
        mut candidates: Vec<(usize, Box<Newcomer>)>,
    ) -> Result<Vec<(usize, Kept)>, Error> {
        let mut results = Vec::with_capacity(candidates.len());
        for _ in 0..ROUNDS {
            if candidates.is_empty() {
                return Ok(results);
            }
            let bringing: Vec<&Newcomer> = candidates.iter().map(|(_, newcomer)| &**newcomer).collect();
            let mut taken = store::imports::list_taken(txn, &bringing).await?;
            let mut fitting = Vec::with_capacity(candidates.len());
            for (at, newcomer) in candidates {
                match self.fit(newcomer, &mut taken) {
                    Ok(newcomer) => fitting.push((at, newcomer)),
                    Err(reason) => results.push((at, Kept::Refused(reason))),
                }
            }
            let ids: Vec<NewIds> = fitting.iter().map(|(_, newcomer)| self.ids(newcomer)).collect();
            let added = self.insert(txn, &fitting, &ids).await?;
            let with_ids = fitting.into_iter().zip(ids);
            let (came, missed): (Vec<_>, Vec<_>) = with_ids
                .partition(|(_, ids)| added.as_ref().is_none_or(|added| added.contains(&ids.account)));
            results.extend(came.into_iter().map(|((at, newcomer), _)| (at, Kept::Came(newcomer))));
            candidates = missed.into_iter().map(|(candidate, _)| candidate).collect();
        }
        let late = candidates.into_iter().map(|(at, _)| (at, Kept::Refused(Reason::PhoneTaken)));
        results.extend(late);
        Ok(results)
    }

    /// The newcomer without what other accounts have.
    fn fit(&self, mut newcomer: Box<Newcomer>, taken: &mut Taken) -> Result<Box<Newcomer>, Reason> {
        if taken.has_id(&newcomer.old_id) {
            return Err(Reason::IdTaken);
        }
        if newcomer.phone.as_ref().is_some_and(|phone| taken.has_phone(phone)) {
            if newcomer.role == Role::User {
                return Err(Reason::PhoneTaken);
            }
            newcomer.lose_phone(self.run.options.region);
        }
        if newcomer.username.as_ref().is_some_and(|username| taken.take_username(username)) {
            newcomer.username = None;
            newcomer.leave_out("username");
        }
        if newcomer.email.as_ref().is_some_and(|email| taken.take_email(email)) {
            newcomer.email = None;
            newcomer.leave_out("email");
        }
        if newcomer.interests.iter().any(|name| self.interest(&name.key()).is_none()) {
            newcomer.leave_out("interests");
        }
        let can_enter = newcomer.phone.is_some() || newcomer.has_password_sign_in();
        if can_enter { Ok(newcomer) } else { Err(Reason::NoWayIn) }
    }

    fn ids(&self, newcomer: &Newcomer) -> NewIds {
        let new = || self.services().random.id(self.now);
        let account = match &newcomer.old_id {
            FormerId::Own(id) => *id,
            FormerId::External(_) => new(),
        };
        NewIds { admission: Admission::by_import(), account, profile: new() }
    }

    /// Adds accounts, and converts the leads of their phones. Returns the ids of those that were added; `None` in a dry run.
    async fn insert(
        &self,
        txn: &Txn,
        fitting: &[(usize, Box<Newcomer>)],
        ids: &[NewIds],
    ) -> Result<Option<HashSet<Uuid>>, Error> {
        if self.run.options.is_dry_run {
            return Ok(None);
        }
        let interests = |newcomer: &Newcomer| {
            newcomer.interests.iter().filter_map(|name| self.interest(&name.key())).collect()
        };
        let arrivals = fitting.iter().zip(ids).map(|((_, newcomer), ids)| Arrival {
            ids: *ids,
            newcomer,
            interests: interests(newcomer),
        });
        let arrivals: Vec<Arrival<'_>> = arrivals.collect();
        let added = store::imports::insert_accounts(txn, arrivals, self.now).await?;
        let phones = fitting
            .iter()
            .zip(ids)
            .filter(|(_, ids)| added.contains(&ids.account))
            .filter_map(|((_, newcomer), _)| newcomer.phone.as_ref());
        store::imports::set_converted(txn, phones, self.now).await?;
        Ok(Some(added))
    }

    fn interest(&self, key: &str) -> Option<i64> {
        let interests: &HashMap<String, i64> = &self.run.interests;
        interests.get(key).copied()
    }

    /// Adds the leads whose phone has neither an account nor a lead. Returns how many came, and whether anything was written.
    async fn settle_leads(&self, txn: &Txn, leads: &[WaitingLead]) -> Result<(u64, bool), Error> {
        let rows = leads.iter().map(|lead| (lead.subject, lead.prospect.old_id.clone()));
        let new = self.new_keys(txn, rows).await?;
        let new = leads.iter().zip(new).filter_map(|(lead, key)| Some((&lead.prospect, key?)));
        let (prospects, keys): (Vec<_>, Vec<Pseudonym>) = new.unzip();
        let with_account =
            store::imports::list_phones(txn, prospects.iter().map(|prospect| &prospect.phone)).await?;
        let mut phones = HashSet::new();
        let wanted: Vec<_> = prospects
            .into_iter()
            .filter(|prospect| !with_account.contains(prospect.phone.full()))
            .filter(|prospect| !self.run.groups.has(&prospect.phone))
            // Two rows can be of one phone.
            .filter(|prospect| phones.insert(prospect.phone.full().to_owned()))
            .map(|prospect| (self.services().random.id(self.now), prospect))
            .collect();
        let has_written = !keys.is_empty();
        let came = if self.run.options.is_dry_run {
            let there = store::imports::list_leads(txn, wanted.iter().map(|(_, it)| &it.phone)).await?;
            wanted.iter().filter(|(_, it)| !there.contains(it.phone.full())).count()
        } else {
            store::imports::insert_known(txn, &keys).await?;
            store::imports::insert_leads(txn, wanted).await?.len()
        };
        Ok((u64::try_from(came).unwrap_or_default(), has_written))
    }
}
