//! What became of the last message, and of the code in it.

use chrono::{DateTime, Utc};

use super::{Advice, times::Local, words};
use crate::delivery::Channel;

/// The state of the last message and of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastMessage {
    /// The user wrote STOP, or blocked the sender.
    OptedOut(Channel),
    /// The provider refuses messages to this number, because of this.
    NumberUnreachable(&'static str),
    /// The provider refuses the operator's messages.
    ProviderRefusesUs,
    /// The provider could not be reached, or took no messages at that moment.
    ProviderUnavailable,
    /// The provider did not confirm the message.
    OutcomeUnknown,
    /// The message is being handed over.
    Sending,
    /// The provider accepted the message.
    Accepted,
    /// The provider passed the message on to the carrier.
    PassedOn,
    /// The provider accepted the message and could not deliver it, because of this.
    Undelivered(Channel, &'static str),
    /// One provider failed, so the code went by the next one.
    AnotherProvider {
        /// The channel of both.
        channel: Channel,
        /// The provider that failed.
        failed: Option<&'static str>,
        /// Why.
        why: &'static str,
        /// The next one.
        provider: Option<&'static str>,
        /// Whether that message was delivered.
        is_delivered: bool,
    },
    /// One channel failed, so the code went by the next one.
    AnotherChannel {
        /// The channel that failed.
        failed: Channel,
        /// Why.
        why: &'static str,
        /// The next one.
        channel: Channel,
        /// Whether that message was delivered.
        is_delivered: bool,
    },
    /// The phone received the code, and no code was entered.
    Delivered,
    /// A wrong code was entered, and so many guesses are left.
    WrongCode(i64),
    /// All guesses were wrong: so many.
    GuessesUsedUp(i64),
    /// The phone received the code, and no code was entered before it expired.
    ExpiredUnused(Option<DateTime<Utc>>),
    /// The code expired, and no report says if it arrived.
    ExpiredWithoutReport(Option<DateTime<Utc>>),
    /// The code expired after wrong guesses.
    ExpiredAfterWrongCode,
}

impl LastMessage {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::OptedOut(_) => "opted_out",
            Self::NumberUnreachable(_) => "number_unreachable",
            Self::ProviderRefusesUs => "provider_refuses_us",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Sending => "sending",
            Self::Accepted => "accepted_no_report",
            Self::PassedOn => "passed_on_no_report",
            Self::Undelivered(..) => "undelivered",
            Self::AnotherProvider { .. } => "another_provider",
            Self::AnotherChannel { .. } => "another_channel",
            Self::Delivered => "delivered_not_entered",
            Self::WrongCode(_) => "wrong_code",
            Self::GuessesUsedUp(_) => "guesses_used_up",
            Self::ExpiredUnused(_) => "expired_unused",
            Self::ExpiredWithoutReport(_) => "expired_without_report",
            Self::ExpiredAfterWrongCode => "expired_after_wrong_code",
        }
    }

    /// Whether more may become known without any person doing anything.
    pub(super) fn is_under_way(&self) -> bool {
        match self {
            Self::OutcomeUnknown
            | Self::Sending
            | Self::Accepted
            | Self::PassedOn
            | Self::AnotherProvider { .. }
            | Self::AnotherChannel { .. }
            | Self::Delivered
            | Self::WrongCode(_) => true,
            Self::OptedOut(_)
            | Self::NumberUnreachable(_)
            | Self::ProviderRefusesUs
            | Self::ProviderUnavailable
            | Self::Undelivered(..)
            | Self::GuessesUsedUp(_)
            | Self::ExpiredUnused(_)
            | Self::ExpiredWithoutReport(_)
            | Self::ExpiredAfterWrongCode => false,
        }
    }

    /// Whether the user now needs another code.
    pub(super) fn needs_another(&self) -> bool {
        match self {
            Self::ProviderUnavailable
            | Self::GuessesUsedUp(_)
            | Self::ExpiredUnused(_)
            | Self::ExpiredWithoutReport(_)
            | Self::ExpiredAfterWrongCode => true,
            Self::OptedOut(_)
            | Self::NumberUnreachable(_)
            | Self::ProviderRefusesUs
            | Self::OutcomeUnknown
            | Self::Sending
            | Self::Accepted
            | Self::PassedOn
            | Self::Undelivered(..)
            | Self::AnotherProvider { .. }
            | Self::AnotherChannel { .. }
            | Self::Delivered
            | Self::WrongCode(_) => false,
        }
    }

    pub(super) fn sentence(&self, at: DateTime<Utc>, local: Local) -> String {
        let at = local.at(at);
        let expired = |when: &Option<DateTime<Utc>>| {
            when.map_or_else(String::new, |when| format!(" {}", local.at(when)))
        };
        match self {
            Self::OptedOut(Channel::WhatsApp) => {
                format!("The provider refused the message {at}: the user blocked our WhatsApp sender.")
            }
            Self::OptedOut(Channel::Sms | Channel::Call) => {
                format!("The provider refused the message {at}: the user wrote STOP to our number.")
            }
            Self::NumberUnreachable(why) => format!("The provider refused the message {at}: {why}."),
            Self::ProviderRefusesUs => {
                format!("The provider refused the message {at} because of our account or our settings.")
            }
            Self::ProviderUnavailable => {
                format!("The provider was not available {at}, so no code was sent.")
            }
            Self::OutcomeUnknown => {
                format!("The provider did not confirm the message {at}: it may have been sent or not.")
            }
            Self::Sending => {
                format!("The message was handed to the provider {at}, and it has not answered yet.")
            }
            Self::Accepted => format!("Accepted by the provider {at}, and no report came yet."),
            Self::PassedOn => {
                format!("Passed on to the carrier {at}, and no report of its delivery came yet.")
            }
            Self::Undelivered(channel, why) => {
                format!("{} was not delivered, as reported {at}: {why}.", words::the_channel(*channel))
            }
            Self::AnotherProvider { channel, failed, why, provider, is_delivered } => {
                let state = if *is_delivered { "delivered" } else { "sent" };
                let the_message = words::the_channel(*channel);
                let (by, through) = (words::provider(*failed), words::provider(*provider));
                format!(
                    "{the_message} through {by} failed ({why}), so the code went through {through}: {state} {at}, and no \
                     code was entered since."
                )
            }
            Self::AnotherChannel { failed, why, channel, is_delivered } => {
                let state = if *is_delivered { "delivered" } else { "sent" };
                let (failed, by) = (words::the_channel(*failed), words::by_channel(*channel));
                format!(
                    "{failed} failed ({why}), so the code went {by}: {state} {at}, and no code was entered since."
                )
            }
            Self::Delivered => format!("Delivered {at}, and no code was entered since."),
            Self::WrongCode(1) => format!("A wrong code was entered {at}; 1 guess is left."),
            Self::WrongCode(left) => format!("A wrong code was entered {at}; {left} guesses are left."),
            Self::GuessesUsedUp(guesses) => {
                format!("The code was entered wrongly {}, the last time {at}.", words::times(*guesses))
            }
            Self::ExpiredUnused(when) => {
                format!("Delivered {at}, and no code was entered before it expired{}.", expired(when))
            }
            Self::ExpiredWithoutReport(when) => {
                let expired = expired(when);
                format!("Accepted by the provider {at}, and no report came before the code expired{expired}.")
            }
            Self::ExpiredAfterWrongCode => format!("The code expired {at}, after a wrong code was entered."),
        }
    }

    pub(super) fn advice(&self) -> Advice {
        match self {
            Self::OptedOut(_) => Advice {
                tell: "Send START to the number from which you got our messages, or unblock it. Then ask for a new code.",
                act: "Another channel may reach the user. Only the user can lift this.",
            },
            Self::NumberUnreachable(_) => Advice {
                tell: "This number cannot get our messages. Check the digits, or use another number.",
                act: "Read the number back to the user. Another channel may reach it.",
            },
            Self::ProviderRefusesUs => Advice {
                tell: "We have a problem with our messages and are working on it.",
                act: "Tell the operator at once: no user gets codes. The command loopin-auth doctor says more.",
            },
            Self::ProviderUnavailable | Self::OutcomeUnknown => Advice {
                tell: "Wait a minute. If no code comes, ask for a new one.",
                act: "Send it again. If it happens to other numbers too, tell the operator.",
            },
            Self::Sending
            | Self::Accepted
            | Self::PassedOn
            | Self::AnotherProvider { is_delivered: false, .. }
            | Self::AnotherChannel { is_delivered: false, .. } => Advice {
                tell: "The code is on its way. Check that the phone has reception and is not in flight mode.",
                act: "Wait a minute, then send it again, by another channel if there is one.",
            },
            Self::Undelivered(..) => Advice {
                tell: "The code could not be delivered. Check the digits of your number, and that the phone is on and has \
                       reception.",
                act: "Send it again by another channel, or ask for another number.",
            },
            Self::AnotherProvider { is_delivered: true, .. }
            | Self::AnotherChannel { is_delivered: true, .. }
            | Self::Delivered => Advice {
                tell: "The code has arrived: look for it in the messages, also among those from unknown senders and spam.",
                act: "If it is not there, read the number back to the user: it may be another person's. Or send it again.",
            },
            Self::WrongCode(_) => Advice {
                tell: "Enter the newest code, digit by digit.",
                act: "If the user has lost it, send it again.",
            },
            Self::GuessesUsedUp(_) => Advice {
                tell: "Ask for a new code. The old one no longer works.",
                act: "Send a new code. If the user entered nothing, another person is guessing.",
            },
            Self::ExpiredUnused(_) | Self::ExpiredWithoutReport(_) | Self::ExpiredAfterWrongCode => Advice {
                tell: "The code is no longer valid. Ask for a new one, and enter it at once.",
                act: "Send a new code.",
            },
        }
    }
}
