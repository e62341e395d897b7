//! What happened last, where that was no message; and what is left to say where nothing happened.

use chrono::{DateTime, Utc};

use super::{Advice, facts::BlockedPart, times::Local, words};

/// The last thing that happened at a known time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The app did not answer a bot check.
    BotCheckMissing,
    /// The app answered a bot check wrongly.
    BotCheckFailed,
    /// The provider of the bot check did not answer.
    BotCheckUnavailable,
    /// The operator's hook denied the code.
    HookDenied,
    /// The operator's hook gave no decision, so the code was not sent.
    HookFailed,
    /// The operator's hook wanted a bot check first.
    HookChallenged,
    /// The app asked to log in, and the phone has no account.
    NoAccount,
    /// The app asked to sign up, and the phone has a complete account.
    AlreadyRegistered,
    /// The app asked to sign up, and the phone may get no account.
    SignupClosed,
    /// The right code, but `verify-login` opens no new account.
    RightCodeNoAccount,
    /// The right code, but the phone may get no account.
    RightCodeSignupClosed,
    /// The number was taken from an account that was unused for too long.
    Unlinked,
    /// A wrong password.
    WrongPassword,
    /// The user signed in with a code, or used one to confirm.
    Verified,
    /// The right code of another service's check.
    CheckedForService,
    /// The user signed in with a password.
    SignedInByPassword,
    /// A token of another system opened a session.
    SignedInByToken,
    /// Staff verified the phone by hand.
    VerifiedByHand,
    /// A used refresh token came back, so the session was ended.
    SignedOut,
    /// The user deleted the account.
    AccountDeleted,
    /// The last request was refused, for a reason that no longer holds.
    RefusedEarlier,
    /// The last request was refused by a block that is over.
    RefusedByBlock {
        /// What was blocked, if the block is still stored.
        part: Option<BlockedPart>,
        /// When the block ended, if it is still stored.
        ended_at: Option<DateTime<Utc>>,
    },
    /// Staff blocked the phone, and the block is over.
    BlockOver {
        /// When it ended, if it is still stored.
        ended_at: Option<DateTime<Utc>>,
    },
    /// The account of the phone left it for another number.
    MovedAway {
        /// Whether staff moved it. Otherwise the user changed the number.
        is_by_staff: bool,
        /// Whether the account was deleted since.
        is_deleted: bool,
    },
    /// Staff moved an account to the phone.
    MovedHere,
    /// A code was requested so long ago that its messages are no longer stored.
    AskedLongAgo,
}

impl Event {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::BotCheckMissing => "bot_check_missing",
            Self::BotCheckFailed => "bot_check_failed",
            Self::BotCheckUnavailable => "bot_check_unavailable",
            Self::HookDenied => "hook_denied",
            Self::HookFailed => "hook_failed",
            Self::HookChallenged => "hook_challenged",
            Self::NoAccount => "no_account",
            Self::AlreadyRegistered => "already_registered",
            Self::SignupClosed => "signup_closed",
            Self::RightCodeNoAccount => "right_code_no_account",
            Self::RightCodeSignupClosed => "right_code_signup_closed",
            Self::Unlinked => "unlinked",
            Self::WrongPassword => "wrong_password",
            Self::Verified => "verified",
            Self::CheckedForService => "checked_for_service",
            Self::SignedInByPassword => "signed_in_by_password",
            Self::SignedInByToken => "signed_in_by_token",
            Self::VerifiedByHand => "verified_by_hand",
            Self::SignedOut => "signed_out",
            Self::AccountDeleted => "account_deleted",
            Self::RefusedEarlier => "refused_earlier",
            Self::RefusedByBlock { .. } => "refused_by_block",
            Self::BlockOver { .. } => "block_over",
            Self::MovedAway { .. } => "moved_away",
            Self::MovedHere => "moved_here",
            Self::AskedLongAgo => "asked_long_ago",
        }
    }

    pub(super) fn sentence(self, at: DateTime<Utc>, local: Local) -> String {
        let at = local.at(at);
        let end = |ended_at: Option<DateTime<Utc>>| {
            ended_at.map_or_else(
                || "The block is over.".to_owned(),
                |ended_at| format!("The block ended {}.", local.at(ended_at)),
            )
        };
        match self {
            Self::BotCheckMissing => {
                format!("The app was asked {at} to prove that it is no bot, and has not done so.")
            }
            Self::BotCheckFailed => format!("The bot check failed {at}, so no code was sent."),
            Self::BotCheckUnavailable => {
                format!("The provider of the bot check did not answer {at}, so no code was sent.")
            }
            Self::HookDenied => {
                format!("The operator's check before sending denied the code {at}, so it was not sent.")
            }
            Self::HookFailed => {
                format!("The operator's check before sending did not answer {at}, so no code was sent.")
            }
            Self::HookChallenged => format!(
                "The operator's check before sending wanted the app to prove {at} that it is no bot, and it has not \
                 done so."
            ),
            Self::NoAccount => format!("The app tried to log in {at}, and this number has no account."),
            Self::AlreadyRegistered => {
                format!("The app tried to sign up {at}, and this number has an account already.")
            }
            Self::SignupClosed => format!(
                "The app tried to sign up {at}, and was refused: sign-ups are closed, or the user had no valid invitation."
            ),
            Self::RightCodeSignupClosed => format!(
                "The right code was entered {at}, but no account was made: sign-ups are closed, or the user had no valid \
                 invitation."
            ),
            Self::RightCodeNoAccount => {
                format!("The right code was entered {at} to log in, and this number has no account.")
            }
            Self::Unlinked => {
                format!("The number was taken {at} from an account that was unused for too long.")
            }
            Self::WrongPassword => format!("A wrong password was entered {at}."),
            Self::Verified => format!("The right code was entered {at}."),
            Self::CheckedForService => {
                format!(
                    "The right code was entered {at} for a check of another service, which signs nobody in."
                )
            }
            Self::SignedInByPassword => format!("The user signed in with a password {at}."),
            Self::SignedInByToken => format!("The user signed in with a token of another system {at}."),
            Self::VerifiedByHand => format!("Staff verified this number by hand {at}."),
            Self::SignedOut => format!("The user was signed out {at}: an old token of the app came back."),
            Self::AccountDeleted => format!("The user deleted the account {at}."),
            Self::RefusedEarlier => format!("The last request was refused {at}. What refused it is over."),
            Self::RefusedByBlock { part, ended_at } => {
                let part = part.map_or("the number or the network", words::blocked);
                format!(
                    "The last request was refused {at}, because staff had blocked {part}. {}",
                    end(ended_at)
                )
            }
            Self::BlockOver { ended_at } => {
                format!(
                    "Staff blocked this number {at}, which ended its codes and sessions. {}",
                    end(ended_at)
                )
            }
            Self::MovedAway { is_by_staff, is_deleted } => {
                let who = if is_by_staff { "Staff" } else { "The user" };
                let since = if is_deleted { ", and it was deleted since" } else { "" };
                format!("{who} moved the account of this number to another number {at}{since}.")
            }
            Self::MovedHere => {
                format!("Staff moved an account to this number {at}, which ended all of its sessions.")
            }
            Self::AskedLongAgo => {
                format!("The last code was requested {at}. Its messages are no longer stored.")
            }
        }
    }

    /// Whether a code that staff send helps.
    pub(super) fn may_send(self) -> bool {
        match self {
            Self::BotCheckMissing
            | Self::BotCheckFailed
            | Self::BotCheckUnavailable
            | Self::HookDenied
            | Self::HookFailed
            | Self::HookChallenged
            | Self::NoAccount
            | Self::AlreadyRegistered
            | Self::RightCodeNoAccount
            | Self::WrongPassword
            | Self::SignedOut
            | Self::AccountDeleted
            | Self::VerifiedByHand
            | Self::RefusedEarlier
            | Self::RefusedByBlock { .. }
            | Self::BlockOver { .. }
            | Self::MovedHere
            | Self::CheckedForService
            | Self::MovedAway { is_deleted: true, .. }
            | Self::AskedLongAgo => true,
            // A code for a number that its account left would open a second account.
            Self::MovedAway { is_deleted: false, .. }
            // It would be refused again.
            | Self::SignupClosed
            | Self::RightCodeSignupClosed
            | Self::Unlinked
            | Self::Verified
            | Self::SignedInByPassword
            | Self::SignedInByToken => false,
        }
    }

    pub(super) fn advice(self) -> Advice {
        match self {
            Self::BotCheckMissing | Self::BotCheckFailed => Advice {
                tell: "Update the app and try again, or try another network, such as mobile data.",
                act: "Send a code yourself: that needs no bot check.",
            },
            Self::BotCheckUnavailable => Advice {
                tell: "Try again in a minute.",
                act: "Send a code yourself: that needs no bot check. If it lasts, tell the operator.",
            },
            Self::HookDenied => Advice {
                tell: "We cannot send you a code at the moment. Our team is looking at it.",
                act: "Ask the operator why: the check sees every code, also those that you send. Make sure that you \
                      talk to the owner of the number.",
            },
            Self::HookFailed => Advice {
                tell: "Try again in a minute.",
                act: "Send a code, and watch here what becomes of it. If it lasts, tell the operator.",
            },
            Self::HookChallenged => Advice {
                tell: "Update the app and try again, or try another network, such as mobile data.",
                act: "Ask the operator why: the check sees every code, also those that you send.",
            },
            Self::NoAccount => Advice {
                tell: "You have no account yet. Choose “sign up” in the app.",
                act: "Ask if the user signed up with another number. A person's page can be found by name.",
            },
            Self::AlreadyRegistered => Advice {
                tell: "You have an account. Choose “log in” in the app.",
                act: "Send a code, and let the user enter it in “log in”.",
            },
            Self::SignupClosed | Self::RightCodeSignupClosed => Advice {
                tell: "We take no new users at the moment without an invitation. You are on our list.",
                act: "Make an invitation for the number under Leads, if sign-ups take invitations; or verify the number by \
                      hand, which makes the account.",
            },
            Self::RightCodeNoAccount => Advice {
                tell: "You have no account yet. Choose “sign up” in the app: the same code still works there.",
                act: "Nothing was wrong with the code. Or verify the number by hand, which makes the account.",
            },
            Self::Unlinked => Advice {
                tell: "You have a new account. Tell us if you want the old one back.",
                act: "Make sure that the caller owned the old account. Then reunite it on the person's page.",
            },
            Self::WrongPassword => Advice {
                tell: "Try the password again, or sign in with a code.",
                act: "Send a code, so that the user needs no password.",
            },
            Self::VerifiedByHand => Advice {
                tell: "Your number is verified. Choose “log in” in the app and enter the code that we send you now.",
                act: "Send a code. The user is signed in only after entering it.",
            },
            Self::Verified | Self::SignedInByPassword | Self::SignedInByToken => Advice {
                tell: "It worked. If the app still asks you to sign in, close it and open it again.",
                act: "Nothing is wrong here. If the user does not know of it, end the sessions on the person's page.",
            },
            Self::SignedOut => Advice {
                tell: "Sign in again with a code.",
                act: "A copy of the app's data, or another person with the token, can cause this. Send a code.",
            },
            Self::AccountDeleted => Advice {
                tell: "Your account is gone, as you asked. Sign up if you want a new one.",
                act: "What was deleted cannot be brought back.",
            },
            Self::RefusedEarlier => {
                Advice { tell: "Try again now.", act: "Send a code, and watch here what becomes of it." }
            }
            Self::RefusedByBlock { .. } => Advice {
                tell: "The block is over. Try again now.",
                act: "Send a code, and watch here what becomes of it.",
            },
            Self::BlockOver { .. } => Advice {
                tell: "Your number is no longer blocked. Ask for a new code and sign in again.",
                act: "Send a code. Codes from before the block no longer work.",
            },
            Self::MovedAway { is_deleted: false, .. } => Advice {
                tell: "Your account has another number now. Log in with that number.",
                act: "The person's page has the new number. If the user did not want this, make sure that you talk to \
                      the owner, and ask an admin to move the account back.",
            },
            Self::MovedAway { is_deleted: true, .. } => Advice {
                tell: "Your account is gone. Sign up if you want a new one.",
                act: "What was deleted cannot be brought back.",
            },
            Self::CheckedForService => Advice {
                tell: "Your number is confirmed at the service that asked. To use our app, ask for a code there.",
                act: "The history names the service. If the user waits for a code of our app, send one.",
            },
            Self::MovedHere => Advice {
                tell: "Your account has this number now. Choose “log in” in the app and enter the code that we send you.",
                act: "Send a code. The user is signed in only after entering it.",
            },
            Self::AskedLongAgo => Advice {
                tell: "Ask for a code in the app.",
                act: "Send a code, and watch here what becomes of it.",
            },
        }
    }
}
