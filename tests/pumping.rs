//! SMS pumping: an attacker earns money from messages that we send to the attacker's own numbers.
//!
//! The test simulates a day of the attack with a clock that is moved by hand, against the whole server in this process: 10,000
//! requests for codes to a block of premium-like mobile numbers, from 500 addresses, each number once. None of the limits by
//! phone or by address stops it, because each phone gets one message and each address stays below its 20 requests an hour.
//! Meanwhile honest users of the same country sign up, and users of the same block who have accounts log in.
//!
//! `cargo test --test pumping -- --nocapture` prints how many messages were sent.

#[cfg(test)]
mod support;

#[cfg(test)]
mod pumping {
    use loopin_auth::domain::{
        audit::{Action, Filter},
        budget::PrefixPolicy,
    };

    use super::support::{Database, TestServer, postgres};

    /// The number of the attacker's requests.
    const REQUESTS: usize = 10_000;

    /// The number of the attacker's addresses: 198.51.100.0 to 198.51.100.249 and 203.0.113.0 to 203.0.113.249.
    const ADDRESSES: usize = 500;

    /// The duration of the attack. Each address sends 2.5 requests an hour.
    const HOURS: usize = 8;

    /// The clock moves in steps of this length.
    const STEP_SECONDS: i64 = 60;

    /// The number of steps of the attack.
    const STEPS: usize = HOURS * 60;

    /// The attacker's block: a country code and four digits, mobile numbers in India's plan.
    const BLOCK: &str = "+917000";

    /// The number of other prefixes of India, in which honest users sign up.
    const HONEST_PREFIXES: usize = 40;

    /// One honest user signs up every so many minutes: 160 in all. Three in four enter their code.
    const HONEST_EVERY: usize = 3;

    /// Users of the attacker's block who have accounts, and log in once each during the attack. As many others have no
    /// account and want to sign up; those who are refused are the price of the defence.
    const NEIGHBOURS: usize = 24;

    /// The messages that were sent.
    #[derive(Debug, Default)]
    struct Count {
        /// To the attacker's numbers.
        attack: usize,
        /// Honest users in other prefixes, and how many of them were refused.
        honest: (usize, usize),
        /// Users of the attacker's block who have accounts.
        neighbours: (usize, usize),
        /// Users of the attacker's block who have no account.
        newcomers: (usize, usize),
    }

    fn attacker_phone(nth: usize) -> String {
        format!("{BLOCK}{nth:06}")
    }

    fn neighbour(nth: usize) -> String {
        format!("{BLOCK}9{nth:05}")
    }

    fn newcomer(nth: usize) -> String {
        format!("{BLOCK}8{nth:05}")
    }

    fn honest(nth: usize) -> String {
        format!("+9198{:02}{nth:06}", nth % HONEST_PREFIXES)
    }

    fn attacker_address(nth: usize) -> String {
        let last = nth % 250;
        if (nth / 250).is_multiple_of(2) { format!("198.51.100.{last}") } else { format!("203.0.113.{last}") }
    }

    /// A user requests a code from an address of their own, and enters it if `enters_code`. Returns whether a code was sent.
    async fn person(server: &TestServer, phone: &str, enters_code: bool) -> bool {
        let digits: usize = phone.trim_start_matches("+91").parse().unwrap();
        let home = server.from(format!("2001:db8:{:x}:{:x}::1", digits / 65_536 % 65_536, digits % 65_536));
        let answer = home.signup(phone).await;
        let code = (answer.status.as_u16() == 200).then(|| server.last_code_for(phone));
        if let Some(code) = code.as_ref().filter(|_| enters_code) {
            home.verify_otp(phone, code).await.assert_ok();
        }
        assert!(code.is_some() || answer.status.as_u16() == 429, "{}", answer.text);
        code.is_some()
    }

    fn tally(counted: &mut (usize, usize), is_served: bool) {
        counted.0 += 1;
        counted.1 += usize::from(!is_served);
    }

    async fn attack(server: &TestServer) -> Count {
        for nth in 0..NEIGHBOURS {
            assert!(person(server, &neighbour(nth), true).await);
        }
        server.advance(86_400);
        let mut count = Count::default();
        let mut sent = 0;
        for step in 0..STEPS {
            let until = REQUESTS * (step + 1) / STEPS;
            for nth in sent..until {
                let answer =
                    server.from(attacker_address(nth % ADDRESSES)).signup(&attacker_phone(nth)).await;
                let status = answer.status.as_u16();
                assert!([200, 429].contains(&status), "{}", answer.text);
                count.attack += usize::from(status == 200);
            }
            sent = until;
            if step.is_multiple_of(HONEST_EVERY) {
                let nth = step / HONEST_EVERY;
                tally(&mut count.honest, person(server, &honest(nth), nth % 4 != 3).await);
            }
            if step.is_multiple_of(STEPS / NEIGHBOURS) {
                let nth = step * NEIGHBOURS / STEPS;
                tally(&mut count.neighbours, person(server, &neighbour(nth), true).await);
                // Only one in two enters the code: each code that is entered opens the prefix again.
                tally(&mut count.newcomers, person(server, &newcomer(nth), nth.is_multiple_of(2)).await);
            }
            server.advance(STEP_SECONDS);
        }
        assert_eq!(sent, REQUESTS);
        count
    }

    fn report(name: &str, count: &Count) {
        let Count { attack, honest, neighbours, newcomers } = count;
        println!("{name}: {attack} of {REQUESTS} messages went to the attacker");
        for (who, (asked, refused)) in [
            ("people of other prefixes", honest),
            ("people of the block with an account", neighbours),
            ("people of the block without one", newcomers),
        ] {
            println!("    {who}: {asked} asked, {refused} were refused");
        }
    }

    /// The most messages that can go to a block of one prefix: those until the breaker opens, and the trial messages each time
    /// it half opens. Each code that an honest user of the block enters closes the breaker, and it has to open again.
    fn most(policy: &PrefixPolicy, entered: usize) -> usize {
        let seconds = policy.closed_for.num_seconds();
        let times = usize::try_from(STEP_SECONDS * i64::try_from(STEPS).unwrap() / seconds).unwrap();
        policy.unanswered.most * (1 + entered) + policy.probes * times
    }

    async fn with_the_defence(database: Database) -> (usize, TestServer) {
        let server = TestServer::on(database).await;
        let count = attack(&server).await;
        report("with the defence", &count);
        assert_eq!(count.honest.1, 0, "every honest user of another prefix got a code");
        assert_eq!(count.neighbours.1, 0, "every user of the block who has an account got a code");
        let entered =
            server.count(&format!("SELECT COUNT(*) FROM accounts WHERE phone LIKE '{BLOCK}8%'")).await;
        let bound = most(&server.services.budgets.prefix, usize::try_from(entered).unwrap());
        println!("    the settings allow {bound}");
        assert!(count.attack <= bound, "{} of {bound}", count.attack);
        assert!(count.attack * 10 <= REQUESTS);
        (count.attack, server)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_the_breaker_a_block_of_numbers_earns_next_to_nothing_on_sqlite() {
        let (_, server) = with_the_defence(Database::Sqlite).await;
        server.services.audit.flush().await.unwrap();
        let filter = Filter { action: Some(Action::PrefixClosed), ..Filter::default() };
        let closed = loopin_auth::store::audit::list_after(&server.services.store, &filter, None, 1_000)
            .await
            .unwrap();
        assert!(!closed.is_empty());
        assert!(closed.iter().all(|entry| entry.detail.get("prefix").is_some_and(|prefix| prefix == BLOCK)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_the_breaker_a_block_of_numbers_earns_next_to_nothing_on_postgres() {
        if postgres::is_there() {
            with_the_defence(Database::Postgres).await;
        }
    }

    /// All limits by phone and address are on; only the breaker is set so that it never opens.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_the_breaker_every_message_goes_out() {
        let settings = [("LIMIT_UNVERIFIED_SENDS_PER_PREFIX", "1000/1s")];
        let server = TestServer::with(Database::Sqlite, &settings).await;
        let count = attack(&server).await;
        report("without the defence", &count);
        assert_eq!(count.attack, REQUESTS);
        assert_eq!((count.honest.1, count.neighbours.1, count.newcomers.1), (0, 0, 0));
    }
}
