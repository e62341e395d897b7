//! The work of the admin console as JSON under `/api/admin`, by the same use cases as the pages. Lists are
//! `{"items", "next"}`: `next` is the `cursor` of the next page, and null on the last one.

mod blocks;
mod invitations;
mod leads;
mod phones;

use std::sync::Arc;

use crate::flows::Services;

/// The operations below `/api/admin`.
pub type AdminApis = (leads::LeadsApi, phones::PhonesApi, blocks::BlocksApi, invitations::InvitationsApi);

/// Creates the operations.
pub fn apis(services: &Arc<Services>) -> AdminApis {
    (
        leads::LeadsApi { services: Arc::clone(services) },
        phones::PhonesApi { services: Arc::clone(services) },
        blocks::BlocksApi { services: Arc::clone(services) },
        invitations::InvitationsApi { services: Arc::clone(services) },
    )
}
