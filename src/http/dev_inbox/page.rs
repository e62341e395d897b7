//! The inbox as HTML. The texts of messages and filters come from clients, so all of them are escaped.

use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::pages::escaped;
use crate::{
    domain::{
        delivery::{Channel, DeliveryStatus},
        otp::CodeState,
        phone::PhoneNumber,
    },
    flows::inbox::InboxMessage,
};

/// The number in the example command when the filter is not a complete number.
const EXAMPLE_NUMBER: &str = "+919876543210";

/// A message with the state of its code, if it has a code whose state is known.
pub type Entry = (InboxMessage, Option<CodeState>);

/// What the page shows.
pub struct Page<'a> {
    /// The host that the client used for this server.
    pub host: &'a str,
    /// The text of the filter; empty if there is none.
    pub filter: &'a str,
    /// The phone that the filter selects, if it is a complete number.
    pub phone: Option<&'a PhoneNumber>,
    /// The messages, newest first, or the sentence that says what is wrong with the filter.
    pub result: Result<Vec<Entry>, String>,
    /// The time of the request.
    pub now: DateTime<Utc>,
}

impl Page<'_> {
    /// The whole page.
    pub fn render(&self) -> String {
        let is_empty = self.result.as_ref().is_ok_and(Vec::is_empty);
        let (hint, invalid) = match &self.result {
            Ok(_) => (
                "<p class=\"note\" id=\"hint\">A number or a part of one, such as +91&nbsp;98765&nbsp;43210 or 3210.</p>"
                    .to_owned(),
                "",
            ),
            Err(sentence) => (
                format!("<p class=\"note problem\" id=\"hint\">{}</p>", escaped(sentence)),
                " aria-invalid=\"true\"",
            ),
        };
        let empty_title = match self.filter {
            "" => "No messages yet".to_owned(),
            filter => format!("No messages to numbers with {} yet", escaped(filter)),
        };
        format!(
            include_str!("page.html"),
            query = query(self.filter),
            filter = attribute(self.filter),
            invalid = invalid,
            clear_hidden = hidden_if(self.filter.is_empty()),
            hint = hint,
            empty_hidden = hidden_if(!is_empty),
            empty_title = empty_title,
            curl = escaped(&self.curl()),
            numbers_open = if is_empty && self.filter.is_empty() { " open" } else { "" },
            messages = self.messages(),
        )
    }

    /// A command for the shell that requests a code.
    fn curl(&self) -> String {
        let number = self.phone.map_or(EXAMPLE_NUMBER, PhoneNumber::full);
        format!(
            "curl http://{}/api/auth/signup \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"phone_number\":\"{number}\"}}'",
            self.host
        )
    }

    /// The list of messages with their number. The script updates it.
    fn messages(&self) -> String {
        let Ok(messages) = &self.result else {
            return String::new();
        };
        let count = match messages.len() {
            1 => "1 message".to_owned(),
            many => format!("{many} messages"),
        };
        let items: String =
            messages.iter().map(|(message, state)| render_message(message, *state, self.now)).collect();
        format!(
            "<h2 class=\"count\" id=\"count\"{}>{count}</h2>\n<ol id=\"list\" aria-labelledby=\"count\">\n{items}</ol>",
            hidden_if(messages.is_empty())
        )
    }
}

fn render_message(message: &InboxMessage, state: Option<CodeState>, now: DateTime<Utc>) -> String {
    let code = message.otp_code.as_ref().map(|code| {
        format!(
            include_str!("code.html"),
            id = message.id,
            code = escaped(code),
            state = state.map(code_state_name).unwrap_or_default(),
        )
    });
    format!(
        include_str!("message.html"),
        id = message.id,
        channel = message.channel.as_str(),
        status = message.status(now).as_str(),
        code_state = state.map(CodeState::as_str).unwrap_or_default(),
        query = query(message.to.full()),
        to = escaped(message.to.full()),
        channel_name = channel_name(message.channel),
        language = attribute(&message.language),
        age = time_element(message.created_at, " class=\"age\"", &age(message.created_at, now)),
        body = escaped(&message.body),
        code = code.unwrap_or_default(),
        steps = render_steps(message, now),
    )
}

/// The delivery so far: the time of the first step, then how long after it each other step happened.
fn render_steps(message: &InboxMessage, now: DateTime<Utc>) -> String {
    let steps = message.happened(now).map(|step| {
        let text = if step.status == DeliveryStatus::Queued {
            step.at.format("%H:%M:%S UTC").to_string()
        } else {
            format!("+{} s", (step.at - message.created_at).as_seconds_f64())
        };
        let time = time_element(step.at, "", &text);
        let class = if is_lost(step.status) { " class=\"problem\"" } else { "" };
        let name = status_name(step.status, message.channel);
        let error = step.error_code.map(error_name).unwrap_or_default();
        format!("<li{class}>{name} {time}{error}</li>")
    });
    steps.collect()
}

/// A time in words, with the exact time for machines and as a tooltip.
fn time_element(at: DateTime<Utc>, class: &str, text: &str) -> String {
    let exact = at.format("%A, %-d %B %Y, %H:%M:%S UTC");
    format!("<time{class} datetime=\"{}\" title=\"{exact}\">{text}</time>", at.to_rfc3339())
}

fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - since).num_seconds() {
        ..1 => "just now".to_owned(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} d ago", seconds / 86400),
    }
}

fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "SMS",
        Channel::WhatsApp => "WhatsApp",
        Channel::Call => "Voice call",
    }
}

fn code_state_name(state: CodeState) -> &'static str {
    match state {
        CodeState::Live => "Works now",
        CodeState::Used => "Used",
        CodeState::Expired => "Expired",
        CodeState::Exhausted => "Too many wrong codes",
        CodeState::Replaced => "No longer works",
    }
}

fn status_name(status: DeliveryStatus, channel: Channel) -> &'static str {
    match (status, channel) {
        (DeliveryStatus::Sent, Channel::Call) => "Ringing",
        (DeliveryStatus::Delivered, Channel::Call) => "Answered",
        (DeliveryStatus::Sent, Channel::Sms | Channel::WhatsApp) => "Sent",
        (DeliveryStatus::Delivered, Channel::Sms | Channel::WhatsApp) => "Delivered",
        (DeliveryStatus::Pending, _) => "Pending",
        (DeliveryStatus::Unknown, _) => "Unknown",
        (DeliveryStatus::Queued, _) => "Queued",
        (DeliveryStatus::Undelivered, _) => "Undelivered",
        (DeliveryStatus::Failed, _) => "Failed",
    }
}

fn is_lost(status: DeliveryStatus) -> bool {
    match status {
        DeliveryStatus::Undelivered | DeliveryStatus::Failed => true,
        DeliveryStatus::Pending
        | DeliveryStatus::Unknown
        | DeliveryStatus::Queued
        | DeliveryStatus::Sent
        | DeliveryStatus::Delivered => false,
    }
}

/// Twilio's code, with the meaning of the one that the test inbox sends.
fn error_name(code: u32) -> String {
    match code {
        30_005 => " (30005: unknown handset)".to_owned(),
        other => format!(" ({other})"),
    }
}

/// The query that filters by this text.
fn query(filter: &str) -> String {
    match filter {
        "" => String::new(),
        filter => format!("?phone_number={}", utf8_percent_encode(filter, NON_ALPHANUMERIC)),
    }
}

/// A text as the value of an attribute in double quotes.
fn attribute(text: &str) -> String {
    escaped(text).replace('"', "&quot;")
}

fn hidden_if(condition: bool) -> &'static str {
    if condition { " hidden" } else { "" }
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone};

    use super::*;

    #[test]
    fn a_filter_cannot_leave_its_attribute() {
        let now = Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap();
        let filter = "\"><script>alert('&')</script>";
        for result in [Ok(vec![]), Err(filter.to_owned())] {
            let page = Page { host: "localhost:8000", filter, phone: None, result, now }.render();
            assert!(
                page.contains("value=\"&quot;&gt;&lt;script&gt;alert('&amp;')&lt;/script&gt;\""),
                "{page}"
            );
            assert!(page.contains("/dev/inbox.json?phone_number=%22%3E%3Cscript%3E"), "{page}");
            assert_eq!(page.matches("<script").count(), 1, "{page}");
        }
    }

    #[test]
    fn an_age_is_in_the_largest_whole_unit() {
        let now = Utc.with_ymd_and_hms(2026, 3, 14, 9, 26, 53).unwrap();
        for (seconds, expected) in [
            (-5, "just now"),
            (0, "just now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (86_399, "23 h ago"),
            (86_400, "1 d ago"),
        ] {
            assert_eq!(age(now - Duration::seconds(seconds), now), expected);
        }
    }
}
