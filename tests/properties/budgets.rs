//! Budgets: the statement that charges rows and the rule of the domain agree, for any requests in any order.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use loopin_auth::{
    domain::budget::{Budget, BudgetKey, BudgetRow, Charge, ChargeId, Limit, Rule, decide},
    store::budgets,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::holds_on_server;

/// How many entries a log keeps: more than any limit here.
const KEPT: usize = 16;

/// A request: the seconds since the one before, and which rows it charges.
type Step = (i64, Vec<usize>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Seconds around the lengths of the windows, so that boundaries are met exactly.
    let wait = prop_oneof![Just(0_i64), 1..8_i64, prop::sample::select(vec![10_i64, 30, 59, 60, 61, 600])];
    let rows = prop::sample::subsequence(vec![0_usize, 1, 2], 1..=3);
    prop::collection::vec((wait, rows), 1..50)
}

/// The limits of the three rows, each of one or two windows.
fn limits() -> impl Strategy<Value = Vec<Vec<Limit>>> {
    let limit = (1_usize..=6, prop::sample::select(vec![10_i64, 30, 60, 600]))
        .prop_map(|(most, per)| Limit { most, per: Duration::seconds(per) });
    prop::collection::vec(prop::collection::vec(limit, 1..=2), 3)
}

/// The key of a row. The cases of a test share a database.
fn key(case: u32, row: usize) -> BudgetKey {
    BudgetKey::DeviceSends(Uuid::from_u64_pair(u64::from(case), row as u64))
}

fn charge(key: BudgetKey, limits: &[Limit], now: DateTime<Utc>) -> Charge {
    let longest = limits.iter().map(|limit| limit.per).max().unwrap_or_default();
    Charge {
        key,
        rules: limits.iter().map(|limit| Rule::window(Budget::AddressRequests, *limit)).collect(),
        is_charged: true,
        is_logged: true,
        starts_cooldown: false,
        ends_at: now + longest,
    }
}

#[test]
fn the_database_and_the_rule_agree() {
    holds_on_server(&[], 60, &(limits(), steps(), any::<u32>()), async |server, (limits, steps, case)| {
        let store = &server.services.store;
        let mut now = server.now();
        let mut model: BTreeMap<BudgetKey, BudgetRow> = BTreeMap::new();
        for (number, (wait, rows)) in steps.into_iter().enumerate() {
            now += Duration::seconds(wait);
            let charges: Vec<Charge> =
                rows.iter().map(|row| charge(key(case, *row), &limits[*row], now)).collect();
            let known: Vec<BudgetRow> = model.values().cloned().collect();
            let refusal = decide(&charges, &known, now);
            let charge_id = ChargeId { at: now, chance: u32::try_from(number).unwrap() };
            let taken = budgets::claim(store, &charges, charge_id, KEPT).await.expect("the database answers");
            let expected = if refusal.is_none() { charges.len() } else { 0 };
            let taken = taken.map(|rows| rows.len());
            prop_assert_eq!(
                taken,
                refusal.is_none().then_some(expected),
                "step {} at {}: {:?}",
                number,
                now,
                refusal
            );
            // After the time to wait this budget no longer refuses.
            if let Some(seconds) = refusal.and_then(|refusal| refusal.retry_after) {
                prop_assert!(decide(&charges, &known, now + Duration::seconds(seconds)).is_none());
            }
            for charge in &charges[..expected] {
                let empty = || BudgetRow::empty(charge.key.clone());
                let row = model.entry(charge.key.clone()).or_insert_with(empty);
                row.log.insert(0, now);
                row.count += 1;
            }
        }
        // No window of a limit's length ever held more than the limit, wherever it begins.
        for (row, limits) in limits.iter().enumerate() {
            let Some(row) = model.get(&key(case, row)) else {
                continue;
            };
            for limit in limits {
                for end in &row.log {
                    let within = row.log.iter().filter(|at| *at <= end && **at > *end - limit.per).count();
                    prop_assert!(within <= limit.most, "{within} in {limit:?}");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_limit_is_read_as_it_is_written() {
    let text = prop_oneof!["[0-9]{1,5}/[0-9]{0,6}[smhd]", "[0-9]{0,3} ?/ ?[0-9]{0,3}[a-z]?", any::<String>()];
    crate::holds(2000, &text, |text| {
        if let Ok(limit) = text.parse::<Limit>() {
            prop_assert!((1..=1000).contains(&limit.most) && limit.per > Duration::zero(), "{limit:?}");
            let again = format!("{}/{}s", limit.most, limit.per.num_seconds()).parse::<Limit>();
            prop_assert!(again.is_ok_and(|again| again == limit), "{text:?}");
        }
        Ok(())
    });
}
