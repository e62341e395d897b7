//! The settings in force, for people to read: each with its value and where the value comes from. A secret has no value here.
//! This is a plain value; reading settings is not done here.

use std::fmt;

/// All settings, by the sections of `.env.example`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The sections, in their order.
    pub sections: Vec<Section>,
}

/// Settings that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The title.
    pub title: String,
    /// The settings, in their order.
    pub settings: Vec<InForce>,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The name.
    pub name: String,
    /// What the setting does. Settings that follow each other may share a description.
    pub about: String,
    /// The value.
    pub value: Value,
    /// Where the value comes from.
    pub source: Source,
}

/// As much of a value as may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The whole value.
    Text(String),
    /// A secret that is set.
    SecretSet,
    /// There is no value.
    NotSet,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) => text,
            Self::SecretSet => "(set)",
            Self::NotSet => "(not set)",
        })
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Environment,
    /// A line of `.env`.
    File,
    /// A file of its own, which `NAME_FILE` names.
    SecretFile,
    /// The setting is not set.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "environment",
            Self::File => ".env",
            Self::SecretFile => "secret file",
            Self::Default => "default",
        })
    }
}
