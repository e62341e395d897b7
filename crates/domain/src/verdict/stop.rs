//! What stops every sign-in to a phone until staff or the operator act, or for a known time.

use chrono::{DateTime, Utc};

use super::{Advice, facts::BlockedPart, times::Local, words};

/// A hard stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Staff blocked the phone.
    BlockedByStaff {
        /// What they blocked.
        part: BlockedPart,
        /// Until when; `None`: until staff lift it.
        until: Option<DateTime<Utc>>,
    },
    /// The account is disabled.
    AccountDisabled,
    /// The server sends no messages to the country.
    CountryNotAllowed {
        /// The country as two letters.
        country: Option<String>,
    },
    /// The settings block numbers that begin like this one.
    NumberNotServed,
    /// Too many wrong codes in a row: only staff can unlock the phone.
    LockedUntilUnlocked,
    /// Too many wrong codes in a day.
    LockedForStrangers {
        /// Until when.
        until: DateTime<Utc>,
    },
    /// A number for app review: nothing is sent to it.
    ReviewNumber {
        /// Until when.
        until: DateTime<Utc>,
    },
    /// The account was unused for so long that the number counts as recycled.
    NumberStale,
}

impl Stop {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::BlockedByStaff { part: BlockedPart::Address, .. } => "address_blocked_by_staff",
            Self::BlockedByStaff {
                part: BlockedPart::Number | BlockedPart::Prefix | BlockedPart::Country,
                ..
            } => "blocked_by_staff",
            Self::AccountDisabled => "account_disabled",
            Self::CountryNotAllowed { .. } => "country_not_allowed",
            Self::NumberNotServed => "number_not_served",
            Self::LockedUntilUnlocked => "locked_until_unlocked",
            Self::LockedForStrangers { .. } => "locked_for_strangers",
            Self::ReviewNumber { .. } => "review_number",
            Self::NumberStale => "number_stale",
        }
    }

    pub(super) fn sentence(&self, local: Local) -> String {
        match self {
            Self::BlockedByStaff { part, until } => {
                let part = words::blocked(*part);
                until.map_or_else(
                    || format!("Staff blocked {part}."),
                    |until| format!("Staff blocked {part} {}.", local.until(until)),
                )
            }
            Self::AccountDisabled => "The account of this number is disabled.".to_owned(),
            Self::CountryNotAllowed { country: Some(country) } => {
                format!("No codes are sent to this country ({country}): the settings do not allow it.")
            }
            Self::CountryNotAllowed { country: None } => {
                "No codes are sent to a number that belongs to no country: the settings do not allow it."
                    .to_owned()
            }
            Self::NumberNotServed => {
                "No codes are sent to numbers that begin like this one: the settings block them.".to_owned()
            }
            Self::LockedUntilUnlocked => {
                "Locked until staff unlock it: too many wrong codes in a row were entered.".to_owned()
            }
            Self::LockedForStrangers { until } => {
                format!("Locked {}: too many wrong codes were entered within a day.", local.until(*until))
            }
            Self::ReviewNumber { until } => {
                let until = local.until(*until);
                format!(
                    "This number is for app review {until}: its code is fixed, and nothing is sent to it."
                )
            }
            Self::NumberStale => {
                "The account of this number was unused for so long that the number may belong to \
                                  another person now."
                    .to_owned()
            }
        }
    }

    pub(super) fn advice(&self) -> Advice {
        match self {
            Self::BlockedByStaff { part: BlockedPart::Address, .. } => Advice {
                tell: "We take no requests from your network. Try another one, such as mobile data.",
                act: "Read why the network is blocked. An admin can end the block. Or send a code yourself, if you know \
                      the user.",
            },
            Self::BlockedByStaff { .. } => Advice {
                tell: "We do not send codes to this number.",
                act: "Read why it is blocked before you promise anything. An admin can end the block.",
            },
            Self::AccountDisabled => Advice {
                tell: "Your account is switched off. We will look into it.",
                act: "Look in the history why it was deactivated. If that is settled, activate the account.",
            },
            Self::CountryNotAllowed { .. } => Advice {
                tell: "We do not serve your country yet. Use a number of another country if you have one.",
                act: "If we should serve this country, the operator adds it to SMS_ALLOWED_COUNTRIES.",
            },
            Self::NumberNotServed => Advice {
                tell: "We cannot send codes to this number. Use another one.",
                act: "If this number should get codes, the operator adds its beginning to SMS_ALLOWED_PREFIXES.",
            },
            Self::LockedUntilUnlocked | Self::LockedForStrangers { .. } => Advice {
                tell: "Your number is locked because of wrong codes. A phone that was signed in before still works.",
                act: "An attacker wants it unlocked too: make sure that you talk to the owner. Then unlock it.",
            },
            Self::ReviewNumber { .. } => Advice {
                tell: "Use the code that was given to the app store.",
                act: "Nothing is wrong. The operator finds number, code and last day in OTP_REVIEW_NUMBERS.",
            },
            Self::NumberStale => Advice {
                tell: "Sign up again with this number.",
                act: "A code opens a new account. If the caller owns the old account, reunite it on the person's page \
                      afterwards.",
            },
        }
    }
}
