//! The root paths and the health checks of the server.

use std::sync::Arc;

use poem::Result;
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};

use super::{Tag, error::RequestError, json::Json};
use crate::flows::Services;

/// The name of the service.
pub const NAME: &str = "loopin-auth";

/// The version of the service.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The operations of this module.
pub struct ServiceApi {
    /// The parts that the use cases work with.
    pub services: Arc<Services>,
}

/// The service and its links.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Root {
    /// Always `loopin-auth`.
    name: String,
    /// Of the server.
    version: String,
    /// Swagger UI.
    docs: String,
    /// The OpenAPI document.
    openapi: String,
    /// The guide for app developers.
    guide: String,
    /// The health of the server.
    health: String,
    /// The admin console.
    admin: String,
}

impl Example for Root {
    fn example() -> Self {
        Self {
            name: NAME.to_owned(),
            version: VERSION.to_owned(),
            docs: "/api/docs".to_owned(),
            openapi: "/api/openapi.json".to_owned(),
            guide: "/PHONE_AUTHENTICATION.md".to_owned(),
            health: "/api/health".to_owned(),
            admin: "/admin".to_owned(),
        }
    }
}

/// The state of the server.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Health {
    /// `healthy`, or `ready` at `/api/health/ready`.
    status: String,
    /// Always `loopin-auth`.
    service: String,
    /// Of the server.
    version: String,
}

impl Health {
    fn from_status(status: &str) -> Json<Self> {
        Json(Self { status: status.to_owned(), service: NAME.to_owned(), version: VERSION.to_owned() })
    }
}

impl Example for Health {
    fn example() -> Self {
        Self { status: "healthy".to_owned(), service: NAME.to_owned(), version: VERSION.to_owned() }
    }
}

/// The responses of the root paths.
#[derive(ApiResponse)]
pub enum RootResponse {
    /// The service.
    #[oai(status = 200)]
    Root(Json<Root>),
}

/// The responses of `health`.
#[derive(ApiResponse)]
pub enum HealthResponse {
    /// The process answers.
    #[oai(status = 200)]
    Healthy(Json<Health>),
}

/// The responses of `ready`.
#[derive(ApiResponse)]
pub enum ReadyResponse {
    /// The process and its database answer.
    #[oai(status = 200)]
    Ready(Json<Health>),
}

#[OpenApi(tag = "Tag::Service")]
impl ServiceApi {
    /// Get the name, the version and links
    ///
    /// Name, version and links.
    #[oai(path = "/", method = "get", operation_id = "getRoot")]
    async fn root(&self) -> RootResponse {
        RootResponse::Root(Json(Root::example()))
    }

    /// Get the name, the version and links, below the base path
    ///
    /// Name, version and links.
    #[oai(path = "/api", method = "get", operation_id = "getApiRoot")]
    async fn api_root(&self) -> RootResponse {
        RootResponse::Root(Json(Root::example()))
    }

    /// Check that the process answers
    ///
    /// Does not use the database: a database outage is no reason to restart the server.
    #[oai(path = "/api/health", method = "get", operation_id = "getHealth")]
    async fn health(&self) -> HealthResponse {
        HealthResponse::Healthy(Health::from_status("healthy"))
    }

    /// Check that the server is ready
    ///
    /// Also checks the database. A server that was told to stop is not ready, and still answers for a while.
    #[oai(path = "/api/health/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self) -> Result<ReadyResponse> {
        if self.services.lifecycle.is_stopping() {
            return Err(RequestError::Stopping.into());
        }
        self.services.store.ping().await.map_err(RequestError::from)?;
        Ok(ReadyResponse::Ready(Health::from_status("ready")))
    }
}
