//! What each request costs: its round trips to the database. A request costs what they cost and hardly anything else,
//! so a change of these numbers is a change to be seen.
//!
//! They are counted by a proxy between the server and PostgreSQL, with BEGIN and COMMIT, once the statements are
//! prepared. SQLite runs the same statements without a network.

#[cfg(test)]
mod support;

#[cfg(test)]
mod statements {
    use std::collections::BTreeMap;

    use poem::http::Method;
    use serde_json::json;

    use super::support::{Answer, Database, TestHouse, postgres, proxy::Proxy, whole_profile, wrong};

    /// A request, the round trips that it takes, and the most that it may take.
    const COSTS: &[(&str, u64, u64)] = &[
        ("GET /", 0, 0),
        ("GET /api/health", 0, 0),
        ("GET /api/health/ready", 1, 1),
        ("GET /api/auth/event-interests", 0, 0),
        ("GET /api/auth/deliveries/{delivery_id}", 1, 1),
        ("GET /api/auth/profile", 1, 1),
        ("GET /api/auth/profile, expired", 0, 0),
        ("PUT /api/auth/profile", 2, 3),
        ("POST /api/auth/complete-profile", 2, 3),
        ("POST /api/auth/signup, new", 5, 5),
        ("POST /api/auth/signup, resend", 5, 5),
        ("POST /api/auth/signup, cooldown", 3, 5),
        ("POST /api/auth/signup, invalid", 0, 0),
        ("POST /api/auth/signup, registered", 1, 5),
        ("POST /api/auth/login", 5, 5),
        ("POST /api/auth/login, unknown", 1, 5),
        ("POST /api/auth/verify-otp, new account", 7, 7),
        ("POST /api/auth/verify-otp, known account", 7, 7),
        ("POST /api/auth/verify-otp, wrong", 1, 7),
        ("POST /api/auth/verify-otp, exhausted", 2, 7),
        ("POST /api/auth/verify-otp, used", 2, 7),
        ("POST /api/auth/verify-login", 7, 7),
        ("POST /api/auth/verify-login, no account", 5, 7),
        ("POST /api/auth/refresh", 2, 4),
        ("POST /api/auth/refresh, repeated", 1, 4),
        ("POST /api/auth/refresh, retired", 2, 4),
        ("POST /api/auth/logout", 1, 1),
        ("POST /api/twilio/status, forged", 0, 0),
    ];

    /// Counts one request after the other.
    struct Meter {
        house: TestHouse,
        proxy: Proxy,
        /// What each request took, which is the same each time.
        counted: BTreeMap<&'static str, u64>,
    }

    impl Meter {
        async fn new() -> Self {
            let url = postgres::new_database().await;
            let (server, _) = postgres::through(&url, 0);
            let proxy = Proxy::to(server).await;
            let (_, url) = postgres::through(&url, proxy.address.port());
            let settings = [
                ("DATABASE_URL", url.as_str()),
                // One connection, so that a statement is prepared once.
                ("DATABASE_MAX_CONNECTIONS", "1"),
            ];
            let house = TestHouse::with(Database::Postgres, &settings).await;
            Self { house, proxy, counted: BTreeMap::new() }
        }

        async fn count(
            &mut self,
            name: &'static str,
            status: u16,
            request: impl AsyncFnOnce(&TestHouse) -> Answer,
        ) -> Answer {
            let before = self.proxy.round_trips();
            let answer = request(&self.house).await;
            let took = self.proxy.round_trips() - before;
            assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
            let known = *self.counted.entry(name).or_insert(took);
            assert_eq!(took, known, "{name} took another number before");
            answer
        }

        async fn signing_up(&mut self, phone: &str) -> String {
            self.count("POST /api/auth/signup, invalid", 422, async |house| house.signup("1").await).await;
            self.count("POST /api/auth/login, unknown", 404, async |house| house.login(phone).await).await;
            let sent =
                self.count("POST /api/auth/signup, new", 200, async |house| house.signup(phone).await).await;
            self.count("GET /api/auth/deliveries/{delivery_id}", 200, async |house| {
                house.delivery(&sent).await
            })
            .await;
            self.count("POST /api/twilio/status, forged", 403, async |house| {
                house.post_text("/api/twilio/status", "MessageSid=SM1").await
            })
            .await;
            self.count("POST /api/auth/signup, cooldown", 429, async |house| house.signup(phone).await).await;
            self.house.advance(30);
            self.count("POST /api/auth/signup, resend", 200, async |house| house.signup(phone).await).await;
            let code = self.house.last_code_for(phone);
            self.count("POST /api/auth/verify-otp, wrong", 400, async |house| {
                house.verify_otp(phone, &wrong(&code)).await
            })
            .await;
            self.count("POST /api/auth/verify-login, no account", 404, async |house| {
                house.verify_login(phone, &code).await
            })
            .await;
            let answer = self
                .count("POST /api/auth/verify-otp, new account", 200, async |house| {
                    house.verify_otp(phone, &code).await
                })
                .await;
            self.count("POST /api/auth/verify-otp, used", 400, async |house| {
                house.verify_otp(phone, &code).await
            })
            .await;
            answer.text_at("/token")
        }

        async fn profile(&mut self, phone: &str, token: &str) {
            // The clock went on, so the interests are read again: once a minute, whoever asks.
            self.house.get("/api/auth/event-interests").await.assert_ok();
            let mut profile = whole_profile();
            profile["phone_number"] = json!(phone);
            self.count("POST /api/auth/complete-profile", 200, async |house| {
                house.send_as(token, Method::POST, "/api/auth/complete-profile", profile).await
            })
            .await;
            self.count("PUT /api/auth/profile", 200, async |house| {
                house.send_as(token, Method::PUT, "/api/auth/profile", json!({"bio": "Music."})).await
            })
            .await;
            self.count("GET /api/auth/profile", 200, async |house| {
                house.get_as(token, "/api/auth/profile").await
            })
            .await;
            self.count("GET /api/auth/event-interests", 200, async |house| {
                house.get("/api/auth/event-interests").await
            })
            .await;
        }

        async fn logging_in(&mut self, phone: &str) -> String {
            self.count("POST /api/auth/signup, registered", 409, async |house| house.signup(phone).await)
                .await;
            self.house.advance(30);
            self.count("POST /api/auth/login", 200, async |house| house.login(phone).await).await;
            let code = self.house.last_code_for(phone);
            self.count("POST /api/auth/verify-otp, known account", 200, async |house| {
                house.verify_otp(phone, &code).await
            })
            .await;
            self.house.advance(30);
            self.house.login(phone).await.assert_ok();
            let code = self.house.last_code_for(phone);
            let answer = self
                .count("POST /api/auth/verify-login", 200, async |house| {
                    house.verify_login(phone, &code).await
                })
                .await;
            self.house.advance(30);
            self.house.login(phone).await.assert_ok();
            let wrong = self.house.wrong_code_for(phone);
            for _ in 0..3 {
                self.house.verify_otp(phone, &wrong).await;
            }
            self.count("POST /api/auth/verify-otp, exhausted", 429, async |house| {
                house.verify_otp(phone, &wrong).await
            })
            .await;
            answer.text_at("/data/refresh_token")
        }

        async fn session(&mut self, first: &str) {
            let answer =
                self.count("POST /api/auth/refresh", 200, async |house| house.refresh(first).await).await;
            self.count("POST /api/auth/refresh, repeated", 200, async |house| house.refresh(first).await)
                .await;
            let second = answer.text_at("/refresh");
            let answer = self.house.refresh(&second).await;
            answer.assert_ok();
            self.count("POST /api/auth/logout", 200, async |house| {
                house.send_as(&answer.text_at("/access"), Method::POST, "/api/auth/logout", json!({})).await
            })
            .await;
        }

        async fn retired(&mut self, phone: &str) {
            self.house.advance(30);
            self.house.login(phone).await.assert_ok();
            let code = self.house.last_code_for(phone);
            let answer = self.house.verify_login(phone, &code).await;
            let (access, first) = (answer.text_at("/token"), answer.text_at("/data/refresh_token"));
            let second = self.house.refresh(&first).await.text_at("/refresh");
            self.house.refresh(&second).await.assert_ok();
            self.count("POST /api/auth/refresh, retired", 401, async |house| house.refresh(&first).await)
                .await;
            self.house.advance(1801);
            self.count("GET /api/auth/profile, expired", 401, async |house| {
                house.get_as(&access, "/api/auth/profile").await
            })
            .await;
        }

        async fn service(&mut self) {
            for path in ["GET /", "GET /api/health", "GET /api/health/ready"] {
                let url = path.trim_start_matches("GET ");
                self.count(path, 200, async |house| house.get(url).await).await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_request_takes_the_round_trips_that_it_is_known_to_take() {
        if !postgres::is_there() {
            return;
        }
        let mut meter = Meter::new().await;
        for last in 10..14 {
            let phone = format!("+9198765432{last}");
            let token = meter.signing_up(&phone).await;
            meter.profile(&phone, &token).await;
            let refresh = meter.logging_in(&phone).await;
            meter.session(&refresh).await;
            meter.retired(&phone).await;
            meter.service().await;
            // What the first phone took includes the preparing of every statement.
            if last == 10 {
                meter.counted.clear();
            }
        }
        let known: BTreeMap<&str, u64> = COSTS.iter().map(|(name, exact, _)| (*name, *exact)).collect();
        for (name, took) in &meter.counted {
            println!("{took:>3}  {name}");
        }
        assert_eq!(meter.counted, known);
    }

    #[test]
    fn no_request_is_known_to_take_more_than_it_may() {
        for (name, exact, most) in COSTS {
            assert!(exact <= most, "{name} takes {exact} round trips and may take {most}");
        }
    }
}
