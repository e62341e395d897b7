//! The listener's settings.

use super::*;

#[test]
fn the_listener_takes_ten_thousand_and_tells_no_metrics() {
    let settings = dev(&[]).server;
    let shutdown_delay = std::time::Duration::ZERO;
    assert_eq!(settings, ServerSettings { max_connections: 10_000, metrics_addr: None, shutdown_delay });
    let settings = dev(&[("MAX_CONNECTIONS", "7"), ("METRICS_ADDR", "[::1]:9100")]).server;
    assert_eq!(settings.max_connections, 7);
    assert_eq!(settings.metrics_addr, Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9100))));
    assert_eq!(dev(&[("METRICS_ADDR", "")]).server.metrics_addr, None);
}

#[test]
fn a_server_in_production_waits_for_its_load_balancers() {
    let seconds = |config: Config| config.server.shutdown_delay.as_secs();
    assert_eq!((seconds(dev(&[])), seconds(prod(&[]).unwrap())), (0, 5));
    assert_eq!(seconds(prod(&[("SHUTDOWN_DELAY_SECONDS", "0")]).unwrap()), 0);
    assert_eq!(
        problem(&[("SHUTDOWN_DELAY_SECONDS", "121")]),
        "SHUTDOWN_DELAY_SECONDS must be a whole number from 0 to 120"
    );
}

#[test]
fn traces_go_where_the_settings_say() {
    assert!(dev(&[]).traces.is_none());
    assert!(dev(&[("OTEL_SERVICE_NAME", "auth")]).traces.is_none(), "nothing says where to");
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let traces = dev(&[endpoint]).traces.unwrap();
    assert_eq!((traces.service_name.as_str(), traces.headers.len()), ("loopin-auth", 0));
    assert_eq!(traces.sampling, Sampling::ByParent { share: 1.0 });
    let traces = dev(&[
        endpoint,
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20a2V5, x-scope = a%2Cb"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ])
    .traces
    .unwrap();
    let headers = traces.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
    assert_eq!(headers.collect::<Vec<_>>(), [("authorization", "Basic a2V5"), ("x-scope", "a,b")]);
    assert_eq!(traces.sampling, Sampling::Share(0.5));
    assert!(!format!("{traces:?}").contains("a2V5"));
}

#[test]
fn wrong_settings_of_traces_are_named() {
    for (name, wrong, said) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "collector:4318",
            "OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key", "OTEL_EXPORTER_OTLP_HEADERS must be name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=%00", "OTEL_EXPORTER_OTLP_HEADERS must be name=value"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "OTEL_TRACES_SAMPLER must be always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"),
    ] {
        let problem = problem(&[(name, wrong)]);
        assert!(problem.starts_with(said), "{problem}");
    }
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
