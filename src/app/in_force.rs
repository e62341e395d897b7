//! What is in force and may be replaced while the server runs: a reader gets the newest, and keeps it for as long as it works.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use poem::{Endpoint, Request, Response, Result, endpoint::BoxEndpoint};

/// A value that may be replaced. Clones share it.
pub(super) struct InForce<T>(Arc<RwLock<Arc<T>>>);

impl<T> InForce<T> {
    pub(super) fn new(value: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }

    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl<T> Clone for InForce<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for InForce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InForce").finish_non_exhaustive()
    }
}

/// A request ends with the endpoint that it began with.
impl Endpoint for InForce<BoxEndpoint<'static, Response>> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        self.get().call(request).await
    }
}
