//! The settings of traces, by the names of the OpenTelemetry standard. They are read here like all others, also from `.env`, and handed to
//! the library, which reads only the environment.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::reader::Reader;
use crate::telemetry::{Sampling, TraceSettings};

/// The default of the standard.
const SAMPLER: &str = "parentbased_always_on";

/// Where traces go. `None` without an endpoint, or with wrong settings.
pub(super) fn traces(reader: &mut Reader<'_>) -> Option<TraceSettings> {
    let endpoint = reader.http_url("OTEL_EXPORTER_OTLP_ENDPOINT");
    let headers = headers(reader);
    let service_name = reader.text("OTEL_SERVICE_NAME").unwrap_or_else(|| "loopin-auth".to_owned());
    let sampler = reader.text("OTEL_TRACES_SAMPLER").unwrap_or_else(|| SAMPLER.to_owned());
    let share = reader.text("OTEL_TRACES_SAMPLER_ARG");
    match Sampling::parse(&sampler, share.as_deref()) {
        Ok(sampling) => Some(TraceSettings { endpoint: endpoint?, headers, service_name, sampling }),
        Err(error) => {
            reader.problem(error.to_string());
            None
        }
    }
}

/// `name=value` with commas between; the values are percent-encoded.
fn headers(reader: &mut Reader<'_>) -> Vec<(String, SecretString)> {
    let mut headers = Vec::new();
    for item in reader.list("OTEL_EXPORTER_OTLP_HEADERS") {
        let header = item.split_once('=').and_then(|(name, value)| header(name.trim(), value.trim()));
        match header {
            Some(header) => headers.push(header),
            None => reader.problem(
                "OTEL_EXPORTER_OTLP_HEADERS must be name=value, with commas between several; write a comma in a value as %2C",
            ),
        }
    }
    headers
}

fn header(name: &str, value: &str) -> Option<(String, SecretString)> {
    let value = percent_decode_str(value).decode_utf8().ok()?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_value = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (is_name && is_value).then(|| (name.to_owned(), value.into_owned().into()))
}
