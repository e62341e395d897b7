//! The requests of other services.

use super::observed::Observed;
use crate::support::service::Service;

/// Asks for checks of this phone, and about a token.
pub async fn ask_all(observed: &mut Observed, phone: &str) {
    let shop = Service::new(&observed.server, &format!("shop of {}", &phone[1..])).await;
    let phone = format!("{}7", &phone[..phone.len() - 1]);
    observed.server.advance(30);
    let (start, check) = ("POST /api/verifications", "POST /api/verifications/{id}/check");
    let started = observed.ask(start, 201, async |server| shop.start(server, &phone).await).await;
    let id = started.text_at("/id");
    let get = "GET /api/verifications/{id}";
    observed.ask(get, 200, async |server| shop.get(server, &id).await).await;
    observed.server.advance(30);
    observed
        .ask("POST /api/verifications, resend", 201, async |server| shop.start(server, &phone).await)
        .await;
    let wrong = "POST /api/verifications/{id}/check, wrong";
    observed.ask(wrong, 400, async |server| shop.guess(server, &id, &phone).await).await;
    let code = observed.server.last_code_for(&phone);
    observed.ask(check, 200, async |server| shop.check(server, &id, &code).await).await;
    observed.server.advance(30);
    let other = shop.started(&observed.server, &phone).await;
    let cancel = "DELETE /api/verifications/{id}";
    observed.ask(cancel, 200, async |server| shop.cancel(server, &other).await).await;
    let introspect = "POST /api/auth/introspect";
    observed.ask(introspect, 200, async |server| shop.introspect(server, "nonsense").await).await;
}
