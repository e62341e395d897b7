//! By which providers and channels a code goes, and in which order they are tried.

use uuid::Uuid;

use super::{DeliveryPreferences, Error, Services, adaptive};
use crate::{
    domain::{
        delivery::{Channel, Delivery, DeliveryStatus, Ending},
        phone::PhoneNumber,
    },
    sms::{self, Kind, Provider, Way, Ways},
    store,
};

/// The providers that can send such a message to this phone, in the order in which they are tried. Everything that sends a message
/// asks here.
pub(super) fn order(services: &Services, phone: &PhoneNumber, kind: Kind) -> Vec<Provider> {
    let listed = services.sms.order_for(phone, kind);
    match kind.channel {
        Channel::Sms => adaptive::order(services, phone, listed),
        Channel::WhatsApp | Channel::Call => listed,
    }
}

/// The ways for a code by these channels: all providers of the first channel, then those of the next one.
pub(super) fn ways(
    services: &Services,
    phone: &PhoneNumber,
    channels: impl IntoIterator<Item = Channel>,
) -> Ways {
    Ways::new(channels.into_iter().flat_map(|channel| {
        let order = order(services, phone, Kind::code_by(channel));
        order.into_iter().map(move |provider| Way { channel, provider })
    }))
}

/// The ways for the code of a request. If it names a channel, there is no other one.
pub(super) fn ways_of_request(
    services: &Services,
    phone: &PhoneNumber,
    preferences: &DeliveryPreferences,
) -> Ways {
    match preferences.channel {
        Some(channel) => ways(services, phone, [channel]),
        None => ways(services, phone, services.channels.order_for(phone)),
    }
}

/// How a message ended, by what its row says. `None`: it was delivered.
pub(super) fn ending(message: &Delivery) -> Option<Ending> {
    match message.status {
        DeliveryStatus::Delivered => None,
        DeliveryStatus::Pending | DeliveryStatus::Queued | DeliveryStatus::Sent => Some(Ending::Accepted),
        DeliveryStatus::Unknown => Some(Ending::Unknown),
        DeliveryStatus::Undelivered | DeliveryStatus::Failed => {
            let error_code = message.error_code.and_then(|code| u32::try_from(code).ok());
            // A row of a provider that this version does not know.
            let Ok(provider) = message.provider.parse() else { return Some(Ending::Undelivered) };
            Some(sms::ending_of_lost(provider, message.status, message.reason, error_code))
        }
    }
}

/// Lets a code that is sent again begin with the provider after the one that sent it last, unless that message was delivered, or
/// was refused in a way that another provider must not go around. `own` is the row of the new message: its provider is corrected.
///
/// # Errors
/// When the database does not answer: nothing has changed.
pub(super) async fn begin_resend(
    services: &Services,
    ways: &mut Ways,
    phone: &PhoneNumber,
    challenge_id: Uuid,
    own: Uuid,
) -> Result<(), Error> {
    let Some(first) = ways.first() else { return Ok(()) };
    let before = store::messages::list_by_challenge(&services.store, phone, challenge_id).await?;
    let last = before.iter().rev().filter(|message| message.message_id != own).find_map(|message| {
        let way = Way { channel: message.channel, provider: message.provider.parse().ok()? };
        (way.channel == first.channel && ways.contains(way)).then_some((way, message))
    });
    let Some((way, last)) = last else { return Ok(()) };
    let mut changed = ways.clone();
    if ending(last).is_some_and(Ending::is_resent_by_next) {
        changed.begin_after(way);
    } else {
        changed.begin_with(way);
    }
    if let Some(begins) = changed.first().filter(|begins| *begins != first) {
        store::messages::set_provider(&services.store, own, begins.provider.as_str()).await?;
    }
    *ways = changed;
    Ok(())
}
