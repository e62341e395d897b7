//! What refuses the next code or the next guess, and ends by itself.

use chrono::{DateTime, Utc};

use super::{Advice, times::Local};

/// A limit that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// The next code was requested before its time.
    Cooldown,
    /// An account of the phone was deleted a moment ago.
    RecentlyDeleted,
    /// Too many wrong codes from one address at this phone.
    LockedForAddress(Option<String>),
    /// So many codes, which is as many as the phone may get in an hour, or in a shorter time.
    SendsOfHour(i64),
    /// So many codes, which is as many as the phone may get in a day, or in another time of more than an hour.
    SendsOfDay(i64),
    /// As many codes as one address may request for the phone.
    SendsFromAddress(Option<String>),
    /// As many codes as one device may request.
    DeviceSends,
    /// As many wrong codes as one device may enter.
    DeviceGuesses,
    /// As many requests as one address may send.
    AddressRequests(Option<String>),
    /// As many wrong codes as one address may enter, for whatever phone.
    AddressGuesses(Option<String>),
    /// As many wrong passwords as one name or one address may try.
    Passwords,
    /// Too few codes to numbers that begin like this one were entered.
    PrefixClosed {
        /// The beginning.
        prefix: String,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// The messages of the day.
    Day,
    /// The messages of the day to this country.
    Country(Option<String>),
    /// What another service may have sent or checked. It does not concern the sign-in.
    Service,
}

impl Limit {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::RecentlyDeleted => "recently_deleted",
            Self::LockedForAddress(_) => "locked_for_address",
            Self::SendsOfHour(_) => "sends_of_hour_used_up",
            Self::SendsOfDay(_) => "sends_of_day_used_up",
            Self::SendsFromAddress(_) => "sends_from_address_used_up",
            Self::DeviceSends => "device_sends_used_up",
            Self::DeviceGuesses => "device_guesses_used_up",
            Self::AddressRequests(_) => "address_requests_used_up",
            Self::AddressGuesses(_) => "address_guesses_used_up",
            Self::Passwords => "passwords_used_up",
            Self::PrefixClosed { .. } => "prefix_closed",
            Self::Day => "day_cap_reached",
            Self::Country(_) => "country_cap_reached",
            Self::Service => "service_limit_used_up",
        }
    }

    pub(super) fn sentence(&self, until: DateTime<Utc>, local: Local) -> String {
        let until = local.until(until);
        match self {
            Self::Cooldown => format!("A code was sent a moment ago, so the next one is refused {until}."),
            Self::RecentlyDeleted => format!("The account was just deleted, so no new code is sent {until}."),
            Self::LockedForAddress(address) => {
                format!(
                    "Locked for {} {until}: too many wrong codes were entered from there.",
                    the(address.as_deref())
                )
            }
            Self::SendsOfHour(most) => {
                format!("This number got {most} codes within an hour, so it gets no more {until}.")
            }
            Self::SendsOfDay(most) => {
                format!("This number got {most} codes within a day, so it gets no more {until}.")
            }
            Self::SendsFromAddress(address) => {
                format!(
                    "Too many codes for this number were requested from {}: no more {until}.",
                    the(address.as_deref())
                )
            }
            Self::DeviceSends => format!("The user's device requested too many codes: no more {until}."),
            Self::DeviceGuesses => {
                format!("Too many wrong codes were entered on the user's device: no more guesses {until}.")
            }
            Self::AddressRequests(address) => {
                format!("Too many codes were requested from {}: no more {until}.", the(address.as_deref()))
            }
            Self::AddressGuesses(address) => {
                format!(
                    "Too many wrong codes were entered from {}: no more guesses {until}.",
                    the(address.as_deref())
                )
            }
            Self::Passwords => format!("Too many wrong passwords were tried: no more {until}."),
            Self::PrefixClosed { prefix, since } => format!(
                "Numbers that begin with {prefix} are closed since {} {until}, because too few of their codes were \
                 entered.",
                local.plain(*since)
            ),
            Self::Service => format!(
                "Another service asked for a check of this number, and a limit of that service refuses more {until}."
            ),
            Self::Day => format!("The messages of the day are used up {until}."),
            Self::Country(country) => {
                let country = country.as_deref().map_or_else(String::new, |country| format!(" ({country})"));
                format!("The messages of the day to this country{country} are used up {until}.")
            }
        }
    }

    /// Whether a code that staff send is not refused by it.
    pub(super) fn spares_staff(&self) -> bool {
        match self {
            Self::SendsFromAddress(_) | Self::AddressRequests(_) | Self::Passwords | Self::Service => true,
            Self::Cooldown
            | Self::RecentlyDeleted
            | Self::LockedForAddress(_)
            | Self::SendsOfHour(_)
            | Self::SendsOfDay(_)
            | Self::DeviceSends
            | Self::DeviceGuesses
            | Self::AddressGuesses(_)
            | Self::PrefixClosed { .. }
            | Self::Day
            | Self::Country(_) => false,
        }
    }

    pub(super) fn advice(&self) -> Advice {
        match self {
            Self::Cooldown => Advice {
                tell: "Look for the code that was sent a moment ago. It is the same code again.",
                act: "Wait for the end of this time, then send it again, by another channel if there is one.",
            },
            Self::RecentlyDeleted => Advice {
                tell: "Try again after this time.",
                act: "Nothing else is needed: deleting an account gives no new guesses.",
            },
            Self::LockedForAddress(_) => Advice {
                tell: "Your network is locked because of wrong codes. Try another one, such as mobile data.",
                act: "Make sure that you talk to the owner of the number. Then unlock it.",
            },
            Self::SendsOfHour(_) | Self::SendsOfDay(_) => Advice {
                tell: "Wait until then. The last code that arrived may still work.",
                act: "Look below what became of the codes. If none arrived, sending more would not have helped.",
            },
            Self::SendsFromAddress(_) | Self::AddressRequests(_) => Advice {
                tell: "Wait until then, or try another network, such as mobile data.",
                act: "Send a code yourself: that is not charged to the user's address.",
            },
            Self::DeviceSends | Self::DeviceGuesses => Advice {
                tell: "Wait until then.",
                act: "The limit belongs to the user's device and ends by itself.",
            },
            Self::AddressGuesses(_) => Advice {
                tell: "Wait until then, or try another network, such as mobile data.",
                act: "Many users can share one address. If this happens often, tell the operator.",
            },
            Self::Passwords => Advice {
                tell: "Wait until then, or sign in with a code.",
                act: "Send a code, so that the user needs no password.",
            },
            Self::PrefixClosed { .. } => Advice {
                tell: "Try again later. Users who have an account are not affected.",
                act: "This protects from fraud. If these are real users, such as after a campaign, open the prefix.",
            },
            Self::Service => Advice {
                tell: "Wait until then at that service. Signing in to our app still works.",
                act: "The history names the service and the limit. Unlocking the number lifts its wrong codes there; the operator \
                      can give the service a key with wider limits.",
            },
            Self::Day | Self::Country(_) => Advice {
                tell: "We cannot send more codes today. Try again tomorrow.",
                act: "Tell the operator, who can raise LIMIT_SENDS_PER_DAY or LIMIT_SENDS_PER_DAY_AND_COUNTRY.",
            },
        }
    }
}

fn the(address: Option<&str>) -> String {
    address.map_or_else(|| "the user's address".to_owned(), |address| format!("the address {address}"))
}
