//! No code, token, password or phone number leaks: into the log at any level, into a response, into a row. This is a test
//! binary of its own, because it searches the log of the whole process, and test mode, which may show codes, must not write
//! into it.

#[cfg(test)]
#[allow(dead_code, reason = "the tests of the console need more of it")]
#[path = "admin/browser.rs"]
mod browser;
#[cfg(test)]
#[path = "leaks/console.rs"]
mod console;
#[cfg(test)]
#[path = "leaks/log.rs"]
mod log;
#[cfg(test)]
mod support;

#[cfg(test)]
mod leaks {
    use std::fmt::Write as _;

    use poem::http::Method;
    use sea_orm::{ConnectionTrait, DbBackend, Statement};
    use secrecy::ExposeSecret;
    use serde_json::json;
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::log::{assert_is_nowhere, keep_the_log, log};
    use super::support::{Answer, Database, OTHER_PHONE, PHONE, TestServer, postgres, whole_profile, wrong};

    const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";
    const AUTH_TOKEN: &str = "fedcba9876543210fedcba9876543210";
    const NAME: &str = "Gaurav Kumar";
    const PASSWORD: &str = "purple-kettle-morning-71";
    const NEW_PASSWORD: &str = "copper-lantern-evening-38";
    const WRONG_PASSWORD: &str = "velvet-harbour-tuesday-55";
    const WEAK: &str = "zx81Qw!";
    const UNREACHABLE: &str = "+919811112222";

    /// Sends requests of every kind that handle codes and tokens, and keeps the responses.
    pub struct Walk {
        pub server: TestServer,
        twilio: MockServer,
        answers: Vec<Answer>,
        codes: Vec<String>,
        tokens: Vec<String>,
        /// Keys and codes of second factors, and the tokens of enrolment links.
        factor_secrets: Vec<String>,
    }

    impl Walk {
        pub async fn on(database: Database) -> Self {
            keep_the_log();
            let twilio = MockServer::start().await;
            let url = twilio.uri();
            let settings = [
                ("OTP_LENGTH", "8"),
                ("TWILIO_TEST_MODE", "false"),
                ("TWILIO_ACCOUNT_SID", ACCOUNT_SID),
                ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
                ("TWILIO_PHONE_NUMBER", "+15005550006"),
                ("TWILIO_API_BASE_URL", url.as_str()),
            ];
            let server = TestServer::with(database, &settings).await;
            let (answers, codes, tokens) = (Vec::new(), Vec::new(), Vec::new());
            let walk = Self { server, twilio, answers, codes, tokens, factor_secrets: Vec::new() };
            walk.twilio_accepts_everything().await;
            walk
        }

        async fn twilio_accepts_everything(&self) {
            let taken = json!({"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued"});
            self.twilio_answers(ResponseTemplate::new(201).set_body_json(taken)).await;
        }

        async fn twilio_answers(&self, template: ResponseTemplate) {
            self.twilio.reset().await;
            Mock::given(any()).respond_with(template).mount(&self.twilio).await;
        }

        /// The code of the last message that reached Twilio.
        async fn code(&mut self) -> String {
            let requests = self.twilio.received_requests().await.unwrap();
            let form = url::form_urlencoded::parse(&requests.last().unwrap().body).into_owned();
            let body = form.into_iter().find(|(name, _)| name == "Body").unwrap().1;
            let code = body.split_once("code is: ").unwrap().1[..8].to_owned();
            assert!(code.bytes().all(|byte| byte.is_ascii_digit()), "{body}");
            self.codes.push(code.clone());
            code
        }

        fn keep(&mut self, status: u16, answer: Answer) -> &Answer {
            assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
            for pointer in ["/token", "/data/refresh_token", "/data/device_token", "/access", "/refresh"] {
                let token = answer.text_at(pointer);
                if !token.is_empty() {
                    self.tokens.push(token);
                }
            }
            self.answers.push(answer);
            &self.answers[self.answers.len() - 1]
        }

        /// With the device token in its field, and in fields where it does not belong.
        async fn sign_in_by_device(&mut self, device: &str) {
            let answer = self.server.signup_with(PHONE, json!({ "device_token": device }), "en").await;
            self.keep(200, answer);
            let code = self.code().await;
            let verify = "/api/auth/verify-otp";
            for (status, token, code) in [
                (422, json!([device]), json!(code)),
                (422, json!(device), json!(device)),
                (400, json!(device), json!(wrong(&code))),
                (200, json!(device), json!(code)),
            ] {
                let body = json!({ "phone_number": PHONE, "otp_code": code, "device_token": token });
                let answer = self.server.post(verify, body).await;
                self.keep(status, answer);
            }
        }

        async fn sign_up_and_log_in(&mut self) {
            let answer = self.server.signup(PHONE).await;
            self.keep(200, answer);
            let code = self.code().await;
            let answer = self.server.verify_otp(PHONE, &wrong(&code)).await;
            self.keep(400, answer);
            let answer = self.server.verify_otp(PHONE, &code).await;
            let answer = self.keep(200, answer);
            let (token, device) = (answer.text_at("/token"), answer.text_at("/data/device_token"));
            let answer = self.server.verify_otp(PHONE, &code).await;
            self.keep(400, answer);
            self.sign_in_by_device(&device).await;
            let answer = self
                .server
                .send_as(&token, Method::POST, "/api/auth/complete-profile", whole_profile())
                .await;
            self.keep(200, answer);
            let answer = self.server.get_as(&token, "/api/auth/profile").await;
            self.keep(200, answer);
            self.server.advance(30);
            let answer = self.server.login(PHONE).await;
            self.keep(200, answer);
            let code = self.code().await;
            let answer = self.server.verify_login(PHONE, &code).await;
            let refresh = self.keep(200, answer).text_at("/data/refresh_token");
            let answer = self.server.refresh(&refresh).await;
            let second = self.keep(200, answer).text_at("/refresh");
            let answer = self.server.refresh(&second).await;
            self.keep(200, answer);
            // The first one is retired now.
            let answer = self.server.refresh(&refresh).await;
            self.keep(401, answer);
            let answer = self.server.send_as(&token, Method::POST, "/api/auth/logout", json!({})).await;
            self.keep(200, answer);
        }

        /// Sends codes, tokens and phones in fields where they do not belong.
        async fn send_in_wrong_fields(&mut self) {
            let answer = self.server.signup(OTHER_PHONE).await;
            self.keep(200, answer);
            let code = self.code().await;
            let token = self.tokens[0].clone();
            let number: u64 = code.parse().unwrap();
            for (status, path, body) in [
                (
                    400,
                    "/api/auth/verify-otp",
                    format!("{{\"phone_number\": \"{OTHER_PHONE}\", \"otp_code\": \"{code}\""),
                ),
                (400, "/api/auth/verify-otp", format!("\"{code}\"")),
                (
                    422,
                    "/api/auth/verify-otp",
                    format!("{{\"phone_number\": \"{OTHER_PHONE}\", \"otp_code\": {number}}}"),
                ),
                (
                    422,
                    "/api/auth/verify-otp",
                    format!("{{\"phone_number\": \"{code}\", \"otp_code\": \"{code}0\"}}"),
                ),
                (422, "/api/auth/verify-otp", format!("{{\"{code}\": \"{token}\"}}")),
                (422, "/api/auth/login", format!("{{\"username\": \"{code}\"}}")),
                (
                    401,
                    "/api/auth/login",
                    format!("{{\"username\": \"{code}\", \"password\": \"{WRONG_PASSWORD}\"}}"),
                ),
                (422, "/api/auth/signup", format!("{{\"phone_number\": [\"{OTHER_PHONE}\", \"{code}\"]}}")),
                (401, "/api/auth/refresh", format!("{{\"refresh\": \"{token}\"}}")),
                (401, "/api/auth/refresh", format!("{{\"refresh\": \"{code}\"}}")),
                (
                    401,
                    "/api/auth/complete-profile",
                    format!("{{\"name\": \"{NAME}\", \"otp_code\": \"{code}\"}}"),
                ),
                (404, &format!("/api/auth/{OTHER_PHONE}/{code}?token={token}"), String::new()),
                (405, &format!("/api/auth/event-interests?otp_code={code}"), String::new()),
            ] {
                let answer = self.server.post_text(path, &body).await;
                self.keep(status, answer);
            }
            let id = format!("{OTHER_PHONE}-{code}");
            let headers =
                [("x-request-id", id.as_str()), ("authorization", code.as_str()), ("host", code.as_str())];
            let answer = self.server.send(Method::GET, "/api/auth/profile", &headers, None).await;
            self.keep(401, answer);
            let answer = self.server.get_as(&code, "/api/auth/profile").await;
            self.keep(401, answer);
        }

        /// Sends passwords that are right, wrong, weak, and in fields where they do not belong.
        async fn use_passwords(&mut self) {
            let user = |name: &str, password: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": password});
            let answer = self.server.post("/api/auth/register", user("gaurav", PASSWORD)).await;
            let token = self.keep(201, answer).text_at("/access");
            for (status, path, body) in [
                (409, "/api/auth/register", user("gaurav", PASSWORD)),
                (422, "/api/auth/register", user("other", WEAK)),
                (
                    422,
                    "/api/auth/register",
                    json!({"username": PASSWORD, "email": PASSWORD, "password": [PASSWORD]}),
                ),
                (201, "/api/register", user("third", PASSWORD)),
                (
                    422,
                    "/api/register",
                    json!({"username": "fourth", "password": PASSWORD, "password2": WEAK}),
                ),
                (200, "/api/token", user("gaurav", PASSWORD)),
                (401, "/api/token", user("gaurav", WRONG_PASSWORD)),
                (401, "/api/auth/login", user(WRONG_PASSWORD, PASSWORD)),
                (400, "/api/auth/login", json!({"password": PASSWORD})),
            ] {
                let answer = self.server.post(path, body).await;
                self.keep(status, answer);
            }
            for (status, old, new) in
                [(422, WRONG_PASSWORD, NEW_PASSWORD), (422, PASSWORD, WEAK), (200, PASSWORD, NEW_PASSWORD)]
            {
                let body = json!({"old_password": old, "new_password": new});
                let answer = self.server.send_as(&token, Method::POST, "/api/auth/password", body).await;
                self.keep(status, answer);
            }
            // A database that refuses the statement which holds the hash.
            self.server.execute("ALTER TABLE accounts RENAME TO away").await;
            let answer = self.server.post("/api/register", user("fifth", PASSWORD)).await;
            self.keep(500, answer);
            self.server.execute("ALTER TABLE away RENAME TO accounts").await;
        }

        /// Sets up a second factor, and signs in with right and wrong codes of it.
        async fn use_a_second_factor(&mut self) {
            let answer =
                self.server.post("/api/register", json!({"username": "boss", "password": PASSWORD})).await;
            let user_id = self.keep(201, answer).text_at("/id");
            self.server.execute("UPDATE accounts SET role = 'admin' WHERE username = 'boss'").await;
            let link = self.server.enrolment_link(&user_id).await.path();
            let link = link.expose_secret();
            let page = self.server.get(link).await;
            assert_eq!(page.status.as_u16(), 200, "{}", page.text);
            let key = page.text.split_once("<code class=\"key\">").unwrap().1.split_once('<').unwrap().0;
            self.factor_secrets.push(key.replace(' ', ""));
            self.factor_secrets.push(link.rsplit('/').next().unwrap().to_owned());
            let app = self.server.enrol(&user_id).await;
            let codes = [app.code(&self.server), app.recovery_codes[0].clone(), app.wrong(&self.server)];
            for code in [&codes[0], &codes[0], &codes[1], &codes[2], &codes[0].replace('0', "x")] {
                let body = json!({"username": "boss", "password": PASSWORD, "totp_code": code});
                let answer = self.server.post("/api/auth/login", body).await;
                if answer.status.as_u16() == 200 {
                    self.keep(200, answer);
                } else {
                    self.keep(422, answer);
                }
            }
            self.factor_secrets.extend(app.recovery_codes.iter().cloned());
            self.factor_secrets.extend(app.recovery_codes.iter().map(|code| code.replace('-', "")));
            let app_codes = codes.iter().filter(|code| code.len() == 6).map(|code| format!("\"{code}\""));
            self.factor_secrets.extend(app_codes);
        }

        async fn fail_to_send(&mut self) {
            let told = |status: u16, code: u64| {
                ResponseTemplate::new(status).set_body_json(json!({
                    "code": code, "status": status, "more_info": "https://www.twilio.com/docs/errors/21211",
                    "message": format!("The 'To' number {UNREACHABLE} of {ACCOUNT_SID} cannot be reached."),
                }))
            };
            for (template, status) in [
                (told(400, 21211), 400),
                (told(401, 20003), 502),
                (told(429, 20429), 503),
                (told(500, 20500), 503),
                (ResponseTemplate::new(201).set_body_string(format!("not JSON about {UNREACHABLE}")), 200),
            ] {
                self.twilio_answers(template).await;
                let answer = self.server.signup(UNREACHABLE).await;
                self.code().await;
                self.keep(status, answer);
            }
            let unreachable =
                self.server.second_server(&[("TWILIO_API_BASE_URL", "http://127.0.0.1:1/of/nobody")]).await;
            self.server.advance(30);
            let answer = unreachable.signup(UNREACHABLE).await;
            self.keep(503, answer);
        }

        /// A statement that the database refuses, in the middle of signing in.
        async fn fail_in_the_database(&mut self) {
            self.twilio_accepts_everything().await;
            self.server.advance(30);
            let answer = self.server.signup(OTHER_PHONE).await;
            self.keep(200, answer);
            let code = self.code().await;
            self.server.execute("ALTER TABLE sessions RENAME TO elsewhere").await;
            let answer = self.server.verify_otp(OTHER_PHONE, &code).await;
            self.keep(500, answer);
            self.server.execute("ALTER TABLE elsewhere RENAME TO sessions").await;
        }

        /// Every row of every table as text.
        async fn rows(&self) -> String {
            let store = &self.server.services.store;
            let backend = store.get_database_backend();
            let tables = match backend {
                DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
                _ => "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
            };
            let mut dump = String::new();
            for table in self.texts(tables).await {
                let rows = match backend {
                    DbBackend::Sqlite => {
                        let columns =
                            format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}')");
                        let columns = self.texts(&columns).await.join(" || ' ' || ");
                        format!("SELECT {columns} FROM \"{table}\"")
                    }
                    _ => format!("SELECT \"{table}\"::text FROM \"{table}\""),
                };
                for row in self.texts(&rows).await {
                    let _ = writeln!(dump, "{table}: {row}");
                }
            }
            dump
        }

        async fn texts(&self, sql: &str) -> Vec<String> {
            let store = &self.server.services.store;
            let statement = Statement::from_string(store.get_database_backend(), sql.to_owned());
            let rows = store.query_all_raw(statement).await.unwrap();
            rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect()
        }
    }

    async fn nothing_tells_a_code(database: Database) {
        let mut walk = Walk::on(database).await;
        walk.sign_up_and_log_in().await;
        walk.send_in_wrong_fields().await;
        walk.use_passwords().await;
        walk.use_a_second_factor().await;
        walk.fail_to_send().await;
        walk.fail_in_the_database().await;
        assert!(walk.codes.len() >= 9 && walk.tokens.len() >= 6, "codes and tokens were collected");

        walk.server.services.audit.flush().await.unwrap();
        let rows = walk.rows().await;
        for table in ["accounts", "audit", "challenges", "leads", "messages", "sessions"] {
            assert!(rows.contains(&format!("{table}: ")), "the dump has rows of {table}");
        }
        assert!(rows.contains(PHONE), "the dump shows what is in the rows");
        let log = log();
        assert!(log.contains("TRACE") && log.contains("request failed"), "the log is kept");
        for code in &walk.codes {
            assert_is_nowhere(code, "a code", "the log", &log);
            assert_is_nowhere(code, "a code", "a row", &rows);
            for answer in &walk.answers {
                assert_is_nowhere(code, "a code", "an answer", &answer.text);
                assert_is_nowhere(code, "a code", "a header", &format!("{:?}", answer.headers));
            }
        }
        for token in &walk.tokens {
            // The signature alone, in case a part of a token is shown.
            let signature = token.rsplit('.').next().unwrap();
            assert_is_nowhere(signature, "a token", "the log", &log);
            assert_is_nowhere(signature, "a token", "a row", &rows);
        }
        assert!(walk.factor_secrets.len() > 20, "secrets of second factors were collected");
        for secret in &walk.factor_secrets {
            assert_is_nowhere(secret, "a secret of a second factor", "the log", &log);
            assert_is_nowhere(secret, "a secret of a second factor", "a row", &rows);
            for answer in &walk.answers {
                assert_is_nowhere(secret, "a secret of a second factor", "an answer", &answer.text);
            }
        }
        for phone in [PHONE, OTHER_PHONE, UNREACHABLE] {
            assert_is_nowhere(phone.trim_start_matches('+'), "a whole phone number", "the log", &log);
            assert_is_nowhere(&phone[3..], "a phone number", "the log", &log);
        }
        assert_is_nowhere(NAME, "a name", "the log", &log);
        // The audit log stays after an account is deleted, and has no personal data.
        let entries: String =
            rows.lines().filter(|row| row.starts_with("audit: ")).collect::<Vec<_>>().join("\n");
        assert!(entries.contains("wrong_password") && entries.contains("code_sent"), "{entries}");
        for phone in [PHONE, OTHER_PHONE, UNREACHABLE] {
            assert_is_nowhere(&phone[3..], "a phone number", "the audit log", &entries);
        }
        for name in [NAME, "Gaurav", "gaurav", "example.com", "third"] {
            assert_is_nowhere(name, "a name", "the audit log", &entries);
        }
        for password in [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, WEAK] {
            assert_is_nowhere(password, "a password", "the log", &log);
            assert_is_nowhere(password, "a password", "a row", &rows);
            for answer in &walk.answers {
                assert_is_nowhere(password, "a password", "an answer", &answer.text);
                assert_is_nowhere(password, "a password", "a header", &format!("{:?}", answer.headers));
            }
        }
        assert!(rows.contains("$argon2id$"), "the dump shows hashes");
        assert_is_nowhere("$argon2id$", "a hash", "the log", &log);
        for answer in &walk.answers {
            assert_is_nowhere("$argon2id$", "a hash", "an answer", &answer.text);
        }
        for secret in [
            ACCOUNT_SID,
            AUTH_TOKEN,
            walk.server.setting("SECRET_KEY"),
            walk.server.setting("JWT_SECRET_KEY"),
        ] {
            assert_is_nowhere(secret, "a secret of the server", "the log", &log);
            assert_is_nowhere(secret, "a secret of the server", "a row", &rows);
            for answer in &walk.answers {
                assert_is_nowhere(secret, "a secret of the server", "an answer", &answer.text);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_tells_a_code_on_sqlite() {
        nothing_tells_a_code(Database::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_tells_a_code_on_postgres() {
        if postgres::is_there() {
            nothing_tells_a_code(Database::Postgres).await;
        }
    }
}
