//! The actions that the audit log records, with their names and facts.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The provider accepted a code.
    CodeSent,
    /// The provider did not accept a code.
    CodeNotSent,
    /// A budget or a region rule refused to send a code.
    CodeRefused,
    /// Staff had a code sent to a user.
    CodeResentByStaff,
    /// A wrong code was given.
    WrongCode,
    /// A budget refused to judge a code.
    GuessRefused,
    /// Wrong guesses locked a phone.
    PhoneLocked,
    /// Staff lifted a lock.
    PhoneUnlocked,
    /// A session was opened.
    SignedIn,
    /// A sign-in was refused although the credentials were right, or before they were checked.
    SignInRefused,
    /// The name or the password was wrong.
    WrongPassword,
    /// A wrong code of the second factor was given.
    WrongSecondFactor,
    /// Wrong codes closed the second step of an account.
    SecondFactorClosed,
    /// A second factor was set up.
    SecondFactorEnrolled,
    /// A second factor was removed, and a link for a new one made.
    SecondFactorReset,
    /// A user made a link for their own second factor.
    EnrolmentLinkMade,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// An account was registered.
    Registered,
    /// A budget refused a registration.
    RegistrationRefused,
    /// A retired refresh token was used, so its session was ended.
    RefreshReused,
    /// A user ended their sessions.
    LoggedOutEverywhere,
    /// An account's phone was changed.
    PhoneChanged,
    /// An account's password was set or changed.
    PasswordChanged,
    /// A user verified again that they hold the session.
    Confirmed,
    /// An admin moved a user to another phone.
    PhoneMoved,
    /// An account left a phone for another one. The entry's phone is the old one.
    PhoneLeft,
    /// Staff ended a session of another account.
    SessionEnded,
    /// A user deleted their account, or an admin did.
    AccountDeleted,
    /// A recycled number was taken from its previous account.
    AccountUnlinked,
    /// Staff gave an account its number back.
    AccountReunited,
    /// Two accounts of one user were joined. There is an entry about each.
    AccountsMerged,
    /// An admin undid that. There is an entry about each.
    MergeUndone,
    /// Staff changed the names or the e-mail address of an account.
    AccountEdited,
    /// An account's role was changed.
    RoleChanged,
    /// Staff deactivated an account.
    AccountDeactivated,
    /// Staff activated an account.
    AccountActivated,
    /// Staff opened a page, or got an answer, that shows a whole phone number.
    PhoneShown,
    /// Staff got a list that shows whole phone numbers.
    PhonesShown,
    /// A session was opened with the fixed code of a review number.
    ReviewSignIn,
    /// A prefix was closed: it gets no messages, because too few of its codes are verified or because staff closed
    /// it.
    PrefixClosed,
    /// A closed prefix gets messages again.
    PrefixOpened,
    /// Staff keep a prefix open, however few of its codes are verified.
    PrefixHeldOpen,
    /// Adaptive routing changed the order of the SMS providers of a country.
    ProvidersReordered,
    /// The operator gave up an event that was not delivered.
    EventSkipped,
    /// The operator lets events be sent again that were given up.
    EventsReplayed,
    /// A daily cap on messages is reached, or nearly.
    CapReached,
    /// A required bot proof was missing or wrong.
    ChallengeFailed,
    /// An admin blocked a phone, a prefix, a country or a network.
    BlockMade,
    /// An admin ended a block.
    BlockEnded,
    /// Staff made an invitation.
    InvitationMade,
    /// Staff ended an invitation.
    InvitationEnded,
    /// An account was made with an invitation.
    InvitationUsed,
    /// Staff added an event interest.
    InterestAdded,
    /// Staff changed an event interest.
    InterestChanged,
    /// The server started with different settings than the last time.
    SettingsChanged,
    /// A server started.
    ServerStarted,
    /// Staff changed the state or the name of a lead, or added a note.
    LeadChanged,
    /// Staff verified the phone of a lead by hand.
    LeadVerifiedByStaff,
    /// An admin exported leads.
    LeadsExported,
    /// An export of leads ended.
    LeadsExportEnded,
    /// An import from another system wrote its first rows.
    ImportBegan,
    /// An import ended.
    ImportEnded,
    /// A change of a country's numbering plan was begun.
    RenumberingBegan,
    /// An account has the new number of a changed plan.
    PhoneRenumbered,
    /// A change of a country's numbering plan ended.
    RenumberingEnded,
    /// The operator made an API key.
    ApiKeyMade,
    /// The operator ended an API key.
    ApiKeyEnded,
    /// The right code of another service's check was entered.
    VerificationApproved,
    /// Another service canceled its check.
    VerificationCanceled,
    /// Old months of the audit log were dropped.
    AuditDropped,
    /// Entries were lost, because the database was unavailable for too long.
    AuditLost,
}

/// What an entry about a code that was not sent may say.
const FACTS_OF_REFUSED_CODE: &[&str] = &[
    "purpose",
    "budget",
    "reason",
    "retry_after",
    "prefix",
    "country",
    "device",
    "block",
    "channel",
    "delivery_id",
    "name",
    "service",
];

/// What an entry about joined accounts may say.
const FACTS_OF_MERGE: &[&str] =
    &["merged_user_id", "into_user_id", "reason", "reference", "ended", "old_phone", "old_phone_mark"];

impl Action {
    /// Every action.
    pub const ALL: [Self; 71] = [
        Self::CodeSent,
        Self::CodeNotSent,
        Self::CodeRefused,
        Self::CodeResentByStaff,
        Self::WrongCode,
        Self::GuessRefused,
        Self::PhoneLocked,
        Self::PhoneUnlocked,
        Self::SignedIn,
        Self::SignInRefused,
        Self::WrongPassword,
        Self::WrongSecondFactor,
        Self::SecondFactorClosed,
        Self::SecondFactorEnrolled,
        Self::SecondFactorReset,
        Self::EnrolmentLinkMade,
        Self::RecoveryCodeUsed,
        Self::Registered,
        Self::RegistrationRefused,
        Self::RefreshReused,
        Self::LoggedOutEverywhere,
        Self::PhoneChanged,
        Self::PasswordChanged,
        Self::Confirmed,
        Self::PhoneMoved,
        Self::PhoneLeft,
        Self::SessionEnded,
        Self::AccountDeleted,
        Self::AccountUnlinked,
        Self::AccountReunited,
        Self::AccountsMerged,
        Self::MergeUndone,
        Self::AccountEdited,
        Self::RoleChanged,
        Self::AccountDeactivated,
        Self::AccountActivated,
        Self::PhoneShown,
        Self::PhonesShown,
        Self::ReviewSignIn,
        Self::PrefixClosed,
        Self::PrefixOpened,
        Self::PrefixHeldOpen,
        Self::ProvidersReordered,
        Self::EventSkipped,
        Self::EventsReplayed,
        Self::CapReached,
        Self::ChallengeFailed,
        Self::BlockMade,
        Self::BlockEnded,
        Self::InvitationMade,
        Self::InvitationEnded,
        Self::InvitationUsed,
        Self::InterestAdded,
        Self::InterestChanged,
        Self::SettingsChanged,
        Self::ServerStarted,
        Self::LeadChanged,
        Self::LeadVerifiedByStaff,
        Self::LeadsExported,
        Self::LeadsExportEnded,
        Self::ImportBegan,
        Self::ImportEnded,
        Self::RenumberingBegan,
        Self::PhoneRenumbered,
        Self::RenumberingEnded,
        Self::ApiKeyMade,
        Self::ApiKeyEnded,
        Self::VerificationApproved,
        Self::VerificationCanceled,
        Self::AuditDropped,
        Self::AuditLost,
    ];

    /// The name in rows. It must never change.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeSent => "code_sent",
            Self::CodeNotSent => "code_not_sent",
            Self::CodeRefused => "code_refused",
            Self::CodeResentByStaff => "code_resent_by_staff",
            Self::WrongCode => "wrong_code",
            Self::GuessRefused => "guess_refused",
            Self::PhoneLocked => "phone_locked",
            Self::PhoneUnlocked => "phone_unlocked",
            Self::SignedIn => "signed_in",
            Self::SignInRefused => "sign_in_refused",
            Self::WrongPassword => "wrong_password",
            Self::WrongSecondFactor => "wrong_second_factor",
            Self::SecondFactorClosed => "second_factor_closed",
            Self::SecondFactorEnrolled => "second_factor_enrolled",
            Self::SecondFactorReset => "second_factor_reset",
            Self::EnrolmentLinkMade => "enrolment_link_made",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::Registered => "registered",
            Self::RegistrationRefused => "registration_refused",
            Self::RefreshReused => "refresh_reused",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::PhoneChanged => "phone_changed",
            Self::PasswordChanged => "password_changed",
            Self::Confirmed => "confirmed",
            Self::PhoneMoved => "phone_moved",
            Self::PhoneLeft => "phone_left",
            Self::SessionEnded => "session_ended",
            Self::AccountDeleted => "account_deleted",
            Self::AccountUnlinked => "account_unlinked",
            Self::AccountReunited => "account_reunited",
            Self::AccountsMerged => "accounts_merged",
            Self::MergeUndone => "merge_undone",
            Self::AccountEdited => "account_edited",
            Self::RoleChanged => "role_changed",
            Self::AccountDeactivated => "account_deactivated",
            Self::AccountActivated => "account_activated",
            Self::PhoneShown => "phone_shown",
            Self::PhonesShown => "phones_shown",
            Self::ReviewSignIn => "review_sign_in",
            Self::PrefixClosed => "prefix_closed",
            Self::PrefixOpened => "prefix_opened",
            Self::PrefixHeldOpen => "prefix_held_open",
            Self::ProvidersReordered => "providers_reordered",
            Self::EventSkipped => "event_skipped",
            Self::EventsReplayed => "events_replayed",
            Self::CapReached => "cap_reached",
            Self::ChallengeFailed => "challenge_failed",
            Self::BlockMade => "block_made",
            Self::BlockEnded => "block_ended",
            Self::InvitationMade => "invitation_made",
            Self::InvitationEnded => "invitation_ended",
            Self::InvitationUsed => "invitation_used",
            Self::InterestAdded => "interest_added",
            Self::InterestChanged => "interest_changed",
            Self::SettingsChanged => "settings_changed",
            Self::ServerStarted => "server_started",
            Self::LeadChanged => "lead_changed",
            Self::LeadVerifiedByStaff => "lead_verified_by_staff",
            Self::LeadsExported => "leads_exported",
            Self::LeadsExportEnded => "leads_export_ended",
            Self::ImportBegan => "import_began",
            Self::ImportEnded => "import_ended",
            Self::RenumberingBegan => "renumbering_began",
            Self::PhoneRenumbered => "phone_renumbered",
            Self::RenumberingEnded => "renumbering_ended",
            Self::ApiKeyMade => "api_key_made",
            Self::ApiKeyEnded => "api_key_ended",
            Self::VerificationApproved => "verification_approved",
            Self::VerificationCanceled => "verification_canceled",
            Self::AuditDropped => "audit_dropped",
            Self::AuditLost => "audit_lost",
        }
    }

    /// The names of the facts that an entry may have. `docs/AUDIT.md` describes each.
    #[must_use]
    #[expect(
        clippy::match_same_arms,
        reason = "each action has its own line, even if its facts equal another's"
    )]
    pub fn facts(self) -> &'static [&'static str] {
        match self {
            Self::CodeSent => {
                &["purpose", "channel", "provider", "resend", "delivery_id", "device", "service"]
            }
            Self::CodeNotSent => {
                &["purpose", "channel", "provider", "reason", "delivery_id", "device", "service"]
            }
            Self::CodeRefused => FACTS_OF_REFUSED_CODE,
            Self::CodeResentByStaff => &["channel"],
            Self::WrongCode => &["purpose", "left", "device", "name", "service"],
            Self::GuessRefused => {
                &["purpose", "budget", "reason", "retry_after", "device", "block", "name", "service"]
            }
            Self::PhoneLocked => &["budget", "purpose", "retry_after", "service"],
            Self::PhoneUnlocked => &["budget"],
            Self::SignedIn => &["by", "issuer", "sid", "new_account", "device", "second_factor"],
            Self::SignInRefused => {
                &["by", "issuer", "reason", "budget", "retry_after", "name", "until", "block"]
            }
            Self::WrongPassword => &["for", "name"],
            Self::WrongSecondFactor => &["for", "left"],
            Self::SecondFactorClosed => &["until"],
            Self::SecondFactorEnrolled => &["ended"],
            Self::SecondFactorReset => &["enrolled", "ended"],
            Self::EnrolmentLinkMade => &[],
            Self::RecoveryCodeUsed => &["left"],
            Self::Registered => &["by", "role", "sid"],
            Self::RegistrationRefused => &["by", "budget", "reason", "retry_after", "block"],
            Self::RefreshReused => &["sid"],
            Self::LoggedOutEverywhere => &["ended", "kept"],
            Self::PhoneChanged => &["ended", "was", "old_phone", "old_phone_mark"],
            Self::PasswordChanged => &["by", "ended", "first"],
            Self::Confirmed => &["by", "sid"],
            Self::PhoneMoved => &["reason", "reference", "ended", "old_phone", "old_phone_mark"],
            Self::PhoneLeft => &[],
            Self::SessionEnded => &["sid"],
            Self::AccountDeleted => &["reason"],
            Self::AccountUnlinked => &["new_user_id", "unused_days"],
            Self::AccountReunited => &["from_user_id"],
            Self::AccountsMerged => FACTS_OF_MERGE,
            Self::MergeUndone => &["restored_user_id", "into_user_id", "reason", "reference", "ended"],
            Self::AccountEdited => &["fields"],
            Self::RoleChanged => &["from", "to", "ended"],
            Self::AccountDeactivated => &["ended"],
            Self::AccountActivated => &[],
            Self::PhoneShown => &["number"],
            Self::PhonesShown => &["list", "accounts", "filters"],
            Self::ReviewSignIn => &["sid", "new_account"],
            Self::PrefixClosed => &["prefix", "country", "sent", "verified", "until"],
            Self::PrefixOpened => &["prefix", "country", "half"],
            Self::PrefixHeldOpen => &["prefix", "country", "until"],
            Self::ProvidersReordered => &["country", "order", "before", "shares"],
            Self::EventSkipped => &["event", "type"],
            Self::EventsReplayed => &["events", "event", "type"],
            Self::CapReached => &["budget", "country", "cap", "percent"],
            Self::ChallengeFailed => {
                &["provider", "reason", "purpose", "channel", "delivery_id", "name", "service"]
            }
            Self::BlockMade => &["block", "kind", "value", "until", "ended"],
            Self::BlockEnded => &["block", "kind", "value"],
            Self::InvitationMade => &["invitation", "uses", "until"],
            Self::InvitationEnded => &["invitation", "left"],
            Self::InvitationUsed => &["invitation"],
            Self::InterestAdded => &["interest"],
            Self::InterestChanged => &["interest", "fields", "is_active"],
            Self::SettingsChanged => &["changed", "settings"],
            Self::ServerStarted => &["version", "environment"],
            Self::LeadChanged => &["lead_id", "fields", "from", "to"],
            Self::LeadVerifiedByStaff => &["new_account", "converted"],
            Self::LeadsExported => &["leads", "filters"],
            Self::LeadsExportEnded => &["leads", "outcome"],
            Self::ImportBegan => &["source"],
            Self::ImportEnded => &["source", "accounts", "leads", "merged", "refused"],
            Self::RenumberingBegan => &["from", "to"],
            Self::PhoneRenumbered => &["old_phone", "old_phone_mark"],
            Self::RenumberingEnded => &["from", "to", "accounts", "leads", "blocks", "conflicts"],
            Self::ApiKeyMade => &["service", "scopes"],
            Self::ApiKeyEnded => &["service"],
            Self::VerificationApproved => &["service", "verification"],
            Self::VerificationCanceled => &["service", "verification"],
            Self::AuditDropped => &["before", "entries"],
            Self::AuditLost => &["entries"],
        }
    }
}

/// The text is not an action.
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
