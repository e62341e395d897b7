//! Puts a server under load: workers that do a step again and again, and a clock that stands still while codes are read.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    meter::Meter,
    person::{Numbers, Person},
    scenario::{Ask, Plan, Scenario, Step},
    steps::{Shared, Worker},
};

/// How many users have a code at the same time: fewer than the inbox keeps, so that one request reads all codes.
const WAVE: usize = 900;

/// How many users have a password.
const WITH_PASSWORD: usize = 64;

/// How long a server is kept busy before it is measured, so that connections are open and plans are made.
const WARM_UP: Duration = Duration::from_secs(1);

/// The answers of some workers.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long each right answer took, in microseconds.
    pub right: Vec<u32>,
    /// How many answers were wrong.
    pub wrong: u64,
    /// The first wrong answer.
    pub first_wrong: Option<String>,
}

impl Tally {
    fn add(&mut self, result: Result<Duration>) {
        match result {
            Ok(took) => self.right.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
            Err(error) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.right.extend(other.right);
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }
}

/// When a wave ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// After so many steps.
    After(usize),
    /// When the time is up.
    At(Instant),
}

/// All connections to a server, and the users of the current wave.
pub struct Load {
    workers: Vec<Worker>,
    people: Arc<Vec<Shared>>,
    numbers: Arc<Numbers>,
}

impl Load {
    /// So many connections to this server.
    #[must_use]
    pub fn new(address: SocketAddr, connections: usize) -> Self {
        let numbers = Arc::new(Numbers::default());
        let worker = |number| Worker::new(number, address, Arc::clone(&numbers));
        // A step that is about no user gets this one.
        let people = Arc::new(vec![Shared::new(Person::default())]);
        Self { workers: (0..connections).map(worker).collect(), people, numbers }
    }

    /// Measures a scenario for at least so long.
    pub async fn measure(
        &mut self,
        scenario: Scenario,
        length: Duration,
        meter: &mut Meter,
    ) -> Result<Tally> {
        let Plan { before, asks, step } = scenario.plan();
        self.prepare(before).await?;
        let mut tally = Tally::default();
        let Some(ask) = asks else {
            self.wave(step, End::At(Instant::now() + WARM_UP)).await?;
            meter.start();
            tally.merge(self.wave(step, End::At(Instant::now() + length)).await?);
            meter.stop();
            return Ok(tally);
        };
        while meter.elapsed() < length {
            if ask.of_new_users {
                self.new_people(WAVE);
            }
            tally.merge(self.ask(ask, meter).await?);
            meter.start();
            tally.merge(self.wave(step, End::After(WAVE)).await?);
            meter.stop();
        }
        Ok(tally)
    }

    /// Does some steps for every user, and fails if an answer is wrong.
    async fn prepare(&mut self, steps: &[Step]) -> Result<()> {
        if !steps.is_empty() {
            // A password takes long to hash.
            self.new_people(if steps.contains(&Step::Register) { WITH_PASSWORD } else { WAVE });
        }
        for step in steps {
            let tally = self.wave(*step, End::After(self.people.len())).await?;
            if let Some(wrong) = tally.first_wrong {
                bail!("{step:?}, which prepares the measurement, failed: {wrong}");
            }
            if *step == Step::SignUp {
                self.read_codes().await?;
            }
        }
        Ok(())
    }

    /// Asks for the codes of a wave and reads them. Returns wrong answers only: the steps that follow are counted.
    async fn ask(&mut self, ask: Ask, meter: &mut Meter) -> Result<Tally> {
        if ask.is_measured {
            meter.start();
        }
        let asked = self.wave(ask.step, End::After(WAVE)).await?;
        meter.stop();
        self.read_codes().await?;
        // A user without a code is a wrong answer of the next step, so it is not counted here.
        Ok(Tally { first_wrong: asked.first_wrong, ..Tally::default() })
    }

    fn new_people(&mut self, count: usize) {
        self.people = Arc::new((0..count).map(|_| Shared::new(self.numbers.next())).collect());
    }

    async fn read_codes(&mut self) -> Result<()> {
        let worker = self.workers.first_mut().context("no connection")?;
        worker.read_codes(&self.people).await
    }

    /// All workers do a step until the end. A request that was sent before the end is waited for.
    async fn wave(&mut self, step: Step, end: End) -> Result<Tally> {
        let next = Arc::new(AtomicU64::new(0));
        let mut running = JoinSet::new();
        for worker in self.workers.drain(..) {
            running.spawn(work(worker, step, end, Arc::clone(&next), Arc::clone(&self.people)));
        }
        let mut tally = Tally::default();
        while let Some(ended) = running.join_next().await {
            let (worker, own) = ended?;
            self.workers.push(worker);
            tally.merge(own);
        }
        Ok(tally)
    }
}

async fn work(
    mut worker: Worker,
    step: Step,
    end: End,
    next: Arc<AtomicU64>,
    people: Arc<Vec<Shared>>,
) -> (Worker, Tally) {
    let mut tally = Tally::default();
    loop {
        let turn = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
        let is_over = match end {
            End::After(count) => turn >= count,
            End::At(time) => Instant::now() >= time,
        };
        // A session is refreshed by one connection, because a refresh token is used once.
        let index = if step == Step::Refresh { worker.number } else { turn };
        let person = people.get(index % people.len().max(1)).filter(|_| !is_over);
        let Some(person) = person else {
            return (worker, tally);
        };
        tally.add(worker.perform(step, person).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_right_answers_have_a_time() {
        let mut tally = Tally::default();
        tally.add(Ok(Duration::from_millis(2)));
        tally.add(Err(anyhow::anyhow!("503")));
        tally.add(Err(anyhow::anyhow!("429")));
        let mut all = Tally::default();
        all.add(Ok(Duration::from_micros(7)));
        all.merge(tally);
        assert_eq!((all.right, all.wrong), (vec![7, 2000], 2));
        assert_eq!(all.first_wrong.as_deref(), Some("503"));
    }
}
