//! What follows a message, by how it ended at its provider: the next provider, the next channel, or nothing.
//!
//! The rule must never send a code by two providers where the first message may still arrive, and must not go around a refusal
//! that is meant: a user who wrote STOP to one provider must not get the code from another.

/// How a message ended at one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The provider accepted it.
    Accepted,
    /// It is unknown whether the provider accepted it.
    Unknown,
    /// It certainly was not sent: no connection was made, the circuit breaker is open, the provider had too many requests (429), or
    /// there was no time left.
    NotReached,
    /// The provider refused it because of us: credentials, money, sender, registration or template.
    RefusedUs,
    /// Our account at the provider does not serve the number's country or network.
    NotServed,
    /// The number gets no messages by this channel, whichever provider sends them.
    RefusedNumber,
    /// The user wrote STOP.
    OptedOut,
    /// The provider suspects SMS pumping.
    SuspectedPumping,
    /// The provider accepted it and reported that it did not arrive, for a reason that another route may not have.
    Undelivered,
}

/// What follows a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// The next provider by the same channel; where none is left, the next channel.
    Provider,
    /// The next channel.
    Channel,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Unknown,
        Self::NotReached,
        Self::RefusedUs,
        Self::NotServed,
        Self::RefusedNumber,
        Self::OptedOut,
        Self::SuspectedPumping,
        Self::Undelivered,
    ];

    /// What follows, without a request of the user.
    #[must_use]
    pub fn next(self) -> Next {
        match self {
            Self::Accepted | Self::Unknown | Self::OptedOut | Self::SuspectedPumping => Next::Nothing,
            Self::NotReached | Self::RefusedUs | Self::NotServed | Self::Undelivered => Next::Provider,
            Self::RefusedNumber => Next::Channel,
        }
    }

    /// Whether the code goes by the next provider if the user asks for it again. The message was not reported as delivered. Here the
    /// user wants another message, so it may go by another provider although the first one may have been sent.
    #[must_use]
    pub fn is_resent_by_next(self) -> bool {
        match self {
            Self::Accepted
            | Self::Unknown
            | Self::NotReached
            | Self::RefusedUs
            | Self::NotServed
            | Self::Undelivered => true,
            Self::RefusedNumber | Self::OptedOut | Self::SuspectedPumping => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_what_follows() {
        let table = [
            // How it ended, what follows at once, and whether a resend goes by the next provider.
            (Ending::Accepted, Next::Nothing, true),
            (Ending::Unknown, Next::Nothing, true),
            (Ending::NotReached, Next::Provider, true),
            (Ending::RefusedUs, Next::Provider, true),
            (Ending::NotServed, Next::Provider, true),
            (Ending::RefusedNumber, Next::Channel, false),
            (Ending::OptedOut, Next::Nothing, false),
            (Ending::SuspectedPumping, Next::Nothing, false),
            (Ending::Undelivered, Next::Provider, true),
        ];
        assert_eq!(table.map(|(ending, ..)| ending), Ending::ALL, "every ending has its row");
        for (ending, next, resent) in table {
            assert_eq!((ending.next(), ending.is_resent_by_next()), (next, resent), "{ending:?}");
        }
    }
}
