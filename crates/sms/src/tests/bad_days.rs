//! Broken connections.

use super::{scripted::Step, *};
use domain::delivery::DeliveryStatus;

#[tokio::test]
async fn a_slow_answer_is_an_unknown_outcome() {
    let server = stub(created("queued", Value::Null).set_delay(Duration::from_mins(1))).await;
    let settings = TwilioSettings { timeout: Duration::from_millis(500), ..settings(&server.uri()) };
    // Load the numbering plans first, because that time is not part of this test.
    assert!(message().to.region().is_some());
    assert_eq!(sms(settings).send(&message()).await, Err(unavailable(Outcome::Unknown)));
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn a_connection_cut_after_the_request_is_an_unknown_outcome() {
    let (base, mut requests) = scripted::server([Step::Cut, Step::Take]).await;
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::Unknown)));
    assert!(requests.recv().await.is_some());
    assert!(requests.try_recv().is_err(), "the second request could be a second message");
}

#[tokio::test]
async fn an_answer_cut_after_its_status_is_believed() {
    let base = hangs_up(b"ValidityPeriod=", b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{\"sid\"");
    let receipt = sms(settings(&base)).send(&message()).await.unwrap();
    let taken = Receipt { provider_id: None, status: DeliveryStatus::Queued, segments: None, price: None };
    assert_eq!(receipt, taken);
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::NotSent)));
}

#[tokio::test]
async fn a_failed_tls_handshake_sent_nothing_and_is_tried_again() {
    // 0x16 begins a TLS handshake record; the server's answer is not one.
    let (base, tries) = scripted::no_tls();
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::NotSent)));
    assert_eq!(tries.try_iter().count(), 3);
}
