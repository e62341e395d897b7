//! The ways by which a code may be sent, in the order in which they are tried, and where a request is in it.

use std::collections::VecDeque;

use super::Provider;
use domain::delivery::{Channel, Next};

/// One way to send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The channel.
    pub channel: Channel,
    /// The provider.
    pub provider: Provider,
}

/// The ways that are left, the next one first: all providers of a channel, then those of the next channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways(VecDeque<Way>);

impl Ways {
    /// These ways.
    pub fn new(ways: impl IntoIterator<Item = Way>) -> Self {
        Self(ways.into_iter().collect())
    }

    /// The next way, which stays.
    #[must_use]
    pub fn first(&self) -> Option<Way> {
        self.0.front().copied()
    }

    /// Takes the next way.
    pub fn take_next(&mut self) -> Option<Way> {
        self.0.pop_front()
    }

    /// The way that follows a message by this channel.
    pub fn after(&mut self, channel: Channel, next: Next) -> Option<Way> {
        match next {
            Next::Nothing => return None,
            Next::Provider => {}
            Next::Channel => self.0.retain(|way| way.channel != channel),
        }
        self.take_next()
    }

    /// Whether this way is left.
    #[must_use]
    pub fn contains(&self, way: Way) -> bool {
        self.0.contains(&way)
    }

    /// The ways of the first channel.
    pub fn of_first_channel(&self) -> impl Iterator<Item = Way> {
        let first = self.first();
        self.0.iter().copied().take_while(move |way| first.is_some_and(|first| way.channel == first.channel))
    }

    /// Whether several providers of the next channel are left.
    #[must_use]
    pub fn has_choice(&self) -> bool {
        self.first().is_some_and(|first| self.0.iter().filter(|way| way.channel == first.channel).count() > 1)
    }

    /// Leaves out the ways for which this is false.
    pub fn retain(&mut self, keeps: impl FnMut(&Way) -> bool) {
        self.0.retain(keeps);
    }

    /// Whether no way is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets the providers of this channel begin after this one, which is tried last. Nothing changes if it is not among them.
    pub fn begin_after(&mut self, last: Way) {
        self.rotate(last, 1);
    }

    /// Lets the providers of this channel begin with this one. Nothing changes if it is not among them.
    pub fn begin_with(&mut self, first: Way) {
        self.rotate(first, 0);
    }

    fn rotate(&mut self, way: Way, further: usize) {
        let of_channel = self.0.iter().take_while(|other| other.channel == way.channel).count();
        if let Some(place) = self.0.iter().take(of_channel).position(|other| *other == way) {
            let mut same: Vec<Way> = self.0.drain(..of_channel).collect();
            same.rotate_left(place + further);
            self.0 = same.into_iter().chain(self.0.drain(..)).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Channel::{Sms, WhatsApp};
    use Provider::{Msg91, Twilio, Vonage};

    fn way(channel: Channel, provider: Provider) -> Way {
        Way { channel, provider }
    }

    fn ways() -> Ways {
        Ways::new([way(Sms, Msg91), way(Sms, Vonage), way(Sms, Twilio), way(WhatsApp, Twilio)])
    }

    fn all(mut ways: Ways) -> Vec<Provider> {
        std::iter::from_fn(|| ways.take_next()).map(|way| way.provider).collect()
    }

    #[test]
    fn providers_follow_first_and_then_the_next_channel() {
        let mut left = ways();
        assert_eq!(left.take_next(), Some(way(Sms, Msg91)));
        assert_eq!(left.clone().after(Sms, Next::Nothing), None);
        assert_eq!(left.clone().after(Sms, Next::Channel), Some(way(WhatsApp, Twilio)));
        for expected in [Some(way(Sms, Vonage)), Some(way(Sms, Twilio)), Some(way(WhatsApp, Twilio)), None] {
            assert_eq!(left.after(Sms, Next::Provider), expected);
        }
        assert!(left.is_empty());
    }

    #[test]
    fn a_resend_begins_elsewhere_and_leaves_nothing_out() {
        for (last, after, with) in [
            (way(Sms, Msg91), [Vonage, Twilio, Msg91, Twilio], [Msg91, Vonage, Twilio, Twilio]),
            (way(Sms, Vonage), [Twilio, Msg91, Vonage, Twilio], [Vonage, Twilio, Msg91, Twilio]),
            (way(Sms, Twilio), [Msg91, Vonage, Twilio, Twilio], [Twilio, Msg91, Vonage, Twilio]),
            (way(WhatsApp, Twilio), [Msg91, Vonage, Twilio, Twilio], [Msg91, Vonage, Twilio, Twilio]),
        ] {
            let (mut one, mut other) = (ways(), ways());
            one.begin_after(last);
            other.begin_with(last);
            assert_eq!((all(one), all(other)), (after.into(), with.into()), "{last:?}");
        }
    }
}
