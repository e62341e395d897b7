//! Moving in: people, leads and interests of another system.
//!
//! The source is read twice. The first reading counts who has which number, the second one writes (`batch`): 500 rows in one
//! transaction, together with the hashes by which a second run knows them. So a run that was killed goes on where it was, and a
//! run after it changes nothing, also not what was changed or deleted here since.
//!
//! No event is sent: a receiver would get one for every user, about people whom its system knows already. The audit log gets an
//! entry when the first rows are written, and one at the end.

mod batch;

use std::{
    collections::{HashMap, HashSet},
    error::Error as StdError,
    fmt,
    hash::{BuildHasher, RandomState},
    io,
};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::mpsc::Receiver;

use super::{Error, Services};
use crate::{
    domain::{
        account::Role,
        audit::{Action, Actor, Event},
        credentials::OldCosts,
        former_id::FormerId,
        import::{
            Census, Counts, FormerInterest, Group, Groups, Judged, Line, Newcomer, Outcome, Person, Prospect,
            Reason, Row, Rules, Source, Subject, judge, judge_lead,
        },
        interests::{InterestDescription, InterestName},
        phone::Region,
    },
    store::{self, StoreError, Txn},
};

/// How many rows are written in one transaction.
const BATCH: usize = 500;

/// How many rows are read between two reports about the first reading.
const REPORTED_EVERY: u64 = 1_000;

/// Why a source cannot be read.
pub type SourceError = Box<dyn StdError + Send + Sync>;

/// The rows of a source, as they are read.
pub type Rows = Receiver<Result<Row, SourceError>>;

/// What is imported, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The source.
    pub source: Source,
    /// The region of phones without a country code.
    pub region: Region,
    /// Whether everything is decided and nothing is written.
    pub is_dry_run: bool,
}

/// What happens during an import, to be shown.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// So many rows have been read for the first time.
    Counted(u64),
    /// So many rows of all are done.
    Done(u64, u64),
    /// A row did not come, or not whole.
    Told(&'a Line),
}

/// Why an import ended before its end. What was written until then stays, and the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read further.
    #[error("the source cannot be read")]
    Source(#[source] SourceError),
    /// The database does not answer.
    #[error("the import stopped")]
    Flow(#[from] Error),
    /// The report cannot be written.
    #[error("the report cannot be written")]
    Report(#[source] io::Error),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// Whoever is told what happens.
pub type Watch<'a> = &'a mut (dyn FnMut(Step<'_>) -> io::Result<()> + Send);

/// Imports a source. `open` begins a reading of it.
///
/// # Errors
/// See [`ImportError`].
pub async fn import(
    services: &Services,
    open: &(dyn Fn() -> Rows + Sync),
    options: Options,
    watch: Watch<'_>,
) -> Result<Counts, ImportError> {
    let rules = Rules {
        region: options.region,
        name_min_chars: services.name_min_chars,
        picture_hosts: services.picture_hosts,
        today: services.today(),
        now: services.clock.now(),
    };
    let (census, all) = count(open(), &rules, watch).await?;
    let interests = store::interests::list(&services.store).await.map_err(Error::from)?;
    let known = interests.iter().map(|interest| (InterestName::stored(interest).key(), interest.id));
    let mut run = Run {
        services,
        options,
        rules,
        watch,
        groups: Groups::new(census, options.region),
        interests: known.collect(),
        seen: SeenIds::default(),
        people: Vec::new(),
        leads: Vec::new(),
        counts: Counts::default(),
        has_begun: false,
    };
    let mut rows = open();
    while let Some(row) = rows.recv().await {
        run.take(row.map_err(ImportError::Source)?).await?;
        run.tell(Step::Done(run.counts.rows, all.max(run.counts.rows)))?;
    }
    run.finish().await
}

/// The first reading: who has which number, and how many rows there are.
async fn count(mut rows: Rows, rules: &Rules, watch: Watch<'_>) -> Result<(Census, u64), ImportError> {
    let (mut census, mut all) = (Census::default(), 0);
    while let Some(row) = rows.recv().await {
        if let Row::Person(person) = row.map_err(ImportError::Source)?
            && let Judged::Account(newcomer) = judge(&person, rules)
        {
            census.count(&newcomer);
        }
        all += 1;
        if all % REPORTED_EVERY == 0 {
            watch(Step::Counted(all)).map_err(ImportError::Report)?;
        }
    }
    Ok((census, all))
}

/// The ids of the rows that were read: eight bytes for each.
#[derive(Default)]
struct SeenIds {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl SeenIds {
    /// Whether an earlier row had the id.
    fn is_again(&mut self, subject: &str, old_id: &str) -> bool {
        !self.hashes.insert(self.hasher.hash_one((subject, old_id)))
    }
}

/// A lead that waits to be written. The subject says what kind of row it was.
#[derive(Debug)]
struct WaitingLead {
    prospect: Prospect,
    subject: &'static str,
}

/// An import in progress.
struct Run<'a> {
    services: &'a Services,
    options: Options,
    rules: Rules,
    watch: Watch<'a>,
    groups: Groups,
    /// The ids of interests by their folded names.
    interests: HashMap<String, i64>,
    seen: SeenIds,
    people: Vec<Group>,
    leads: Vec<WaitingLead>,
    counts: Counts,
    /// Whether the audit log says that it began: only if something was written.
    has_begun: bool,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("options", &self.options)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Run<'_> {
    fn tell(&mut self, step: Step<'_>) -> Result<(), ImportError> {
        (self.watch)(step).map_err(ImportError::Report)
    }

    fn refuse(
        &mut self,
        subject: Subject,
        (place, old_id): (u64, String),
        reason: Reason,
    ) -> Result<(), ImportError> {
        self.counts.refused += 1;
        self.tell(Step::Told(&Line { subject, place, old_id, outcome: Outcome::Refused(reason) }))
    }

    async fn take(&mut self, row: Row) -> Result<(), ImportError> {
        self.counts.rows += 1;
        match row {
            Row::Unreadable(place) => {
                self.refuse(Subject::Row, (place, String::new()), Reason::Unreadable)?;
            }
            Row::Interest(interest) => self.interest(interest).await?,
            Row::Person(person) => self.person(*person).await?,
            Row::Lead(lead) => match judge_lead(&lead, &self.rules) {
                Ok(prospect) => self.lead(prospect, "lead")?,
                Err(reason) => self.refuse(Subject::Lead, (lead.place, lead.old_id), reason)?,
            },
        }
        if self.people.len() >= BATCH || self.leads.len() >= BATCH {
            self.write().await?;
        }
        Ok(())
    }

    async fn person(&mut self, person: Person) -> Result<(), ImportError> {
        let row = (person.place, person.old_id.trim().to_owned());
        let judged = judge(&person, &self.rules);
        let is_refused = matches!(judged, Judged::Refused(_));
        // Two spellings of a UUID are one id.
        let id = FormerId::parse(&row.1).map_or_else(|| row.1.clone(), |id| id.to_string());
        if !is_refused && self.seen.is_again("person", &id) {
            return self.refuse(Subject::Person, row, Reason::IdTwice);
        }
        match judged {
            Judged::Refused(reason) => self.refuse(Subject::Person, row, reason),
            Judged::Lead(prospect) => self.lead(*prospect, "unproved"),
            Judged::Account(mut newcomer) => {
                self.leave_out_known_password(&person, &mut newcomer).await;
                if newcomer.phone.is_none() && !newcomer.has_password_sign_in() {
                    return self.refuse(Subject::Person, row, Reason::NoWayIn);
                }
                self.people.extend(self.groups.take(newcomer));
                Ok(())
            }
        }
    }

    /// The original gave every user the phone as the password. One who became staff later may still have it, and then it opens
    /// nothing here.
    async fn leave_out_known_password(&self, person: &Person, newcomer: &mut Newcomer) {
        let has_password = newcomer.password.is_some();
        if self.options.source != Source::Loopin || newcomer.role == Role::User || !has_password {
            return;
        }
        for phone in &person.phones {
            let typed = SecretString::from(phone.text.as_str());
            let hash = newcomer.password.as_ref();
            if self.services.hasher.verify(hash, &typed, OldCosts::default()).await {
                newcomer.password = None;
                newcomer.leave_out("password");
                return;
            }
        }
    }

    fn lead(&mut self, prospect: Prospect, subject: &'static str) -> Result<(), ImportError> {
        if subject == "lead" && self.seen.is_again(subject, &prospect.old_id) {
            return self.refuse(Subject::Lead, (prospect.place, prospect.old_id), Reason::IdTwice);
        }
        self.leads.push(WaitingLead { prospect, subject });
        Ok(())
    }

    /// Adds an interest that is not there, unless an earlier run did: staff may have renamed it.
    async fn interest(&mut self, row: FormerInterest) -> Result<(), ImportError> {
        let one_line = row.name.split_whitespace().collect::<Vec<_>>().join(" ");
        let Ok(name) = InterestName::parse(&one_line) else {
            return self.refuse(Subject::Interest, (row.place, row.old_id), Reason::InterestName);
        };
        let services = self.services;
        let (source, subject) = (self.options.source.as_str(), Subject::Interest.as_str());
        let keys = services.pseudonyms.imported_with_all(source, subject, &row.old_id);
        let known = store::imports::list_known(&services.store, &keys).await?;
        let is_there = self.interests.contains_key(&name.key());
        if !known.is_empty() || is_there {
            self.counts.already_there += 1;
            if known.is_empty() && !self.options.is_dry_run {
                store::imports::insert_known(&services.store, keys.iter().take(1)).await?;
            }
            return Ok(());
        }
        self.counts.interests += 1;
        if self.options.is_dry_run {
            self.interests.insert(name.key(), 0);
            return Ok(());
        }
        let description = row.description.split_whitespace().collect::<Vec<_>>().join(" ");
        let description =
            InterestDescription::parse(&description).or_else(|_| InterestDescription::parse(""));
        let Ok(description) = description else { return Ok(()) };
        let now = services.clock.now();
        let txn = services.store.begin().await?;
        self.begin(&txn, now).await?;
        let added = store::interests::insert(&txn, &name, &description, row.is_active, None, now).await?;
        store::imports::insert_known(&txn, keys.iter().take(1)).await?;
        txn.commit().await?;
        self.has_begun = true;
        self.interests.extend(added.map(|interest| (name.key(), interest.id)));
        Ok(())
    }

    /// Writes into the audit log that the import began, with the first rows that it writes.
    async fn begin(&self, txn: &Txn, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.has_begun {
            return Ok(());
        }
        let event = Event::new(Action::ImportBegan, Actor::Command);
        let event = event.with("source", self.options.source.as_str());
        self.services.audit.write(txn, event, now).await
    }

    async fn finish(mut self) -> Result<Counts, ImportError> {
        self.people.extend(self.groups.rest());
        self.write().await?;
        if self.has_begun {
            let counts = self.counts;
            let event = Event::new(Action::ImportEnded, Actor::Command)
                .with("source", self.options.source.as_str())
                .with("accounts", counts.accounts)
                .with("leads", counts.leads)
                .with("merged", counts.merged)
                .with("refused", counts.refused);
            self.services.audit.note(event, self.services.clock.now());
            self.services.audit.flush().await?;
        }
        Ok(self.counts)
    }
}
