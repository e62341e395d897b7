//! Properties that hold for every input, tested with many random ones. proptest generates them from one seed, so that they
//! are the same each time.

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
mod people;
mod phones;
mod requests;
mod tokens;

use std::fmt::Debug;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};

use crate::support::{Database, TestServer};

/// Tests a property with this many cases. A case that fails is reduced and shown; nothing is written to a file.
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

/// Tests a property of a server. proptest is not async, so this blocks.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the property is written as an argument")]
fn holds_on_server<S: Strategy<Value: Debug>>(
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
