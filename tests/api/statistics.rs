//! The counts of each day: what they are counted from, when they are counted again, and that they outlive the messages.

use chrono::{Duration, NaiveDate};
use loopin_auth::{
    domain::{
        audit::Actor,
        delivery::Channel,
        retention::Retention,
        statistics::{Counts, DayCounts, Quantile},
    },
    flows::{housekeeping, purge::purge, statistics},
    store,
};
use migration::{Migrator, MigratorTrait};

use super::schema::connect;
use crate::{
    on_both,
    support::{OTHER_PHONE, PHONE, TestServer, WIDE_LIMITS, service::Service},
};

const DAY: i64 = 86_400;

/// Phones of test mode: refused as opted out by SMS, and lost after three seconds.
const OPTED_OUT: &str = "+15005550004";
const UNKNOWN_HANDSET: &str = "+15005550011";

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

async fn count(server: &TestServer) -> usize {
    server.services.audit.flush().await.unwrap();
    statistics::count_due(&server.services).await.unwrap()
}

async fn day(server: &TestServer, day: &str) -> DayCounts {
    let days = store::statistics::list_counted(&server.services.store, date(day)).await.unwrap();
    days.into_iter().find(|(counted, _)| counted.day.date == date(day)).expect("the day was counted").1
}

async fn messages(server: &TestServer, day: &str, region: &str) -> Counts {
    let all = store::statistics::list_messages(&server.services.store, (date(day), date(day))).await.unwrap();
    let mut sum = Counts::default();
    for (_, group, counts) in all {
        if group.region == region && group.channel == Channel::Sms {
            sum.merge(&counts);
        }
    }
    sum
}

/// How many messages and verified ones the counts of each day have, oldest first.
async fn all_days(server: &TestServer) -> Vec<(String, i64, i64)> {
    let days = store::statistics::list_counted(&server.services.store, date("2026-01-01")).await.unwrap();
    days.iter()
        .map(|(day, counts)| (day.day.date.to_string(), counts.funnel.asked, counts.funnel.verified))
        .collect()
}

on_both! {
    async fn a_day_is_counted_by_country_and_channel(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        server.sign_in_and_complete(PHONE).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        server.signup(OPTED_OUT).await;
        server.signup(UNKNOWN_HANDSET).await.assert_ok();
        server.play(4).await;
        server.advance(26);
        server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_ok();
        assert_eq!(count(&server).await, 1);
        let india = messages(&server, "2026-03-14", "IN").await;
        assert_eq!((india.messages, india.codes, india.delivered, india.verified, india.lost), (2, 2, 2, 2, 0));
        let within = |read: Option<Duration>, exact: i64| {
            let read = read.expect("there are values").num_milliseconds();
            assert!((read - exact).abs() * 20 <= exact, "{read} ms is not {exact} ms");
        };
        within(india.delivered_in.quantile(Quantile::Percentile95), 4_000);
        within(india.verified_in.quantile(Quantile::Percentile95), 30_000);
        let america = messages(&server, "2026-03-14", "US").await;
        assert_eq!((america.messages, america.delivered, america.lost), (2, 0, 2));
        assert_eq!(america.failures, [("invalid".to_owned(), 1), ("opted_out".to_owned(), 1)].into());
        let funnel = day(&server, "2026-03-14").await.funnel;
        assert_eq!((funnel.asked, funnel.delivered, funnel.verified, funnel.completed), (4, 2, 2, 1));
    }

    async fn a_code_that_is_used_is_remembered_after_the_next_one_was_requested(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        server.sign_in(PHONE).await;
        server.advance(31);
        server.login(PHONE).await.assert_ok();
        let verified = "SELECT COUNT(*) FROM messages WHERE verified_at IS NOT NULL";
        assert_eq!(server.count(verified).await, 1);
        // The code of a phone without an account stays valid, so it was not used.
        server.signup(OTHER_PHONE).await.assert_ok();
        let code = server.last_code_for(OTHER_PHONE);
        server.verify_login(OTHER_PHONE, &code).await.assert_error(404, "user_not_found");
        assert_eq!(server.count(verified).await, 1);
        server.verify_otp(OTHER_PHONE, &code).await.assert_ok();
        assert_eq!(server.count(verified).await, 2);
        let at = "SELECT COUNT(*) FROM messages m, challenges c WHERE c.phone = m.phone AND c.consumed_at = m.verified_at";
        assert_eq!(server.count(at).await, 1);
    }

    async fn the_migration_finds_the_codes_that_were_used(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        server.sign_in(PHONE).await;
        server.signup(OTHER_PHONE).await.assert_ok();
        let db = connect(&server).await;
        let steps = Migrator::migrations();
        let later = steps.iter().rev().take_while(|step| !step.name().ends_with("_delivery_days")).count();
        Migrator::down(&db, Some(u32::try_from(later).unwrap() + 1)).await.unwrap();
        server.services.store.migrate().await.unwrap();
        let verified = "SELECT COUNT(*) FROM messages WHERE verified_at IS NOT NULL";
        assert_eq!((server.count(verified).await, server.count("SELECT COUNT(*) FROM messages").await), (1, 2));
        server.verify_otp(OTHER_PHONE, &server.last_code_for(OTHER_PHONE)).await.assert_ok();
        assert_eq!(server.count(verified).await, 2);
    }

    async fn a_refusal_is_counted_by_its_budget(server: TestServer) {
        let server = server.second_server(&[
            ("LIMIT_SENDS_PER_PHONE", "1/1h"), ("SMS_ALLOWED_COUNTRIES", "IN"),
        ]).await;
        server.signup(PHONE).await.assert_ok();
        server.advance(31);
        server.signup(PHONE).await.assert_error(429, "rate_limited");
        server.signup("+33612345678").await;
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
        }
        count(&server).await;
        let counts = day(&server, "2026-03-14").await;
        assert_eq!(counts.refusals, [("phone-sends".to_owned(), 1), ("region_not_allowed".to_owned(), 1)].into());
        assert_eq!(counts.locks, 0);
        server.execute("UPDATE counted_days SET is_closed = TRUE").await;
        count(&server).await;
        assert_eq!(day(&server, "2026-03-14").await, counts, "a closed day stays");
    }

    async fn checks_of_other_services_are_messages_and_no_sign_ups(server: TestServer) {
        let shop = Service::new(&server, "shop").await;
        let limits = [("LIMIT_GUESSES_PER_PHONE_AND_ADDRESS", "2/24h"), ("OTP_RESEND_SECONDS", "0")];
        let server = server.second_server(&limits).await;
        server.sign_in(PHONE).await;
        let id = shop.started(&server, OTHER_PHONE).await;
        for _ in 0..3 {
            shop.guess(&server, &id, OTHER_PHONE).await;
        }
        shop.start(&server, OTHER_PHONE).await.assert_error(429, "phone_locked");
        let id = shop.started(&server, PHONE).await;
        shop.check(&server, &id, &server.last_code_for(PHONE)).await.assert_ok();
        count(&server).await;
        let counts = day(&server, "2026-03-14").await;
        assert_eq!((counts.funnel.asked, counts.funnel.verified), (1, 1));
        assert_eq!((counts.locks, counts.refusals.len()), (0, 0));
        let messages = messages(&server, "2026-03-14", "IN").await;
        assert_eq!((messages.codes, messages.verified), (3, 2));
    }

    async fn a_lock_is_counted(server: TestServer) {
        let server = server.second_server(&[("LIMIT_GUESSES_PER_PHONE", "2/24h")]).await;
        server.signup(PHONE).await.assert_ok();
        for _ in 0..3 {
            server.verify_otp(PHONE, &server.wrong_code_for(PHONE)).await;
        }
        count(&server).await;
        assert_eq!(day(&server, "2026-03-14").await.locks, 1);
    }

    async fn a_late_report_changes_the_day_of_its_message(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        // In India it is 14:56; the day ends in nine hours.
        server.advance(10 * 3600);
        assert_eq!(count(&server).await, 2);
        assert_eq!(messages(&server, "2026-03-14", "IN").await.delivered, 0);
        server.play(1).await;
        count(&server).await;
        assert_eq!(messages(&server, "2026-03-14", "IN").await.delivered, 0, "not yet: it was counted a moment ago");
        server.advance(3600);
        count(&server).await;
        assert_eq!(messages(&server, "2026-03-14", "IN").await.delivered, 1);
        assert_eq!(all_days(&server).await, [("2026-03-14".into(), 1, 0), ("2026-03-15".into(), 0, 0)]);
    }

    async fn counting_again_gives_the_same(server: TestServer) {
        server.sign_in(PHONE).await;
        count(&server).await;
        let once = (day(&server, "2026-03-14").await, messages(&server, "2026-03-14", "IN").await);
        for _ in 0..3 {
            assert_eq!(count(&server).await, 1);
        }
        assert_eq!((day(&server, "2026-03-14").await, messages(&server, "2026-03-14", "IN").await), once);
    }

    async fn one_server_counts_at_a_time(server: TestServer) {
        let other = server.second_server(&[]).await;
        server.signup(PHONE).await.assert_ok();
        for (seconds, did) in [(0, 1), (299, 0), (1, 1), (299, 0), (-10 * DAY, 1), (300, 1)] {
            server.advance(seconds);
            let (one, another) = tokio::join!(
                housekeeping::count_if_due(&server.services),
                housekeeping::count_if_due(&other.services),
            );
            let counted = [one.unwrap(), another.unwrap()].into_iter().flatten().count();
            assert_eq!(counted, did, "after {seconds} s");
        }
    }

    async fn two_servers_that_count_at_once_count_each_message_once(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        let other = server.second_server(&[]).await;
        for _ in 0..5 {
            let (one, another) = tokio::join!(
                statistics::count_due(&server.services),
                statistics::count_due(&other.services),
            );
            assert_eq!((one.unwrap(), another.unwrap()), (1, 1));
            assert_eq!(messages(&server, "2026-03-14", "IN").await.messages, 1);
        }
    }

    async fn purging_the_messages_keeps_their_counts(server: TestServer) {
        server.sign_in(PHONE).await;
        server.advance(2 * DAY);
        server.login(PHONE).await.assert_ok();
        // Nothing was counted yet: the purge counts first.
        server.services.audit.flush().await.unwrap();
        purge(&server.services, &Retention::new(Duration::days(1)), Actor::Command).await.unwrap();
        assert_eq!(server.count("SELECT COUNT(*) FROM messages").await, 1);
        let counted = [("2026-03-14".into(), 1, 1), ("2026-03-15".into(), 0, 0), ("2026-03-16".into(), 1, 0)];
        assert_eq!(all_days(&server).await, counted);
        server.advance(DAY);
        // Not even another time zone makes a closed day be counted again.
        let other = server.second_server(&[("TIME_ZONE", "UTC")]).await;
        count(&other).await;
        assert_eq!(messages(&server, "2026-03-14", "IN").await.messages, 1);
        assert_eq!(all_days(&server).await[..2], counted[..2]);
    }

    async fn another_time_zone_moves_messages_to_other_days(server: TestServer) {
        // 19:26 UTC on the 14th is 0:56 on the 15th in India.
        server.advance(10 * 3600);
        server.sign_in(PHONE).await;
        count(&server).await;
        assert_eq!(all_days(&server).await, [("2026-03-15".into(), 1, 1)]);
        server.advance(3 * DAY);
        let other = server.second_server(&[("TIME_ZONE", "UTC")]).await;
        count(&other).await;
        let moved: Vec<_> = all_days(&server).await.into_iter().filter(|(_, asked, _)| *asked > 0).collect();
        assert_eq!(moved, [("2026-03-14".into(), 1, 1)]);
    }

    async fn messages_of_earlier_versions_get_their_country(server: TestServer) {
        let server = server.second_server(&WIDE_LIMITS).await;
        server.signup(PHONE).await.assert_ok();
        server.signup("+447400123456").await.assert_ok();
        server.signup(UNKNOWN_HANDSET).await.assert_ok();
        let of = |country: &str| format!("SELECT COUNT(*) FROM messages WHERE region = '{country}'");
        for _ in 0..2 {
            for country in ["IN", "GB", "US"] {
                assert_eq!(server.count(&of(country)).await, 1, "{country}");
            }
            server.execute("UPDATE messages SET region = NULL").await;
            // They are counted right even before.
            count(&server).await;
            assert_eq!(messages(&server, "2026-03-14", "GB").await.messages, 1);
            server.advance(300);
            housekeeping::count_if_due(&server.services).await.unwrap().expect("it is time");
        }
    }

    async fn many_messages_are_counted_in_batches(server: TestServer) {
        server.signup(PHONE).await.assert_ok();
        server.play(1).await;
        let copies = match server.database {
            Database::Postgres => ("gen_random_uuid()", "generate_series(1, 12000) AS n"),
            Database::Sqlite => (
                "randomblob(16)",
                "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000) SELECT n FROM n)",
            ),
        };
        // All of them at the same moment, so that the order within a moment matters.
        server.execute(&format!(
            "INSERT INTO messages (id, phone, channel, template, provider, status, created_at, updated_at, region, delivered_at) \
             SELECT {}, phone, channel, template, provider, status, created_at, updated_at, region, delivered_at \
             FROM messages, {}", copies.0, copies.1
        )).await;
        count(&server).await;
        let india = messages(&server, "2026-03-14", "IN").await;
        assert_eq!((india.messages, india.delivered, india.delivered_in.count(), india.codes), (12_001, 12_001, 12_001, 1));
    }
}
