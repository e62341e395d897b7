//! Who requests a code, and who sends it back: whose address is charged for it, and who is the actor in the audit log.

use crate::{
    domain::{
        address::ClientAddress,
        api_key::ApiKey,
        audit::{Action, Actor, Event, Fact},
        budget::ServiceCharge,
        roles::StaffPermission,
    },
    store::verifications::NewVerification,
};

/// Who requests a code.
#[derive(Debug, Clone, Copy)]
pub(super) enum AskedBy<'a> {
    /// A client with this address, for its user.
    Client(ClientAddress),
    /// Staff, for a user. Their address is charged nothing.
    Staff(StaffPermission),
    /// Another service, for its user, and the verification that it asked for.
    Service(Service<'a>, NewVerification<'a>),
}

impl<'a> AskedBy<'a> {
    /// The address whose limits apply. That of a service is none: all of its users come from there.
    pub(super) fn charged_address(self) -> Option<ClientAddress> {
        match self {
            Self::Client(address) => Some(address),
            Self::Staff(_) => None,
            Self::Service(service, _) => service.end_user,
        }
    }

    /// An audit event of this request.
    pub(super) fn event(self, action: Action) -> Event {
        match self {
            Self::Client(address) => Event::new(action, Actor::Person(None)).from(address),
            Self::Staff(permission) => Event::new(action, permission.actor()).from(permission.from()),
            Self::Service(service, _) => service.event(action),
        }
    }

    /// The service, if one asks.
    pub(super) fn service(self) -> Option<Service<'a>> {
        match self {
            Self::Client(_) | Self::Staff(_) => None,
            Self::Service(service, _) => Some(service),
        }
    }

    /// The verification, if a service asks.
    pub(super) fn verification(self) -> Option<NewVerification<'a>> {
        match self {
            Self::Client(_) | Self::Staff(_) => None,
            Self::Service(_, verification) => Some(verification),
        }
    }
}

/// Who sends a code back.
#[derive(Debug, Clone, Copy)]
pub(super) enum GuessedBy<'a> {
    /// A client with this address.
    Client(ClientAddress),
    /// Another service, for its user.
    Service(Service<'a>),
}

impl GuessedBy<'_> {
    /// The address whose limits apply.
    pub(super) fn address(self) -> Option<ClientAddress> {
        match self {
            Self::Client(address) => Some(address),
            Self::Service(service) => service.end_user,
        }
    }

    /// An audit event of this guess.
    pub(super) fn event(self, action: Action) -> Event {
        match self {
            Self::Client(address) => Event::by_stranger(action).from(address),
            Self::Service(service) => service.event(action),
        }
    }
}

/// Another service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service<'a> {
    /// Its key.
    pub(super) key: &'a ApiKey,
    /// The address of its user, if it names one.
    pub(super) end_user: Option<ClientAddress>,
}

impl Service<'_> {
    /// An audit event of this service.
    pub(super) fn event(self, action: Action) -> Event {
        let event = Event::new(action, Actor::Service).from(self.end_user);
        event.with("service", Fact::shown(&self.key.name))
    }

    /// What is charged for it.
    pub(super) fn charge(self) -> ServiceCharge {
        let ApiKey { id, limits, .. } = self.key;
        ServiceCharge {
            key: *id,
            sends: limits.sends(),
            sends_per_day: limits.sends_per_day,
            wrong_codes: limits.wrong_codes(),
            end_user: self.end_user,
        }
    }
}
