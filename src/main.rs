//! The commands.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::{path::Path, process::ExitCode, sync::Arc};

use chrono::Duration;
use clap::Parser;
use loopin_auth::{
    app,
    clock::Clock,
    commands::{
        audit,
        cli::{AuditCommand, Cli, Command, KeysCommand, PrefixesCommand, SmsCommand, WhichEntries, Work},
        createsuperuser, doctor, keys,
        output::{print, print_error},
        prefixes as listing, settings, sms, unlock as unlocking,
    },
    config::{Config, Sources},
    domain::{
        audit::{Actor, Month},
        budget::{Prefix, Wanted},
        phone::PhoneNumber,
        retention::Retention,
        roles::AbusePermission,
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

const NOT_MIGRATED: &str = "the database is not migrated: run `loopin-auth migrate` first";

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What a panic says could hold a setting. The server has a hook of its own, which writes to the log.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        print_error(format_args!("loopin-auth: an error of the program, at {place}: please report it\n"));
    }));
    let done = match cli.command.unwrap_or(Command::Work(Work::Serve)) {
        Command::Doctor => examine(),
        Command::Settings { markdown } => show_settings(markdown),
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
    let (config, problems) = Config::inspect(&sources(), &Random::System);
    let runtime = runtime()?;
    let findings = runtime.block_on(doctor::examine(&config, &problems, &Clock::System, &Random::System));
    // A look-up of a name cannot be called off, and nobody waits for it any more.
    runtime.shutdown_background();
    for finding in &findings {
        print(format_args!("{finding}\n"))?;
    }
    let is_ill = findings.iter().any(|finding| finding.verdict == doctor::Verdict::Failure);
    Ok(if is_ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints the settings. What is wrong with them is said too, and makes it fail.
fn show_settings(markdown: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if markdown {
        print(settings::page())?;
        return Ok(ExitCode::SUCCESS);
    }
    let sources = sources();
    let (config, problems) = Config::inspect(&sources, &Random::System);
    print(settings::list(&config, &|name| sources.variable(name).is_some()))?;
    if problems.0.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print_error(&problems);
    Ok(ExitCode::FAILURE)
}

/// Sends one message. What is wrong with settings that it does not need does not stop it.
fn try_out(trial: &sms::Trial) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (config, problems) = Config::inspect(&sources(), &Random::System);
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
    let sources = sources();
    let config = Config::load(&sources, &Random::System)?;
    if wanted.phone.is_some() {
        needs_secret_key(&sources, "no entry about a phone can be found")?;
    }
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
    let (mut out, mut notes) = (std::io::stdout(), std::io::stderr());
    runtime()?.block_on(audit::print(&config, &said, &Clock::System, &mut out, &mut notes))?;
    Ok(ExitCode::SUCCESS)
}

/// Drops old months of the audit log.
fn drop_months(before: Month) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let config = Config::load(&sources(), &Random::System)?;
    let dropped = runtime()?.block_on(async {
        let services = migrated(&config).await?;
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
    let config = Config::load(&sources(), &Random::System)?;
    let command = command.unwrap_or(PrefixesCommand::List { closed: false, page: 1 });
    let said = runtime()?.block_on(async {
        let services = migrated(&config).await?;
        let permission = AbusePermission::by_command();
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
                prefixes::open(&services, prefix, hours, permission).await?
            }
            PrefixesCommand::Close { prefix } => {
                prefixes::close_by_hand(&services, prefix, permission).await?
            }
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
    let sources = sources();
    let config = Config::load(&sources, &Random::System)?;
    let phone = PhoneNumber::parse(phone, config.region)?;
    needs_secret_key(&sources, "no lock can be found")?;
    let unlocked = runtime()?.block_on(async {
        let services = migrated(&config).await?;
        let unlocked = unlock::unlock(&services, phone.clone(), AbusePermission::by_command()).await?;
        Ok::<_, Box<dyn std::error::Error>>(unlocked)
    })?;
    print(format_args!("{}\n", unlocking::said(&phone, &unlocked.0)))?;
    Ok(ExitCode::SUCCESS)
}

/// The parts, on a database that has all of its tables. Where it has not, nothing is made.
async fn migrated(config: &Config) -> Result<Arc<Services>, Box<dyn std::error::Error>> {
    if !app::is_migrated(config).await? {
        return Err(NOT_MIGRATED.into());
    }
    Ok(Arc::new(app::services(config, Clock::System, Random::System).await?))
}

/// Rows name a phone by an HMAC under it: with one that is made up for this run none would be found.
fn needs_secret_key(sources: &Sources, without: &str) -> Result<(), String> {
    let is_set = sources.get("SECRET_KEY").is_some_and(|key| !key.trim().is_empty());
    is_set.then_some(()).ok_or_else(|| format!("SECRET_KEY is not set: without the server's own {without}"))
}

/// Makes a key. It needs no settings.
fn make_key(algorithm: keys::KeyAlgorithm, out: &Path) -> Result<ExitCode, Box<dyn std::error::Error>> {
    print(keys::generate(algorithm, out)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes an admin. Everything is asked first, so that whoever gives up has touched nothing.
fn make_admin(said: &createsuperuser::Said) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let sources = sources();
    let config = Config::load(&sources, &Random::System)?;
    // From the environment alone: a password has no place in a file that stays.
    let password = sources.variable(createsuperuser::PASSWORD_VARIABLE).map(Into::into);
    let wanted = createsuperuser::ask(said, password.as_ref())?;
    let made = runtime()?.block_on(async {
        let services = migrated(&config).await?;
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
    let mut config = Config::load(&sources(), &Random::System)?;
    let runtime = runtime()?;
    if !matches!(work, Work::Openapi) {
        telemetry::start(config.log_format, config.debug);
    }
    runtime.block_on(async {
        match work {
            Work::Serve => app::serve(config).await?,
            Work::Migrate => {
                let migrated = app::migrate_alone(&config).await?;
                print(format_args!("{migrated}\nthe database is up to date\n"))?;
            }
            Work::Purge { older_than_days } => {
                let services = migrated(&config).await?;
                let kept = services.retention;
                let kept = older_than_days.map_or(kept, |days| Retention {
                    audit: kept.audit,
                    ..Retention::new(Duration::days(i64::from(days)))
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

/// The lines of `.env`, if there is one, under the variables of the environment.
fn sources() -> Sources {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let environment = std::env::vars_os();
    Sources::new(std::fs::read(".env"), environment)
}
