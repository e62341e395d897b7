//! The listener's settings.

use super::*;

#[test]
fn the_listener_takes_ten_thousand_and_tells_no_metrics() {
    let settings = dev(&[]).server;
    assert_eq!(settings, ServerSettings { max_connections: 10_000, metrics_addr: None });
    let settings = dev(&[("MAX_CONNECTIONS", "7"), ("METRICS_ADDR", "[::1]:9100")]).server;
    assert_eq!(settings.max_connections, 7);
    assert_eq!(settings.metrics_addr, Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9100))));
    assert_eq!(dev(&[("METRICS_ADDR", "")]).server.metrics_addr, None);
}

#[test]
fn what_the_listener_cannot_do_is_named() {
    for wrong in ["0", "1000001", "many"] {
        assert_eq!(
            problem(&[("MAX_CONNECTIONS", wrong)]),
            "MAX_CONNECTIONS must be a whole number from 1 to 1000000"
        );
    }
    for wrong in ["9100", "localhost:9100", ":9100"] {
        let said = problem(&[("METRICS_ADDR", wrong)]);
        assert!(said.starts_with("METRICS_ADDR must be an IP address and a port"), "{said}");
    }
    assert_eq!(
        problem(&[("BIND_ADDR", "127.0.0.1:9100"), ("METRICS_ADDR", "127.0.0.1:9100")]),
        "METRICS_ADDR must not be BIND_ADDR: everybody would read the metrics"
    );
}
