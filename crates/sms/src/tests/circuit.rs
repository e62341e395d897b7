//! The circuit breaker with a server behind it. `crates/sms/src/client/breaker.rs` has the table of its states.

use std::sync::Arc;

use super::{
    scripted::{self, Step},
    secrets::Log,
    *,
};

/// This many failed messages in a row open it.
const FAILURES: usize = 5;

fn clock() -> Clock {
    Clock::fixed(DateTime::UNIX_EPOCH)
}

fn seconds(seconds: i64) -> chrono::Duration {
    chrono::Duration::seconds(seconds)
}

async fn send(sms: &Sms, times: usize) -> Vec<Result<Receipt, SendError>> {
    let message = message();
    join_all((0..times).map(|_| sms.send(&message))).await
}

fn circuit_open(retry_after: u64) -> Result<Receipt, SendError> {
    Err(SendError::Unavailable {
        outcome: Outcome::NotSent,
        retry_after: Some(retry_after),
        provider_code: None,
    })
}

async fn now_answers(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(matchers::any()).respond_with(answer).mount(server).await;
}

#[tokio::test]
async fn it_opens_probes_stays_open_for_longer_and_closes() {
    let (server, clock) = (stub(ResponseTemplate::new(503)).await, clock());
    let sms = sms_at(settings(&server.uri()), clock.clone());
    let (results, log) = Log::capture(send(&sms, FAILURES)).await;
    assert!(results.iter().all(|result| *result == Err(unavailable(Outcome::Unknown))), "{results:?}");
    assert_eq!(count(&server).await, 3 * FAILURES);
    assert_eq!(log.matches("SMS provider is down").count(), 1, "{log}");

    // Open: messages fail at once, and Twilio gets no requests.
    assert_eq!(send(&sms, 3).await, [circuit_open(2), circuit_open(2), circuit_open(2)]);
    clock.advance(seconds(1));
    assert_eq!(send(&sms, 1).await, [circuit_open(1)]);
    assert_eq!(count(&server).await, 3 * FAILURES);

    // One of the two is the probe. It fails, so the pause doubles.
    clock.advance(seconds(1));
    assert_eq!(send(&sms, 2).await, [Err(unavailable(Outcome::Unknown)), circuit_open(1)]);
    assert_eq!(count(&server).await, 3 * FAILURES + 3);
    assert_eq!(send(&sms, 1).await, [circuit_open(4)]);

    // The next probe is answered.
    now_answers(&server, created("queued", Value::Null)).await;
    clock.advance(seconds(4));
    let (results, log) = Log::capture(send(&sms, 1)).await;
    assert!(results[0].is_ok(), "{results:?}");
    assert_eq!(log.matches("SMS provider is up again").count(), 1, "{log}");
    assert!(send(&sms, 3).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let (server, clock) = (stub(ResponseTemplate::new(500)).await, clock());
    let sms = sms_at(settings(&server.uri()), clock.clone());
    send(&sms, FAILURES - 1).await;
    now_answers(&server, refused(400, 21211)).await;
    send(&sms, 1).await;
    now_answers(&server, ResponseTemplate::new(500)).await;
    send(&sms, FAILURES - 1).await;
    assert_eq!(send(&sms, 1).await, [Err(unavailable(Outcome::Unknown))], "it was closed until this one");
    assert_eq!(send(&sms, 1).await, [circuit_open(2)]);

    now_answers(&server, refused(400, 21211)).await;
    clock.advance(seconds(2));
    for times in [1, 2] {
        for result in send(&sms, times).await {
            assert_eq!(result.unwrap_err().reason(), Some(UnreachableReason::Invalid));
        }
    }
}

#[tokio::test]
async fn no_answer_and_too_many_requests_count_too() {
    let (base, _requests) = scripted::server([Step::Cut; FAILURES]).await;
    let sms = sms(settings(&base));
    send(&sms, FAILURES).await;
    assert_eq!(send(&sms, 1).await, [circuit_open(2)]);

    let server = stub(ResponseTemplate::new(429).insert_header("Retry-After", "60")).await;
    let sms = super::sms(settings(&server.uri()));
    send(&sms, FAILURES).await;
    assert_eq!(send(&sms, 1).await, [circuit_open(2)]);
}

#[tokio::test]
async fn what_twilio_was_not_asked_says_nothing_of_it() {
    let server = stub(created("queued", Value::Null)).await;
    let no_sender = TwilioSettings { senders: Senders::default(), ..settings(&server.uri()) };
    let sms = sms(no_sender);
    for result in send(&sms, 2 * FAILURES).await {
        let reason = UnreachableReason::RegionNotAllowed;
        assert_eq!(result, Err(SendError::Unreachable { reason, provider_code: None }));
    }
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn while_a_probe_is_under_way_others_are_answered_at_once_and_a_dropped_one_makes_room() {
    let mut steps = [Step::Cut; FAILURES + 2];
    steps[FAILURES] = Step::Hold;
    steps[FAILURES + 1] = Step::Take;
    let ((base, mut requests), clock) = (scripted::server(steps).await, clock());
    let sms = Arc::new(sms_at(settings(&base), clock.clone()));
    send(&sms, FAILURES).await;
    for _ in 0..FAILURES {
        requests.recv().await.unwrap();
    }

    clock.advance(seconds(2));
    let probing = Arc::clone(&sms);
    let mut probe = tokio::spawn(async move { probing.send(&message()).await });
    tokio::select! {
        request = requests.recv() => assert!(request.is_some()),
        sent = &mut probe => panic!("no request, but {sent:?}"),
    }
    assert_eq!(send(&sms, 2).await, [circuit_open(1), circuit_open(1)]);

    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    assert!(send(&sms, 1).await[0].is_ok());
}

#[tokio::test]
async fn one_that_is_switched_off_asks_every_time() {
    let server = stub(ResponseTemplate::new(500)).await;
    let sms = sms(TwilioSettings { breaker: false, ..settings(&server.uri()) });
    send(&sms, FAILURES + 3).await;
    assert_eq!(count(&server).await, 3 * (FAILURES + 3));
}

/// Moves tokio's time without waiting. Time is paused only meanwhile, because a paused runtime that waits for the network
/// would skip to the next timer.
async fn advance_time(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// Each request gets its permit after nearly half of the time, and is cut short: that shows nothing about Twilio.
#[tokio::test]
async fn a_request_that_was_cut_short_says_nothing_of_twilio() {
    let mut steps = [Step::Hold; FAILURES + 1];
    steps[FAILURES] = Step::Take;
    let (base, mut requests) = scripted::server(steps).await;
    let limits =
        TwilioSettings { timeout: Duration::from_mins(10), max_in_flight: FAILURES, ..settings(&base) };
    let Sms::Twilio(twilio) = sms_at(limits, clock()) else { unreachable!() };
    let permits = twilio.permits.acquire_many(u32::try_from(FAILURES).unwrap()).await.unwrap();
    let messages: Vec<_> = (0..FAILURES as u128).map(|id| message_to(PHONE, id)).collect();
    let sending = join_all(messages.iter().map(|message| twilio.send(message)));
    let waiting = async {
        advance_time(Duration::from_mins(4)).await;
        drop(permits);
        for _ in 0..FAILURES {
            requests.recv().await.unwrap();
        }
        advance_time(Duration::from_mins(6)).await;
    };
    let (sent, ()) = tokio::join!(sending, waiting);
    assert!(sent.iter().all(|sent| *sent == Err(unavailable(Outcome::Unknown))), "{sent:?}");
    assert!(twilio.send(&message()).await.is_ok(), "the breaker is still closed");
}
