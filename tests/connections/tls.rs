//! TLS: what a client may speak, and a certificate that is renewed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use loopin_auth::http::server::{self, Listener, RELOAD_EVERY, Tls, TlsFiles, keep_reloading};
use poem::{Response, endpoint::make};
use rcgen::{CertifiedKey, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::CertificateDer,
        version::{TLS12, TLS13},
    },
};

use crate::server::{HEALTH, limits};

/// The folder of a certificate, which is removed at the end of the test.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(made: &CertifiedKey<KeyPair>) -> Self {
        let id = loopin_auth::random::Random::System.bits();
        let files = Self { folder: std::env::temp_dir().join(format!("loopin-auth-tls-{id}")) };
        std::fs::create_dir(&files.folder).unwrap();
        files.write(&made.cert.pem(), &made.signing_key.serialize_pem());
        files
    }

    fn write(&self, certificate: &str, key: &str) {
        let TlsFiles { certificate: certificate_file, key: key_file } = self.names();
        std::fs::write(certificate_file, certificate).unwrap();
        std::fs::write(key_file, key).unwrap();
    }

    fn names(&self) -> TlsFiles {
        TlsFiles { certificate: self.folder.join("cert.pem"), key: self.folder.join("key.pem") }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// A server that answers with the scheme of the request.
async fn serve(tls: Tls) -> std::net::SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = make(|request: poem::Request| async move {
        Ok::<_, poem::Error>(Response::builder().body(request.scheme().as_str().to_owned()))
    });
    let endpoint = poem::EndpointExt::map_to_response(endpoint);
    let listener = Listener { socket, tls: Some(tls) };
    tokio::spawn(server::serve(listener, endpoint, limits(), None, std::future::pending()));
    address
}

async fn connect(
    address: std::net::SocketAddr,
    root: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), socket).await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(HEALTH.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_client_chooses_the_version_and_the_protocol() {
    let made = certificate();
    let files = Files::new(&made);
    let address = serve(Tls::load(files.names()).unwrap()).await;
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for (offered, chosen) in
            [(&[][..], None), (&["http/1.1"], Some("http/1.1")), (&["http/1.1", "h2"], Some("h2"))]
        {
            let mut stream = connect(address, made.cert.der(), version, offered).await.unwrap();
            let (_, session) = stream.get_ref();
            assert_eq!(session.protocol_version(), Some(expected));
            assert_eq!(session.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
            if chosen == Some("h2") {
                let socket = hyper_util::rt::TokioIo::new(stream);
                let executor = hyper_util::rt::TokioExecutor::new();
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(executor, socket).await.unwrap();
                tokio::spawn(connection);
                let request = hyper::Request::get("https://localhost/").body(String::new()).unwrap();
                assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
            } else {
                let answer = ask(&mut stream).await;
                assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("https"), "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_never_begins_is_cut_off() {
    let made = certificate();
    let files = Files::new(&made);
    let address = serve(Tls::load(files.names()).unwrap()).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(HEALTH.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // An alert, and no HTTP.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let _ = silent.read_to_end(&mut answer).await;
    assert!(begun.elapsed() <= limits().header + Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let (old, new) = (certificate(), certificate());
    let files = Files::new(&old);
    let tls = Tls::load(files.names()).unwrap();
    let address = serve(tls.clone()).await;
    let is_used =
        async |made: &CertifiedKey<KeyPair>| connect(address, made.cert.der(), &TLS13, &[]).await.is_ok();
    assert!(is_used(&old).await && !is_used(&new).await);
    assert!(!tls.reload().unwrap(), "nothing changed");

    // Between the two writes of a renewal.
    files.write(&new.cert.pem(), &old.signing_key.serialize_pem());
    assert!(tls.reload().is_err());
    assert!(!tls.reload().unwrap(), "it is told once");
    assert!(is_used(&old).await);
    std::fs::remove_file(files.names().key).unwrap();
    assert!(tls.reload().is_err());
    assert!(!tls.reload().unwrap(), "it is told once");
    assert!(is_used(&old).await);

    files.write(&new.cert.pem(), &new.signing_key.serialize_pem());
    assert!(tls.reload().unwrap());
    assert!(is_used(&new).await && !is_used(&old).await);

    // The server looks by itself.
    tokio::time::pause();
    let looking = tokio::spawn(keep_reloading(tls));
    tokio::time::sleep(Duration::from_secs(1)).await;
    files.write(&old.cert.pem(), &old.signing_key.serialize_pem());
    tokio::time::sleep(RELOAD_EVERY).await;
    // The files are read in a thread of their own.
    while !is_used(&old).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!looking.is_finished());
    looking.abort();
}
