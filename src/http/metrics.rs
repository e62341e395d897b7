//! The metrics, on an address of their own that only the operator can reach.

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route, endpoint::make_sync, get};

use crate::{
    flows::Services,
    telemetry::{METRICS_CONTENT_TYPE, Metrics},
};

/// The endpoint at `METRICS_ADDR`: `GET /metrics`; everything else is 404 or 405.
pub fn endpoint(services: Arc<Services>) -> impl Endpoint<Output = Response> {
    let page = make_sync(move |_| respond(&services.metrics, services.store.count_connections()));
    Route::new().at("/metrics", get(page)).map_to_response()
}

fn respond(metrics: &Metrics, connections: (u32, u32)) -> Response {
    let (open, idle) = connections;
    metrics.database(open, idle);
    Response::builder().content_type(METRICS_CONTENT_TYPE).body(metrics.text())
}
