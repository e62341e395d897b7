//! The background tasks of a server. Each runs for as long as the server, and goes on after an outage of the database.

use std::time::Duration;

use tokio::{
    task::JoinHandle,
    time::{Interval, MissedTickBehavior},
};

use super::in_force::InForce;
use crate::flows::{Services, adaptive, blocks, delivery, events, housekeeping, interests};

/// How often test mode plays the delivery reports that are due.
const PLAY_EVERY: Duration = Duration::from_millis(250);

/// How often a server compares its copies with the database: before they are too old for a request.
const COPIES_EVERY: Duration = Duration::from_secs(3);

/// How often a server reads the order of providers again, and one of them judges it.
const ROUTING_EVERY: Duration = Duration::from_secs(30);

/// How often a server checks whether messages are due to be counted, and old rows to be removed.
const HOUSEKEEPING_EVERY: Duration = Duration::from_mins(1);

/// How often the server that sends events looks for new ones, and another one whether it is gone.
const EVENTS_EVERY: Duration = Duration::from_secs(1);
const EVENTS_LEASE_EVERY: Duration = Duration::from_secs(5);

/// How often events that are not delivered are counted.
const EVENTS_COUNTED_EVERY: Duration = Duration::from_secs(30);

/// Starts the tasks. Reports are played in test mode only: otherwise the provider sends them.
pub(super) fn start(services: &InForce<Services>, is_test_mode: bool) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(run_housekeeping(services.clone())),
        tokio::spawn(compare_copies(services.clone())),
    ];
    if let Some(sender) = events::Sender::new(&services.get()) {
        tasks.push(tokio::spawn(send_events(sender)));
        tasks.push(tokio::spawn(count_events(services.clone())));
    }
    if services.get().adaptive.is_some() {
        tasks.push(tokio::spawn(judge_providers(services.clone())));
    }
    if is_test_mode {
        tasks.push(tokio::spawn(play_reports(services.clone())));
    }
    tasks
}

/// Ticks that were missed are not made up for: the next one comes a whole period after a late one.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Plays delivery reports in test mode, which has no provider, for as long as the server runs.
async fn play_reports(services: InForce<Services>) {
    let mut interval = every(PLAY_EVERY);
    loop {
        interval.tick().await;
        if let Err(error) = delivery::play(&services.get()).await {
            tracing::warn!(%error, "test mode: the status of messages could not be recorded");
        }
    }
}

/// Keeps the copies of blocks and interests fresh, for as long as the server runs, so that requests rarely wait for it.
async fn compare_copies(services: InForce<Services>) {
    let mut interval = every(COPIES_EVERY);
    loop {
        interval.tick().await;
        // Without the database requests fail and say so in the log.
        if let Err(error) = blocks::refresh(&services.get()).await {
            tracing::debug!(%error, "the blocks could not be read again");
        }
        if let Err(error) = interests::refresh(&services.get()).await {
            tracing::debug!(%error, "the interests could not be read again");
        }
    }
}

/// Sends events, for as long as the server runs.
async fn send_events(mut sender: events::Sender) {
    loop {
        if let Err(error) = sender.send_due().await {
            tracing::warn!(%error, "events could not be sent");
        }
        tokio::time::sleep(if sender.has_lease() { EVENTS_EVERY } else { EVENTS_LEASE_EVERY }).await;
    }
}

/// Counts the events that are not delivered, for as long as the server runs.
async fn count_events(services: InForce<Services>) {
    let mut interval = every(EVENTS_COUNTED_EVERY);
    loop {
        interval.tick().await;
        if let Err(error) = events::measure(&services.get()).await {
            tracing::debug!(%error, "the events could not be counted");
        }
    }
}

/// Judges the providers and reads their order, for as long as the server runs.
async fn judge_providers(services: InForce<Services>) {
    let mut interval = every(ROUTING_EVERY);
    loop {
        interval.tick().await;
        if let Err(error) = adaptive::judge_if_due(&services.get()).await {
            tracing::warn!(%error, "the order of the SMS providers could not be judged");
        }
    }
}

/// Counts messages and removes old rows, for as long as the server runs.
async fn run_housekeeping(services: InForce<Services>) {
    let mut interval = every(HOUSEKEEPING_EVERY);
    loop {
        interval.tick().await;
        if let Err(error) = housekeeping::count_if_due(&services.get()).await {
            tracing::warn!(%error, "the messages of a day could not be counted");
        }
        if let Err(error) = housekeeping::purge_if_due(&services.get()).await {
            tracing::warn!(%error, "old rows could not be removed");
        }
    }
}
