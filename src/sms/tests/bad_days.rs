//! Connections that go wrong.

use super::*;

#[tokio::test]
async fn a_slow_answer_is_an_unknown_outcome() {
    let server = stub(created("queued", Value::Null).set_delay(Duration::from_mins(1))).await;
    let settings = TwilioSettings { timeout: Duration::from_millis(200), ..settings(&server.uri()) };
    assert_eq!(sms(settings).send(&message()).await, Err(unavailable(Outcome::Unknown)));
}

#[tokio::test]
async fn a_connection_cut_after_the_request_is_an_unknown_outcome() {
    let base = hangs_up("http", b"ValidityPeriod=", b"");
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::Unknown)));
}

#[tokio::test]
async fn an_answer_cut_after_its_status_is_believed() {
    let base =
        hangs_up("http", b"ValidityPeriod=", b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{\"sid\"");
    let receipt = sms(settings(&base)).send(&message()).await.unwrap();
    assert_eq!(receipt, Receipt { provider_id: None, status: ReceiptStatus::Queued });
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::NotSent)));
}

#[tokio::test]
async fn a_failed_tls_handshake_sent_nothing() {
    // 0x16 begins a TLS handshake record; what comes back is none.
    let base = hangs_up("https", &[0x16], b"220 not the service you meant\r\n");
    assert_eq!(sms(settings(&base)).send(&message()).await, Err(unavailable(Outcome::NotSent)));
}
