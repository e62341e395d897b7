//! The cost of requests of other services. Each has the statement that finds its key.

use std::collections::BTreeMap;

use super::{super::support::service::Service, Meter};

/// A request, and its round trips without limits.
const COSTS: &[(&str, u64)] = &[
    ("POST /api/verifications", 6),
    ("POST /api/verifications, resend", 7),
    ("POST /api/verifications/{id}/check", 7),
    ("POST /api/verifications/{id}/check, wrong", 3),
    ("GET /api/verifications/{id}", 2),
    ("DELETE /api/verifications/{id}", 6),
    ("POST /api/auth/introspect", 2),
    ("POST /api/auth/introspect, no token", 1),
    ("GET /api/verifications/{id}, no key", 0),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_services_take_a_known_number_of_round_trips() {
    let Some(mut meter) = Meter::new("false").await else { return };
    let service = Service::new(&meter.server, "shop").await;
    let token = meter.server.sign_in("+919876543210").await.access;
    for round in 0..3 {
        // The first time each statement is prepared.
        meter.counted.clear();
        // The last use of the key is written once a minute: here, before what is counted.
        meter.server.advance(60);
        service.get(&meter.server, "7").await.assert_error(404, "not_found");
        let phone = format!("+91987653{round:04}");
        let started = meter
            .count("POST /api/verifications", 201, async |server| service.start(server, &phone).await)
            .await;
        let id = started.text_at("/id");
        meter.server.advance(30);
        meter
            .count("POST /api/verifications, resend", 201, async |server| service.start(server, &phone).await)
            .await;
        let code = meter.server.last_code_for(&phone);
        let wrong = super::super::support::wrong(&code);
        let check = "POST /api/verifications/{id}/check";
        meter
            .count("POST /api/verifications/{id}/check, wrong", 400, async |server| {
                service.check(server, &id, &wrong).await
            })
            .await;
        meter.count(check, 200, async |server| service.check(server, &id, &code).await).await;
        meter.count("GET /api/verifications/{id}", 200, async |server| service.get(server, &id).await).await;
        meter.server.advance(29);
        let other = service.started(&meter.server, &format!("+91987652{round:04}")).await;
        meter
            .count("DELETE /api/verifications/{id}", 200, async |server| service.cancel(server, &other).await)
            .await;
        let introspect = "POST /api/auth/introspect";
        meter.count(introspect, 200, async |server| service.introspect(server, &token).await).await;
        let none = "POST /api/auth/introspect, no token";
        meter.count(none, 200, async |server| service.introspect(server, "nonsense").await).await;
        let no_key = "GET /api/verifications/{id}, no key";
        meter
            .count(no_key, 401, async |server| server.get_as("nonsense", "/api/verifications/7").await)
            .await;
    }
    assert_eq!(meter.counted, COSTS.iter().copied().collect::<BTreeMap<_, _>>());
}
