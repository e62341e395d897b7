//! Measures servers of loopin-auth under load: one, or two side by side. `README.md` says how to run it and how to read its table.

mod client;
mod floor;
mod load;
mod measure;
mod meter;
mod options;
mod person;
mod pgbouncer;
mod postgres;
mod process;
mod report;
mod scenario;
mod server;
mod stats;
mod steps;

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

use crate::{
    measure::Bench,
    options::Options,
    report::{Row, table, to_json},
};

/// One thread: it is enough for the load, and leaves the cores to the server and the database.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let bench = Bench::new(&options)?;
    for server in bench.servers() {
        let through =
            bench.pooler().filter(|_| server.is_pooled).map(|version| format!(" through {version}"));
        println!("{} = {}{}", server.name, server.given.display(), through.unwrap_or_default());
    }
    let mut rows = Vec::new();
    let result = tokio::select! {
        result = measure_all(&bench, &options, &mut rows) => result,
        result = interrupted() => result,
    };
    // What was measured before an error is shown too.
    println!("\n{}", table(&rows));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&to_json(&rows, &facts(&bench, &options)))?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    result
}

async fn measure_all(bench: &Bench<'_>, options: &Options, rows: &mut Vec<Row>) -> Result<()> {
    for (scenario, has_limits) in options.runs() {
        rows.extend(bench.compare(scenario, has_limits).await?);
    }
    Ok(())
}

/// Waits for a signal to end. What was started, ends when its owner is dropped.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

/// What the numbers depend on.
fn facts(bench: &Bench<'_>, options: &Options) -> Value {
    let servers = bench.servers().iter().map(|server| (server.name, server.given.display().to_string()));
    json!({
        "servers": servers.collect::<BTreeMap<_, _>>(),
        "connections": options.connections,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "database": if options.sqlite { "sqlite" } else { "postgresql" },
        "pgbouncer": bench.pooler(),
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
    })
}
