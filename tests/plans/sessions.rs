//! With many live sessions, a sign-in still counts those of its account by the account.
//!
//! Nearly all sessions have no end yet, and expire after now. PostgreSQL's statistics may know of none of them: an index on one of these
//! times would look as if it found one session, and would find all.

use super::observed::{Observed, Planning, ROWS, indexes, slow, take_plans};
use crate::support::PHONE;

const OTHER_PHONE: &str = "+916205829370";

/// Sessions of another user, which the statistics do not know of.
const INSERT: &str = "INSERT INTO sessions SELECT (jsonb_populate_record(sessions, \
     jsonb_build_object('id', gen_random_uuid(), 'refresh_jti', gen_random_uuid()))).* FROM sessions, generate_series(1, {rows})";

async fn count_sessions(planning: Planning) {
    let Some(observed) = Observed::new_with_codes(planning, &[]).await else { return };
    let server = &observed.server;
    server.sign_in(OTHER_PHONE).await;
    server.execute(&INSERT.replace("{rows}", &ROWS.to_string())).await;
    // Its connections have no plan of before.
    let server = server.second_server(&[]).await;
    take_plans();
    server.sign_in(PHONE).await;
    let plans = take_plans();
    assert!(plans.contains("FROM sessions WHERE account_id"), "{plans}");
    assert_eq!(indexes(&plans, &["sessions_"]), ["sessions_account_id_idx"], "{plans}");
    let slow = slow(&plans).into_iter().find(|(_, table)| *table == "sessions");
    assert_eq!(slow, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_counts_sessions_by_the_account_planned_for_its_values() {
    count_sessions(Planning::Custom).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_counts_sessions_by_the_account_planned_without_values() {
    count_sessions(Planning::Generic).await;
}
