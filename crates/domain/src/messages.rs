//! Messages as staff see them in lists and on their own page. Their texts are never stored.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    delivery::{Channel, DeliveryStatus, Platform, Price, UnreachableReason},
    phone::PhoneNumber,
};

/// Stands for the country of a number that no country has.
pub const NO_COUNTRY: &str = "--";

/// The country of a number as rows and pages have it: two letters, or `--`.
#[must_use]
pub fn country_of(phone: &PhoneNumber) -> String {
    phone.region().map_or_else(|| NO_COUNTRY.to_owned(), |region| region.to_string())
}

/// Which messages are wanted. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this status.
    pub status: Option<DeliveryStatus>,
    /// By this channel.
    pub channel: Option<Channel>,
    /// With this error of the provider.
    pub error_code: Option<i64>,
    /// To numbers of this country.
    pub country: Option<String>,
    /// Created at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Created before this time.
    pub before: Option<DateTime<Utc>>,
}

/// A message in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The recipient. A list shows it masked.
    pub phone: PhoneNumber,
    /// The channel.
    pub channel: Channel,
    /// The status.
    pub status: DeliveryStatus,
    /// The provider's code of the failure.
    pub error_code: Option<i64>,
    /// What the failure says about the number.
    pub reason: Option<UnreachableReason>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When the phone received it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When its code was used.
    pub verified_at: Option<DateTime<Utc>>,
}

/// Everything about a message.
#[derive(Debug, Clone)]
pub struct Details {
    /// What a list shows.
    pub listed: Listed,
    /// The delivery that it belongs to.
    pub delivery_id: Option<Uuid>,
    /// Its number within the delivery, from 1.
    pub attempt: i64,
    /// Whether it carries a code.
    pub has_code: bool,
    /// The name of its template.
    pub template: String,
    /// The provider.
    pub provider: String,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// The language of its text.
    pub language: String,
    /// The platform of the app.
    pub platform: Option<Platform>,
    /// How many segments the provider counts.
    pub segments: Option<i64>,
    /// The price.
    pub price: Option<Price>,
    /// The statuses that it has had since it was created, with their times, oldest first.
    pub reached: Vec<(DeliveryStatus, DateTime<Utc>)>,
}
