//! MSG91: the exact request, the meaning of its answers, and its reports.

use super::*;

const KEY: &str = "the auth key of the tests";
const REQUEST_ID: &str = "346d6b6b6d35373132343130";
const STATUS_SECRET: &str = "0123456789abcdef0123456789abcdef";

fn settings(base: &str) -> Msg91Settings {
    Msg91Settings {
        auth_key: KEY.into(),
        templates: ByLanguage::parse("hi=template-hi,*=template-en").unwrap(),
        variable: "otp".to_owned(),
        api_base_url: Url::parse(base).unwrap(),
        limits: Limits { timeout: Duration::from_secs(5), ..Limits::default() },
    }
}

fn msg91(base: &str) -> Sms {
    Sms::Msg91(Box::new(Msg91::new(settings(base), Clock::fixed(DateTime::UNIX_EPOCH)).unwrap()))
}

fn says(status: u16, kind: &str, words: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "type": kind, "message": words }))
}

async fn answer_to(answer: ResponseTemplate) -> Result<Receipt, SendError> {
    let server = stub(answer).await;
    msg91(&server.uri()).send(&message()).await
}

#[tokio::test]
async fn a_code_is_exactly_this_request() {
    let server = stub(says(200, "success", REQUEST_ID)).await;
    let sms = msg91(&server.uri());
    assert_eq!(sms.send(&message()).await.unwrap().provider_id.as_deref(), Some(REQUEST_ID));
    let text = Text { language: "hi".to_owned(), ..message().text };
    sms.send(&Message { text, ..message() }).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    for (request, template) in requests.iter().zip(["template-en", "template-hi"]) {
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/api/v5/flow/"));
        assert_eq!(request.headers["authkey"], KEY);
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(
            request.body_json::<Value>().unwrap(),
            json!({
                "template_id": template,
                "short_url": "0",
                "recipients": [{ "mobiles": "919876543210", "otp": CODE }],
            })
        );
    }
}

#[tokio::test]
async fn only_codes_by_sms_are_sent() {
    let server = stub(says(200, "success", REQUEST_ID)).await;
    let sms = msg91(&server.uri());
    assert!(sms.carries(Kind::code_by(Channel::Sms)) && !sms.carries(Kind::notice()));
    for message in [
        Message { channel: Channel::WhatsApp, ..message() },
        Message { channel: Channel::Call, ..message() },
        Message { otp_code: None, ..message() },
    ] {
        let error = sms.send(&message).await.unwrap_err();
        assert_eq!(error, SendError::Rejected { provider_code: None, http_status: None });
    }
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn too_many_requests_are_not_about_the_users_number() {
    let error = answer_to(says(429, "error", "Maximum number of requests exceeded")).await.unwrap_err();
    assert!(error.definitely_not_sent() && error.reason().is_none(), "{error:?}");
    assert_eq!(error.provider_code(), Some(429));
}

#[tokio::test]
async fn an_error_also_comes_with_status_200() {
    for (words, code, hint) in [
        ("Invalid authkey", 207, "MSG91_AUTH_KEY"),
        ("IP is not whitelisted", 418, "IP whitelist"),
        ("Insufficient balance", 301, "top it up"),
        ("template id missing", 400, "MSG91_TEMPLATE_ID"),
    ] {
        for status in [200, 400] {
            let error = answer_to(says(status, "error", words)).await.unwrap_err();
            assert_eq!(error, SendError::Rejected { provider_code: Some(code), http_status: Some(400) });
            let explanation = explain(Provider::Msg91, &error);
            assert!(explanation.contains(hint), "{explanation}");
        }
    }
    let error = answer_to(says(200, "error", "invalid mobile number")).await.unwrap_err();
    assert_eq!(error.reason(), Some(UnreachableReason::Invalid));
    let error = answer_to(says(200, "error", "words of next year")).await.unwrap_err();
    assert_eq!(error, SendError::Rejected { provider_code: None, http_status: Some(400) });
    assert!(explain(Provider::Msg91, &error).contains("Failed Logs"));
    let number = ResponseTemplate::new(401).set_body_json(json!({ "status": "fail", "apiError": "418" }));
    assert_eq!(answer_to(number).await.unwrap_err().provider_code(), Some(418));
}

#[tokio::test]
async fn what_is_not_an_answer_of_msg91_is_understood() {
    let error = answer_to(ResponseTemplate::new(200).set_body_string("<html>")).await.unwrap_err();
    assert!(matches!(error, SendError::Rejected { .. }), "{error:?}");
    assert!(explain(Provider::Msg91, &error).contains("MSG91_API_BASE_URL"));
    let error = answer_to(ResponseTemplate::new(301)).await.unwrap_err();
    assert_eq!(error, SendError::Rejected { provider_code: None, http_status: Some(301) });
    // Status 200 says nothing by itself, so nothing and a cut answer leave the outcome unknown.
    assert_eq!(answer_to(ResponseTemplate::new(200)).await, Err(unavailable(Outcome::Unknown)));
    let base = hangs_up(b"recipients", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"type\"");
    assert_eq!(msg91(&base).send(&message()).await, Err(unavailable(Outcome::Unknown)));
    assert_eq!(answer_to(ResponseTemplate::new(500)).await, Err(unavailable(Outcome::Unknown)));
}

fn read(secret: &str, body: &str) -> Result<Vec<Report>, Forged> {
    let msg91 = Some(Msg91Reports::new(STATUS_SECRET.into()));
    let readers = ReportReaders { msg91, ..ReportReaders::default() };
    readers.read(Incoming::Msg91 { secret, body: body.as_bytes() }, DateTime::UNIX_EPOCH)
}

fn version_3(status: impl Into<Value>, words: &str) -> String {
    json!({
        "date": "2026-11-28 09:58:16", "number": "919876543210", "senderId": "LOOPIN", "requestId": REQUEST_ID,
        "status": status.into(), "desc": "x", "failedReason": words,
    })
    .to_string()
}

#[test]
fn reports_of_both_versions_are_read() {
    let of = ReportOf::Recipient { id: REQUEST_ID.to_owned(), to: PhoneNumber::from_e164(PHONE).unwrap() };
    let delivered = Report {
        provider: Provider::Msg91,
        of,
        status: DeliveryStatus::Delivered,
        error_code: None,
        error_text: None,
        reason: None,
        price: None,
    };
    assert_eq!(read(STATUS_SECRET, &version_3("1", "")).unwrap(), std::slice::from_ref(&delivered));
    assert_eq!(read(STATUS_SECRET, &version_3(1, "")).unwrap(), std::slice::from_ref(&delivered));
    let list = json!([{ "senderId": "LOOPIN", "requestId": REQUEST_ID, "report": [
        { "date": "2026-11-28 10:06:20", "number": "919876543210", "status": "1", "desc": "DELIVERED" },
        { "number": "919876543211", "status": "2", "desc": "FAILED", "failedReason": "" },
        { "number": "nothing", "status": "1" },
    ] }]);
    let form =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("data", &list.to_string()).finish();
    let reports = read(STATUS_SECRET, &form).unwrap();
    assert_eq!(reports[0], delivered);
    assert_eq!((reports.len(), reports[1].status), (2, DeliveryStatus::Undelivered));
    // Version 4 names no message.
    let nothing =
        r#"[{"data":[{"meta":"0","INMSID":"0","description":"DELIVERED","ts":1}],"event":"delivered"}]"#;
    for other in [nothing, "", "data=", "data=%7B", "[]", "null", "<html>", &version_3("99", "")] {
        assert_eq!(read(STATUS_SECRET, other), Ok(Vec::new()), "{other}");
    }
}

/// MSG91 does not report again, so none may be left out.
#[test]
fn all_reports_of_a_request_are_read() {
    let reports: Vec<Value> =
        (0..700).map(|number| json!({ "number": format!("9198765{number:05}"), "status": "2" })).collect();
    let list = json!([{ "requestId": REQUEST_ID, "report": reports }]).to_string();
    assert_eq!(read(STATUS_SECRET, &list).unwrap().len(), 700);
}

#[test]
fn a_failed_report_says_why() {
    use UnreachableReason::Blocked;
    for (status, words, code, reason) in [
        ("2", "", 2, None),
        ("9", "NDNC", 9, Some(Blocked)),
        ("17", "", 17, Some(Blocked)),
        ("16", "", 16, None),
        ("2", "FAILED_DLT_TEMPLATE", 9001, Some(Blocked)),
        ("16", "Header not registered", 9002, Some(Blocked)),
        ("25", "PEID_NOT_MATCHED", 9003, Some(Blocked)),
        ("2", "SMS not matched with DLT template", 9001, Some(Blocked)),
        ("2", "HEADER_NOT_REGISTERED_FOR_TEMPLATE", 9002, Some(Blocked)),
        ("2", "TEMPLATE-INACTIVE", 9005, Some(Blocked)),
        ("2", "PE_TM_HASH_NOT_REGISTERED", 9006, Some(Blocked)),
        ("2", "DLT 600", 9003, Some(Blocked)),
        ("2", "DLT error: 623.", 9002, Some(Blocked)),
        ("2", "632", 9005, Some(Blocked)),
        ("2", "ERR633", 9001, Some(Blocked)),
        ("2", "638, 599, 6000", 2, None),
    ] {
        let report = read(STATUS_SECRET, &version_3(status, words)).unwrap().remove(0);
        assert_eq!((report.error_code, report.reason), (Some(code), reason), "{status} {words}");
        assert!(report.status.is_lost());
        assert!(meaning(Provider::Msg91, code).is_some());
    }
}

#[test]
fn another_secret_is_refused() {
    for secret in ["", "0123456789abcdef0123456789abcdeF", &STATUS_SECRET[..31], "MSG91_STATUS_SECRET"] {
        assert_eq!(read(secret, &version_3("1", "")), Err(Forged), "{secret}");
    }
    let incoming = Incoming::Msg91 { secret: "", body: b"{}" };
    assert_eq!(ReportReaders::default().read(incoming, DateTime::UNIX_EPOCH), Err(Forged));
}

#[test]
fn a_value_for_each_language() {
    let values = ByLanguage::parse("en=a, HI=b,pt-BR=c").unwrap();
    for (language, value) in [("en", "a"), ("hi", "b"), ("hi-Latn", "b"), ("pt-br", "c"), ("ta", "a")] {
        assert_eq!(values.get(language), Some(value), "{language}");
    }
    assert_eq!(ByLanguage::parse(" 65a1-b_2 ").unwrap().get("ta"), Some("65a1-b_2"));
    for wrong in ["", "a b", "en=", "=a", "en=a,en=b", "en=a,b", "english!=a"] {
        assert!(ByLanguage::parse(wrong).is_err(), "{wrong}");
    }
}
