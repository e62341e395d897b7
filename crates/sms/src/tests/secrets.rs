//! What the log, `Debug` and `Display` show.

use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// While a process has one subscriber only, tracing asks that of the thread which reaches a line first: a test in another thread,
/// which has none, would switch the line off for the test that collects.
static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();

/// Collects the log of a test.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Collects everything logged on this thread from now on, at every level, including other crates' lines.
    pub(super) fn begin(&self) -> tracing::subscriber::DefaultGuard {
        SECOND.get_or_init(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default()));
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE);
        tracing::subscriber::set_default(subscriber.finish())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Runs `sending`, and returns everything that was logged on this thread meanwhile.
    pub(super) async fn capture<T>(sending: impl Future<Output = T>) -> (T, String) {
        let log = Self::default();
        let guard = log.begin();
        let result = sending.await;
        drop(guard);
        (result, log.text())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn assert_keeps_secrets(text: &str) {
    for secret in [SID, TOKEN, BASIC, CODE, PHONE, "9876543210", "Caf", SERVICE, "is not good"] {
        assert!(!text.contains(secret), "{secret} in: {text}");
    }
}

#[tokio::test]
async fn the_log_tells_the_operator_what_to_do_and_no_secret() {
    for (answer, level, words) in [
        (created("queued", Value::Null), "", ""),
        (refused(400, 21610), " INFO ", "reason=\"opted_out\""),
        (refused(401, 20003), "ERROR ", "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
        (refused(429, 20429), " WARN ", "sent=\"no\""),
        (refused(500, Value::Null), " WARN ", "sent=\"unknown\""),
        (ResponseTemplate::new(201).set_body_string("{"), " WARN ", "could not be read"),
    ] {
        let server = stub(answer).await;
        let sms = sms(settings(&server.uri()));
        let (_, text) = Log::capture(async { sms.send(&message()).await }).await;
        assert_keeps_secrets(&text);
        let ours: Vec<&str> =
            text.lines().filter(|line| line.contains(" sms::") && !line.contains("DEBUG ")).collect();
        assert_eq!(ours.len(), usize::from(!level.is_empty()), "{text}");
        assert!(ours.iter().all(|line| line.contains(level) && line.contains(words)), "{text}");
    }
}

#[tokio::test]
async fn the_log_names_the_cause_of_a_failed_connection() {
    let (base, _tries) = scripted::no_tls();
    let sms = sms(settings(&base));
    let (_, text) = Log::capture(async { sms.send(&message()).await }).await;
    assert_keeps_secrets(&text);
    assert!(text.contains("InvalidContentType") || text.contains("InvalidMessage"), "{text}");
}

#[test]
fn nothing_shows_a_secret() {
    let base = format!("https://api.example/{SID}");
    let senders = Senders::parse(&format!("IN={SERVICE},*=+15005550006")).unwrap();
    let content = WhatsApp::parse_content("HX11111111111111111111111111111111").unwrap();
    let whatsapp = WhatsApp { sender: Sender::Number("+15005550006".into()), content };
    let settings = TwilioSettings {
        whatsapp: Some(whatsapp.clone()),
        voice_number: Some("+15005550006".into()),
        ..settings(&base)
    };
    let clock = Clock::fixed(DateTime::UNIX_EPOCH);
    let shown = format!(
        "{:?} {settings:#?} {:?} {senders:?} {:?} {whatsapp:?} {:?} {:?} {:?}",
        message(),
        settings.credentials,
        senders.others,
        Twilio::new(settings.clone(), clock.clone()).unwrap(),
        sms(settings.clone()),
        Twilio::new(super::settings("ftp://a.example"), clock).unwrap_err(),
    );
    assert_keeps_secrets(&shown);
    assert!(!shown.contains("5005550006") && !shown.contains("HX1"), "{shown}");
    assert!(shown.contains("IN"), "{shown}");
}

#[tokio::test]
async fn an_error_shows_nothing_of_the_provider() {
    let server = stub(refused(400, 21211)).await;
    let error = sms(settings(&server.uri())).send(&message()).await.unwrap_err();
    assert_keeps_secrets(&format!("{error} {error:?}"));
    assert_eq!(error.to_string(), "this number cannot get messages (invalid)");

    let error = SendError::Rejected { provider_code: Some(20003), http_status: Some(401) };
    assert_eq!(error.to_string(), "the SMS provider refuses our messages");
    assert_eq!(unavailable(Outcome::Unknown).to_string(), "the SMS provider is not available");
}

#[tokio::test]
async fn test_mode_logs_the_text_and_masks_the_phone() {
    let sms = Sms::TestInbox(Inbox::default());
    let (_, text) = Log::capture(async { sms.send(&message()).await }).await;
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(CODE) && text.contains(" INFO ") && text.contains("+91******3210"), "{text}");
    assert!(!text.contains(PHONE), "{text}");
}
