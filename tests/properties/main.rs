//! What holds for every input, tried with many: proptest makes them up, from one seed, the same each time.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

#[path = "../support/mod.rs"]
mod support;

mod budgets;
mod codes;
mod door;
mod people;
mod phones;
mod tokens;

use std::fmt::Debug;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};

use crate::support::{Database, TestServer};

/// Tries a property with so many cases. A case that fails is made smaller and shown; nothing is written to a file.
#[track_caller]
fn holds<S: Strategy<Value: Debug>>(
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_121),
        ..Config::default()
    };
    if let Err(failure) = TestRunner::new(config).run(strategy, property) {
        panic!("{failure}");
    }
}

/// A property of a house: proptest does not wait, so this does.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a property is written where it is handed over")]
fn holds_in_a_house<S: Strategy<Value: Debug>>(
    settings: &[(&str, &str)],
    cases: u32,
    strategy: &S,
    property: impl AsyncFn(&TestServer, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(TestServer::with(Database::Sqlite, settings));
    holds(cases, strategy, |value| runtime.block_on(property(&server, value)));
    runtime.block_on(async move { drop(server) });
}
