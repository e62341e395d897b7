//! What is measured when somebody asks for the metrics, because it changes without a request.

use super::Services;
use crate::sms::Provider;

/// Sets the gauges.
pub fn measure(services: &Services) {
    let (open, idle) = services.store.count_connections();
    services.metrics.database(open, idle);
    let name = |(provider, is_down): (Provider, bool)| (provider.as_str(), is_down);
    services.metrics.provider_states(services.sms.states().map(name));
}
