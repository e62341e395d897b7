use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use super::*;

/// A clock that is moved by hand.
#[derive(Clone, Default)]
struct ManualClock(Arc<Mutex<Duration>>);

impl ManualClock {
    fn advance(&self, millis: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += Duration::from_millis(millis);
    }
}

impl Clock for ManualClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn guard(per_second: u32, burst: u32) -> (Guard<ManualClock>, ManualClock) {
    let clock = ManualClock::default();
    let number = |number| NonZeroU32::new(number).unwrap();
    let settings = GuardSettings { per_second: number(per_second), burst: number(burst) };
    (Guard::new(settings, clock.clone()), clock)
}

fn address(text: &str) -> ClientAddress {
    ClientAddress::new(text.parse().unwrap())
}

/// The address with this number.
fn numbered_address(number: u32) -> ClientAddress {
    ClientAddress::new(IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + number)))
}

/// How many requests of this address are allowed before one is refused.
fn allowed(guard: &Guard<ManualClock>, from: ClientAddress) -> u32 {
    (0..10_000).take_while(|_| guard.check(from).is_ok()).count().try_into().unwrap()
}

#[test]
fn after_the_burst_it_is_the_rate() {
    let (guard, clock) = guard(100, 500);
    let one = address("203.0.113.7");
    assert_eq!(allowed(&guard, one), 500);
    clock.advance(9);
    assert_eq!(allowed(&guard, one), 0);
    clock.advance(1);
    assert_eq!(allowed(&guard, one), 1);
    clock.advance(1000);
    assert_eq!(allowed(&guard, one), 100);
    clock.advance(4999);
    assert_eq!(allowed(&guard, one), 499);
    clock.advance(5000);
    assert_eq!(allowed(&guard, one), 500);
    clock.advance(1_000_000);
    assert_eq!(allowed(&guard, one), 500, "a longer wait adds nothing");
}

#[test]
fn what_is_refused_costs_nothing() {
    let (guard, clock) = guard(1, 2);
    let one = address("203.0.113.7");
    assert_eq!(allowed(&guard, one), 2);
    for _ in 0..1000 {
        assert!(guard.check(one).is_err());
    }
    clock.advance(1000);
    assert_eq!(allowed(&guard, one), 1);
}

#[test]
fn whoever_is_refused_is_told_when_to_come_back() {
    for (per_second, burst, window) in [(1, 3, 3), (100, 500, 5), (100, 1, 1), (7, 500, 72)] {
        let (guard, clock) = guard(per_second, burst);
        let one = address("203.0.113.7");
        assert_eq!(allowed(&guard, one), burst);
        let TooFast { retry_after, status } = guard.check(one).unwrap_err();
        assert_eq!(retry_after, 1);
        assert_eq!(
            status,
            LimitStatus {
                policy: "guard",
                quota: burst.into(),
                window_seconds: window,
                remaining: 0,
                reset_seconds: 1
            }
        );
        clock.advance(1000);
        assert!(guard.check(one).is_ok(), "the wait that was announced is enough");
    }
}

#[test]
fn each_address_is_counted_for_itself_and_a_subscriber_of_ipv6_is_one() {
    let (guard, _clock) = guard(1, 3);
    assert_eq!(allowed(&guard, address("203.0.113.7")), 3);
    assert_eq!(allowed(&guard, address("::ffff:203.0.113.7")), 0);
    assert_eq!(allowed(&guard, address("203.0.113.8")), 3);
    let prefix = u128::from("2001:db8:1:2::".parse::<Ipv6Addr>().unwrap());
    let of_one =
        |number: u128| ClientAddress::new(IpAddr::V6(Ipv6Addr::from_bits(prefix + number * 0x1_0001)));
    assert_eq!((0..1000).filter(|number| guard.check(of_one(*number)).is_ok()).count(), 3);
    assert_eq!(allowed(&guard, address("2001:db8:1:3::1")), 3);
}

#[test]
fn a_million_addresses_leave_nothing_behind() {
    let (guard, clock) = guard(100, 500);
    let mut most = 0;
    for number in 0..1_000_000 {
        assert!(guard.check(numbered_address(number)).is_ok());
        // 10,000 addresses a second: at any time 100 of them are less than 10 ms old, and are needed.
        if number % 10 == 9 {
            clock.advance(1);
            most = most.max(guard.limiter.len());
        }
    }
    assert!(most <= MIN_CHECKS_BETWEEN_SWEEPS + 200, "{most} were held");
}

#[test]
fn who_still_matters_is_kept_however_many_come() {
    let (guard, clock) = guard(100, 500);
    let one = address("203.0.113.7");
    assert_eq!(allowed(&guard, one), 500);
    let mut most = 0;
    // All at the same time, so none of them can be removed yet.
    for number in 0..200_000 {
        assert!(guard.check(numbered_address(number % 40_000)).is_ok());
        most = most.max(guard.limiter.len());
    }
    assert_eq!(most, 40_001);
    clock.advance(4000);
    assert_eq!(allowed(&guard, one), 400);
    clock.advance(60_000);
    for number in 0..100_000 {
        let _ = guard.check(numbered_address(number % 10));
    }
    assert!(guard.limiter.len() <= 10, "{} are still held", guard.limiter.len());
}

#[test]
fn sweeps_cost_each_check_the_same_however_many_are_held() {
    let (guard, _clock) = guard(1, 1_000_000);
    let (mut visited, mut last) = (0_usize, MIN_CHECKS_BETWEEN_SWEEPS);
    let checks = 300_000;
    for number in 0..checks {
        let _ = guard.check(numbered_address(number));
        let left = guard.checks_until_sweep.load(Ordering::Relaxed);
        if left > last {
            // A sweep has visited all addresses.
            visited += guard.limiter.len();
        }
        last = left;
    }
    assert!(visited > 0);
    assert!(visited <= 2 * checks as usize, "{visited} visits in {checks} checks");
}

#[test]
fn many_threads_get_no_more_than_one() {
    let (guard, _clock) = guard(1, 5000);
    let one = address("203.0.113.7");
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let guard = &guard;
                scope.spawn(move || {
                    (0..5000_u32)
                        .filter(|number| {
                            let _ = guard.check(numbered_address(thread * 5000 + number));
                            guard.check(one).is_ok()
                        })
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 5000);
}
