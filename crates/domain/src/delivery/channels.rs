//! Which channels are enabled, which one a request gets that names none, and which follow a lost message.

use thiserror::Error;

use super::Channel;
use crate::phone::{PhoneNumber, Region};

/// The key for all other countries.
const OTHERS: &str = "*";

/// Which channels are enabled, and in which order they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// The channels that a client may choose; never empty.
    pub on: Vec<Channel>,
    /// The channels to try, in this order, after a message failed. Each of them is enabled.
    pub fallback: Vec<Channel>,
    /// The channels of requests that name none, by country. Each of them is enabled.
    pub order: ChannelOrder,
}

impl ChannelPolicy {
    /// The channel of a request to this phone that names none.
    #[must_use]
    pub fn usual_for(&self, phone: &PhoneNumber) -> Channel {
        self.order.of(phone).first().copied().unwrap_or_else(|| self.usual())
    }

    /// The channels of a request to this phone that names none, in the order in which they are tried.
    #[must_use]
    pub fn order_for(&self, phone: &PhoneNumber) -> Vec<Channel> {
        match self.order.of(phone) {
            [] => vec![self.usual()],
            order => order.to_vec(),
        }
    }

    /// The channels that may follow a lost message by this channel: the rest of the country's order, then the fallback.
    #[must_use]
    pub fn following(&self, phone: &PhoneNumber, channel: Channel) -> Vec<Channel> {
        let order = self.order.of(phone).iter().skip_while(|other| **other != channel).skip(1);
        let mut following: Vec<Channel> = Vec::new();
        for next in order.chain(&self.fallback) {
            if *next != channel && !following.contains(next) {
                following.push(*next);
            }
        }
        following
    }

    /// The default channel: `sms` if it is enabled, else the first enabled one.
    fn usual(&self) -> Channel {
        if self.is_on(Channel::Sms) { Channel::Sms } else { self.on.first().copied().unwrap_or(Channel::Sms) }
    }

    /// Whether the channel is enabled.
    #[must_use]
    pub fn is_on(&self, channel: Channel) -> bool {
        self.on.contains(&channel)
    }
}

impl Default for ChannelPolicy {
    fn default() -> Self {
        Self { on: vec![Channel::Sms], fallback: Vec::new(), order: ChannelOrder::default() }
    }
}

/// The order of channels for each country. Empty where no order is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelOrder {
    by_region: Vec<(Region, Vec<Channel>)>,
    others: Vec<Channel>,
}

/// What is wrong with a list of orders.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChannelOrderError {
    /// The item has no `=`.
    #[error("item {0} must be a country and its channels, such as IN=whatsapp,sms or *=sms")]
    NoPair(usize),
    /// The left side is not a country.
    #[error("{0} is no country: {OTHERS} or two letters such as IN")]
    NoCountry(String),
    /// A word is not a channel.
    #[error("each channel of {0} must be sms, whatsapp or call")]
    NoChannel(String),
    /// A channel is named twice.
    #[error("{0} names a channel twice")]
    ChannelTwice(String),
    /// The country is named twice.
    #[error("{0} is named twice")]
    CountryTwice(String),
}

impl ChannelOrder {
    /// Reads `IN=whatsapp,sms;*=sms`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ChannelOrderError> {
        let mut order = Self::default();
        let items = text.split(';').map(str::trim).enumerate();
        for (place, item) in items.filter(|(_, item)| !item.is_empty()) {
            let (country, words) = item.split_once('=').ok_or(ChannelOrderError::NoPair(place + 1))?;
            let country = country.trim();
            let channels = channels(country, words)?;
            if country == OTHERS {
                if !order.others.is_empty() {
                    return Err(ChannelOrderError::CountryTwice(country.to_owned()));
                }
                order.others = channels;
                continue;
            }
            let region: Region =
                country.parse().map_err(|_| ChannelOrderError::NoCountry(country.to_owned()))?;
            if order.by_region.iter().any(|(known, _)| *known == region) {
                return Err(ChannelOrderError::CountryTwice(region.to_string()));
            }
            order.by_region.push((region, channels));
        }
        if order == Self::default() { Err(ChannelOrderError::NoPair(1)) } else { Ok(order) }
    }

    /// The order of single countries.
    pub fn by_region(&self) -> impl Iterator<Item = (Region, &[Channel])> {
        self.by_region.iter().map(|(region, channels)| (*region, channels.as_slice()))
    }

    /// Every channel that an order has.
    pub fn channels(&self) -> impl Iterator<Item = Channel> {
        let of_regions = self.by_region.iter().flat_map(|(_, channels)| channels);
        of_regions.chain(&self.others).copied()
    }

    fn of(&self, phone: &PhoneNumber) -> &[Channel] {
        let region = phone.region();
        let own = self.by_region.iter().find(|(known, _)| Some(*known) == region);
        own.map_or(&self.others, |(_, channels)| channels)
    }
}

fn channels(country: &str, words: &str) -> Result<Vec<Channel>, ChannelOrderError> {
    let mut channels = Vec::new();
    for word in words.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        let channel = word.parse().map_err(|_| ChannelOrderError::NoChannel(country.to_owned()))?;
        if channels.contains(&channel) {
            return Err(ChannelOrderError::ChannelTwice(country.to_owned()));
        }
        channels.push(channel);
    }
    Ok(channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Channel::{Call, Sms, WhatsApp};

    fn phone(text: &str) -> PhoneNumber {
        PhoneNumber::from_e164(text).unwrap()
    }

    #[test]
    fn each_country_has_its_order() {
        let order = ChannelOrder::parse(" IN = WhatsApp , sms ; *=sms;").unwrap();
        let policy = ChannelPolicy { on: Channel::ALL.into(), fallback: vec![Call], order };
        let (indian, american) = (phone("+919876543210"), phone("+12025550100"));
        assert_eq!(policy.usual_for(&indian), WhatsApp);
        assert_eq!(policy.order_for(&indian), [WhatsApp, Sms]);
        assert_eq!((policy.usual_for(&american), policy.order_for(&american)), (Sms, vec![Sms]));
        assert_eq!(policy.following(&indian, WhatsApp), [Sms, Call]);
        assert_eq!(policy.following(&indian, Sms), [Call], "only what comes later in the order");
        assert_eq!(policy.following(&indian, Call), []);
        assert_eq!(policy.following(&american, WhatsApp), [Call]);
    }

    #[test]
    fn without_an_order_the_usual_channel_is_taken() {
        let all =
            ChannelPolicy { on: Channel::ALL.into(), fallback: vec![WhatsApp, Call], ..Default::default() };
        let indian = phone("+919876543210");
        assert_eq!((all.usual_for(&indian), all.order_for(&indian)), (Sms, vec![Sms]));
        assert_eq!(all.following(&indian, Sms), [WhatsApp, Call]);
        assert_eq!(all.following(&indian, WhatsApp), [Call]);
        let order = ChannelOrder::parse("US=call").unwrap();
        let calls = ChannelPolicy { on: vec![Call], fallback: vec![], order };
        assert_eq!(calls.usual_for(&indian), Call);
    }

    #[test]
    fn a_list_that_is_wrong_is_refused() {
        for wrong in [
            "",
            ";",
            "sms",
            "IN",
            "IN=",
            "IN=sms,",
            "IN=email",
            "IN=sms,sms",
            "IN=sms;IN=call",
            "*=sms;*=sms",
            "ZZ=sms",
            "India=sms",
            "IN=sms,*=sms",
        ] {
            assert!(ChannelOrder::parse(wrong).is_err(), "{wrong}");
        }
    }
}
