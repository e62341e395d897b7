//! The metrics for Prometheus, and that they are served on their own address only.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use loopin_auth::{
    http::{
        self,
        server::{self, Limits},
    },
    telemetry::Metrics,
};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Client, HEALTH, Server, limits};

/// Parses the `OpenMetrics` format as far as this server uses it. A sample belongs to the last metric with a `# TYPE`, and
/// has the suffix of that type; labels are quoted, and the value is a number.
fn parse(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let (mut name, mut kind) = ("", "");
    let mut samples = BTreeMap::new();
    let lines = text.strip_suffix("# EOF\n").ok_or("no end")?;
    for line in lines.lines() {
        // A bucket may have an example.
        let line = line.split(" # {").next().unwrap_or(line);
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            (name, kind) = rest.split_once(' ').ok_or(line)?;
            continue;
        }
        if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').ok_or(line)?;
        let (sample, labels) = series.split_once('{').unwrap_or((series, "}"));
        let ending = sample.strip_prefix(name).ok_or(format!("{line} is not of {name}"))?;
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => return Err(format!("{line}: {kind}")),
        };
        let labels = labels.strip_suffix('}').ok_or(line)?;
        let is_quoted = |label: &str| label.split_once("=\"").is_some_and(|(_, value)| value.ends_with('"'));
        if !endings.contains(&ending) || !(labels.is_empty() || labels.split(',').all(is_quoted)) {
            return Err(line.to_owned());
        }
        let value = value.parse().map_err(|_| line.to_owned())?;
        if samples.insert(series.to_owned(), value).is_some() {
            return Err(format!("{series} is there twice"));
        }
    }
    Ok(samples)
}

/// Serves the metrics of a server on an address of their own.
async fn serve_metrics(server: &Server) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let services = Arc::clone(&server.services);
    let endpoint = http::metrics::endpoint(move || Arc::clone(&services));
    tokio::spawn(server::serve(
        listener,
        endpoint,
        Limits::from_connections(4),
        None,
        std::future::pending(),
    ));
    address
}

async fn answer_to(address: std::net::SocketAddr, request: &str) -> String {
    let mut client = Client::new(TcpStream::connect(address).await.unwrap());
    client.send(request).await;
    client.answer().await
}

#[tokio::test]
async fn what_was_asked_for_is_counted_by_its_pattern() {
    let server = Server::new(limits()).await;
    let address = serve_metrics(&server).await;
    let mut client = server.connect().await;
    for request in [
        HEALTH.to_owned(),
        HEALTH.to_owned(),
        HEALTH.replace("/api/health", "/+916205829376"),
        HEALTH.replace("GET", "BREW"),
        HEALTH.replace("/api/health", "/api/users/+916205829376"),
    ] {
        client.send(&request).await;
        client.answer().await;
    }
    let answer = answer_to(address, "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let content_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.lines().any(|line| line == content_type), "{head}");
    let samples = parse(text).unwrap_or_else(|line| panic!("{line} is no sample in {text}"));
    for (series, expected) in [
        ("loopin_http_requests_total{route=\"/api/health\",method=\"GET\",status=\"200\"}", 2.0),
        ("loopin_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"}", 1.0),
        ("loopin_http_requests_total{route=\"/api/health\",method=\"other\",status=\"405\"}", 1.0),
        ("loopin_http_request_duration_seconds_count{route=\"/api/health\"}", 3.0),
        ("loopin_connections", 1.0),
        ("loopin_connections_accepted_total", 1.0),
        ("loopin_connections_refused_total", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&expected), "{series} in {text}");
    }
    let pool = ["busy", "idle"].map(|state| format!("loopin_database_connections{{state=\"{state}\"}}"));
    assert!(pool.iter().all(|series| samples.contains_key(series)), "{text}");
    let build = format!("loopin_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples.get(&build), Some(&1.0));
    assert!(!text.contains("6205829376"), "no phone is in the metrics: {text}");
}

#[tokio::test]
async fn the_metrics_are_on_their_own_address_only_and_nothing_else_is() {
    let server = Server::new(limits()).await;
    let address = serve_metrics(&server).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    for (path, status) in [("/", "404"), ("/api/health", "404"), ("/metrics", "200")] {
        let answer = answer_to(address, &get(path)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    let answer =
        answer_to(address, "POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    for path in ["/metrics", "/api/metrics"] {
        let answer = answer_to(server.address, &get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

/// Every metric, each used once: a labelled metric without a sample is not in the text.
pub fn used() -> Metrics {
    let metrics = Metrics::default();
    metrics.request("/", "GET", 200, 0.5, Some("0af7651916cd43dd8448eb211c80319c"));
    metrics.message("twilio", "sms", "sent");
    metrics.next_provider("twilio", "vonage", "unavailable");
    metrics.message_took("twilio", Duration::from_millis(300));
    metrics.provider_states([("twilio", false)].into_iter());
    metrics.provider_place("IN", "vonage", 1);
    metrics.event("sent");
    metrics.events_kept(1, 1, 1);
    metrics.sign_in("code");
    metrics.refused("sends");
    metrics.prefix_closed("IN");
    metrics.prefix_opened("IN");
    metrics.cap_used("all", 0.5);
    metrics.challenge("pow", "asked");
    metrics.hook("before_send", "allow");
    metrics.exchange("signed_in");
    metrics.issuer_keys("old", "fetched");
    metrics.database(2, 1);
    metrics
}

/// The names and types of all metrics, as Prometheus reads them.
fn registered() -> Vec<(String, String)> {
    let text = used().text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            let ending = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            (format!("{name}{ending}"), kind.to_owned())
        })
        .collect()
}

#[test]
fn the_document_has_a_row_for_every_metric_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut told: Vec<(String, String)> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `loopin_")?.split_once("` | "))
        .map(|(name, rest)| (format!("loopin_{name}"), rest.split(" |").next().unwrap().to_owned()))
        .collect();
    let mut registered = registered();
    told.sort();
    registered.sort();
    assert_eq!(told, registered);
    assert!(registered.len() > 15, "{registered:?}");
}

#[test]
fn a_text_that_is_no_metric_is_found() {
    assert!(parse(&used().text()).is_ok());
    for wrong in ["", "a 1\n# EOF\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a gauge\na{b=c} 1\n# EOF\n"] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_label_is_never_what_a_stranger_typed() {
    let metrics = Metrics::default();
    metrics.request("/", "+916205829376", 405, 0.1, None);
    metrics.prefix_closed("+916205829376");
    metrics.cap_used("203.0.113.7", 1.0);
    let text = metrics.text();
    assert!(!text.contains("6205829376") && !text.contains("203.0.113.7"), "{text}");
    assert!(text.contains("loopin_prefixes_closed_total{region=\"other\"} 1"), "{text}");
}
