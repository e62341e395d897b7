//! With many pending codes, the statements that take an attempt and that charge budgets still find their rows by the primary key.
//!
//! They also compare when a code ends. Nearly all pending codes end after now, and PostgreSQL's statistics know of none of them: an
//! index on that time would look as if it found one row, and would find all. There is no such index.

use super::observed::{Observed, Planning, ROWS, indexes, slow, take_plans};
use crate::support::WIDE_LIMITS;

/// The indexes that may find the row of a code or of a budget.
const KEYS: [&str; 2] = ["budgets_pkey", "challenges_pkey"];

/// Guesses and resends, with the limits off and on.
async fn find_rows(planning: Planning) {
    let settings = [&WIDE_LIMITS[..], &[("OTP_LENGTH", "6")]].concat();
    let Some(observed) = Observed::new_with_codes(planning, &settings).await else { return };
    let first = &observed.server;
    let pending =
        format!("SELECT count(*) FROM challenges WHERE expires_at > '{}'", first.now().to_rfc3339());
    assert_eq!(first.count(&pending).await, ROWS);
    for (limits, phone, keys) in
        [("false", "+919900000007", &KEYS[1..]), ("true", "+919900000008", &KEYS[..])]
    {
        let server = first.second_server(&[("RATE_LIMITS_ENABLED", limits)]).await;
        take_plans();
        for _ in 0..2 {
            server.advance(30);
            server.signup(phone).await.assert_ok();
            let wrong = server.wrong_code_for(phone);
            server.verify_otp(phone, &wrong).await.assert_error(400, "otp_invalid");
        }
        let plans = take_plans();
        assert!(plans.contains("UPDATE \"challenges\""), "{plans}");
        assert_eq!(indexes(&plans, &["budgets_", "challenges_"]), keys, "limits {limits}:\n{plans}");
        let slow = slow(&plans).into_iter().find(|(_, table)| ["budgets", "challenges"].contains(table));
        assert_eq!(slow, None, "limits {limits}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guess_finds_its_code_by_the_key_planned_for_its_values() {
    find_rows(Planning::Custom).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guess_finds_its_code_by_the_key_planned_without_values() {
    find_rows(Planning::Generic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_on_the_end_of_codes_would_be_noticed() {
    let Some(observed) = Observed::new_with_codes(Planning::Custom, &[]).await else { return };
    let server = &observed.server;
    let defined =
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'challenges' AND indexdef LIKE '%expires_at%'";
    assert_eq!(server.count(defined).await, 0);
    server.execute("CREATE INDEX challenges_expires_at_idx ON challenges (expires_at)").await;
    take_plans();
    server.count("SELECT count(*) FROM challenges WHERE expires_at > '2126-01-01'").await;
    let plans = take_plans();
    assert_eq!(indexes(&plans, &["challenges_"]), ["challenges_expires_at_idx"], "{plans}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_sign_ins_change_are_vacuumed_early() {
    let Some(observed) = Observed::new_with_codes(Planning::Custom, &[]).await else { return };
    let with = |setting: &str| {
        format!("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND '{setting}' = ANY (reloptions)")
    };
    assert_eq!(observed.server.count(&with("autovacuum_vacuum_scale_factor=0.02")).await, 6);
    assert_eq!(observed.server.count(&with("autovacuum_analyze_scale_factor=0.01")).await, 6);
    assert_eq!(observed.server.count(&with("fillfactor=90")).await, 1);
}
