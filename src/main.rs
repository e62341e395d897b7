//! The commands.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use chrono::Duration;
use clap::{Parser, Subcommand};
use loopin_auth::{
    app,
    clock::Clock,
    commands::{
        audit, createsuperuser, doctor, keys,
        output::{print, print_error},
        prefixes as listing, sms, unlock as unlocking,
    },
    config::{Config, Problems},
    domain::{
        audit::{Action, Actor, Month},
        budget::{Prefix, PrefixName, Wanted},
        delivery::Channel,
        phone::PhoneNumber,
        retention::Retention,
        roles::Keeping,
        users::{Number, PageOf, Size},
    },
    flows::{
        Services,
        audit::{self as auditing, Dropped},
        prefixes, purge, unlock,
        users::{self, AdminMade},
    },
    random::Random,
    telemetry,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

const NOT_MIGRATED: &str = "the database is not migrated: run `loopin-auth migrate` first";

/// Sign-in by phone number, hosted by yourself.
///
/// Settings are environment variables, also from a file `.env`; `.env.example` describes them all.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Work(Work),
    /// Look at the settings, the database, the migrations and Twilio's credentials, and say what to do
    Doctor,
    /// Make an account that may do everything; asks for what is not said, and for the password
    ///
    /// The password is never an argument, because others see those. Scripts say --noinput and --username, and put the
    /// password into the environment as `LOOPIN_SUPERUSER_PASSWORD`.
    #[command(name = "createsuperuser")]
    CreateSuperuser {
        /// What the new admin signs in with
        #[arg(long)]
        username: Option<String>,
        /// An e-mail address to sign in with as well
        #[arg(long)]
        email: Option<String>,
        /// Ask nothing
        #[arg(long)]
        noinput: bool,
    },
    /// Print the audit log: who did what, when and from where; the newest last
    #[command(args_conflicts_with_subcommands = true)]
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
        #[command(flatten)]
        wanted: WhichEntries,
    },
    /// Print prefixes of numbers, those with the most messages first, and the sums of countries; open and close them
    Prefixes {
        #[command(subcommand)]
        command: Option<PrefixesCommand>,
    },
    /// Forget the wrong guesses that lock a phone; ask first who calls
    Unlock {
        /// Which: +919876543210, or a number of the country that `PHONE_DEFAULT_REGION` names
        phone: String,
    },
    /// Try the sending of messages
    #[command(subcommand)]
    Sms(SmsCommand),
    /// Make what tokens are signed with
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// What needs settings without a fault, and all parts.
#[derive(Clone, Copy, Subcommand)]
enum Work {
    /// Migrate the database and serve; what happens without a command
    Serve,
    /// Migrate the database and stop
    Migrate,
    /// Remove what is over for longer than `RETENTION_…_DAYS` say, as the server does every hour; accounts and leads stay
    Purge {
        /// Keep challenges, messages and sessions for so many days instead
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        older_than_days: Option<u16>,
    },
    /// Print the OpenAPI document
    Openapi,
}

/// Which entries are printed, and how.
#[derive(clap::Args)]
struct WhichEntries {
    /// From when on: 30m, 2h or 7d ago, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z
    #[arg(long)]
    since: Option<audit::Since>,
    // The names are many: an unknown one is told all of them.
    #[arg(long, help = "Only this action, such as signed_in or refresh_reused")]
    action: Option<Action>,
    /// Only what is about this account, or was done by it (UUID)
    #[arg(long)]
    user: Option<Uuid>,
    /// Only what is about this phone: +919876543210, or a number of the country that `PHONE_DEFAULT_REGION` names
    #[arg(long)]
    phone: Option<String>,
    /// Only what came from this address
    #[arg(long)]
    address: Option<std::net::IpAddr>,
    /// How many at most: the newest
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Go on with what is new
    #[arg(long)]
    follow: bool,
    /// Print an entry as a line of JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Drop the months before one, if they are over; that is written down
    Drop {
        /// The first month that stays: 2026-05
        #[arg(long)]
        before: Month,
    },
}

#[derive(Subcommand)]
enum PrefixesCommand {
    /// Print them; what happens without a word
    List {
        /// Only those that get no messages now
        #[arg(long)]
        closed: bool,
        /// Which page of a hundred
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        page: u64,
    },
    /// Open one at once
    Open {
        /// A country code and four digits: +916205
        prefix: PrefixName,
        /// Hold it open for so many hours, whatever comes back
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=720))]
        hours: Option<i64>,
    },
    /// Close one for `PREFIX_CLOSED_MINUTES`, whatever comes back
    Close {
        /// A country code and four digits: +916205
        prefix: PrefixName,
    },
}

#[derive(Subcommand)]
enum SmsCommand {
    /// Send one message with a made-up code, and print what the provider said
    Test {
        /// Who gets it: +919876543210, or a number of the country that `PHONE_DEFAULT_REGION` names
        phone: String,
        /// By which way: sms, whatsapp or call
        #[arg(long)]
        channel: Option<Channel>,
        /// In which language, such as hi
        #[arg(long)]
        language: Option<String>,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a private key and write it to a file that nobody else may read; a file that is there is left alone
    Generate {
        // Not as a doc comment, which would want back quotes that a terminal shows.
        #[arg(long, default_value = "EdDSA", help = "EdDSA, ES256 or RS256")]
        algorithm: keys::KeyAlgorithm,
        /// Where to
        #[arg(long, default_value = "jwt-key.pem")]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Work(Work::Serve)) {
        Command::Doctor => examine(),
        Command::CreateSuperuser { username, email, noinput } => {
            make_admin(&createsuperuser::Said { username, email, noinput })
        }
        Command::Audit { command: Some(AuditCommand::Drop { before }), .. } => drop_months(before),
        Command::Audit { command: None, wanted } => print_audit(wanted),
        Command::Prefixes { command } => look_after_prefixes(command),
        Command::Unlock { phone } => unlock_phone(&phone),
        Command::Sms(SmsCommand::Test { phone, channel, language }) => {
            try_out(&sms::Trial { phone, channel, language })
        }
        Command::Keys(KeysCommand::Generate { algorithm, out }) => make_key(algorithm, &out),
        Command::Work(work) => run(work).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        print_error(format_args!("loopin-auth: {error}\n"));
        let mut source = error.source();
        while let Some(cause) = source {
            print_error(format_args!("  because: {cause}\n"));
            source = cause.source();
        }
        ExitCode::FAILURE
    })
}

/// Prints what is right and wrong. It fails where something is.
fn examine() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (variables, unreadable) = match variables() {
        Ok(variables) => (variables, None),
        // The environment can still be looked at.
        Err(error) => (environment(), Some(error.to_string())),
    };
    let (config, Problems(mut problems)) =
        Config::examine(&|name| variables.get(name).cloned(), &Random::System);
    problems.splice(0..0, unreadable);
    let runtime = runtime()?;
    let findings =
        runtime.block_on(doctor::examine(&config, &Problems(problems), &Clock::System, &Random::System));
    // A look-up of a name cannot be called off, and nobody waits for it any more.
    runtime.shutdown_background();
    for finding in &findings {
        print(format_args!("{finding}\n"))?;
    }
    let is_ill = findings.iter().any(|finding| finding.verdict == doctor::Verdict::Failure);
    Ok(if is_ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Sends one message. What is wrong with settings that it does not need does not stop it.
fn try_out(trial: &sms::Trial) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variables = variables()?;
    let (config, problems) = Config::examine(&|name| variables.get(name).cloned(), &Random::System);
    if !problems.0.is_empty() {
        print_error(&problems);
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(sms::test(&config, trial, &Clock::System, &Random::System));
    runtime.shutdown_background();
    print(&outcome.said)?;
    Ok(if outcome.is_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the audit log.
fn print_audit(wanted: WhichEntries) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variables = variables()?;
    let config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    let said = audit::Said {
        since: wanted.since,
        action: wanted.action,
        user: wanted.user,
        phone: wanted.phone,
        address: wanted.address,
        limit: wanted.limit,
        follow: wanted.follow,
        json: wanted.json,
    };
    runtime()?.block_on(audit::print(&config, &said, &Clock::System, &mut std::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

/// Drops old months of the audit log.
fn drop_months(before: Month) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variables = variables()?;
    let config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    let dropped = runtime()?.block_on(async {
        let services = app::services(&config, Clock::System, Random::System).await?;
        Ok::<_, Box<dyn std::error::Error>>(auditing::drop_before(&services, before, Actor::Command).await?)
    })?;
    match dropped {
        Dropped::Entries(entries) => print(format_args!("dropped {entries} entries of before {before}\n"))?,
        Dropped::NotYet(not_yet) => return Err(not_yet.into()),
        Dropped::NoSchema => return Err(NOT_MIGRATED.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints, opens or closes prefixes.
fn look_after_prefixes(command: Option<PrefixesCommand>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variables = variables()?;
    let config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    let command = command.unwrap_or(PrefixesCommand::List { closed: false, page: 1 });
    let said = runtime()?.block_on(async {
        let services = migrated(&config).await?;
        let leave = Keeping::by_command();
        let changed = match command {
            PrefixesCommand::List { closed, page } => {
                let wanted = if closed { Wanted::Closed } else { Wanted::All };
                let page = PageOf::new(Number::parse(Some(&page.to_string()))?, Size::parse(Some("100"))?);
                let listed = prefixes::list(&services, wanted, page).await?;
                let (rows, sums) =
                    (listing::table(&listed.prefixes, config.zone), listing::sums(&listed.countries));
                return Ok(format!("{rows}\n{sums}"));
            }
            PrefixesCommand::Open { prefix, hours } => {
                prefixes::open(&services, prefix, hours, leave).await?
            }
            PrefixesCommand::Close { prefix } => prefixes::close_by_hand(&services, prefix, leave).await?,
        };
        table_of(&changed, config.zone)
    });
    print(said?)?;
    Ok(ExitCode::SUCCESS)
}

fn table_of(prefixes: &[Prefix], zone: chrono_tz::Tz) -> Result<String, Box<dyn std::error::Error>> {
    if prefixes.is_empty() {
        return Err("no message was ever sent to this prefix".into());
    }
    Ok(listing::table(prefixes, zone))
}

/// Lifts the locks of a phone.
fn unlock_phone(phone: &str) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variables = variables()?;
    let config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    let phone = PhoneNumber::parse(phone, config.region)?;
    // Rows name a phone by an HMAC under it: with one that is made up for this run none would be found.
    if variables.get("SECRET_KEY").is_none_or(|key| key.trim().is_empty()) {
        return Err("SECRET_KEY is not set: without the server's own no lock can be found".into());
    }
    let unlocked = runtime()?.block_on(async {
        let services = migrated(&config).await?;
        let unlocked = unlock::unlock(&services, phone.clone(), Keeping::by_command()).await?;
        Ok::<_, Box<dyn std::error::Error>>(unlocked)
    })?;
    print(format_args!("{}\n", unlocking::said(&phone, &unlocked.0)))?;
    Ok(ExitCode::SUCCESS)
}

/// The parts, on a database that has all of its tables.
async fn migrated(config: &Config) -> Result<Arc<Services>, Box<dyn std::error::Error>> {
    let services = app::services(config, Clock::System, Random::System).await?;
    if !services.store.find_migrations().await?.pending.is_empty() {
        return Err(NOT_MIGRATED.into());
    }
    Ok(Arc::new(services))
}

/// Makes a key. It needs no settings.
fn make_key(algorithm: keys::KeyAlgorithm, out: &Path) -> Result<ExitCode, Box<dyn std::error::Error>> {
    print(keys::generate(algorithm, out)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes an admin. Everything is asked first, so that whoever gives up has touched nothing.
fn make_admin(said: &createsuperuser::Said) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let variables = variables()?;
    let config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    // From the environment alone: a password has no place in a file that stays.
    let password = environment().remove(createsuperuser::PASSWORD_VARIABLE).map(Into::into);
    let wanted = createsuperuser::ask(said, password.as_ref())?;
    let made = runtime()?.block_on(async {
        let services = app::services(&config, Clock::System, Random::System).await?;
        let made = users::create_admin(&services, &wanted.username, wanted.email.as_ref(), &wanted.password);
        Ok::<_, Box<dyn std::error::Error>>(made.await?)
    })?;
    let name = wanted.username.as_str();
    match made {
        AdminMade::Made(id) => print(format_args!("{name} is an admin now, with the id {id}\n"))?,
        AdminMade::UsernameTaken => return Err(format!("the username {name} is taken").into()),
        AdminMade::EmailTaken => return Err("the e-mail address is taken".into()),
        AdminMade::NoSchema => {
            return Err(NOT_MIGRATED.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn run(work: Work) -> Result<(), Box<dyn std::error::Error>> {
    let variables = variables()?;
    let mut config = Config::read(&|name| variables.get(name).cloned(), &Random::System)?;
    let runtime = runtime()?;
    if !matches!(work, Work::Openapi) {
        telemetry::start(config.log_format, config.debug);
    }
    runtime.block_on(async {
        match work {
            Work::Serve => app::serve(config).await?,
            Work::Migrate => {
                let services = app::services(&config, Clock::System, Random::System).await?;
                app::migrate(&services.store).await?;
                print("the database is up to date\n")?;
            }
            Work::Purge { older_than_days } => {
                let services = app::services(&config, Clock::System, Random::System).await?;
                let kept = services.retention;
                let kept = older_than_days.map_or(kept, |days| Retention {
                    audit: kept.audit,
                    ..Retention::of(Duration::days(i64::from(days)))
                });
                let purged = purge::purge(&services, &kept, Actor::Command).await?;
                let purge::Purged { challenges, messages, sessions, budgets, audit } = purged;
                print(format_args!(
                    "removed {challenges} challenges, {messages} messages, {sessions} sessions, {budgets} budgets, \
                     {audit} entries of the audit log\n"
                ))?;
            }
            Work::Openapi => {
                // The document says nothing of rows: it is printed without a database, in a folder that may not be
                // written to.
                config.database.url = "sqlite::memory:".into();
                let services = app::services(&config, Clock::System, Random::System).await?;
                print(format_args!("{:#}\n", app::document(&Arc::new(services))))?;
            }
        }
        Ok(())
    })
}

/// What is wrong with `.env`. The value of a line may be a secret, so of a bad line only the name is told.
fn unreadable(error: dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, _) => {
            let name = line.split_once('=').map_or("a line without =", |(name, _)| name.trim());
            format!(
                ".env cannot be read at {name}: write NAME=value, and quote a value that has spaces, # or $"
            )
        }
        error => format!(".env cannot be read: {error}"),
    }
}

/// The variables of `.env`, if there is one, under those of the environment.
fn variables() -> Result<HashMap<String, String>, Box<dyn std::error::Error>> {
    let mut variables = HashMap::new();
    if Path::new(".env").exists() {
        for variable in dotenvy::from_path_iter(".env").map_err(unreadable)? {
            let (name, value) = variable.map_err(unreadable)?;
            variables.insert(name, value);
        }
    }
    variables.extend(environment());
    Ok(variables)
}

fn environment() -> HashMap<String, String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
