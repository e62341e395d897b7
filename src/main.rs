//! The program `loopin-auth`: parses the command line, runs the command, and turns its result into an exit code.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use loopin_auth::{
    clock::Clock,
    commands::{
        CommandError, Context, api_keys, audit, backup,
        cli::{ApiKeysCommand, AuditCommand, Cli, Command, KeysCommand, SecondFactorCommand, SmsCommand},
        createsuperuser, doctor, events, healthcheck, import, invitations, keys, migrate, openapi,
        output::print_error,
        prefixes, purge, renumber, restore, second_factor, serve, set_password, settings, sms, unlock,
    },
    config::Sources,
    random::Random,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    hide_panic_messages();
    let context = Context { sources: sources(), clock: Clock::System, random: Random::System };
    run(cli.command.unwrap_or(Command::Serve), &context).unwrap_or_else(|error| {
        print_error(format_args!("loopin-auth: {error}\n"));
        let mut source = error.source();
        while let Some(cause) = source {
            print_error(format_args!("  because: {cause}\n"));
            source = cause.source();
        }
        ExitCode::FAILURE
    })
}

fn run(command: Command, context: &Context) -> Result<ExitCode, CommandError> {
    match command {
        Command::Serve => serve::run(context, sources),
        Command::Migrate => migrate::run(context),
        Command::Purge { older_than_days } => purge::run(context, older_than_days),
        Command::Backup { file } => backup::run(context, &file),
        Command::Restore { file, check: true } => restore::check(&file),
        Command::Restore { file, check: false } => restore::run(context, &file),
        Command::Openapi => openapi::run(context),
        Command::Healthcheck { url } => healthcheck::run(context, url),
        Command::Doctor => doctor::run(context),
        Command::Settings { markdown } => settings::run(context, markdown),
        Command::CreateSuperuser(options) => createsuperuser::run(context, &options),
        Command::Audit { command: Some(AuditCommand::Drop { before }), .. } => {
            audit::drop_months(context, before)
        }
        Command::Audit { command: None, options } => audit::run(context, &options),
        Command::Prefixes { command } => prefixes::run(context, command),
        Command::Events(command) => events::run(context, command),
        Command::ApiKeys(ApiKeysCommand::Create(options)) => api_keys::create(context, options),
        Command::ApiKeys(ApiKeysCommand::List { json }) => api_keys::list(context, json),
        Command::ApiKeys(ApiKeysCommand::End { name }) => api_keys::end(context, &name),
        Command::Import(options) => import::run(context, &options),
        Command::Renumber(options) => renumber::run(context, &options),
        Command::Invitations(command) => invitations::run(context, command),
        Command::Unlock { phone } => unlock::run(context, &phone),
        Command::SetPassword(options) => set_password::run(context, &options),
        Command::SecondFactor(SecondFactorCommand::Reset { name }) => second_factor::reset(context, &name),
        Command::Sms(SmsCommand::Test(options)) => sms::run(context, &options),
        Command::Keys(KeysCommand::Generate { algorithm, out }) => keys::run(algorithm, &out),
    }
}

/// The message of a panic could contain a setting. `serve` installs a hook of its own, which writes to the log.
fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        print_error(format_args!("loopin-auth: internal error at {place}: please report it\n"));
    }));
}

/// The lines of `.env`, if there is one, and the environment, which takes precedence.
fn sources() -> Sources {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
    let environment = std::env::vars_os();
    Sources::new(std::fs::read(".env"), environment)
}
