//! The requests of each step, and what a right answer contains.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use crate::{
    client::{Answer, Call, Connection, field},
    person::{Numbers, Person, codes},
    scenario::Step,
};

const PASSWORD: &str = "copper-kettle-morning-71";

const PROFILE: &str = r#"{"name":"Gaurav Kumar","birth_date":"1995-01-01","gender":"male","event_interests":[1,2,3],"profile_pictures":["https://example.com/pic1.jpg","https://example.com/pic2.jpg"],"bio":"Backend Developer","location":"Delhi, India"}"#;

const SUCCESS: &str = "\"success\":true";

/// A user that several workers may hold, each for a moment.
pub type Shared = Mutex<Person>;

/// No worker leaves a user half written.
pub fn hold(person: &Shared) -> MutexGuard<'_, Person> {
    person.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection with what it needs.
#[derive(Debug)]
pub struct Worker {
    /// Its number, from 0.
    pub number: usize,
    connection: Connection,
    numbers: Arc<Numbers>,
}

impl Worker {
    /// A worker that is not connected yet.
    #[must_use]
    pub fn new(number: usize, address: SocketAddr, numbers: Arc<Numbers>) -> Self {
        Self { number, connection: Connection::new(address), numbers }
    }

    /// Does a step. Returns how long its answers took.
    ///
    /// # Errors
    /// If an answer is wrong.
    pub async fn perform(&mut self, step: Step, person: &Shared) -> Result<Duration> {
        match step {
            Step::Health => self.get("/api/health", "\"status\":\"healthy\"").await,
            Step::EventInterests => self.get("/api/auth/event-interests", SUCCESS).await,
            Step::SignUpNext => {
                let next = self.numbers.next();
                self.ask("/api/auth/signup", &next).await
            }
            Step::SignUp => self.ask_for("/api/auth/signup", person).await,
            Step::LogIn => self.ask_for("/api/auth/login", person).await,
            Step::VerifyNew => self.verify("/api/auth/verify-otp", person).await,
            Step::VerifyKnown => self.verify("/api/auth/verify-login", person).await,
            Step::Finish => {
                let verified = self.verify("/api/auth/verify-otp", person).await?;
                let completed = self.complete_profile(person).await?;
                Ok(hold(person).asked + verified + completed)
            }
            Step::CompleteProfile => self.complete_profile(person).await,
            Step::Profile => self.profile(person).await,
            Step::Refresh => self.refresh(person).await,
            Step::Register => self.register(person).await,
            Step::SignIn => self.sign_in(person).await,
        }
    }

    async fn timed(&mut self, call: Call<'_>) -> Result<(Answer, Duration)> {
        let began = Instant::now();
        let answer = self.connection.send(call).await?;
        Ok((answer, began.elapsed()))
    }

    async fn get(&mut self, path: &str, expected: &str) -> Result<Duration> {
        let (answer, took) = self.timed(Call { path, ..Call::default() }).await?;
        answer.with(expected).map(|_| took)
    }

    async fn ask(&mut self, path: &str, person: &Person) -> Result<Duration> {
        let body = Some(format!(r#"{{"phone_number":"{}"}}"#, person.phone));
        let (answer, took) =
            self.timed(Call { path, body, from: Some(&person.address), ..Call::default() }).await?;
        ensure!(answer.with(SUCCESS)?.contains(&person.phone), "a code for another number");
        Ok(took)
    }

    async fn ask_for(&mut self, path: &str, person: &Shared) -> Result<Duration> {
        let known = hold(person).clone();
        let took = self.ask(path, &known).await?;
        hold(person).asked = took;
        Ok(took)
    }

    async fn verify(&mut self, path: &str, person: &Shared) -> Result<Duration> {
        let known = hold(person).clone();
        ensure!(!known.code.is_empty(), "no code came for {}", known.phone);
        let body = Some(format!(r#"{{"phone_number":"{}","otp_code":"{}"}}"#, known.phone, known.code));
        let (answer, took) =
            self.timed(Call { path, body, from: Some(&known.address), ..Call::default() }).await?;
        let body = answer.with(SUCCESS)?;
        let mut person = hold(person);
        field(body, "token")?.clone_into(&mut person.token);
        field(body, "refresh_token")?.clone_into(&mut person.refresh);
        person.code.clear();
        Ok(took)
    }

    async fn complete_profile(&mut self, person: &Shared) -> Result<Duration> {
        let known = hold(person).clone();
        let call = Call {
            path: "/api/auth/complete-profile",
            body: Some(PROFILE.to_owned()),
            token: Some(&known.token),
            from: Some(&known.address),
        };
        let (answer, took) = self.timed(call).await?;
        ensure!(answer.with(SUCCESS)?.contains(&known.phone), "the profile of another user");
        Ok(took)
    }

    async fn profile(&mut self, person: &Shared) -> Result<Duration> {
        let known = hold(person).clone();
        let call = Call { path: "/api/auth/profile", token: Some(&known.token), ..Call::default() };
        let (answer, took) = self.timed(call).await?;
        ensure!(answer.with("Gaurav Kumar")?.contains(&known.phone), "the profile of another user");
        Ok(took)
    }

    async fn refresh(&mut self, person: &Shared) -> Result<Duration> {
        let used = hold(person).refresh.clone();
        let body = Some(format!(r#"{{"refresh":"{used}"}}"#));
        let (answer, took) = self.timed(Call { path: "/api/auth/refresh", body, ..Call::default() }).await?;
        let next = field(answer.with("\"access\":\"")?, "refresh")?;
        ensure!(next != used, "the refresh token was not replaced");
        next.clone_into(&mut hold(person).refresh);
        Ok(took)
    }

    async fn register(&mut self, person: &Shared) -> Result<Duration> {
        let name = hold(person).username();
        let body = format!(r#"{{"username":"{name}","email":"{name}@example.com","password":"{PASSWORD}"}}"#);
        self.password("/api/auth/register", body).await
    }

    async fn sign_in(&mut self, person: &Shared) -> Result<Duration> {
        let body = format!(r#"{{"username":"{}","password":"{PASSWORD}"}}"#, hold(person).username());
        self.password("/api/auth/login", body).await
    }

    async fn password(&mut self, path: &str, body: String) -> Result<Duration> {
        let (answer, took) = self.timed(Call { path, body: Some(body), ..Call::default() }).await?;
        answer.with("\"access\":\"").map(|_| took)
    }

    /// Gives each user the code of the newest message. One request reads the codes of all, because the inbox looks into the database.
    pub async fn read_codes(&mut self, people: &[Shared]) -> Result<()> {
        let (answer, _) = self.timed(Call { path: "/dev/inbox.json", ..Call::default() }).await?;
        let mut codes = codes(answer.with("\"messages\"").context("the inbox of test mode")?)?;
        for person in people {
            let mut person = hold(person);
            person.code = codes.remove(&person.phone).unwrap_or_default();
        }
        Ok(())
    }
}
