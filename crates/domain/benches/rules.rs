//! How long the rules take that run with every request: `cargo bench`, or `cargo bench -- tokens` for some of them. No rule does
//! input or output, so these numbers depend on the processor alone. `docs/PERFORMANCE.md` says how to read them.

#![expect(
    clippy::unwrap_used,
    reason = "the inputs are constants: a benchmark without them would measure nothing"
)]

use chrono::{DateTime, Utc};

fn main() {
    divan::main();
}

/// The time of every benchmark.
fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-21T06:00:00Z").unwrap().to_utc()
}

mod codes {
    use chrono::Duration;
    use divan::{Bencher, black_box};
    use domain::{
        otp::{Challenge, ChallengeKey, Claim, CodeLength, OtpCode, OtpKeys, OtpPolicy, Verdict, judge},
        phone::PhoneNumber,
    };
    use uuid::Uuid;

    use super::now;

    /// A challenge with everything that its code is derived from.
    struct Sent {
        keys: OtpKeys,
        phone: PhoneNumber,
        challenge: Challenge,
        policy: OtpPolicy,
    }

    impl Sent {
        fn new() -> Self {
            let keys = OtpKeys::derive(&"a secret key of the benchmark, 32 bytes".into(), &[]);
            let challenge = Challenge {
                id: Uuid::from_u128(7),
                key_version: keys.current_version().to_owned(),
                attempts: 1,
                expires_at: now() + Duration::minutes(5),
                sent_at: Some(now() - Duration::minutes(5)),
                consumed_at: None,
            };
            let policy = OtpPolicy {
                length: CodeLength::default(),
                life: Duration::minutes(10),
                max_attempts: 3,
                resend_after: Duration::seconds(30),
            };
            Self { keys, phone: PhoneNumber::from_e164("+916205829376").unwrap(), challenge, policy }
        }

        fn code(&self) -> OtpCode {
            let key = ChallengeKey::sign_in(black_box(&self.phone));
            self.keys.code(&self.challenge, key, self.policy.length).unwrap()
        }

        fn judge(&self, claim: Claim, code: &OtpCode) -> Verdict {
            judge(claim, code, ChallengeKey::sign_in(&self.phone), &self.keys, &self.policy, now())
        }

        fn bench(&self, bencher: Bencher<'_, '_>, code: &OtpCode) {
            let claim = || Claim::Taken(self.challenge.clone());
            bencher.with_inputs(claim).bench_values(|claim| self.judge(claim, black_box(code)));
        }
    }

    #[divan::bench]
    fn derive(bencher: Bencher<'_, '_>) {
        let sent = Sent::new();
        bencher.bench(|| sent.code());
    }

    #[divan::bench]
    fn judge_right(bencher: Bencher<'_, '_>) {
        let sent = Sent::new();
        sent.bench(bencher, &sent.code());
    }

    /// It takes as long as a right one.
    #[divan::bench]
    fn judge_wrong(bencher: Bencher<'_, '_>) {
        let sent = Sent::new();
        let is_wrong = |code: &OtpCode| {
            let claim = Claim::Taken(sent.challenge.clone());
            matches!(sent.judge(claim, code), Verdict::Wrong { .. })
        };
        let candidates = ["0000", "1111"].map(|text| OtpCode::parse(text, sent.policy.length).unwrap());
        sent.bench(bencher, candidates.iter().find(|code| is_wrong(code)).unwrap());
    }
}

mod tokens {
    use std::sync::LazyLock;

    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    use chrono::Duration;
    use divan::{Bencher, black_box};
    use domain::{
        access::{
            Client, KeyAlgorithm, NewSession, OpenedBy, Session, SigningKey, TokenKeys, TokenPair,
            TokenPolicy, TokenType,
        },
        account::{Account, Profile, Role},
        phone::PhoneNumber,
    };
    use secrecy::ExposeSecret;
    use uuid::Uuid;

    use super::now;

    const ALGORITHMS: [KeyAlgorithm; 4] =
        [KeyAlgorithm::Hs256, KeyAlgorithm::EdDsa, KeyAlgorithm::Es256, KeyAlgorithm::Rs256];

    /// Made once: an RSA key takes long.
    static KEYS: LazyLock<[TokenKeys; 4]> = LazyLock::new(|| {
        ALGORITHMS.map(|algorithm| TokenKeys::new(signing_key(algorithm), vec![], policy()))
    });

    fn keys(algorithm: KeyAlgorithm) -> &'static TokenKeys {
        KEYS.iter().zip(ALGORITHMS).find(|(_, known)| *known == algorithm).map(|(keys, _)| keys).unwrap()
    }

    fn policy() -> TokenPolicy {
        TokenPolicy {
            terms: None,
            access_life: Duration::minutes(30),
            refresh_life: Duration::days(7),
            session_max: Duration::days(90),
            issuer: None,
            audience: None,
            claims: Vec::new(),
            most_sessions: 20,
            discovered_at: None,
        }
    }

    fn signing_key(algorithm: KeyAlgorithm) -> SigningKey {
        let ec = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = match algorithm {
            KeyAlgorithm::Hs256 => {
                return SigningKey::secret(&"a token secret of the benchmark, 32 bytes".into());
            }
            KeyAlgorithm::EdDsa => {
                Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
            }
            KeyAlgorithm::Es256 => {
                EcdsaKeyPair::generate(ec).unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
            }
            KeyAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
                let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                der.as_ref().to_vec()
            }
        };
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        SigningKey::from_pem(&pem.into()).unwrap()
    }

    fn account() -> Account {
        Account {
            id: Uuid::from_u128(1),
            phone: PhoneNumber::from_e164("+916205829376"),
            username: None,
            email: None,
            first_name: None,
            last_name: None,
            claimed_phone: None,
            has_password: false,
            role: Role::User,
            is_active: true,
            profile: Profile {
                id: Uuid::from_u128(2),
                name: None,
                birth_date: None,
                gender: None,
                bio: None,
                location: None,
                event_interests: vec![],
                profile_pictures: vec![],
            },
            device_epoch: 0,
            is_review: false,
            former_phone: None,
            unlinked_at: None,
            external_id: None,
            invitation_id: None,
            terms: None,
            created_at: now(),
            updated_at: now(),
        }
    }

    fn session(account: &Account) -> Session {
        let ids = NewSession { session: Uuid::from_u128(3), refresh_jti: Uuid::from_u128(4) };
        Session::open(ids, account.id, OpenedBy::Code, Client::default(), &policy(), now())
    }

    fn issue(keys: &TokenKeys, session: &Session, account: &Account) -> TokenPair {
        keys.issue(session, account, Uuid::from_u128(5), now()).unwrap()
    }

    /// Two signatures: an access token and a refresh token.
    #[divan::bench(args = ALGORITHMS)]
    fn sign_a_pair(bencher: Bencher<'_, '_>, algorithm: KeyAlgorithm) {
        let (keys, account) = (keys(algorithm), account());
        let session = session(&account);
        bencher.bench(|| issue(keys, black_box(&session), &account));
    }

    #[divan::bench(args = ALGORITHMS)]
    fn read_an_access_token(bencher: Bencher<'_, '_>, algorithm: KeyAlgorithm) {
        let (keys, account) = (keys(algorithm), account());
        let pair = issue(keys, &session(&account), &account);
        let token = pair.access.expose_secret();
        bencher.bench(|| keys.read(black_box(token), TokenType::Access, now()).ok());
    }
}

mod phones {
    use divan::{Bencher, black_box};
    use domain::phone::{PhoneNumber, Region};

    /// As typed in India: national, international, American, and two that are refused.
    const TEXTS: [&str; 5] =
        ["062058 29376", "+91 62058-29376", "+1 (202) 555-0143", "+91 12345", "not a number"];

    #[divan::bench(args = TEXTS)]
    fn parse(bencher: Bencher<'_, '_>, text: &str) {
        let region: Region = "IN".parse().unwrap();
        // The first number compiles the pattern of its plan.
        PhoneNumber::parse(text, region).ok();
        bencher.bench(|| PhoneNumber::parse(black_box(text), region));
    }
}

mod budgets {
    use chrono::{DateTime, Duration, Utc};
    use divan::{Bencher, black_box};
    use domain::{
        address::ClientAddress,
        budget::{BudgetPolicy, BudgetRow, Charge, MessageCharge, decide},
        phone::PhoneNumber,
        pseudonym::{Pseudonym, Pseudonyms},
    };
    use uuid::Uuid;

    use super::now;

    /// A sign-up, and limits that are all on.
    struct SignUp {
        policy: BudgetPolicy,
        phone: PhoneNumber,
        phone_hash: Pseudonym,
        address: ClientAddress,
    }

    impl SignUp {
        fn new() -> Self {
            let policy = BudgetPolicy {
                day: Some(100_000),
                countries: [("IN".to_owned(), 50_000)].into(),
                ..BudgetPolicy::default()
            };
            let phone = PhoneNumber::from_e164("+916205829376").unwrap();
            let phone_hash = Pseudonyms::derive(&"a secret key of the benchmark".into(), &[]).phone(&phone);
            let address = ClientAddress::new("203.0.113.7".parse().unwrap());
            Self { policy, phone, phone_hash, address }
        }

        fn charges(&self, now: DateTime<Utc>) -> Vec<Charge> {
            let send = MessageCharge {
                phone: &self.phone,
                phone_hash: &self.phone_hash,
                address: Some(self.address),
                device: None,
                is_known: false,
                resend_after: Duration::seconds(30),
                day: (now.date_naive(), now + Duration::hours(12)),
                proof: Some(Uuid::from_u128(1)),
            };
            let request = self.policy.request(self.address, now);
            request.into_iter().chain(self.policy.send(&send, now)).collect()
        }
    }

    /// A row that was charged twice.
    fn row(charge: &Charge) -> BudgetRow {
        let log = [2, 40].map(|minutes| now() - Duration::minutes(minutes)).to_vec();
        BudgetRow { log, count: 2, ..BudgetRow::empty(charge.key.clone()) }
    }

    #[divan::bench]
    fn charges_of_a_sign_up(bencher: Bencher<'_, '_>) {
        let sign_up = SignUp::new();
        bencher.bench(|| sign_up.charges(black_box(now())));
    }

    #[divan::bench]
    fn decide_a_sign_up(bencher: Bencher<'_, '_>) {
        let charges = SignUp::new().charges(now());
        let rows: Vec<BudgetRow> = charges.iter().map(row).collect();
        bencher.bench(|| decide(black_box(&charges), &rows, now()));
    }
}

mod verdicts {
    use chrono::Duration;
    use chrono_tz::Tz;
    use divan::{Bencher, black_box};
    use domain::{
        delivery::{Channel, DeliveryStatus},
        verdict::{CodeFacts, MessageFacts, PhoneFacts, judge},
    };

    use super::now;

    /// A phone whose last message arrived, and whose code was not entered.
    fn facts() -> PhoneFacts {
        let created_at = now() - Duration::minutes(3);
        let message = MessageFacts {
            channel: Channel::Sms,
            provider: Some("Twilio"),
            status: DeliveryStatus::Delivered,
            at: created_at + Duration::seconds(1),
            created_at,
            accepted_at: Some(created_at),
            reason: None,
            cause: None,
            said: None,
            blame: None,
        };
        let code = CodeFacts {
            attempts: 1,
            max_attempts: 3,
            expires_at: now() + Duration::minutes(7),
            consumed_at: None,
            last_wrong_at: None,
            is_of_service: false,
        };
        PhoneFacts {
            now: now(),
            zone: Tz::Asia__Kolkata,
            country: Some("IN".to_owned()),
            block: None,
            address_block: None,
            past_block: None,
            not_served: None,
            review_until: None,
            account: None,
            moved_away: None,
            unlinked_at: None,
            spent: Vec::new(),
            prefix: None,
            day_cap_until: None,
            country_cap_until: None,
            deleted_until: None,
            last: None,
            messages: vec![message],
            code: Some(code),
            last_asked_at: Some(created_at),
        }
    }

    #[divan::bench]
    fn compute(bencher: Bencher<'_, '_>) {
        let facts = facts();
        bencher.bench(|| judge(black_box(&facts)));
    }
}

mod files {
    use divan::{Bencher, black_box};
    use domain::csv;

    /// A line of an export, with cells that are escaped.
    #[divan::bench]
    fn csv_line(bencher: Bencher<'_, '_>) {
        let cells =
            ["+916205829376", "Gaurav \"G\" Kumar", "=1+1", "male", "Delhi, India", "2026-11-21T06:00:00Z"];
        bencher.bench(|| csv::line(black_box(cells)));
    }
}
