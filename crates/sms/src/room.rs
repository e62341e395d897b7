//! All providers of this server, and which of them sends a message.

use tracing::info;

use super::{
    Inbox, Kind, Message, Provider, Receipt, Routes, SendError, Sms, Turn, Unsent,
    provider_error::{self, ProviderError},
};
use domain::{
    delivery::{NO_PROVIDER, UnreachableReason},
    phone::PhoneNumber,
};

/// The hint for a country without a provider.
const UNSERVED: &str =
    "SMS_PROVIDERS has no provider of this country that can send it: name one, or one for * (all others)";

/// The providers of this server.
#[derive(Debug)]
pub struct Room {
    routes: Routes,
    providers: Vec<Sms>,
}

impl Room {
    /// Providers, and their order for each country.
    #[must_use]
    pub fn new(routes: Routes, providers: Vec<Sms>) -> Self {
        Self { routes, providers }
    }

    /// Test mode: all messages go into this inbox.
    #[must_use]
    pub fn test_inbox(inbox: Inbox) -> Self {
        Self { routes: Routes::default(), providers: vec![Sms::TestInbox(inbox)] }
    }

    /// The providers that can send such a message to this phone, in the order of the country.
    #[must_use]
    pub fn order_for(&self, phone: &PhoneNumber, kind: Kind) -> Vec<Provider> {
        let order = match self.inbox() {
            Some(_) => &[Provider::TestInbox],
            None => self.routes.order_for(phone),
        };
        self.carriers(order, kind)
    }

    /// Sends one message by this provider. `None`: no provider of the country carries it.
    ///
    /// # Errors
    /// [`Unsent`] as [`Sms::send_within`].
    pub async fn send_by(
        &self,
        provider: Option<Provider>,
        message: &Message,
        turn: Turn,
    ) -> Result<Receipt, Unsent> {
        match provider.and_then(|provider| self.find(provider)) {
            Some(sms) => sms.send_within(message, turn).await,
            None => Err(unserved(message).into()),
        }
    }

    /// All providers, and whether each counts as down.
    pub fn states(&self) -> impl Iterator<Item = (Provider, bool)> + '_ {
        self.providers.iter().map(|sms| (sms.provider(), sms.is_down()))
    }

    fn find(&self, provider: Provider) -> Option<&Sms> {
        self.providers.iter().find(|sms| sms.provider() == provider)
    }

    /// The lists of `SMS_PROVIDERS`. Test mode has none.
    #[must_use]
    pub fn routes(&self) -> Option<&Routes> {
        self.inbox().is_none().then_some(&self.routes)
    }

    /// The providers of a list that can send such a message, in its order.
    #[must_use]
    pub fn carriers(&self, order: &[Provider], kind: Kind) -> Vec<Provider> {
        let carries = |provider: &Provider| self.find(*provider).is_some_and(|sms| sms.carries(kind));
        order.iter().copied().filter(carries).collect()
    }

    /// The test inbox, if messages go there.
    #[must_use]
    pub fn inbox(&self) -> Option<&Inbox> {
        self.providers.iter().find_map(Sms::inbox)
    }
}

fn unserved(message: &Message) -> SendError {
    let ProviderError { error, hint } = provider_error::unserved_country(UNSERVED);
    let (message_id, to, channel) = (message.id, &message.to, message.channel.as_str());
    let reason = error.reason().map(UnreachableReason::as_str);
    info!(provider = NO_PROVIDER, %message_id, %to, channel, reason, hint, "SMS refused: this number cannot get messages");
    error
}
