//! The providers by destination country: `SMS_PROVIDERS`, such as `IN=msg91,vonage;*=twilio`.

use thiserror::Error;

use super::{Kind, Provider};
use domain::phone::{PhoneNumber, Region};

/// The key for all other countries.
const OTHERS: &str = "*";

/// The order of providers for each country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// The orders of single countries.
    by_region: Vec<(Region, Vec<Provider>)>,
    /// The order for all other countries; without one they are not served.
    others: Option<Vec<Provider>>,
}

/// What is wrong with `SMS_PROVIDERS`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoutesError {
    /// The item has no `=`.
    #[error("item {0} must be a country and its providers, such as IN=msg91,twilio or *=twilio")]
    NoPair(usize),
    /// The left side is not a country.
    #[error("{0} is no country: {OTHERS} or two letters such as IN")]
    NoCountry(String),
    /// A name is not a provider.
    #[error("{0} has {1:?}, which is no provider: there are {known}; webhook passes messages on to any other", known = known())]
    NoProvider(String, String),
    /// A provider is named twice.
    #[error("{0} names a provider twice")]
    ProviderTwice(String),
    /// The country is named twice.
    #[error("{0} is named twice")]
    CountryTwice(String),
}

/// The names that may be in the list.
fn known() -> String {
    let names = Provider::ALL.into_iter().filter(|provider| *provider != Provider::TestInbox);
    names.map(Provider::as_str).collect::<Vec<_>>().join(", ")
}

impl Default for Routes {
    /// Twilio for all countries.
    fn default() -> Self {
        Self { by_region: Vec::new(), others: Some(vec![Provider::Twilio]) }
    }
}

impl Routes {
    /// Reads `IN=msg91,vonage;*=twilio`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, RoutesError> {
        let mut routes = Self { by_region: Vec::new(), others: None };
        let items = text.split(';').map(str::trim).enumerate();
        for (place, item) in items.filter(|(_, item)| !item.is_empty()) {
            let (country, names) = item.split_once('=').ok_or(RoutesError::NoPair(place + 1))?;
            let country = country.trim();
            let order = order(country, names)?;
            if country == OTHERS {
                if routes.others.replace(order).is_some() {
                    return Err(RoutesError::CountryTwice(country.to_owned()));
                }
                continue;
            }
            let region: Region = country.parse().map_err(|_| RoutesError::NoCountry(country.to_owned()))?;
            if routes.by_region.iter().any(|(known, _)| *known == region) {
                return Err(RoutesError::CountryTwice(region.to_string()));
            }
            routes.by_region.push((region, order));
        }
        if routes.lists().next().is_none() {
            return Err(RoutesError::NoPair(1));
        }
        Ok(routes)
    }

    /// The order of providers for this phone. Empty if its country is not served.
    #[must_use]
    pub fn order_for(&self, phone: &PhoneNumber) -> &[Provider] {
        let region = phone.region();
        let own = self.by_region.iter().find(|(served, _)| Some(*served) == region);
        own.map(|(_, order)| order).or(self.others.as_ref()).map_or(&[], Vec::as_slice)
    }

    /// The name of the list for this phone: its country, or `*`.
    #[must_use]
    pub fn list_of(&self, phone: &PhoneNumber) -> String {
        let own = |region: &Region| self.by_region.iter().any(|(served, _)| served == region);
        phone.region().filter(own).map_or_else(|| OTHERS.to_owned(), |region| region.to_string())
    }

    /// The order of providers for numbers of this country. Empty if it is not served.
    #[must_use]
    pub fn order_of(&self, region: Region) -> &[Provider] {
        let own = self.by_region.iter().find(|(served, _)| *served == region);
        own.map(|(_, order)| order).or(self.others.as_ref()).map_or(&[], Vec::as_slice)
    }

    /// Every list with the name of its country.
    pub fn lists(&self) -> impl Iterator<Item = (String, &[Provider])> {
        let own = self.by_region.iter().map(|(region, order)| (region.to_string(), order.as_slice()));
        own.chain(self.others.iter().map(|order| (OTHERS.to_owned(), order.as_slice())))
    }

    /// Whether a list names this provider.
    #[must_use]
    pub fn names(&self, provider: Provider) -> bool {
        self.lists().any(|(_, order)| order.contains(&provider))
    }

    /// The providers that can carry such messages in the list of each country.
    pub fn carriers(&self, kind: Kind) -> impl Iterator<Item = (String, Vec<Provider>)> {
        self.lists().map(move |(country, order)| {
            (country, order.iter().copied().filter(|provider| provider.carries(kind)).collect())
        })
    }
}

fn order(country: &str, names: &str) -> Result<Vec<Provider>, RoutesError> {
    let mut order = Vec::new();
    for name in names.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        let provider = name.parse().ok().filter(|provider| *provider != Provider::TestInbox);
        let provider = provider.ok_or_else(|| RoutesError::NoProvider(country.to_owned(), name.clone()))?;
        if order.contains(&provider) {
            return Err(RoutesError::ProviderTwice(country.to_owned()));
        }
        order.push(provider);
    }
    Ok(order)
}
