//! Small files that settings name: keys, secrets, and lists that can hold secrets.

use std::{
    fs::{self, Metadata},
    io,
};

use secrecy::SecretString;

/// Larger than any key in PEM form, and than any list of issuers.
const MAX_BYTES: u64 = 64 * 1024;

/// A file that was read.
pub(super) struct SmallFile {
    pub(super) text: SecretString,
    /// Whether all users of the machine can read it.
    pub(super) is_world_readable: bool,
}

/// Why a file cannot be used.
pub(super) enum Unusable {
    /// A folder, a named pipe or a large file.
    NotSmall,
    /// It does not exist, or the server may not read it.
    Unreadable(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

pub(super) fn read(path: &str) -> Result<SmallFile, Unusable> {
    // Before it is opened: a named pipe would wait for a writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(Unusable::NotSmall);
    }
    Ok(SmallFile { text: fs::read_to_string(path)?.into(), is_world_readable: is_world_readable(&metadata) })
}

#[cfg(unix)]
fn is_world_readable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_world_readable(_metadata: &Metadata) -> bool {
    false
}
