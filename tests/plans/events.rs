//! The statements of events, on an outbox that was empty when PostgreSQL last looked, and is long now.

use loopin_auth::{
    domain::{audit::Actor, retention::Retention},
    flows::{
        events::{self, Sender},
        purge::purge,
    },
    store::outbox::Wanted,
};
use serde_json::json;

use super::observed::{Observed, Planning, ROWS};
use crate::support::hook::Hook;

/// Events of one user and of many, most of which wait behind others, and events that were given up.
const FILL: &str = "
    INSERT INTO outbox (id, kind, user_id, lead_id, data, created_at, attempts, next_attempt_at, retry_until, died_at)
    SELECT gen_random_uuid(), 'user.updated', md5((i % 4000)::text)::uuid,
        CASE WHEN i % 3 = 0 THEN md5('lead' || i % 4000)::uuid END, '{\"user_id\":null}', at,
        0, CASE WHEN i < 4000 OR i > {rows} - 500 THEN at END, at + interval '3 days', NULL
    FROM generate_series(1, {rows}) AS i, (SELECT TIMESTAMPTZ '{now}' AS at) AS now;
    INSERT INTO outbox (id, kind, user_id, data, created_at, attempts, retry_until, died_at)
    SELECT gen_random_uuid(), 'user.updated', md5((i % 4000)::text)::uuid, '{}', at, 9, at,
        at - CASE WHEN i < 100 THEN interval '31 days' ELSE interval '1 day' END
    FROM generate_series(1, {rows}) AS i, (SELECT TIMESTAMPTZ '{now}' AS at) AS now;
";

/// The counts for the metrics read up to 100,000 events of each kind, whatever the plan.
const EXCEPTIONS: [super::observed::Exception; 2] = [
    ("counting events", "outbox", "it counts no more than 100,000, twice a minute"),
    (
        "listing events",
        "outbox",
        "the operator's command reads them in their order, and what was given up comes first here",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_of_events_reads_the_whole_outbox() {
    for planning in [Planning::Custom, Planning::Generic] {
        let hook = Hook::that_answers("").await;
        let own = hook.events_settings();
        let settings: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let Some(mut observed) = Observed::new_with_codes(planning, &settings).await else { return };
        observed.except(EXCEPTIONS.to_vec());
        let server = observed.server.clone();
        let fill = FILL.replace("{now}", &server.now().to_rfc3339()).replace("{rows}", &ROWS.to_string());
        server.execute(&fill).await;
        let tokens = server.sign_in("+919876543250").await;
        let mut sender = Sender::new(&server.services).expect("events are on");
        // The receiver counts as down after some, so that not all are sent.
        hook.answer(wiremock::ResponseTemplate::new(500));
        let sent =
            observed.watch("sending events that fail", async |_| sender.send_due().await).await.unwrap();
        assert!(sent.failed > 10, "{sent:?}");
        hook.answer(wiremock::ResponseTemplate::new(200));
        server.execute("UPDATE outbox SET next_attempt_at = next_attempt_at + interval '1 hour' WHERE position % 16 <> 0").await;
        server.advance(60);
        let sent = observed.watch("sending events", async |_| sender.send_due().await).await.unwrap();
        assert!(sent.taken > 100, "{sent:?}");
        let services = server.services.clone();
        let waiting = events::list(&services, Wanted::Waiting, None, 10).await.unwrap();
        let dead = events::list(&services, Wanted::Dead, None, 10).await.unwrap();
        let id = waiting[0].id;
        observed.watch("skipping an event", async |_| events::skip(&services, id).await).await.unwrap();
        let id = dead[0].id;
        observed.watch("replaying an event", async |_| events::replay(&services, id).await).await.unwrap();
        let user = dead[0].subject.user_id;
        observed
            .watch("replaying those of a user", async |_| events::replay_all(&services, user).await)
            .await
            .unwrap();
        observed
            .watch("listing events", async |_| events::list(&services, Wanted::Waiting, None, 100).await)
            .await
            .unwrap();
        observed
            .watch("those of a user", async |_| events::list(&services, Wanted::Dead, user, 100).await)
            .await
            .unwrap();
        observed.watch("counting events", async |_| events::measure(&services).await).await.unwrap();
        let kept = Retention::new(chrono::Duration::days(400));
        let purged = observed
            .watch("removing events", async |_| purge(&services, &kept, Actor::System).await)
            .await
            .unwrap();
        // One or two of them were replayed before.
        assert!((97..=99).contains(&purged.events), "{purged:?}");
        observed
            .ask("GET /api/auth/export", 200, async |server| {
                server.get_as(&tokens.access, "/api/auth/export").await
            })
            .await;
        observed
            .ask("POST /api/auth/delete-account", 200, async |server| {
                server
                    .send_as(&tokens.access, poem::http::Method::POST, "/api/auth/delete-account", json!({}))
                    .await
            })
            .await;
        observed.only(": outbox");
        observed.assert_all_right();
    }
}
