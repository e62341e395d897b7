//! The metrics, on an address of their own that only the operator can reach.

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route, endpoint::make_sync, get};

use crate::{
    flows::{Services, gauges},
    telemetry::METRICS_CONTENT_TYPE,
};

/// The endpoint at `METRICS_ADDR`: `GET /metrics`; everything else is 404 or 405. It asks for the services each time, because
/// they are replaced when the settings are read again.
pub fn endpoint(
    services: impl Fn() -> Arc<Services> + Send + Sync + 'static,
) -> impl Endpoint<Output = Response> {
    let page = make_sync(move |_| respond(&services()));
    Route::new().at("/metrics", get(page)).map_to_response()
}

fn respond(services: &Services) -> Response {
    gauges::measure(services);
    Response::builder().content_type(METRICS_CONTENT_TYPE).body(services.metrics.text())
}
