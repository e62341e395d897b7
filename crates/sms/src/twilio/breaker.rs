//! A circuit breaker: when Twilio is away, nobody waits for it, and it is not asked by everybody at once when it is back.
//!
//! After [`FAILURES`] messages in a row that got no answer, or a 5xx or 429 for one, it opens, and messages are answered
//! at once. After [`FIRST_PAUSE`] one message is let through, the probe. If it is answered, whatever the answer, the
//! breaker closes; if not, it stays open for twice as long, at most for [`LONGEST_PAUSE`].
//!
//! It reads no clock: whoever asks it brings the time. That may be a wall clock that somebody sets back, so a pause that
//! would last longer than it was meant to is over.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{error, info};

/// So many messages in a row open it.
const FAILURES: u32 = 5;

/// How long it is open at first, and at most.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(2);
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(30);

#[derive(Debug)]
pub(super) struct Breaker {
    /// `None` is one that never opens.
    state: Option<Mutex<State>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    circuit: Circuit,
    /// How many probes there were, so that each has a number of its own.
    probes: u64,
}

#[derive(Debug, Clone, Copy)]
enum Circuit {
    Closed {
        /// Messages in a row that failed.
        failures: u32,
    },
    Open {
        /// When the next probe may go.
        until: DateTime<Utc>,
        /// How long it was opened for.
        pause: TimeDelta,
        /// The probe that is under way.
        probe: Option<u64>,
    },
}

/// A message's leave to ask Twilio. Dropped without a word, a probe makes room for the next one.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: Option<u64>,
}

impl Breaker {
    pub(super) fn new(is_on: bool) -> Self {
        let state = State { circuit: Circuit::Closed { failures: 0 }, probes: 0 };
        Self { state: is_on.then(|| Mutex::new(state)) }
    }

    /// Lets a message ask Twilio.
    ///
    /// # Errors
    /// While the breaker is open, with the seconds until the next probe, at least 1.
    pub(super) fn admit(&self, now: DateTime<Utc>) -> Result<Pass<'_>, u64> {
        let probe = match self.lock() {
            None => None,
            Some(mut state) => state.admit(now)?,
        };
        Ok(Pass { breaker: self, probe })
    }

    /// A thread that panicked with the lock held has changed the state whole or not at all.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.state.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pass<'_> {
    /// The seconds until the next probe, if the breaker has opened since and this is not the probe.
    pub(super) fn shut(&self, now: DateTime<Utc>) -> Option<u64> {
        match self.breaker.lock()?.circuit {
            Circuit::Open { until, pause, probe } if probe.is_none() || probe != self.probe => {
                Some(seconds_left(until, pause, now))
            }
            Circuit::Open { .. } | Circuit::Closed { .. } => None,
        }
    }

    /// Twilio gave an answer of its own, be it a refusal.
    pub(super) fn answered(self) {
        let Some(mut state) = self.breaker.lock() else { return };
        let was_open = matches!(state.circuit, Circuit::Open { .. });
        state.circuit = Circuit::Closed { failures: 0 };
        drop(state);
        if was_open {
            info!("SMS provider is back: messages are sent again");
        }
    }

    /// Twilio gave no answer, or said that it could not.
    pub(super) fn failed(self, now: DateTime<Utc>) {
        let Some(mut state) = self.breaker.lock() else { return };
        let has_opened = state.fail(self.probe, now);
        drop(state);
        if has_opened {
            error!(
                failures = FAILURES,
                "SMS provider is away: messages are refused until one of them, let through now and then, is answered"
            );
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let Some(own) = self.probe else { return };
        if let Some(mut state) = self.breaker.lock() {
            state.forget(own);
        }
    }
}

impl State {
    /// The number of the probe, if this message is to be one.
    fn admit(&mut self, now: DateTime<Utc>) -> Result<Option<u64>, u64> {
        let Circuit::Open { until, pause, probe } = &mut self.circuit else { return Ok(None) };
        if probe.is_some() || !is_over(*until, *pause, now) {
            return Err(seconds_left(*until, *pause, now));
        }
        self.probes += 1;
        *probe = Some(self.probes);
        Ok(*probe)
    }

    /// Whether this failure opened it. What fails while it is open and is not the probe began before: it says nothing
    /// new.
    fn fail(&mut self, own: Option<u64>, now: DateTime<Utc>) -> bool {
        match self.circuit {
            Circuit::Closed { failures } if failures + 1 < FAILURES => {
                self.circuit = Circuit::Closed { failures: failures + 1 };
                false
            }
            Circuit::Closed { .. } => {
                self.open(FIRST_PAUSE, now);
                true
            }
            Circuit::Open { pause, probe, .. } => {
                if probe.is_some() && probe == own {
                    self.open((pause * 2).min(LONGEST_PAUSE), now);
                }
                false
            }
        }
    }

    fn open(&mut self, pause: TimeDelta, now: DateTime<Utc>) {
        self.circuit = Circuit::Open { until: now + pause, pause, probe: None };
    }

    /// A probe that came to no end. The next message may be one at once.
    fn forget(&mut self, own: u64) {
        if let Circuit::Open { probe, .. } = &mut self.circuit
            && *probe == Some(own)
        {
            *probe = None;
        }
    }
}

fn is_over(until: DateTime<Utc>, pause: TimeDelta, now: DateTime<Utc>) -> bool {
    let left = until - now;
    left <= TimeDelta::zero() || left > pause
}

/// Rounded up; 1 while a probe is under way.
fn seconds_left(until: DateTime<Utc>, pause: TimeDelta, now: DateTime<Utc>) -> u64 {
    if is_over(until, pause, now) {
        return 1;
    }
    let millis = u64::try_from((until - now).num_milliseconds()).unwrap_or(0);
    millis.div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// One that opened at this time.
    fn opened(seconds: i64) -> Breaker {
        let breaker = Breaker::new(true);
        for _ in 0..FAILURES {
            breaker.admit(at(seconds)).unwrap().failed(at(seconds));
        }
        breaker
    }

    fn provider_error(breaker: &Breaker, now: DateTime<Utc>) -> Option<u64> {
        breaker.admit(now).err()
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let breaker = Breaker::new(true);
        for _ in 0..4 {
            breaker.admit(at(0)).unwrap().failed(at(0));
        }
        breaker.admit(at(0)).unwrap().answered();
        for _ in 0..4 {
            breaker.admit(at(0)).unwrap().failed(at(0));
        }
        let fifth = breaker.admit(at(0)).unwrap();
        assert_eq!(fifth.shut(at(0)), None);
        fifth.failed(at(0));
        assert_eq!(provider_error(&breaker, at(0)), Some(2));
    }

    #[test]
    fn what_neither_failed_nor_was_answered_does_not_count() {
        let breaker = Breaker::new(true);
        for _ in 0..20 {
            drop(breaker.admit(at(0)).unwrap());
        }
        assert_eq!(provider_error(&breaker, at(0)), None);
    }

    #[test]
    fn after_the_pause_one_message_is_let_through() {
        let breaker = opened(0);
        let almost = at(2) - TimeDelta::milliseconds(1);
        assert_eq!(provider_error(&breaker, almost), Some(1));
        let probe = breaker.admit(at(2)).unwrap();
        assert_eq!(probe.shut(at(2)), None);
        assert_eq!(provider_error(&breaker, at(2)), Some(1));
        probe.answered();
        assert_eq!(provider_error(&breaker, at(2)), None);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_thirty_seconds() {
        let breaker = opened(0);
        let mut now = at(0);
        for pause in [2, 4, 8, 16, 30, 30] {
            assert_eq!(provider_error(&breaker, now), Some(pause));
            now += TimeDelta::seconds(i64::try_from(pause).unwrap());
            breaker.admit(now).unwrap().failed(now);
        }
        breaker.admit(now + LONGEST_PAUSE).unwrap().answered();
        // Closed, it begins anew.
        for _ in 0..FAILURES {
            breaker.admit(now).unwrap().failed(now);
        }
        assert_eq!(provider_error(&breaker, now), Some(2));
    }

    #[test]
    fn failures_that_race_open_it_once() {
        let breaker = Breaker::new(true);
        let passes: Vec<_> = (0..20).map(|_| breaker.admit(at(0)).unwrap()).collect();
        for (second, pass) in (0..).zip(passes) {
            pass.failed(at(second));
        }
        // The fifth opened it; the fifteen after it neither lengthen the pause nor begin it anew.
        let probe = breaker.admit(at(4 + 2)).unwrap();
        probe.failed(at(6));
        assert_eq!(provider_error(&breaker, at(6)), Some(4));
    }

    #[test]
    fn a_dropped_probe_makes_room_for_the_next() {
        let breaker = opened(0);
        drop(breaker.admit(at(2)).unwrap());
        let probe = breaker.admit(at(2)).unwrap();
        assert_eq!(provider_error(&breaker, at(2)), Some(1));
        probe.failed(at(2));
        assert_eq!(provider_error(&breaker, at(2)), Some(4));
    }

    #[test]
    fn a_late_answer_to_a_message_from_before_closes_it_and_a_late_failure_changes_nothing() {
        let breaker = Breaker::new(true);
        let (late_failure, late_answer) = (breaker.admit(at(0)).unwrap(), breaker.admit(at(0)).unwrap());
        for _ in 0..FAILURES {
            breaker.admit(at(0)).unwrap().failed(at(0));
        }
        assert_eq!(late_answer.shut(at(1)), Some(1));
        let probe = breaker.admit(at(2)).unwrap();
        late_failure.failed(at(2));
        assert_eq!(probe.shut(at(2)), None, "it is still the probe");
        late_answer.answered();
        assert_eq!(provider_error(&breaker, at(2)), None);
        // The probe's number means nothing any more.
        probe.failed(at(2));
        assert_eq!(provider_error(&breaker, at(2)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let breaker = opened(3_600);
        assert!(breaker.admit(at(0)).is_ok());
    }

    #[test]
    fn one_that_is_off_never_opens() {
        let breaker = Breaker::new(false);
        for _ in 0..100 {
            let pass = breaker.admit(at(0)).unwrap();
            assert_eq!(pass.shut(at(0)), None);
            pass.failed(at(0));
        }
    }
}
