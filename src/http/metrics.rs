//! The metrics, on an address of their own: they are the operator's, and nobody else's.

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route, endpoint::make_sync, get};

use crate::{
    flows::Services,
    telemetry::{METRICS_CONTENT_TYPE, Metrics},
};

/// What `METRICS_ADDR` answers: `GET /metrics`, and 404 or 405 to everything else.
pub fn endpoint(services: Arc<Services>) -> impl Endpoint<Output = Response> {
    let page = make_sync(move |_| answer(&services.metrics, services.store.count_connections()));
    Route::new().at("/metrics", get(page)).map_to_response()
}

fn answer(metrics: &Metrics, connections: (u32, u32)) -> Response {
    let (open, idle) = connections;
    metrics.database(open, idle);
    Response::builder().content_type(METRICS_CONTENT_TYPE).body(metrics.text())
}
