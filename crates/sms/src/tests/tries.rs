//! When a request is retried, and when not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{net::TcpSocket, time::Instant};

use super::{
    scripted::{self, Step},
    secrets::Log,
    *,
};

fn said(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

async fn sent_to(answers: impl IntoIterator<Item = ResponseTemplate>) -> (Result<Receipt, SendError>, usize) {
    let server = stub_in_turn(answers).await;
    let result = sms(settings(&server.uri())).send(&message()).await;
    (result, count(&server).await)
}

#[tokio::test]
async fn a_fault_of_twilios_is_asked_again_and_the_message_then_taken() {
    let (result, requests) = sent_to([said(500), created("queued", Value::Null)]).await;
    assert_eq!(result.unwrap().provider_id.as_deref(), Some(MESSAGE_SID));
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn too_many_requests_are_asked_again_when_twilio_says() {
    let begun = Instant::now();
    let wait = said(429).insert_header("Retry-After", "1");
    let (result, requests) = sent_to([wait, created("queued", Value::Null)]).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(requests, 2);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_handed_on() {
    // The deadline of the settings is 5 seconds.
    let answers = [said(429).insert_header("Retry-After", "5"), created("queued", Value::Null)];
    let (result, requests) = sent_to(answers).await;
    let expected =
        SendError::Unavailable { outcome: Outcome::NotSent, retry_after: Some(5), provider_code: None };
    assert_eq!((result, requests), (Err(expected), 1));
}

#[tokio::test]
async fn three_tries_are_all() {
    for (status, outcome) in [(500, Outcome::Unknown), (429, Outcome::NotSent)] {
        let answers = [said(status), said(status), said(status), created("queued", Value::Null)];
        assert_eq!(sent_to(answers).await, (Err(unavailable(outcome)), 3), "{status}");
    }
}

#[tokio::test]
async fn a_fault_before_leaves_the_outcome_unknown_whatever_fails_after_it() {
    let (result, requests) = sent_to([said(503), said(429).insert_header("Retry-After", "9")]).await;
    let expected =
        SendError::Unavailable { outcome: Outcome::Unknown, retry_after: Some(9), provider_code: None };
    assert_eq!((result, requests), (Err(expected), 2));

    let (base, _requests) = scripted::server([Step::Say("500 Fault")]).await;
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::Unknown)));
}

#[tokio::test]
async fn a_definite_refusal_after_a_fault_stays_one() {
    let (result, requests) = sent_to([said(500), refused(400, 21610)]).await;
    let reason = UnreachableReason::OptedOut;
    assert_eq!(result, Err(SendError::Unreachable { reason, provider_code: Some(21610) }));
    assert_eq!(requests, 2);
}

/// Else another provider would send a code that may be on its way.
#[tokio::test]
async fn after_a_fault_what_is_ours_to_mend_leaves_the_outcome_unknown() {
    for code in [20003, 21408] {
        let (result, requests) = sent_to([said(500), refused(400, code)]).await;
        let expected = SendError::Unavailable {
            outcome: Outcome::Unknown,
            retry_after: None,
            provider_code: Some(code),
        };
        assert_eq!((result, requests), (Err(expected), 2));
    }
}

/// Sends a message while another provider waits for its turn.
async fn sent_with_others_to(answers: impl IntoIterator<Item = ResponseTemplate>) -> (SendError, usize) {
    let server = stub_in_turn(answers).await;
    let turn = Turn { is_last: false, ..Turn::alone() };
    let unsent = sms(settings(&server.uri())).send_within(&message(), turn).await.unwrap_err();
    (unsent.error, count(&server).await)
}

#[tokio::test]
async fn while_others_wait_only_what_may_have_been_sent_is_tried_again() {
    let taken = || created("queued", Value::Null);
    assert_eq!(sent_with_others_to([said(429), taken()]).await, (unavailable(Outcome::NotSent), 1));
    let (error, requests) = sent_with_others_to([said(500), said(429), said(500), taken()]).await;
    assert_eq!((error, requests), (unavailable(Outcome::Unknown), 3));
    let (base, connections) = scripted::no_tls();
    let turn = Turn { is_last: false, ..Turn::alone() };
    let unsent = sms(settings(&base)).send_within(&message(), turn).await.unwrap_err();
    assert_eq!(unsent.error, unavailable(Outcome::NotSent));
    assert_eq!(connections.try_iter().count(), 1);
}

#[tokio::test]
async fn a_provider_whose_turn_comes_too_late_is_not_asked() {
    let server = stub(created("queued", Value::Null)).await;
    // A quarter of five seconds is needed.
    let turn = Turn { deadline: Instant::now() + Duration::from_millis(1_200), is_last: true };
    let unsent = sms(settings(&server.uri())).send_within(&message(), turn).await.unwrap_err();
    assert_eq!(unsent.error, unavailable(Outcome::NotSent));
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn a_provider_with_too_many_messages_is_left_early_while_others_wait() {
    let server = stub(created("queued", Value::Null)).await;
    let settings =
        TwilioSettings { timeout: Duration::from_millis(500), max_in_flight: 1, ..settings(&server.uri()) };
    let Sms::Twilio(twilio) = sms(settings) else { unreachable!() };
    let permit = twilio.permits.acquire().await.unwrap();
    let begun = Instant::now();
    let turn = Turn { is_last: false, ..Turn::alone() };
    let unsent = twilio.send_within(&message(), turn).await.unwrap_err();
    assert_eq!(unsent.error, unavailable(Outcome::NotSent));
    assert!(begun.elapsed() < Duration::from_millis(240), "{:?}", begun.elapsed());
    drop(permit);
}

#[tokio::test]
async fn the_providers_own_words_are_kept_without_numbers() {
    let server = stub(refused(400, 21211)).await;
    let unsent = sms(settings(&server.uri())).send_within(&message(), Turn::alone()).await.unwrap_err();
    assert_eq!(unsent.text.unwrap().as_str(), "The 'To' number … of … is not good");
}

#[tokio::test]
async fn a_definite_refusal_is_not_asked_again_whatever_its_status() {
    let (result, requests) = sent_to([refused(429, 63038), created("queued", Value::Null)]).await;
    assert_eq!(result, Err(SendError::Rejected { provider_code: Some(63038), http_status: Some(429) }));
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_later_try_tells_twilio_that_less_of_the_codes_life_is_left() {
    let clock = Clock::fixed(DateTime::UNIX_EPOCH);
    let (server, requests_seen, server_clock) =
        (MockServer::start().await, AtomicUsize::new(0), clock.clone());
    let respond = move |_: &wiremock::Request| {
        server_clock.advance(chrono::Duration::seconds(30));
        match requests_seen.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => said(500),
            _ => created("queued", Value::Null),
        }
    };
    Mock::given(matchers::any()).respond_with(respond).mount(&server).await;
    sms_at(settings(&server.uri()), clock).send(&message()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let ends: Vec<String> = requests
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).rsplit_once('=').unwrap().1.to_owned())
        .collect();
    assert_eq!(ends, ["599", "569", "539"]);
}

#[tokio::test]
async fn a_connection_that_stands_at_the_second_try_sends_the_message() {
    // Bound but not listening yet: connections are refused, and no other program gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    let log = Log::default();
    let _guard = log.begin();

    let sms = sms(settings(&base));
    let message = message();
    let listening = async {
        while !log.text().contains("SMS provider: trying again") {
            tokio::task::yield_now().await;
        }
        scripted::serve(socket.listen(8).unwrap(), [Step::Take])
    };
    let (result, mut requests) = tokio::join!(sms.send(&message), listening);
    assert!(result.is_ok(), "{result:?}");
    assert!(requests.recv().await.unwrap().contains("ValidityPeriod=599"));
    assert_eq!(log.text().matches("SMS provider: trying again").count(), 1);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_may_be() {
    const LIMIT: usize = 2;
    let (base, mut requests) = scripted::server([Step::Hold; 6]).await;
    let limited = TwilioSettings { max_in_flight: LIMIT, ..settings(&base) };
    let sms = Arc::new(sms(limited));
    let sending: Vec<_> = (0..6)
        .map(|id| {
            let sms = Arc::clone(&sms);
            tokio::spawn(async move { sms.send(&message_to(PHONE, id)).await })
        })
        .collect();
    for _ in 0..LIMIT {
        requests.recv().await.unwrap();
    }
    // Meanwhile another server answers many requests, which is enough time for a third request to arrive here.
    for _ in 0..20 {
        assert!(answered(created("queued", Value::Null)).await.is_ok());
    }
    assert!(requests.try_recv().is_err());
    // A cancelled message returns its permit.
    for task in &sending {
        task.abort();
    }
    for task in sending {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let Sms::Twilio(twilio) = sms.as_ref() else { unreachable!() };
    assert_eq!(twilio.permits.available_permits(), LIMIT);
}

#[tokio::test]
async fn a_message_whose_turn_does_not_come_in_time_was_not_sent() {
    let server = stub(created("queued", Value::Null)).await;
    let settings =
        TwilioSettings { timeout: Duration::from_millis(50), max_in_flight: 1, ..settings(&server.uri()) };
    let Sms::Twilio(twilio) = sms(settings) else { unreachable!() };
    let permit = twilio.permits.acquire().await.unwrap();
    assert_eq!(twilio.send(&message()).await, Err(unavailable(Outcome::NotSent)));
    drop(permit);
    assert_eq!(count(&server).await, 0);
}
