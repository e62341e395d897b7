//! `loopin-auth import`: brings people, leads and interests of another system.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use indicatif::ProgressStyle;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    CommandError, Context,
    report::{Report, ReportFile},
    runtime,
};
use crate::{
    config::Config,
    domain::{
        import::{Counts, Row, Source},
        phone::Region,
    },
    flows::{
        Services,
        import::{self, Step},
    },
    store::{
        DatabaseSettings, DatabaseUrl,
        original::{Original, OriginalError},
    },
};

/// The exit code when everything was read, and rows were refused.
const SOME_REFUSED: u8 = 3;

/// How many rows may wait between the reader and the writer.
const WAITING: usize = 1_000;

/// How many rows of the original a query reads.
const PAGE: i64 = 1_000;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The system: loopin, firebase, supabase, auth0, cognito or csv
    #[arg(long, value_name = "SYSTEM")]
    pub from: Source,
    /// The file, or the address of the original's database: `postgres://user:password@host/name` or `sqlite://file`
    ///
    /// Other users of the machine can see arguments. For an address with a password write - and set `LOOPIN_IMPORT_URL`.
    #[arg(value_name = "SOURCE")]
    pub place: String,
    /// Decide about every row, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write the report as JSON into this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The country of phones without a country code, instead of `PHONE_DEFAULT_REGION`
    #[arg(long)]
    pub region: Option<Region>,
}

/// The environment variable with the address of the original's database.
const SOURCE_VARIABLE: &str = "LOOPIN_IMPORT_URL";

/// Imports everything, and prints what came and what did not. The counts come last.
///
/// # Errors
/// When the settings or the arguments are wrong, or the source, the database or the report's file fail. What was written until
/// then stays, and the next run goes on.
pub fn run(context: &Context, options: &Options) -> Result<ExitCode, CommandError> {
    let config = context.config()?;
    context.require_secret_key("the rows of an earlier run cannot be recognised")?;
    let place = match options.place.as_str() {
        "-" => {
            let address = context.sources.secret_variable(SOURCE_VARIABLE)?;
            address.ok_or("LOOPIN_IMPORT_URL is not set")?.expose_secret().to_owned()
        }
        place => place.to_owned(),
    };
    let region = options.region.unwrap_or(config.region);
    let settings = import::Options { source: options.from, region, is_dry_run: options.dry_run };
    let mut report = begin(options, &place)?;
    let runtime = runtime()?;
    let counts = runtime.block_on(async {
        let services = context.services(&config).await?;
        let counts = match options.from {
            Source::Loopin => from_original(&config, &services, &place, settings, &mut report).await,
            Source::Firebase | Source::Supabase | Source::Auth0 | Source::Cognito | Source::Csv => {
                from_file(&services, Path::new(&place), settings, &mut report).await
            }
        };
        services.store.close().await;
        counts
    });
    // A reader can still wait for the disk.
    runtime.shutdown_background();
    finish(report, options, &counts?)
}

async fn from_file(
    services: &Services,
    file: &Path,
    options: import::Options,
    report: &mut Report,
) -> Result<Counts, CommandError> {
    // It may have a password, so it is not shown.
    if file.to_str().is_some_and(|text| text.contains("://")) {
        return Err("only --from loopin takes the address of a database: name a file".into());
    }
    // The file is read twice, so a pipe will not do.
    if !file.is_file() {
        return Err(format!("{} is not a file", file.display()).into());
    }
    let open = || {
        let (sender, rows) = mpsc::channel(WAITING);
        let file = file.to_owned();
        tokio::task::spawn_blocking(move || {
            let take = &mut |row| sender.blocking_send(Ok(row)).is_ok();
            if let Err(error) = import_formats::read(options.source, &file, take) {
                // If nobody receives any more, nobody wants to know.
                let _ = sender.blocking_send(Err(error.into()));
            }
        });
        rows
    };
    Ok(import::import(services, &open, options, &mut |step| take(report, options.is_dry_run, step)).await?)
}

async fn from_original(
    config: &Config,
    services: &Services,
    address: &str,
    options: import::Options,
    report: &mut Report,
) -> Result<Counts, CommandError> {
    let url = DatabaseUrl::parse(address)
        .map_err(|error| format!("the address of the original's database {error}"))?;
    let settings =
        DatabaseSettings { url: url.url, max_connections: 1, pooler: None, ..config.database.clone() };
    let original = Arc::new(Original::open(&settings).await?);
    let open = || {
        let (sender, rows) = mpsc::channel(WAITING);
        let original = Arc::clone(&original);
        tokio::spawn(async move {
            if let Err(error) = send_original(&original, &sender).await {
                let _ = sender.send(Err(error.into())).await;
            }
        });
        rows
    };
    let counts =
        import::import(services, &open, options, &mut |step| take(report, options.is_dry_run, step)).await;
    original.close().await;
    Ok(counts?)
}

type Sender = mpsc::Sender<Result<Row, import::SourceError>>;

/// Sends all rows of the original: interests first, because people name them, and leads last, because people are none.
async fn send_original(original: &Original, sender: &Sender) -> Result<(), OriginalError> {
    let mut batch: Vec<Row> = original.list_interests().await?.into_iter().map(Row::Interest).collect();
    let (mut person, mut lead) = (Some(i64::MIN), Some(i64::MIN));
    loop {
        for row in batch {
            if sender.send(Ok(row)).await.is_err() {
                return Ok(());
            }
        }
        if let Some(after) = person {
            let page = original.list_people(after, PAGE).await?;
            person = page.last().map(|(id, _)| *id);
            batch = page.into_iter().map(|(_, person)| Row::Person(Box::new(person))).collect();
        } else if let Some(after) = lead {
            let page = original.list_leads(after, PAGE).await?;
            lead = page.last().map(|(id, _)| *id);
            batch = page.into_iter().map(|(_, lead)| Row::Lead(lead)).collect();
        } else {
            return Ok(());
        }
    }
}

fn begin(options: &Options, source: &str) -> Result<Report, CommandError> {
    let head = json!({"source": options.from.as_str(), "dry_run": options.dry_run});
    let file = options.report.as_deref().map(|path| ReportFile::create(path, Some(Path::new(source)), &head));
    let report = Report::new(file.transpose()?, "{msg} {spinner} {human_pos} rows")?;
    report.bar.set_message("reading");
    Ok(report)
}

fn take(report: &mut Report, is_dry_run: bool, step: Step<'_>) -> io::Result<()> {
    match step {
        Step::Counted(rows) => report.bar.set_position(rows),
        Step::Done(rows, all) => {
            if report.bar.length() != Some(all) {
                let style = "{msg} {wide_bar} {human_pos} of {human_len} rows, {eta} left";
                report.bar.set_style(ProgressStyle::with_template(style).map_err(io::Error::other)?);
                report.bar.set_length(all);
                report.bar.set_message(if is_dry_run { "checking" } else { "importing" });
            }
            report.bar.set_position(rows);
        }
        Step::Told(line) => report.tell(line, &line.to_json())?,
    }
    Ok(())
}

fn finish(report: Report, options: &Options, counts: &Counts) -> Result<ExitCode, CommandError> {
    let did = match (options.dry_run, counts.changes_something()) {
        (true, _) => "nothing was written (--dry-run); an import would do this",
        (false, true) => "imported",
        (false, false) => "nothing was left to import",
    };
    let title = format!("{}: {did}", options.from.as_str());
    report.finish("that did not come, or not whole", &title, &counts.to_json(), counts.all())?;
    Ok(if counts.refused > 0 { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS })
}
