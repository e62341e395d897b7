//! The probe of containers.

use crate::{
    server::{Folder, Server, run},
    tls,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_of_containers_says_yes_or_no() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, &[]).await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    for bind_addr in [&address, &everywhere] {
        let probe = run(&folder, &["healthcheck"], &[("BIND_ADDR", bind_addr)]);
        assert!(probe.status.success(), "{}", probe.err);
        assert_eq!(probe.out, format!("healthy: {}/api/health answers 200\n", server.base));
    }
    let ready = format!("{}/api/health/ready", server.base);
    assert!(run(&folder, &["healthcheck", "--url", &ready], &[]).status.success());
    // It reads where the server is, and does not mind settings that only a server needs.
    assert!(
        run(&folder, &["healthcheck"], &[("BIND_ADDR", &address), ("ENVIRONMENT", "prod")]).status.success()
    );
    let missing = format!("{}/nowhere", server.base);
    let probe = run(&folder, &["healthcheck", "--url", &missing], &[]);
    assert_eq!((probe.status.code(), probe.err), (Some(1), format!("unhealthy: {missing} answers 404\n")));
    // A password or a query can be secret.
    let secret = format!("http://ada:PASSWORD@{address}/api/health?key=SECRET#SECRET");
    let probe = run(&folder, &["healthcheck", "--url", &secret], &[]);
    assert_eq!(
        (probe.out, probe.err),
        (format!("healthy: {}/api/health answers 200\n", server.base), String::new())
    );
    let probe = run(&folder, &["healthcheck", "--url", &secret.replace("health?", "nowhere?")], &[]);
    assert_eq!(probe.err, format!("unhealthy: {}/api/nowhere answers 404\n", server.base));
    server.kill();
    for url in [&secret, "ada:PASSWORD@localhost/?key=SECRET", "http://ada:PASSWORD@local host/?key=SECRET"] {
        let probe = run(&folder, &["healthcheck", "--url", url], &[]);
        assert_eq!(probe.status.code(), Some(1));
        assert!(probe.err.starts_with("unhealthy: "), "{}", probe.err);
        assert!(!probe.err.contains("PASSWORD") && !probe.err.contains("SECRET"), "{}", probe.err);
    }
    let probe = run(&folder, &["healthcheck"], &[("BIND_ADDR", &address)]);
    assert_eq!(probe.status.code(), Some(1));
    assert!(probe.err.starts_with("unhealthy: http://") && probe.err.lines().count() == 1, "{}", probe.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_asks_by_https_whatever_the_certificate_of_its_own_server_is() {
    let (folder, made) = (Folder::new(), tls::certificate());
    tls::write(&folder, &made);
    let mut server = Server::begin(&folder, &tls::FILES);
    server.base = server.base.replace("http://", "https://");
    server.client = tls::trusting(&made);
    server.ready().await;
    let address = server.base.trim_start_matches("https://");
    let own = [tls::FILES.as_slice(), &[("BIND_ADDR", address)]].concat();
    let probe = run(&folder, &["healthcheck"], &own);
    assert!(probe.status.success(), "{}", probe.err);
    assert_eq!(probe.out, format!("healthy: {}/api/health answers 200\n", server.base));
    // While the server goes on with the certificate before.
    folder.write("cert.pem", "");
    assert!(run(&folder, &["healthcheck"], &own).status.success());
    // Only its own server may have any certificate.
    let url = format!("{}/api/health", server.base);
    assert!(!run(&folder, &["healthcheck", "--url", &url], &own).status.success());
}
