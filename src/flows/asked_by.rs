//! Who requests a code: whose address is charged for it, and who is the actor in the audit log.

use crate::domain::{
    address::ClientAddress,
    audit::{Action, Actor, Event},
    roles::StaffPermission,
};

/// Who requests a code.
#[derive(Debug, Clone, Copy)]
pub(super) enum AskedBy {
    /// A client with this address, for its user.
    Client(ClientAddress),
    /// Staff, for a user. Their address is charged nothing.
    Staff(StaffPermission),
}

impl AskedBy {
    /// The address whose limits apply.
    pub(super) fn charged_address(self) -> Option<ClientAddress> {
        match self {
            Self::Client(address) => Some(address),
            Self::Staff(_) => None,
        }
    }

    /// An audit event of this request.
    pub(super) fn event(self, action: Action) -> Event {
        match self {
            Self::Client(address) => Event::new(action, Actor::Person(None)).from(address),
            Self::Staff(permission) => Event::new(action, permission.actor()).from(permission.from()),
        }
    }
}
