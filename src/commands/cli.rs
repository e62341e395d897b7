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

/// Sign-in by phone number, self-hosted.
///
/// Settings are environment variables, also from a file `.env`. `.env.example` describes them all.
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
    /// Check the settings, the database, the migrations and Twilio's credentials, and say what to do
    Doctor,
    /// Print every setting, what is in force, and where it comes from; of a secret only whether it is set
    Settings {
        /// Print the page docs/SETTINGS.md, which describes every setting
        #[arg(long)]
        markdown: bool,
    },
    /// Create an admin account; asks for missing arguments and for the password
    ///
    /// The password is never an argument, because other users of the machine can see those. Scripts use --noinput and
    /// --username, and set the environment variable `LOOPIN_SUPERUSER_PASSWORD`.
    #[command(name = "createsuperuser")]
    CreateSuperuser {
        /// The username of the new admin
        #[arg(long)]
        username: Option<String>,
        /// The e-mail address of the new admin
        #[arg(long)]
        email: Option<String>,
        /// Never ask; fail if something is missing
        #[arg(long)]
        noinput: bool,
    },
    /// Print the audit log: who did what, when and from where; newest last
    #[command(args_conflicts_with_subcommands = true)]
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
        #[command(flatten)]
        wanted: WhichEntries,
    },
    /// List number prefixes, most messages first, and the sums of countries; open and close prefixes
    Prefixes {
        #[command(subcommand)]
        command: Option<PrefixesCommand>,
    },
    /// Forget the wrong guesses that lock a phone; verify the caller first
    Unlock {
        /// The phone: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
        phone: String,
    },
    /// Test sending messages
    #[command(subcommand)]
    Sms(SmsCommand),
    /// Manage the keys that sign tokens
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// What needs settings without a fault, and all parts.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Work {
    /// Migrate the database and serve; the default command
    Serve,
    /// Migrate the database and stop
    Migrate,
    /// Remove old rows now, as the server does every hour (`RETENTION_…_DAYS`); accounts and leads stay
    Purge {
        /// Keep codes, messages and sessions for this many days instead
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        older_than_days: Option<u16>,
    },
    /// Print the OpenAPI document
    Openapi,
}

/// Which entries are printed, and how.
#[derive(Debug, clap::Args)]
pub struct WhichEntries {
    /// Start: 30m, 2h or 7d ago, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z
    #[arg(long)]
    pub since: Option<Since>,
    // The names are many: an unknown one is told all of them.
    #[arg(long, help = "Only this action, such as signed_in or refresh_reused")]
    pub action: Option<Action>,
    /// Only entries about this account or by it (UUID)
    #[arg(long)]
    pub user: Option<Uuid>,
    /// Only entries about this phone: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
    #[arg(long)]
    pub phone: Option<String>,
    /// Only entries from this client address
    #[arg(long)]
    pub address: Option<std::net::IpAddr>,
    /// The maximum number of entries: the newest
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Continue with new entries as they are written
    #[arg(long)]
    pub follow: bool,
    /// Print each entry as a line of JSON, with times in UTC
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Drop all months before a month; the drop is logged
    Drop {
        /// The first month that stays: 2026-05
        #[arg(long)]
        before: Month,
    },
}

#[derive(Debug, Subcommand)]
pub enum PrefixesCommand {
    /// List prefixes; the default
    List {
        /// Only closed prefixes
        #[arg(long)]
        closed: bool,
        /// The page, of 100 prefixes
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        page: u64,
    },
    /// Open a prefix
    Open {
        /// A country code and four digits: +916205
        prefix: PrefixName,
        /// Hold it open for this many hours, even if no codes come back
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=720))]
        hours: Option<i64>,
    },
    /// Close a prefix for `PREFIX_CLOSED_MINUTES`, even if codes come back
    Close {
        /// A country code and four digits: +916205
        prefix: PrefixName,
    },
}

#[derive(Debug, Subcommand)]
pub enum SmsCommand {
    /// Send one message with a random code, and print the provider's answer
    Test {
        /// The recipient: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
        phone: String,
        /// The channel: sms, whatsapp or call
        #[arg(long)]
        channel: Option<Channel>,
        /// The language, such as hi
        #[arg(long)]
        language: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Generate a private key, in a file that only its owner can read; never overwrites a file
    Generate {
        // Not as a doc comment, which would want back quotes that a terminal shows.
        #[arg(long, default_value = "EdDSA", value_parser = keys::algorithm, help = "EdDSA, ES256 or RS256, in any letter case")]
        algorithm: keys::KeyAlgorithm,
        /// The file
        #[arg(long, default_value = "jwt-key.pem")]
        out: PathBuf,
    },
}
