//! The command line: commands, arguments and the help about them.

#![expect(
    missing_docs,
    reason = "clap prints doc comments as help; the fields of a command get theirs from the command"
)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use uuid::Uuid;

use super::{api_keys, audit, createsuperuser, import, keys, renumber, set_password, sms};
use crate::domain::{api_key::KeyName, audit::Month, budget::PrefixName};

/// Sign-in by phone number, self-hosted.
///
/// Settings are environment variables, also from a file `.env`. `.env.example` describes them all.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// `serve` if there is none.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
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
    /// Copy an SQLite database into a new file, while the server runs; for PostgreSQL use `pg_dump`
    Backup {
        /// The file, which must not exist; only its owner can read it
        file: PathBuf,
    },
    /// Put a backup in the place of a lost SQLite database, while the server is stopped
    Restore {
        /// A file that `loopin-auth backup` has made
        file: PathBuf,
        /// Only check that the file is whole and fits this version; needs no settings
        #[arg(long)]
        check: bool,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Ask the running server whether it answers, as the probe of a container; exit status 0 or 1
    Healthcheck {
        /// What to ask instead of /api/health at `BIND_ADDR` (HTTPS with `TLS_CERT_FILE`, whatever its certificate), such as
        /// <http://127.0.0.1:8000/api/health/ready>
        #[arg(long)]
        url: Option<String>,
    },
    /// Check the settings, the database, the migrations, the providers and Twilio's credentials, and say what to do
    Doctor,
    /// Print every setting with its value and where that comes from; of a secret, only whether it is set
    Settings {
        /// Print the page docs/SETTINGS.md, which describes every setting
        #[arg(long)]
        markdown: bool,
    },
    /// Create an admin account and print a link for its second factor; asks for missing arguments and for the password
    ///
    /// The password is never an argument, because other users of the machine can see those. Scripts use --noinput and
    /// --username, and set the environment variable `LOOPIN_SUPERUSER_PASSWORD`, or `LOOPIN_SUPERUSER_PASSWORD_FILE` to a
    /// file with the password.
    #[command(name = "createsuperuser")]
    CreateSuperuser(createsuperuser::Options),
    /// Print the audit log: who did what, when and from where; newest last
    #[command(args_conflicts_with_subcommands = true)]
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
        #[command(flatten)]
        options: audit::Options,
    },
    /// List number prefixes, most messages first, and the sums of countries; open and close prefixes
    Prefixes {
        #[command(subcommand)]
        command: Option<PrefixesCommand>,
    },
    /// List events that the receiver of `EVENTS_URL` has not got; send them again, or give them up
    #[command(subcommand)]
    Events(EventsCommand),
    /// Manage the API keys of other services, which check phones and tokens here
    #[command(subcommand, name = "api-keys")]
    ApiKeys(ApiKeysCommand),
    /// Bring users, leads and interests from another system
    ///
    /// `docs/MOVING.md` says how to export them, what comes and what does not. It can be repeated: a second run brings what is new,
    /// and changes nothing that came before. Exits with 3 if rows were refused.
    Import(import::Options),
    /// Give accounts, leads and blocks their new numbers, when a country changes its numbering plan
    ///
    /// Run it with --dry-run first. Servers may run meanwhile. A run that was stopped is run again and goes on; one more changes nothing.
    Renumber(renumber::Options),
    /// Make, list and end invitations, which people need to sign up where `SIGNUPS=invited`
    #[command(subcommand)]
    Invitations(InvitationsCommand),
    /// Unlock a phone that wrong guesses have locked; first make sure that the request comes from its owner
    Unlock {
        /// The phone: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
        phone: String,
    },
    /// Set the password of an account and end its sessions, for staff and admins who forgot theirs; first make sure who asks
    ///
    /// Asks for the password twice. It is never an argument, because other users of the machine can see those.
    SetPassword(set_password::Options),
    /// Manage the second factors of staff
    #[command(subcommand, name = "second-factor")]
    SecondFactor(SecondFactorCommand),
    /// Test sending messages
    #[command(subcommand)]
    Sms(SmsCommand),
    /// Manage the keys that sign tokens
    #[command(subcommand)]
    Keys(KeysCommand),
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
pub enum EventsCommand {
    /// List events that wait, the earliest first
    List {
        /// Those that were given up instead
        #[arg(long)]
        dead: bool,
        /// Only those of this user, by the id
        #[arg(long)]
        user: Option<Uuid>,
        /// As JSON, one event on each line, with its data
        #[arg(long)]
        json: bool,
        /// No more than this many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        limit: u64,
    },
    /// Send events again that were given up; the server does it within seconds
    Replay {
        /// The event, by the id
        #[arg(required_unless_present = "all")]
        id: Option<Uuid>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// All of this user, by the id
        #[arg(long, requires = "all")]
        user: Option<Uuid>,
    },
    /// Give up an event that waits, so that later events of its user are sent
    Skip {
        /// The event, by the id
        id: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub enum InvitationsCommand {
    /// Make an invitation and print it; it is shown once
    Create {
        /// How many accounts it makes, 1 to 1000
        #[arg(long, default_value_t = 1)]
        uses: i64,
        /// When it ends by itself: a day, such as 2027-01-31, a time (RFC 3339), or 14d or 12h from now; never if left out
        #[arg(long)]
        expires: Option<String>,
        /// The only phone that it admits: +919876543210, or a national number of `PHONE_DEFAULT_REGION`
        #[arg(long)]
        phone: Option<String>,
    },
    /// List invitations, the newest first; their texts are not stored
    List {
        /// No more than this many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        limit: u64,
    },
    /// End an invitation; accounts that it made stay
    End {
        /// The invitation, by the id
        id: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub enum ApiKeysCommand {
    /// Create a key and print it; it cannot be printed again
    Create(api_keys::Options),
    /// List all keys, ended ones too; the keys themselves are not stored
    List {
        /// As JSON, one key on each line
        #[arg(long)]
        json: bool,
    },
    /// End a key; the next request with it is refused
    End {
        /// The name
        #[arg(value_parser = KeyName::parse)]
        name: KeyName,
    },
}

#[derive(Debug, Subcommand)]
pub enum SecondFactorCommand {
    /// Remove a lost second factor, unlock the account, and print a link for a new one; first make sure who asks
    Reset {
        /// The username, the e-mail address, or the verified phone
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum SmsCommand {
    /// Send one message with a random code, and print the provider's answer
    Test(sms::Options),
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Generate a private key, in a file that only its owner can read; never overwrites a file
    Generate {
        // Not a doc comment: Clippy demands back quotes there, and a terminal would show them.
        #[arg(long, default_value = "EdDSA", value_parser = keys::algorithm, help = "EdDSA, ES256 or RS256, in any letter case")]
        algorithm: keys::KeyAlgorithm,
        /// The file
        #[arg(long, default_value = "jwt-key.pem")]
        out: PathBuf,
    },
}
