//! The HTTP API, and the only module that uses poem-openapi. It decides no rule and writes nothing to the database.
//!
//! To add an operation:
//! 1. put its request, its responses and its handler into one file of `http/`; its fields are [`fields::Field`]s, so that
//!    one response names every error;
//! 2. if it needs a signed-in user, take [`security::Gate`] as the first argument after `self`; guests do not pass it;
//! 3. call one use case of `flows` (or read from `store`), and match its outcome without a `_` arm;
//! 4. give every variant of its response a doc comment that names the error codes in back quotes: the examples of the
//!    OpenAPI document are made from them. Then run `UPDATE_OPENAPI=1 cargo test --test contract` and read the diff.

mod abuse;
mod admin;
mod api_key;
mod body;
mod bot_check;
mod budget;
mod change_phone;
mod client;
pub mod client_ip;
mod code;
mod confirm;
mod dashboard;
mod delivery;
mod delivery_reports;
mod dev_inbox;
mod discovery;
mod docs;
mod edge;
mod envelope;
mod error;
mod exchange;
mod fields;
mod forgotten_password;
mod guard;
mod guest;
mod introspect;
mod json;
mod keys;
mod lists;
mod log_throttle;
mod merge;
pub mod metrics;
mod pages;
mod password;
mod personal_data;
mod preferences;
mod profile;
pub mod rate_limit;
mod routes;
mod security;
pub mod server;
mod service;
mod session;
mod sessions;
mod timestamp;
mod users;
mod verifications;
mod verify;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route, endpoint::BoxEndpoint, get, http::Method};
use poem_openapi::{OpenApiService, Tags};

pub use self::{client_ip::TrustedProxies, edge::EdgeSettings, guard::GuardSettings, service::VERSION};

use self::routes::Routes;
use crate::flows::{Services, inbox};

/// The groups of operations.
#[derive(Tags)]
pub enum Tag {
    /// Signing up and logging in with a code by SMS.
    Phone,
    /// Profiles and event interests.
    Profile,
    /// Passwords, in the shapes of Django REST framework and SimpleJWT.
    Password,
    /// Refreshing tokens and ending sessions.
    Session,
    /// Users, for staff and admins.
    Users,
    /// Locks of phones and number prefixes, for staff and admins.
    Abuse,
    /// The work of the admin console as JSON, for staff and admins.
    Admin,
    /// Checks of phones and tokens for other services, each with an API key.
    Services,
    /// Delivery reports from the servers of SMS providers. Apps do not call these: they read
    /// `GET /api/auth/deliveries/{delivery_id}`.
    Reports,
    /// The server itself.
    Service,
}

type Apis = (
    code::CodeApi,
    (delivery::DeliveryApi, delivery_reports::ReportsApi),
    (verify::VerifyApi, exchange::ExchangeApi, guest::GuestApi),
    profile::ProfileApi,
    session::SessionApi,
    sessions::SessionsApi,
    confirm::ConfirmApi,
    (change_phone::ChangePhoneApi, merge::MergeApi),
    personal_data::PersonalDataApi,
    (password::PasswordApi, forgotten_password::ForgottenPasswordApi),
    dashboard::DashboardApi,
    (keys::KeysApi, introspect::IntrospectApi, verifications::VerificationsApi, discovery::DiscoveryApi),
    users::UsersApi,
    abuse::AbuseApi,
    admin::AdminApis,
    service::ServiceApi,
);

fn service(services: &Arc<Services>) -> OpenApiService<Apis, ()> {
    let apis = (
        code::CodeApi { services: Arc::clone(services) },
        (
            delivery::DeliveryApi { services: Arc::clone(services) },
            delivery_reports::ReportsApi { services: Arc::clone(services) },
        ),
        (
            verify::VerifyApi { services: Arc::clone(services) },
            exchange::ExchangeApi { services: Arc::clone(services) },
            guest::GuestApi { services: Arc::clone(services) },
        ),
        profile::ProfileApi { services: Arc::clone(services) },
        session::SessionApi { services: Arc::clone(services) },
        sessions::SessionsApi { services: Arc::clone(services) },
        confirm::ConfirmApi { services: Arc::clone(services) },
        (
            change_phone::ChangePhoneApi { services: Arc::clone(services) },
            merge::MergeApi { services: Arc::clone(services) },
        ),
        personal_data::PersonalDataApi { services: Arc::clone(services) },
        (
            password::PasswordApi { services: Arc::clone(services) },
            forgotten_password::ForgottenPasswordApi { services: Arc::clone(services) },
        ),
        dashboard::DashboardApi,
        (
            keys::KeysApi { services: Arc::clone(services) },
            introspect::IntrospectApi { services: Arc::clone(services) },
            verifications::VerificationsApi { services: Arc::clone(services) },
            discovery::DiscoveryApi { services: Arc::clone(services) },
        ),
        users::UsersApi { services: Arc::clone(services) },
        abuse::AbuseApi { services: Arc::clone(services) },
        admin::apis(services),
        service::ServiceApi { services: Arc::clone(services) },
    );
    docs::describe_service(OpenApiService::new(apis, "loopin-auth", service::VERSION))
}

/// The OpenAPI document that is served and committed.
#[must_use]
pub fn document(services: &Arc<Services>) -> serde_json::Value {
    docs::document(&service(services).spec(), services.name_min_chars)
}

/// Pages of another module, which are served behind the same edge.
pub struct Pages {
    /// The path that they begin with.
    pub prefix: &'static str,
    /// Answers every request below that path.
    pub endpoint: BoxEndpoint<'static, Response>,
    /// Their patterns, such as `/admin/leads/{id}`, with a method each.
    pub routes: Vec<(String, Method)>,
}

/// The complete HTTP endpoint: the API and the pages behind the edge.
#[must_use]
pub fn endpoint(
    services: Arc<Services>,
    settings: EdgeSettings,
    console: Pages,
) -> impl Endpoint<Output = Response> {
    let api = service(&services);
    let document = docs::document(&api.spec(), services.name_min_chars);
    let mut paths = vec!["/api/docs", "/api/openapi.json"];
    paths.extend(pages::paths());
    let mut route = Route::new()
        .at("/api/docs", get(docs::swagger_ui(&api, &document)))
        .at("/api/openapi.json", get(docs::openapi_json(&document)));
    route = pages::mount(route);
    let has_inbox = inbox::is_there(&services);
    if has_inbox {
        route = dev_inbox::mount(route);
        paths.extend(dev_inbox::PAGES);
    }
    let routes = Routes::new(&document, &paths, &console.routes);
    let inner = route
        .nest_no_strip(console.prefix, console.endpoint)
        .nest("/", api)
        .around(move |inner, request| pages::front_page(inner, request, has_inbox))
        .data(Arc::clone(&services))
        .map_to_response();
    edge::around(inner, routes, services, settings)
}
