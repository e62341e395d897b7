//! The kinds of entries.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A code went to the provider.
    CodeSent,
    /// A code was to be sent, and the provider did not take it.
    CodeNotSent,
    /// A code was asked for, and a budget or a region stopped it.
    CodeRefused,
    /// A code was judged and is another.
    WrongCode,
    /// A code came, and a budget kept it from being judged.
    GuessRefused,
    /// Wrong guesses locked a phone.
    PhoneLocked,
    /// Somebody of the staff lifted a lock.
    PhoneUnlocked,
    /// A session was opened.
    SignedIn,
    /// Who she is was proved, or could not be tried, and she was not let in.
    SignInRefused,
    /// A password was judged and is another, or there is no such name.
    WrongPassword,
    /// An account was made.
    Registered,
    /// A budget stopped a registration.
    RegistrationRefused,
    /// A retired refresh token was used: its session was ended.
    RefreshReused,
    /// Somebody ended her sessions.
    LoggedOutEverywhere,
    /// An account has another phone.
    PhoneChanged,
    /// An account has another password, or its first.
    PasswordChanged,
    /// Somebody proved again who holds the session.
    Confirmed,
    /// Somebody left, and her account is gone.
    AccountDeleted,
    /// A recycled number was taken from the account that had it.
    AccountUnlinked,
    /// Somebody of the staff gave an account its number back.
    AccountReunited,
    /// Somebody of the staff changed what an account is called.
    AccountEdited,
    /// An account may do more or less than before.
    RoleChanged,
    /// Somebody of the staff switched an account off.
    AccountDeactivated,
    /// Somebody of the staff switched an account on.
    AccountActivated,
    /// A session was opened with the fixed code of a review number.
    ReviewSignIn,
    /// Codes to a prefix do not come back: it gets no more.
    PrefixClosed,
    /// A closed prefix gets messages again.
    PrefixOpened,
    /// Somebody of the staff keeps a prefix open, whatever comes back.
    PrefixHeldOpen,
    /// The messages of a day are used up, or nearly.
    CapReached,
    /// A proof that no program asks was not given.
    ChallengeFailed,
    /// The server started with other settings than the last time.
    SettingsChanged,
    /// A server started.
    ServerStarted,
    /// Old months of this log were dropped.
    AuditDropped,
    /// The database was away for too long: entries were lost.
    AuditLost,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 34] = [
        Self::CodeSent,
        Self::CodeNotSent,
        Self::CodeRefused,
        Self::WrongCode,
        Self::GuessRefused,
        Self::PhoneLocked,
        Self::PhoneUnlocked,
        Self::SignedIn,
        Self::SignInRefused,
        Self::WrongPassword,
        Self::Registered,
        Self::RegistrationRefused,
        Self::RefreshReused,
        Self::LoggedOutEverywhere,
        Self::PhoneChanged,
        Self::PasswordChanged,
        Self::Confirmed,
        Self::AccountDeleted,
        Self::AccountUnlinked,
        Self::AccountReunited,
        Self::AccountEdited,
        Self::RoleChanged,
        Self::AccountDeactivated,
        Self::AccountActivated,
        Self::ReviewSignIn,
        Self::PrefixClosed,
        Self::PrefixOpened,
        Self::PrefixHeldOpen,
        Self::CapReached,
        Self::ChallengeFailed,
        Self::SettingsChanged,
        Self::ServerStarted,
        Self::AuditDropped,
        Self::AuditLost,
    ];

    /// The name in the row. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeSent => "code_sent",
            Self::CodeNotSent => "code_not_sent",
            Self::CodeRefused => "code_refused",
            Self::WrongCode => "wrong_code",
            Self::GuessRefused => "guess_refused",
            Self::PhoneLocked => "phone_locked",
            Self::PhoneUnlocked => "phone_unlocked",
            Self::SignedIn => "signed_in",
            Self::SignInRefused => "sign_in_refused",
            Self::WrongPassword => "wrong_password",
            Self::Registered => "registered",
            Self::RegistrationRefused => "registration_refused",
            Self::RefreshReused => "refresh_reused",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::PhoneChanged => "phone_changed",
            Self::PasswordChanged => "password_changed",
            Self::Confirmed => "confirmed",
            Self::AccountDeleted => "account_deleted",
            Self::AccountUnlinked => "account_unlinked",
            Self::AccountReunited => "account_reunited",
            Self::AccountEdited => "account_edited",
            Self::RoleChanged => "role_changed",
            Self::AccountDeactivated => "account_deactivated",
            Self::AccountActivated => "account_activated",
            Self::ReviewSignIn => "review_sign_in",
            Self::PrefixClosed => "prefix_closed",
            Self::PrefixOpened => "prefix_opened",
            Self::PrefixHeldOpen => "prefix_held_open",
            Self::CapReached => "cap_reached",
            Self::ChallengeFailed => "challenge_failed",
            Self::SettingsChanged => "settings_changed",
            Self::ServerStarted => "server_started",
            Self::AuditDropped => "audit_dropped",
            Self::AuditLost => "audit_lost",
        }
    }

    /// What else an entry may tell, by name. `docs/AUDIT.md` says what each means.
    #[must_use]
    #[expect(
        clippy::match_same_arms,
        reason = "each action has a line of its own, whichever others tell the same"
    )]
    pub fn facts(self) -> &'static [&'static str] {
        match self {
            Self::CodeSent => &["purpose", "channel", "resend", "delivery_id", "device"],
            Self::CodeNotSent => &["purpose", "channel", "reason", "delivery_id", "device"],
            Self::CodeRefused => {
                &["purpose", "budget", "reason", "retry_after", "prefix", "country", "device"]
            }
            Self::WrongCode => &["purpose", "left", "device"],
            Self::GuessRefused => &["purpose", "budget", "retry_after", "device"],
            Self::PhoneLocked => &["budget", "purpose", "retry_after"],
            Self::PhoneUnlocked => &["budget"],
            Self::SignedIn => &["by", "sid", "new_account", "device"],
            Self::SignInRefused => &["by", "reason", "budget", "retry_after", "name"],
            Self::WrongPassword => &["for", "name"],
            Self::Registered => &["by", "role"],
            Self::RegistrationRefused => &["budget", "retry_after"],
            Self::RefreshReused => &["sid"],
            Self::LoggedOutEverywhere => &["ended", "kept"],
            Self::PhoneChanged => &["ended", "old_phone", "old_phone_mark"],
            Self::PasswordChanged => &["ended", "first"],
            Self::Confirmed => &["by", "sid"],
            Self::AccountDeleted => &[],
            Self::AccountUnlinked => &["new_user_id", "unused_days"],
            Self::AccountReunited => &["from_user_id"],
            Self::AccountEdited => &["fields"],
            Self::RoleChanged => &["from", "to", "ended"],
            Self::AccountDeactivated => &["ended"],
            Self::AccountActivated => &[],
            Self::ReviewSignIn => &["sid", "new_account"],
            Self::PrefixClosed => &["prefix", "country", "sent", "verified", "until"],
            Self::PrefixOpened => &["prefix", "country", "half"],
            Self::PrefixHeldOpen => &["prefix", "country", "until"],
            Self::CapReached => &["budget", "country", "cap", "percent"],
            Self::ChallengeFailed => &["provider", "reason"],
            Self::SettingsChanged => &["changed", "settings"],
            Self::ServerStarted => &["version", "environment"],
            Self::AuditDropped => &["before", "entries"],
            Self::AuditLost => &["entries"],
        }
    }
}

/// It is no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be one of {}", Action::ALL.map(Action::as_str).join(", "))]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|action| action.as_str() == name).ok_or(UnknownAction)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
