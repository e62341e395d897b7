//! The settings of TLS by the server itself.

use super::reader::Reader;
use crate::http::server::{Tls, TlsFiles};

/// The files. `None` unless both are named. They are read once here, so that `doctor` and the list of problems tell what is wrong with
/// them.
pub(super) fn files(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    let (certificate, key) = (reader.text("TLS_CERT_FILE"), reader.text("TLS_KEY_FILE"));
    let files = match (certificate, key) {
        (Some(certificate), Some(key)) => TlsFiles { certificate: certificate.into(), key: key.into() },
        (None, None) => return None,
        (Some(_), None) => {
            reader.problem("TLS_KEY_FILE must be set with TLS_CERT_FILE");
            return None;
        }
        (None, Some(_)) => {
            reader.problem("TLS_CERT_FILE must be set with TLS_KEY_FILE");
            return None;
        }
    };
    if let Err(error) = Tls::load(files.clone()) {
        reader.problem(error.to_string());
    }
    Some(files)
}
