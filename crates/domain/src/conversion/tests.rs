//! Tests of the rule, and a simulation of a provider that loses messages silently.

use std::collections::VecDeque;

use super::*;

fn phone(number: u64) -> PhoneNumber {
    PhoneNumber::from_e164(&format!("+9198{number:08}")).unwrap()
}

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, number).unwrap()
}

fn sample(number: u64, of: u32, is_verified: bool) -> Sample {
    Sample { phone: phone(number), day: day(of), is_verified }
}

fn judged(provider: char, sent: usize, verified: usize, is_behind: bool) -> Judged<char> {
    Judged { provider, conversion: Conversion { sent, verified }, is_behind }
}

#[test]
fn a_provider_goes_behind_below_half_and_returns_at_three_quarters() {
    let other = judged('B', 100, 80, false);
    for (verified, is_behind, expected) in
        [(40, false, false), (39, false, true), (59, true, true), (60, true, false), (100, true, false)]
    {
        let list = [judged('A', 100, verified, is_behind), other];
        assert_eq!(behind(&list), if expected { vec!['A'] } else { vec![] }, "{verified} {is_behind}");
    }
}

#[test]
fn few_samples_decide_nothing() {
    for (list, expected) in [
        ([judged('A', 49, 0, false), judged('B', 100, 90, false)], vec![]),
        ([judged('A', 50, 0, false), judged('B', 49, 49, false)], vec![]),
        ([judged('A', 50, 0, false), judged('B', 50, 25, false)], vec!['A']),
        // Nothing arrives anywhere: none is better.
        ([judged('A', 100, 0, false), judged('B', 100, 0, false)], vec![]),
        // It went behind a day ago, and has had too few codes since.
        ([judged('A', 20, 0, true), judged('B', 100, 90, false)], vec![]),
    ] {
        assert_eq!(behind(&list), expected, "{list:?}");
    }
}

#[test]
fn the_order_of_the_list_stays_among_equals() {
    for (back, expected) in [
        ("", "ABCD"),
        ("A", "BCDA"),
        ("CA", "BDAC"),
        ("ABCD", "ABCD"),
        // It is not in the list any more.
        ("X", "ABCD"),
    ] {
        let back: Vec<char> = back.chars().collect();
        assert_eq!(order(&['A', 'B', 'C', 'D'], &back).iter().collect::<String>(), expected);
    }
}

#[test]
fn one_sample_of_each_phone_and_day_counts() {
    let newest_first = [
        sample(1, 28, true),
        sample(1, 28, false),
        sample(2, 28, false),
        sample(1, 27, false),
        sample(1, 27, true),
    ];
    assert_eq!(Conversion::of(&newest_first), Conversion { sent: 3, verified: 1 });
    let many: Vec<Sample> = (0..500).map(|number| sample(number, 28, number < 100)).collect();
    assert_eq!(Conversion::of(&many), Conversion { sent: 100, verified: 100 });
}

/// Random numbers that are the same in every run (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn is_one_of(&mut self, sides: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).is_multiple_of(sides)
    }
}

/// What came of a simulation.
#[derive(Default)]
struct Simulated {
    /// Users whose code was lost.
    waited: u32,
    /// When the first provider had its place again, counted from the end of the outage.
    returned: Option<Duration>,
}

/// A user signs in every ten seconds. After a day the first provider loses four of five messages for two hours, and says "sent". Of codes
/// that arrive nine of ten are entered.
fn simulate(is_adaptive: bool, seed: u64) -> Simulated {
    const EVERY_SECONDS: i64 = 10;
    let mut dice = Dice(seed);
    let start = DateTime::UNIX_EPOCH + Duration::days(20_000);
    let outage = start + Duration::hours(24)..start + Duration::hours(26);
    let mut sent: [VecDeque<(DateTime<Utc>, Sample)>; 2] = Default::default();
    let mut back: Vec<usize> = Vec::new();
    let mut simulated = Simulated::default();
    for tick in 0..(36 * 3_600 / EVERY_SECONDS) {
        let now = start + Duration::seconds(tick * EVERY_SECONDS);
        // Once in thirty seconds, as the server does.
        if tick % 3 == 0 && is_adaptive {
            let (from, before) = window(now);
            let judged = [0, 1].map(|provider: usize| {
                let counted = sent[provider].iter().skip_while(|(at, _)| *at >= before);
                let counted = counted.take_while(|(at, _)| *at >= from).take(MOST_SAMPLES);
                let samples: Vec<Sample> = counted.map(|(_, sample)| sample.clone()).collect();
                Judged { provider, conversion: Conversion::of(&samples), is_behind: back.contains(&provider) }
            });
            back = behind(&judged);
        }
        let mut way = order(&[0, 1], &back);
        if is_adaptive && dice.is_one_of(u64::from(PROBE_ONE_IN)) {
            way.rotate_left(1);
        }
        let provider = way[0];
        let is_lost = provider == 0 && outage.contains(&now) && !dice.is_one_of(5);
        let is_verified = !is_lost && !dice.is_one_of(10);
        let number = u64::try_from(tick).unwrap();
        let sample = Sample { phone: phone(number), day: now.date_naive(), is_verified };
        sent[provider].push_front((now, sample));
        simulated.waited += u32::from(is_lost);
        if now >= outage.end && back.is_empty() && simulated.returned.is_none() {
            simulated.returned = Some(now - outage.end);
        }
    }
    simulated
}

/// The figures are in `docs/PROVIDERS.md`.
#[test]
fn a_provider_that_loses_messages_silently_is_left_soon_and_returns() {
    const RUNS: u32 = 3;
    let (mut without, mut with, mut returned) = (0, 0, Duration::zero());
    for seed in 0..u64::from(RUNS) {
        without += simulate(false, seed).waited;
        let adaptive = simulate(true, seed);
        with += adaptive.waited;
        returned += adaptive.returned.expect("it delivers again");
    }
    let (without, with, returned) = (without / RUNS, with / RUNS, returned.num_minutes() / i64::from(RUNS));
    println!(
        "of 720 users {without} waited in vain, with adaptive routing {with}; back after {returned} minutes"
    );
    assert!((550..=600).contains(&without), "{without}");
    assert!(with * 4 < without, "{with} of {without}");
    assert!(returned < 8 * 60, "{returned} minutes");
}
