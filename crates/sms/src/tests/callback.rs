//! Delivery reports: signatures and contents. The first signatures are Twilio's own, from its documentation and the
//! tests of its libraries; the others are computed here as the documentation describes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use url::Url;
use uuid::Uuid;

use super::super::{Callbacks, Forged, Provider, Report, ReportOf, twilio::callback};
use domain::{
    delivery::{Attempt, Channel, DeliveryStatus, Price, UnreachableReason},
    phone::PhoneNumber,
};

const TARGET: &str = "/api/twilio/status";
const REPORT: &str = "AccountSid=AC0&ApiVersion=2010-04-01&From=%2B15005550006&MessageSid=SM1&MessageStatus=delivered\
    &SmsSid=SM1&SmsStatus=delivered&To=%2B919876543210";

fn callbacks(base: &str, token: &str) -> Callbacks {
    Callbacks::new(Url::parse(base).unwrap(), token.into())
}

fn ours() -> Callbacks {
    callbacks("https://auth.example.com", "token")
}

/// The signature of a text that the test has written out.
fn hmac(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(b"token").unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The signature of a form whose fields are already in order.
fn signature(url: &str, form: &str) -> String {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert!(fields.is_sorted(), "{fields:?}");
    let text: String = fields.into_iter().map(|(name, value)| name + &value).collect();
    hmac(&format!("{url}{text}"))
}

fn signed(form: &str) -> Option<Report> {
    let mut fields: Vec<&str> = form.split('&').collect();
    fields.sort_by_key(|field| field.split('=').next());
    let form = fields.join("&");
    let signature = signature("https://auth.example.com/api/twilio/status", &form);
    ours().read(TARGET, &signature, form.as_bytes()).unwrap()
}

fn status(form: &str) -> Option<DeliveryStatus> {
    signed(form).map(|report| report.status)
}

#[test]
fn the_example_of_twilios_documentation_is_signed_right() {
    let form =
        b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let target = "/myapp.php?foo=1&bar=2";
    let read = |base, signature| callbacks(base, "12345").read(target, signature, form);
    for (base, signature) in [
        ("https://mycompany.com", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        // Signatures from Twilio's libraries: the port was given but not signed, and the other way round.
        ("https://mycompany.com:1234", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("http://mycompany.com:1234", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        // Other spellings of the same address.
        ("https://mycompany.com/", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://MyCompany.com:443", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com", " RSOYDt4T1cUTdK1PDd93/VVr8B8= "),
    ] {
        // Valid, but without a call status.
        assert_eq!(read(base, signature), Ok(None), "{base} {signature}");
    }
    for (base, signature) in [
        ("http://mycompany.com", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.org", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com/app", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ] {
        assert_eq!(read(base, signature), Err(Forged), "{base} {signature}");
    }
}

#[test]
fn of_a_repeated_field_each_value_is_signed_once_in_order() {
    let read = |form: &str| {
        callbacks("https://mycompany.com", "12345").read(
            "/myapp.php?foo=1&bar=2",
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            form.as_bytes(),
        )
    };
    assert_eq!(read("Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234"), Ok(None));
    assert_eq!(read("Sid=CA123&SidAccount=AC123&Digits=1234&Digits=5678&Digits=1234"), Ok(None));
    assert_eq!(read("Sid=CA123&SidAccount=AC123&Digits=5678"), Err(Forged));
}

#[test]
fn a_report_without_the_right_signature_is_forged() {
    let url = "https://auth.example.com/api/twilio/status";
    let right = signature(url, REPORT);
    let read = |target: &str, signature: &str, form: &str| ours().read(target, signature, form.as_bytes());
    assert!(read(TARGET, &right, REPORT).unwrap().is_some());

    let mut bytes = STANDARD.decode(&right).unwrap();
    bytes[19] ^= 1;
    let one_bit_off = STANDARD.encode(&bytes);
    let cut = STANDARD.encode(&bytes[..19]);
    let of_an_empty_form = hmac(url);
    for wrong in
        ["", " ", "=", "not base64!", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", &one_bit_off, &cut, &of_an_empty_form]
    {
        assert_eq!(read(TARGET, wrong, REPORT), Err(Forged), "{wrong}");
    }
    // The token of another account.
    let other = callbacks("https://auth.example.com", "tokem");
    assert_eq!(other.read(TARGET, &right, REPORT.as_bytes()), Err(Forged));
}

#[test]
fn a_signature_is_good_for_its_own_form_and_address_only() {
    let right = signature("https://auth.example.com/api/twilio/status", REPORT);
    let replaced = |from: &str, to: &str| {
        let form = REPORT.replace(from, to);
        assert_ne!(form, REPORT);
        ours().read(TARGET, &right, form.as_bytes())
    };
    for (from, to) in [
        ("MessageStatus=delivered", "MessageStatus=failed"),
        ("MessageSid=SM1", "MessageSid=SM2"),
        ("&To=%2B919876543210", ""),
        ("&To=%2B919876543210", "&To="),
        ("To=", "to="),
        ("From=", "ErrorCode=30003&From="),
        ("SmsSid=SM1", "SmsSid=SM1&SmsSid=SM2"),
        ("%2B15005550006", "+15005550006"),
    ] {
        assert_eq!(replaced(from, to), Err(Forged), "{from} {to}");
    }
    let at = |target: &str| ours().read(target, &right, REPORT.as_bytes());
    for target in
        ["/api/twilio/status/", "/api/twilio/status?", "/api/twilio/status?a=b", "/api/twilio/Status"]
    {
        assert_eq!(at(target), Err(Forged), "{target}");
    }
    assert_eq!(ours().read(TARGET, &right, b""), Err(Forged));
    assert_eq!(ours().read(TARGET, &right, &[0xff, 0, b'=']), Err(Forged));
}

#[test]
fn the_order_of_the_fields_does_not_matter() {
    let right = signature("https://auth.example.com/api/twilio/status", REPORT);
    let backwards = REPORT.split('&').rev().collect::<Vec<_>>().join("&");
    let read = |form: &str| ours().read(TARGET, &right, form.as_bytes()).unwrap().unwrap();
    assert_eq!(read(&backwards), read(REPORT));
}

#[test]
fn the_query_is_signed_as_it_came() {
    let target = "/api/twilio/status?b=%41&a=+&a";
    let right = signature(&format!("https://auth.example.com{target}"), REPORT);
    let read = |target| ours().read(target, &right, REPORT.as_bytes());
    assert!(read(target).is_ok());
    assert_eq!(read("/api/twilio/status?b=A&a=+&a"), Err(Forged));
}

#[test]
fn behind_a_proxy_the_public_address_counts() {
    // The proxy removes the path prefix, so the server gets the same target.
    let prefixed = callbacks("https://example.com:8443/auth/", "token");
    let read = |url: &str| prefixed.read(TARGET, &signature(url, REPORT), REPORT.as_bytes());
    assert!(read("https://example.com:8443/auth/api/twilio/status").is_ok());
    assert!(read("https://example.com/auth/api/twilio/status").is_ok());
    for url in [
        "https://example.com:8443/api/twilio/status",
        "https://example.com:443/auth/api/twilio/status",
        "http://example.com:8443/auth/api/twilio/status",
        "http://127.0.0.1:8000/api/twilio/status",
    ] {
        assert_eq!(read(url), Err(Forged), "{url}");
    }
}

#[test]
fn twilio_is_told_the_address_that_it_will_sign() {
    for (base, address) in [
        ("https://auth.example.com", "https://auth.example.com/api/twilio/status"),
        ("https://auth.example.com:443/", "https://auth.example.com/api/twilio/status"),
        ("https://example.com:8443/auth/", "https://example.com:8443/auth/api/twilio/status"),
        ("http://[::1]:8000", "http://[::1]:8000/api/twilio/status"),
    ] {
        let callbacks = callbacks(base, "token");
        assert_eq!(callbacks.status_url().unwrap().as_str(), address);
        assert!(callbacks.read(TARGET, &signature(address, REPORT), REPORT.as_bytes()).is_ok(), "{base}");
    }
}

#[test]
fn a_report_says_which_message_got_how_far() {
    assert_eq!(
        signed(REPORT),
        Some(Report {
            provider: Provider::Twilio,
            of: ReportOf::Provider {
                id: "SM1".to_owned(),
                attempt: None,
                to: PhoneNumber::from_e164("+919876543210"),
                channel: Channel::Sms,
            },
            status: DeliveryStatus::Delivered,
            error_code: None,
            error_text: None,
            reason: None,
            price: None,
        })
    );
    let report = signed(
        "ErrorCode=30006&MessageSid=SM1&MessageStatus=undelivered&Price=-0.00750&PriceUnit=usd\
            &RawDlrDoneDate=2611210800&To=whatsapp:%2B919876543210",
    )
    .unwrap();
    assert_eq!(report.error_code, Some(30006));
    assert_eq!(report.reason, Some(UnreachableReason::NotMobile));
    assert_eq!(report.price, Some(Price { amount: "-0.00750".to_owned(), unit: "USD".to_owned() }));
    let ReportOf::Provider { to, channel, .. } = report.of else { panic!("{:?}", report.of) };
    assert_eq!((to, channel), (PhoneNumber::from_e164("+919876543210"), Channel::WhatsApp));
}

#[test]
fn the_address_of_a_report_names_its_message() {
    let base = ours().status_url().unwrap();
    let delivery_id = Uuid::from_u128(7);
    let address = callback::address_for(Attempt { delivery_id, number: 2 }, &base);
    assert_eq!(
        address.as_str(),
        "https://auth.example.com/api/twilio/status?delivery_id=00000000-0000-0000-0000-000000000007&attempt=2"
    );
    let read = |query: &str| {
        let target = format!("{TARGET}{query}");
        let signature = signature(&format!("https://auth.example.com{target}"), REPORT);
        let report = ours().read(&target, &signature, REPORT.as_bytes()).unwrap().unwrap();
        let ReportOf::Provider { attempt, .. } = report.of else { panic!("{:?}", report.of) };
        attempt
    };
    let query = format!("?{}", address.query().unwrap());
    assert_eq!(read(&query), Some(Attempt { delivery_id, number: 2 }));
    for none in ["", "?", "?attempt=2", "?delivery_id=7&attempt=2", &query.replace("=2", "=two")] {
        assert_eq!(read(none), None, "{none}");
    }
    // The signature is that of the whole address.
    let other = format!("{TARGET}{}", query.replace("=2", "=1"));
    let right = signature(address.as_str(), REPORT);
    assert_eq!(ours().read(&other, &right, REPORT.as_bytes()), Err(Forged));
}

#[test]
fn calls_report_too() {
    let report =
        signed("CallSid=CA1&CallStatus=no-answer&Duration=0&SipResponseCode=487&To=%2B919876543210").unwrap();
    assert_eq!(report.status, DeliveryStatus::Undelivered);
    assert_eq!((report.error_code, report.reason), (None, None), "487 is SIP's");
    let ReportOf::Provider { id, channel, .. } = report.of else { panic!("{:?}", report.of) };
    assert_eq!((id.as_str(), channel), ("CA1", Channel::Call));
    assert_eq!(status("CallSid=CA1&CallStatus=completed"), Some(DeliveryStatus::Delivered));
    assert_eq!(status("CallSid=CA1&CallStatus=ringing"), Some(DeliveryStatus::Sent));
}

#[test]
fn older_names_of_the_fields_are_understood() {
    assert_eq!(status("SmsSid=SM1&SmsStatus=sent"), Some(DeliveryStatus::Sent));
    assert_eq!(status("MessageSid=&MessageStatus=&SmsSid=SM1&SmsStatus=sent"), Some(DeliveryStatus::Sent));
}

#[test]
fn a_lost_message_needs_no_error_code() {
    for (form, code) in [
        ("MessageSid=SM1&MessageStatus=undelivered", None),
        ("ErrorCode=&MessageSid=SM1&MessageStatus=undelivered", None),
        ("ErrorCode=0&MessageSid=SM1&MessageStatus=failed", None),
        ("ErrorCode=null&MessageSid=SM1&MessageStatus=failed", None),
        ("ErrorCode=99999999999&MessageSid=SM1&MessageStatus=failed", None),
        ("ErrorCode=30008&MessageSid=SM1&MessageStatus=undelivered", Some(30008)),
    ] {
        let report = signed(form).unwrap();
        assert!(report.status.is_lost());
        assert_eq!((report.error_code, report.reason), (code, None), "{form}");
    }
    // A code on a delivered message says nothing about the number.
    let report = signed("ErrorCode=30003&MessageSid=SM1&MessageStatus=delivered").unwrap();
    assert_eq!((report.error_code, report.reason), (None, None));
}

#[test]
fn what_says_nothing_is_nothing() {
    let long = "S".repeat(65);
    for form in [
        "",
        "MessageStatus=delivered",
        "MessageSid=SM1",
        "MessageSid=SM1&MessageStatus=",
        "MessageSid=SM1&MessageStatus=receiving",
        "MessageSid=SM1&MessageStatus=teleported",
        "MessageSid=&MessageStatus=delivered",
        "MessageSid=SM-1&MessageStatus=delivered",
        "MessageSid=SM1%0A&MessageStatus=delivered",
        &format!("MessageSid={long}&MessageStatus=delivered"),
        "CallSid=CA1",
        "CallSid=CA1&CallStatus=delivered",
        "CallSid=CA1&MessageStatus=delivered",
    ] {
        assert_eq!(signed(form), None, "{form}");
    }
    assert!(signed(&format!("MessageSid={}&MessageStatus=delivered", &long[1..])).is_some());
}

#[test]
fn a_price_is_a_number_and_a_currency() {
    let price = |amount: &str, unit: &str| {
        signed(&format!("MessageSid=SM1&MessageStatus=sent&Price={amount}&PriceUnit={unit}")).unwrap().price
    };
    for amount in ["-0.00750", "0.01", "1", "-12"] {
        assert_eq!(price(amount, "USD").unwrap().amount, amount);
    }
    for amount in ["", "-", ".", "1.", ".5", "1e3", "--1", "1.2.3", "0x1", "one", "0.0000000000000000001"] {
        assert_eq!(price(amount, "USD"), None, "{amount}");
    }
    for unit in ["", "US", "USDT", "U1D", "%E2%82%B9"] {
        assert_eq!(price("-0.00750", unit), None, "{unit}");
    }
}

#[test]
fn a_phone_that_is_none_is_left_out() {
    for to in ["", "client:bob", "919876543210", "messenger:123", "whatsapp:bob"] {
        let report = signed(&format!("MessageSid=SM1&MessageStatus=sent&To={to}")).unwrap();
        let ReportOf::Provider { to: phone, .. } = report.of else { panic!("{:?}", report.of) };
        assert_eq!(phone, None, "{to}");
    }
}

#[test]
fn debugging_shows_no_token() {
    let shown = format!("{:?}", callbacks("https://auth.example.com", "hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
