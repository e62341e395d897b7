//! TLS by the server itself.

use rcgen::{CertifiedKey, KeyPair};
use reqwest::{Certificate, Client};

use crate::{
    server::{Folder, SECRETS, Server, free_port, run},
    support::PHONE,
};

pub fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate")
}

/// The files of a certificate, and the settings that name them.
pub fn write(folder: &Folder, made: &CertifiedKey<KeyPair>) {
    folder.write("cert.pem", &made.cert.pem());
    folder.write("key.pem", &made.signing_key.serialize_pem());
}

pub const FILES: [(&str, &str); 2] = [("TLS_CERT_FILE", "cert.pem"), ("TLS_KEY_FILE", "key.pem")];

pub fn trusting(made: &CertifiedKey<KeyPair>) -> Client {
    let root = Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    Client::builder().no_proxy().tls_certs_only([root]).build().expect("a client")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_certificate_speaks_https_and_nothing_else() {
    let (folder, made) = (Folder::new(), certificate());
    write(&folder, &made);
    let mut server = Server::begin(&folder, &FILES);
    let plain = server.base.clone();
    server.base = plain.replace("http://", "https://");
    server.client = trusting(&made);
    server.ready().await;
    server.signup(PHONE).await.ok();
    server.verify_otp(PHONE, &server.code_for(PHONE).await).await.ok();
    let answer = server.client.get(format!("{}/api/health", server.base)).send().await.expect("an answer");
    assert!(!answer.headers().contains_key("strict-transport-security"), "only in prod");
    let without = Client::builder().no_proxy().build().expect("a client");
    assert!(without.get(format!("{plain}/api/health")).send().await.is_err());
    assert!(
        without.get(format!("{}/api/health", server.base)).send().await.is_err(),
        "an unknown certificate"
    );
    assert!(server.log().contains(&format!("{}/dev/inbox", server.base)), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_production_browsers_stay_with_https() {
    let (folder, made) = (Folder::new(), certificate());
    write(&folder, &made);
    let prod = [
        ("ENVIRONMENT", "prod"),
        ("DATABASE_URL", "sqlite://prod.sqlite3"),
        ("PUBLIC_BASE_URL", "https://auth.example.com"),
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
        ("TWILIO_AUTH_TOKEN", "the auth token of the tests"),
        ("TWILIO_PHONE_NUMBER", "+15005550006"),
    ];
    let address = format!("127.0.0.1:{}", free_port());
    let own = [("BIND_ADDR", address.as_str())];
    let mut server = Server::begin(&folder, &[SECRETS.as_slice(), &prod, &FILES, &own].concat());
    server.base = server.base.replace("http://", "https://");
    server.client = trusting(&made);
    server.ready().await;
    let answer = server.client.get(format!("{}/api/health", server.base)).send().await.expect("an answer");
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
}

#[test]
fn files_that_cannot_be_used_stop_the_start_and_are_named() {
    let (folder, made, other) = (Folder::new(), certificate(), certificate());
    write(&folder, &made);
    folder.write("other.pem", &other.signing_key.serialize_pem());
    folder.write("empty.pem", "");
    for (settings, said) in [
        (&[("TLS_CERT_FILE", "cert.pem")][..], "TLS_KEY_FILE must be set with TLS_CERT_FILE"),
        (&[("TLS_KEY_FILE", "key.pem")], "TLS_CERT_FILE must be set with TLS_KEY_FILE"),
        (&[("TLS_CERT_FILE", "none.pem"), FILES[1]], "TLS_CERT_FILE: none.pem cannot be read"),
        (&[("TLS_CERT_FILE", "empty.pem"), FILES[1]], "TLS_CERT_FILE: empty.pem has no certificate in PEM"),
        (&[FILES[0], ("TLS_KEY_FILE", "cert.pem")], "TLS_KEY_FILE: cert.pem has no private key in PEM"),
        (&[FILES[0], ("TLS_KEY_FILE", "other.pem")], "TLS_KEY_FILE: it is not the key of TLS_CERT_FILE"),
    ] {
        let output = run(&folder, &["serve"], settings);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.err.contains(said), "{said:?} is not in {}", output.err);
        assert!(!output.err.contains("BEGIN"), "{}", output.err);
    }
}
