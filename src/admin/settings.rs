//! The settings of the console.

use crate::domain::address::Networks;

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
