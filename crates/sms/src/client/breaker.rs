//! A circuit breaker: while a provider is down, messages fail at once instead of waiting, and when it recovers it does
//! not get all requests at the same time.
//!
//! It opens after [`FAILURES`] messages in a row that got no response, a 5xx or a 429; messages then fail at once.
//! After [`FIRST_PAUSE`] it lets one message through, the probe. An answer other than a 5xx or a 429, to the
//! probe or to an earlier message, closes the breaker. Otherwise it stays open for twice as long, at most for
//! [`LONGEST_PAUSE`].
//!
//! It reads no clock: the caller passes the time. The caller's clock may be set back, so a remaining pause that is
//! longer than the whole pause counts as over.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{error, info};

/// This many failed messages in a row open it.
const FAILURES: u32 = 5;

/// The first pause, and the longest.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(2);
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(30);

#[derive(Debug)]
pub(super) struct Breaker {
    /// `None` if the breaker is switched off.
    state: Option<Mutex<State>>,
    /// The provider, for the log.
    provider: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct State {
    circuit: Circuit,
    /// The number of probes so far, so that each has its own number.
    probes: u64,
}

#[derive(Debug, Clone, Copy)]
enum Circuit {
    Closed {
        /// Failed messages in a row.
        failures: u32,
    },
    Open {
        /// When the next probe may be sent.
        until: DateTime<Utc>,
        /// The length of this pause.
        pause: TimeDelta,
        /// The current probe.
        probe: Option<u64>,
    },
}

/// Permission to send one message. If a probe's pass is dropped without a result, the next message can be
/// the probe.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: Option<u64>,
}

impl Breaker {
    pub(super) fn new(is_on: bool, provider: &'static str) -> Self {
        let state = State { circuit: Circuit::Closed { failures: 0 }, probes: 0 };
        Self { state: is_on.then(|| Mutex::new(state)), provider }
    }

    /// Admits a message.
    ///
    /// # Errors
    /// The seconds until the next probe, at least 1, while the breaker is open.
    pub(super) fn admit(&self, now: DateTime<Utc>) -> Result<Pass<'_>, u64> {
        let probe = match self.lock() {
            None => None,
            Some(mut state) => state.admit(now)?,
        };
        Ok(Pass { breaker: self, probe })
    }

    /// Whether messages fail at once, except for probes.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some_and(|state| matches!(state.circuit, Circuit::Open { .. }))
    }

    /// A panic never leaves a half-changed state behind, so a poisoned lock can be used.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.state.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pass<'_> {
    /// The seconds until the next probe, if the breaker has opened since this pass was given and this is not the
    /// probe.
    pub(super) fn blocked_for(&self, now: DateTime<Utc>) -> Option<u64> {
        match self.breaker.lock()?.circuit {
            Circuit::Open { until, pause, probe } if probe.is_none() || probe != self.probe => {
                Some(seconds_left(until, pause, now))
            }
            Circuit::Open { .. } | Circuit::Closed { .. } => None,
        }
    }

    /// The provider answered, even if it refused the message.
    pub(super) fn answered(self) {
        let Some(mut state) = self.breaker.lock() else { return };
        let was_open = matches!(state.circuit, Circuit::Open { .. });
        state.circuit = Circuit::Closed { failures: 0 };
        drop(state);
        if was_open {
            info!(provider = self.breaker.provider, "SMS provider is up again: messages are sent");
        }
    }

    /// The provider did not answer, or answered with a 5xx or 429.
    pub(super) fn failed(self, now: DateTime<Utc>) {
        let Some(mut state) = self.breaker.lock() else { return };
        let has_opened = state.fail(self.probe, now);
        drop(state);
        if has_opened {
            error!(
                provider = self.breaker.provider,
                failures = FAILURES,
                "SMS provider is down: messages are refused until a probe is answered"
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
    /// The number of the probe, if this message becomes one.
    fn admit(&mut self, now: DateTime<Utc>) -> Result<Option<u64>, u64> {
        let Circuit::Open { until, pause, probe } = &mut self.circuit else { return Ok(None) };
        if probe.is_some() || !is_over(*until, *pause, now) {
            return Err(seconds_left(*until, *pause, now));
        }
        self.probes += 1;
        *probe = Some(self.probes);
        Ok(*probe)
    }

    /// Records a failure, and returns whether it opened the breaker. While it is open, only the probe's failure
    /// counts: other messages were sent before it opened.
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

    /// Ends a probe without a result, so that the next message can be one.
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

/// The seconds until the next probe, rounded up; 1 while a probe is under way.
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

    /// A breaker that opened at this time.
    fn opened(seconds: i64) -> Breaker {
        let breaker = Breaker::new(true, "test");
        for _ in 0..FAILURES {
            breaker.admit(at(seconds)).unwrap().failed(at(seconds));
        }
        breaker
    }

    fn refused_for(breaker: &Breaker, now: DateTime<Utc>) -> Option<u64> {
        breaker.admit(now).err()
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let breaker = Breaker::new(true, "test");
        for _ in 0..4 {
            breaker.admit(at(0)).unwrap().failed(at(0));
        }
        breaker.admit(at(0)).unwrap().answered();
        for _ in 0..4 {
            breaker.admit(at(0)).unwrap().failed(at(0));
        }
        let fifth = breaker.admit(at(0)).unwrap();
        assert_eq!(fifth.blocked_for(at(0)), None);
        fifth.failed(at(0));
        assert_eq!(refused_for(&breaker, at(0)), Some(2));
    }

    #[test]
    fn what_neither_failed_nor_was_answered_does_not_count() {
        let breaker = Breaker::new(true, "test");
        for _ in 0..20 {
            drop(breaker.admit(at(0)).unwrap());
        }
        assert_eq!(refused_for(&breaker, at(0)), None);
    }

    #[test]
    fn after_the_pause_one_message_is_let_through() {
        let breaker = opened(0);
        let almost = at(2) - TimeDelta::milliseconds(1);
        assert_eq!(refused_for(&breaker, almost), Some(1));
        let probe = breaker.admit(at(2)).unwrap();
        assert_eq!(probe.blocked_for(at(2)), None);
        assert_eq!(refused_for(&breaker, at(2)), Some(1));
        probe.answered();
        assert_eq!(refused_for(&breaker, at(2)), None);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_thirty_seconds() {
        let breaker = opened(0);
        let mut now = at(0);
        for pause in [2, 4, 8, 16, 30, 30] {
            assert_eq!(refused_for(&breaker, now), Some(pause));
            now += TimeDelta::seconds(i64::try_from(pause).unwrap());
            breaker.admit(now).unwrap().failed(now);
        }
        breaker.admit(now + LONGEST_PAUSE).unwrap().answered();
        // After closing, it starts with the first pause again.
        for _ in 0..FAILURES {
            breaker.admit(now).unwrap().failed(now);
        }
        assert_eq!(refused_for(&breaker, now), Some(2));
    }

    #[test]
    fn failures_that_race_open_it_once() {
        let breaker = Breaker::new(true, "test");
        let passes: Vec<_> = (0..20).map(|_| breaker.admit(at(0)).unwrap()).collect();
        for (second, pass) in (0..).zip(passes) {
            pass.failed(at(second));
        }
        // The fifth failure opened it; the fifteen after it neither lengthen nor restart the pause.
        let probe = breaker.admit(at(4 + 2)).unwrap();
        probe.failed(at(6));
        assert_eq!(refused_for(&breaker, at(6)), Some(4));
    }

    #[test]
    fn a_dropped_probe_makes_room_for_the_next() {
        let breaker = opened(0);
        drop(breaker.admit(at(2)).unwrap());
        let probe = breaker.admit(at(2)).unwrap();
        assert_eq!(refused_for(&breaker, at(2)), Some(1));
        probe.failed(at(2));
        assert_eq!(refused_for(&breaker, at(2)), Some(4));
    }

    #[test]
    fn a_late_answer_to_a_message_from_before_closes_it_and_a_late_failure_changes_nothing() {
        let breaker = Breaker::new(true, "test");
        let (late_failure, late_answer) = (breaker.admit(at(0)).unwrap(), breaker.admit(at(0)).unwrap());
        for _ in 0..FAILURES {
            breaker.admit(at(0)).unwrap().failed(at(0));
        }
        assert_eq!(late_answer.blocked_for(at(1)), Some(1));
        let probe = breaker.admit(at(2)).unwrap();
        late_failure.failed(at(2));
        assert_eq!(probe.blocked_for(at(2)), None, "it is still the probe");
        late_answer.answered();
        assert_eq!(refused_for(&breaker, at(2)), None);
        // The probe's number is no longer current.
        probe.failed(at(2));
        assert_eq!(refused_for(&breaker, at(2)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let breaker = opened(3_600);
        assert!(breaker.admit(at(0)).is_ok());
    }

    #[test]
    fn one_that_is_off_never_opens() {
        let breaker = Breaker::new(false, "test");
        for _ in 0..100 {
            let pass = breaker.admit(at(0)).unwrap();
            assert_eq!(pass.blocked_for(at(0)), None);
            pass.failed(at(0));
        }
    }
}
