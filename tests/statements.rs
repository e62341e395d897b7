//! The cost of each request: its round trips to the database, which take nearly all of its time. A change of these numbers
//! has to be visible in a diff.
//!
//! A proxy between the server and PostgreSQL counts them, BEGIN and COMMIT included, once the statements are prepared.
//! SQLite runs the same statements without a network.

#[cfg(test)]
#[path = "statements/bot_check.rs"]
mod bot_check;
#[cfg(test)]
#[path = "statements/failover.rs"]
mod failover;
#[cfg(test)]
#[path = "statements/forgotten.rs"]
mod forgotten;
#[cfg(test)]
#[path = "statements/hidden.rs"]
mod hidden;
#[cfg(test)]
mod support;

#[cfg(test)]
mod statements {
    mod accounts;
    mod events;
    mod limits;
    mod services;

    use std::collections::BTreeMap;

    use poem::http::Method;
    use serde_json::json;

    use super::support::{
        Answer, TestServer,
        issuer::{IssuersFile, app_claims, loopin_claims, signed, three},
        proxy::Proxy,
        whole_profile, wrong,
    };

    /// A request, and the round trips that it takes.
    const COSTS: &[(&str, u64)] = &[
        ("GET /", 0),
        ("GET /api/health", 0),
        ("GET /api/health/ready", 1),
        ("GET /api/auth/event-interests", 0),
        ("GET /api/auth/deliveries/{delivery_id}", 1),
        ("GET /api/auth/profile", 1),
        ("GET /api/auth/profile, expired", 0),
        ("PUT /api/auth/profile", 2),
        ("POST /api/auth/complete-profile", 1),
        ("POST /api/auth/signup, new", 2),
        ("POST /api/auth/signup, resend", 2),
        ("POST /api/auth/signup, cooldown", 3),
        ("POST /api/auth/signup, invalid", 0),
        ("POST /api/auth/signup, registered", 1),
        ("POST /api/auth/login", 2),
        ("POST /api/auth/login, unknown", 1),
        ("POST /api/auth/verify-otp, new account", 2),
        ("POST /api/auth/verify-otp, known account", 2),
        ("POST /api/auth/verify-otp, wrong", 1),
        ("POST /api/auth/verify-otp, exhausted", 2),
        ("POST /api/auth/verify-otp, used", 2),
        ("POST /api/auth/verify-login", 2),
        ("POST /api/auth/verify-login, no account", 3),
        ("POST /api/auth/refresh", 1),
        ("POST /api/auth/refresh, repeated", 2),
        ("POST /api/auth/refresh, retired", 3),
        ("POST /api/auth/logout", 1),
        ("POST /api/auth/exchange", 5),
        ("POST /api/auth/exchange, of its account", 6),
        ("POST /api/auth/exchange, new account", 7),
        ("POST /api/auth/exchange, used", 4),
        ("POST /api/auth/exchange, invalid", 0),
        ("POST /api/auth/guest", 4),
        ("GET /api/auth/sessions", 2),
        ("DELETE /api/auth/sessions", 2),
        ("DELETE /api/auth/sessions/{id}", 2),
        // It also revokes the device tokens, in one transaction. Rare.
        ("POST /api/auth/logout-all", 5),
        ("POST /api/auth/confirm-code", 2),
        ("POST /api/auth/confirm", 6),
        ("GET /api/auth/export", 8),
        ("POST /api/auth/change-phone", 3),
        // Rare: once in the life of an account.
        ("POST /api/auth/verify-change-phone", 17),
        ("POST /api/auth/delete-account", 13),
        ("POST /api/twilio/status, forged", 0),
        ("POST /api/auth/register", 4),
        ("POST /api/auth/register, taken", 4),
        ("POST /api/register", 1),
        ("POST /api/register, taken", 2),
        ("POST /api/auth/login, by name", 5),
        ("POST /api/auth/login, wrong password", 1),
        ("POST /api/auth/login, no such name", 1),
        ("POST /api/token", 5),
        ("POST /api/auth/password", 7),
        ("POST /api/auth/password, wrong", 2),
        ("GET /api/dashboard", 1),
        ("POST /api/dashboard", 1),
        ("GET /api/users", 2),
        ("GET /api/users, searched", 2),
        ("GET /api/users, past the end", 3),
        ("GET /api/users, as a user", 1),
        ("GET /api/users/{id}", 2),
        // The user of the account that it was joined with hears 410.
        ("GET /api/users/{id}, of another", 2),
        // Staff edit the account of another user: the change and its audit entry are one transaction.
        ("PUT /api/users/{id}", 6),
        ("PUT /api/users/{id}, role", 10),
        ("DELETE /api/users/{id}", 10),
        ("POST /api/users/{id}/activate", 7),
    ];

    /// The most round trips that the frequent requests may take, in every case of each. If a change exceeds one of these,
    /// the request has to become cheaper; a number of `COSTS` may change.
    const MOST: &[(&str, u64)] = &[
        ("GET /api/auth/event-interests", 0),
        ("GET /api/auth/deliveries", 1),
        ("GET /api/auth/profile", 1),
        ("PUT /api/auth/profile", 2),
        ("POST /api/auth/complete-profile", 1),
        ("POST /api/auth/signup", 3),
        ("POST /api/auth/login", 5),
        ("POST /api/auth/verify-otp", 2),
        ("POST /api/auth/verify-login", 3),
        ("POST /api/auth/refresh", 3),
        ("POST /api/auth/logout", 1),
    ];

    /// Counts one request after the other.
    struct Meter {
        server: TestServer,
        proxy: Proxy,
        /// The round trips of each request, which are the same each time.
        counted: BTreeMap<&'static str, u64>,
    }

    impl Meter {
        /// With the limits off or on.
        async fn new(limits: &str) -> Option<Self> {
            Self::with(&[("RATE_LIMITS_ENABLED", limits)]).await
        }

        async fn with(settings: &[(&str, &str)]) -> Option<Self> {
            // One connection, so that a statement is prepared once.
            let file = IssuersFile::new(&three("https://keys.example/jwks"));
            let one =
                [("DATABASE_MAX_CONNECTIONS", "1"), ("TRUSTED_ISSUERS_FILE", file.path()), ("GUESTS", "on")];
            let settings = [settings, &one].concat();
            let (server, proxy) = TestServer::behind_proxy(&settings).await?;
            Some(Self { server, proxy, counted: BTreeMap::new() })
        }

        async fn count(
            &mut self,
            name: &'static str,
            status: u16,
            request: impl AsyncFnOnce(&TestServer) -> Answer,
        ) -> Answer {
            // A running server reads these every few seconds, whatever it is asked: see the test of the periodic reads.
            loopin_auth::flows::blocks::refresh(&self.server.services).await.expect("the blocks are read");
            // As the background task does a moment after each message.
            self.server.settle().await;
            let before = self.proxy.round_trips();
            let answer = request(&self.server).await;
            let took = self.proxy.round_trips() - before;
            assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
            let known = *self.counted.entry(name).or_insert(took);
            assert_eq!(took, known, "{name} took another number of round trips before");
            answer
        }

        async fn signing_up(&mut self, phone: &str) -> String {
            self.count("POST /api/auth/signup, invalid", 422, async |server| server.signup("1").await).await;
            self.count("POST /api/auth/login, unknown", 404, async |server| server.login(phone).await).await;
            let sent = self
                .count("POST /api/auth/signup, new", 200, async |server| server.signup(phone).await)
                .await;
            self.count("GET /api/auth/deliveries/{delivery_id}", 200, async |server| {
                server.delivery(&sent).await
            })
            .await;
            self.count("POST /api/twilio/status, forged", 403, async |server| {
                server.post_text("/api/twilio/status", "MessageSid=SM1").await
            })
            .await;
            self.count("POST /api/auth/signup, cooldown", 429, async |server| server.signup(phone).await)
                .await;
            self.server.advance(30);
            self.count("POST /api/auth/signup, resend", 200, async |server| server.signup(phone).await).await;
            let code = self.server.last_code_for(phone);
            self.count("POST /api/auth/verify-otp, wrong", 400, async |server| {
                server.verify_otp(phone, &wrong(&code)).await
            })
            .await;
            self.count("POST /api/auth/verify-login, no account", 404, async |server| {
                server.verify_login(phone, &code).await
            })
            .await;
            let answer = self
                .count("POST /api/auth/verify-otp, new account", 200, async |server| {
                    server.verify_otp(phone, &code).await
                })
                .await;
            self.count("POST /api/auth/verify-otp, used", 400, async |server| {
                server.verify_otp(phone, &code).await
            })
            .await;
            answer.text_at("/token")
        }

        async fn profile(&mut self, phone: &str, token: &str) {
            // The clock has moved, and the cache of the interests ends after seconds: fill it again.
            self.server.get("/api/auth/event-interests").await.assert_ok();
            let mut profile = whole_profile();
            profile["phone_number"] = json!(phone);
            self.count("POST /api/auth/complete-profile", 200, async |server| {
                server.send_as(token, Method::POST, "/api/auth/complete-profile", profile).await
            })
            .await;
            self.count("PUT /api/auth/profile", 200, async |server| {
                server.send_as(token, Method::PUT, "/api/auth/profile", json!({"bio": "Music."})).await
            })
            .await;
            self.count("GET /api/auth/profile", 200, async |server| {
                server.get_as(token, "/api/auth/profile").await
            })
            .await;
            self.count("GET /api/auth/event-interests", 200, async |server| {
                server.get("/api/auth/event-interests").await
            })
            .await;
        }

        async fn logging_in(&mut self, phone: &str) -> String {
            self.count("POST /api/auth/signup, registered", 409, async |server| server.signup(phone).await)
                .await;
            self.server.advance(30);
            self.count("POST /api/auth/login", 200, async |server| server.login(phone).await).await;
            let code = self.server.last_code_for(phone);
            self.count("POST /api/auth/verify-otp, known account", 200, async |server| {
                server.verify_otp(phone, &code).await
            })
            .await;
            self.server.advance(30);
            self.server.login(phone).await.assert_ok();
            let code = self.server.last_code_for(phone);
            let answer = self
                .count("POST /api/auth/verify-login", 200, async |server| {
                    server.verify_login(phone, &code).await
                })
                .await;
            self.server.advance(30);
            self.server.login(phone).await.assert_ok();
            let wrong = self.server.wrong_code_for(phone);
            for _ in 0..3 {
                self.server.verify_otp(phone, &wrong).await;
            }
            self.count("POST /api/auth/verify-otp, exhausted", 429, async |server| {
                server.verify_otp(phone, &wrong).await
            })
            .await;
            answer.text_at("/data/refresh_token")
        }

        async fn session(&mut self, first: &str) {
            let answer =
                self.count("POST /api/auth/refresh", 200, async |server| server.refresh(first).await).await;
            self.count("POST /api/auth/refresh, repeated", 200, async |server| server.refresh(first).await)
                .await;
            let second = answer.text_at("/refresh");
            let answer = self.server.refresh(&second).await;
            answer.assert_ok();
            self.count("POST /api/auth/logout", 200, async |server| {
                server.send_as(&answer.text_at("/access"), Method::POST, "/api/auth/logout", json!({})).await
            })
            .await;
        }

        async fn retired(&mut self, phone: &str) {
            self.server.advance(30);
            self.server.login(phone).await.assert_ok();
            let code = self.server.last_code_for(phone);
            let answer = self.server.verify_login(phone, &code).await;
            let (access, first) = (answer.text_at("/token"), answer.text_at("/data/refresh_token"));
            let second = self.server.refresh(&first).await.text_at("/refresh");
            self.server.refresh(&second).await.assert_ok();
            self.count("POST /api/auth/refresh, retired", 401, async |server| server.refresh(&first).await)
                .await;
            self.server.advance(1801);
            self.count("GET /api/auth/profile, expired", 401, async |server| {
                server.get_as(&access, "/api/auth/profile").await
            })
            .await;
        }

        /// Signs in once more. Returns the access token.
        async fn sign_in_again(&self, phone: &str) -> String {
            self.server.advance(30);
            self.server.login(phone).await.assert_ok();
            let answer = self.server.verify_login(phone, &self.server.last_code_for(phone)).await;
            answer.text_at("/token")
        }

        async fn count_as(&mut self, token: &str, name: &'static str, path: &str, body: serde_json::Value) {
            let method = if name.starts_with("DELETE") {
                Method::DELETE
            } else if name.starts_with("GET") {
                Method::GET
            } else {
                Method::POST
            };
            self.count(name, 200, async |server| server.send_as(token, method, path, body).await).await;
        }

        async fn sessions(&mut self, phone: &str) {
            let elsewhere = self.sign_in_again(phone).await;
            let token = self.sign_in_again(phone).await;
            let list = "/api/auth/sessions";
            self.count_as(&token, "GET /api/auth/sessions", list, json!({})).await;
            let others = self.server.get_as(&elsewhere, list).await;
            let ids = others.at("/data").as_array().unwrap().clone();
            let id = ids.iter().find(|session| session["current"] == true).unwrap()["id"].clone();
            let path = format!("{list}/{}", id.as_str().unwrap());
            self.count_as(&token, "DELETE /api/auth/sessions/{id}", &path, json!({})).await;
            self.sign_in_again(phone).await;
            self.count_as(&token, "DELETE /api/auth/sessions", list, json!({})).await;
            self.count_as(&token, "POST /api/auth/logout-all", "/api/auth/logout-all", json!({})).await;
        }

        /// Confirms the sign-in, changes the phone and deletes the account.
        async fn change_phone_and_delete(&mut self, phone: &str, new: &str) {
            let token = self.sign_in_again(phone).await;
            self.count_as(&token, "POST /api/auth/confirm-code", "/api/auth/confirm-code", json!({})).await;
            let body = json!({ "otp_code": self.server.last_code_for(phone) });
            self.count_as(&token, "POST /api/auth/confirm", "/api/auth/confirm", body).await;
            // The clock has moved, and the cache of the interests ends after seconds: fill it again.
            self.server.get("/api/auth/event-interests").await.assert_ok();
            self.count_as(&token, "GET /api/auth/export", "/api/auth/export", json!({})).await;
            let (name, path) = ("POST /api/auth/change-phone", "/api/auth/change-phone");
            self.count_as(&token, name, path, json!({ "phone_number": new })).await;
            let body = json!({ "phone_number": new, "otp_code": self.server.last_code_for(new) });
            let (name, path) = ("POST /api/auth/verify-change-phone", "/api/auth/verify-change-phone");
            self.count_as(&token, name, path, body).await;
            // A code was just sent, so its cooldown outlives the account: one more row is written.
            let token = self.sign_in_again(new).await;
            let (name, path) = ("POST /api/auth/delete-account", "/api/auth/delete-account");
            self.count_as(&token, name, path, json!({})).await;
        }

        /// A token of another system, whose issuer may create accounts.
        async fn exchange(&mut self, id: &str) {
            for name in ["POST /api/auth/exchange, new account", "POST /api/auth/exchange, of its account"] {
                let token = signed(&app_claims(&self.server, id));
                self.count(name, 200, async |server| server.exchange(&token).await).await;
            }
            // The other issuer's ids are numbers, and it may create no account.
            let number = id.trim_start_matches('+').parse().expect("a number");
            let rename = format!("UPDATE accounts SET external_id = '{number}' WHERE external_id = '{id}'");
            self.server.execute(&rename).await;
            let token = signed(&loopin_claims(&self.server, number));
            self.count("POST /api/auth/exchange", 200, async |server| server.exchange(&token).await).await;
            self.count("POST /api/auth/exchange, used", 409, async |server| server.exchange(&token).await)
                .await;
            self.count("POST /api/auth/exchange, invalid", 401, async |server| server.exchange("abc").await)
                .await;
        }

        async fn service(&mut self) {
            for path in ["GET /", "GET /api/health", "GET /api/health/ready"] {
                let url = path.trim_start_matches("GET ");
                self.count(path, 200, async |server| server.get(url).await).await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_request_takes_the_round_trips_that_it_is_known_to_take() {
        let Some(mut meter) = Meter::new("false").await else { return };
        for last in 10..14 {
            let phone = format!("+9198765432{last}");
            let token = meter.signing_up(&phone).await;
            meter.profile(&phone, &token).await;
            let refresh = meter.logging_in(&phone).await;
            meter.session(&refresh).await;
            meter.retired(&phone).await;
            meter.sessions(&phone).await;
            meter.exchange(&phone).await;
            meter.guest().await;
            meter.change_phone_and_delete(&phone, &format!("+9198765431{last}")).await;
            meter.users().await;
            meter.passwords(&format!("walker{last}")).await;
            meter.service().await;
            // The first phone also prepares every statement.
            if last == 10 {
                meter.counted.clear();
            }
        }
        let known: BTreeMap<&str, u64> = COSTS.iter().copied().collect();
        for (name, took) in &meter.counted {
            println!("{took:>3}  {name}");
        }
        assert_eq!(meter.counted, known);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_periodic_read_is_one_round_trip_for_all_requests_of_five_seconds() {
        let Some(meter) = Meter::new("false").await else { return };
        let server = &meter.server;
        let tokens = server.sign_in("+919876543210").await;
        let trips = async || {
            let before = meter.proxy.round_trips();
            let requests = (0..20).map(|_| server.get_as(&tokens.access, "/api/auth/profile"));
            futures_util::future::join_all(requests).await.iter().for_each(|answer| {
                answer.assert_ok();
            });
            meter.proxy.round_trips() - before
        };
        // The first requests prepare the statements.
        trips().await;
        server.advance(5);
        trips().await;
        server.advance(4);
        let cached = trips().await;
        server.advance(1);
        // The blocks and the interests.
        assert_eq!(trips().await, cached + 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_request_is_known_to_take_more_than_it_may() {
        let Some(mut meter) = Meter::new("false").await else { return };
        // The first phone prepares every statement.
        for phone in ["+919876543210", "+919876543211"] {
            meter.counted.clear();
            let token = meter.signing_up(phone).await;
            meter.profile(phone, &token).await;
            let refresh = meter.logging_in(phone).await;
            meter.session(&refresh).await;
        }
        for (route, most) in MOST {
            let cases = || meter.counted.iter().filter(|(name, _)| name.starts_with(route));
            assert!(cases().count() > 0, "no request to {route} was counted");
            for (name, took) in cases() {
                assert!(took <= most, "{name} takes {took} round trips and may take {most}");
            }
        }
    }
}
