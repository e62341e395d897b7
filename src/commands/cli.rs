//! What may stand on the command line.

#![expect(
    missing_docs,
    reason = "what stands on these is printed as help, and theirs is the help of what is above"
)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use uuid::Uuid;

use super::{audit::Since, keys};
use crate::domain::{
    audit::{Action, Month},
    budget::PrefixName,
    delivery::Channel,
};

/// Sign-in by phone number, hosted by yourself.
///
/// Settings are environment variables, also from a file `.env`; `.env.example` describes them all.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// `serve` where there is none.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Work(Work),
    /// Look at the settings, the database, the migrations and Twilio's credentials, and say what to do
    Doctor,
    /// Print every setting, what is in force, and where it comes from; of a secret only whether it is set
    Settings {
        /// Print the page docs/SETTINGS.md, which describes every setting
        #[arg(long)]
        markdown: bool,
    },
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
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Work {
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
#[derive(Debug, clap::Args)]
pub struct WhichEntries {
    /// From when on: 30m, 2h or 7d ago, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z
    #[arg(long)]
    pub since: Option<Since>,
    // The names are many: an unknown one is told all of them.
    #[arg(long, help = "Only this action, such as signed_in or refresh_reused")]
    pub action: Option<Action>,
    /// Only what is about this account, or was done by it (UUID)
    #[arg(long)]
    pub user: Option<Uuid>,
    /// Only what is about this phone: +919876543210, or a number of the country that `PHONE_DEFAULT_REGION` names
    #[arg(long)]
    pub phone: Option<String>,
    /// Only what came from this address
    #[arg(long)]
    pub address: Option<std::net::IpAddr>,
    /// How many at most: the newest
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Go on with what is new
    #[arg(long)]
    pub follow: bool,
    /// Print an entry as a line of JSON, with times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Drop the months before one, if they are over; that is written down
    Drop {
        /// The first month that stays: 2026-05
        #[arg(long)]
        before: Month,
    },
}

#[derive(Debug, Subcommand)]
pub enum PrefixesCommand {
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

#[derive(Debug, Subcommand)]
pub enum SmsCommand {
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

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a private key and write it to a file that nobody else may read; a file that is there is left alone
    Generate {
        // Not as a doc comment, which would want back quotes that a terminal shows.
        #[arg(long, default_value = "EdDSA", value_parser = keys::algorithm, help = "EdDSA, ES256 or RS256, in any letter case")]
        algorithm: keys::KeyAlgorithm,
        /// Where to
        #[arg(long, default_value = "jwt-key.pem")]
        out: PathBuf,
    },
}
