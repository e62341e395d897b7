//! The inbox of test mode: the messages that went nowhere else.

use super::Services;
use crate::domain::phone::PhoneNumber;
pub use crate::sms::InboxMessage;

/// Whether messages go to the inbox.
#[must_use]
pub fn is_there(services: &Services) -> bool {
    services.sms.inbox().is_some()
}

/// The messages, newest first; with a phone, only those to it. `None` when messages go to phones.
#[must_use]
pub fn list(services: &Services, phone: Option<&PhoneNumber>) -> Option<Vec<InboxMessage>> {
    services.sms.inbox().map(|inbox| inbox.list(phone))
}
