//! `traceparent`, by which a caller says which trace a request belongs to: <https://www.w3.org/TR/trace-context/>.
//!
//! `tracestate` is not read: it is a text of strangers, which would go on to the collector and to hooks. The standard allows to
//! drop it.
//!
//! The library's own reader takes ids of any length, and numbers with a sign.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A version, a trace, a span and flags: `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
const LENGTH: usize = 55;

/// Reads a header. `None` if it does not keep to the standard: the request then begins a trace of its own.
pub(super) fn read(header: &str) -> Option<SpanContext> {
    // Later versions may append fields.
    let (head, rest) = header.split_at_checked(LENGTH)?;
    let [version, trace_id, span_id, flags] = head.split('-').collect::<Vec<_>>().try_into().ok()?;
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_right = is_hex(version, 2)
        && is_hex(trace_id, 32)
        && is_hex(span_id, 16)
        && is_hex(flags, 2)
        && version != "ff";
    let is_whole = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    if !is_right || !is_whole {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::default());
    // Ids of zeros are not valid.
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_right_one_is_taken_over() {
        for (header, is_sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("01-{TRACE}-{SPAN}-01-what-comes-later"), true),
            (format!("cc-{TRACE}-{SPAN}-00"), false),
        ] {
            let context = read(&header).unwrap_or_else(|| panic!("{header}"));
            assert_eq!(context.trace_id().to_string(), TRACE);
            assert_eq!(context.span_id().to_string(), SPAN);
            assert_eq!((context.is_sampled(), context.is_remote()), (is_sampled, true), "{header}");
        }
    }

    #[test]
    fn a_malformed_one_is_ignored() {
        let zeros = "0".repeat(32);
        for header in [
            String::new(),
            "-".repeat(LENGTH),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("01-{TRACE}-{SPAN}-011"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("+0-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{}-01", "g".repeat(16)),
            format!(" 00-{TRACE}-{SPAN}-01"),
            "ä".repeat(LENGTH),
        ] {
            assert_eq!(read(&header), None, "{header:?}");
        }
    }
}
