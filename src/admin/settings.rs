//! The settings of the console.

use crate::domain::address::{ClientAddress, Networks};

/// The settings of the console.
#[derive(Debug, Clone, Default)]
pub struct ConsoleSettings {
    /// Whether the cookie is `Secure` and has the `__Host-` prefix. In development the server speaks HTTP, over which browsers
    /// do not take such a cookie.
    pub is_secure: bool,
    /// The origin of `PUBLIC_BASE_URL`, from which forms may be sent.
    pub public_origin: Option<String>,
    /// `ADMIN_ALLOWED_NETWORKS`: from where the console can be reached; from everywhere if it is empty.
    pub allowed_networks: Networks,
}

impl ConsoleSettings {
    /// Whether a client of this address may reach the console.
    #[must_use]
    pub fn allows(&self, address: ClientAddress) -> bool {
        self.allowed_networks.is_empty() || self.allowed_networks.contains(address)
    }
}
