//! Simulates an attacker, and compares the result with the odds that `domain::budget` computes. Codes, challenges and
//! verdicts are the real ones. The seed is fixed, so that the result is the same each time.

#[cfg(test)]
mod odds {
    use chrono::{Duration, TimeZone, Utc};
    use loopin_auth::domain::{
        budget::{BudgetPolicy, Odds},
        otp::{Challenge, ChallengeKey, Claim, CodeLength, OtpCode, OtpKeys, OtpPolicy, Verdict, judge},
        phone::PhoneNumber,
    };
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use uuid::Uuid;

    const TRIALS: u32 = 20_000;

    fn policy() -> OtpPolicy {
        OtpPolicy {
            length: CodeLength::new(4).unwrap(),
            life: Duration::minutes(10),
            max_attempts: 3,
            resend_after: Duration::seconds(30),
        }
    }

    /// Whether an attacker with this many guesses opens the account. The attacker uses up one challenge after the other, and
    /// tries no code twice in one challenge.
    fn opens(guesses: i64, keys: &OtpKeys, random: &mut StdRng) -> bool {
        let policy = policy();
        let now = Utc.with_ymd_and_hms(2026, 11, 21, 6, 0, 0).unwrap();
        let phone = PhoneNumber::from_e164("+916205829376").unwrap();
        let key = ChallengeKey::sign_in(&phone);
        let mut left = guesses;
        while left > 0 {
            let id = Uuid::from_u128(random.random());
            let first: u32 = random.random_range(0..10_000);
            for attempt in 0..policy.max_attempts.min(left) {
                let challenge = Challenge {
                    id,
                    key_version: keys.current_version().to_owned(),
                    attempts: attempt + 1,
                    expires_at: now + policy.life,
                    sent_at: Some(now),
                    consumed_at: None,
                };
                let tried = format!("{:04}", (first + u32::try_from(attempt).unwrap()) % 10_000);
                let tried = OtpCode::parse(&tried, policy.length).unwrap();
                let verdict = judge(Claim::Taken(challenge), &tried, key, keys, &policy, now);
                if matches!(verdict, Verdict::Accepted(_)) {
                    return true;
                }
            }
            left -= policy.max_attempts;
        }
        false
    }

    /// The share of attackers who get in lies within four standard errors of the computed chance.
    fn assert_agrees(computed: f64, guesses: i64, seed: u64) {
        let keys = OtpKeys::derive(&"the key of the trials".into(), &[]);
        let mut random = StdRng::seed_from_u64(seed);
        let hits = (0..TRIALS).filter(|_| opens(guesses, &keys, &mut random)).count();
        let trials = f64::from(TRIALS);
        let share = f64::from(u32::try_from(hits).unwrap()) / trials;
        let error = (computed * (1.0 - computed) / trials).sqrt();
        assert!(
            (share - computed).abs() < 4.0 * error,
            "{guesses} guesses: {share} were in, and {computed} were computed, +- {error}"
        );
    }

    #[test]
    fn an_attacker_gets_in_as_often_as_computed() {
        let odds = Odds::from_policies(&policy(), &BudgetPolicy::default());
        assert_agrees(odds.in_a_day, odds.guesses_in_a_day.unwrap(), 1);
        assert_agrees(odds.between_sign_ins, odds.guesses_between_sign_ins.unwrap(), 2);
    }
}
