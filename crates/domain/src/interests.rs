//! Event interests: what people can choose from.

/// An interest that people can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The id that clients send.
    pub id: i64,
    /// The name, unique.
    pub name: String,
    /// A line about it.
    pub description: String,
    /// Whether it can still be chosen. One that was chosen before stays in the profile.
    pub is_active: bool,
}
