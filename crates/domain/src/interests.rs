//! Event interests that users can choose.

/// An event interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The id that clients send.
    pub id: i64,
    /// The name, unique.
    pub name: String,
    /// A one-line description.
    pub description: String,
    /// Whether users can choose it. An inactive interest stays in the profiles that have it.
    pub is_active: bool,
}
