//! An authenticator app (RFC 6238), and setting one up for an account.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use loopin_auth::{
    domain::{
        address::ClientAddress,
        roles::AdminPermission,
        second_factor::{EnrolmentToken, FactorCode, LINK_LIFE},
    },
    flows::second_factor::{self, Enrolled, Offer, Reset},
};
use sha1::Sha1;
use uuid::Uuid;

use super::TestServer;

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// An authenticator app with the secret of one account, and the account's recovery codes.
#[derive(Debug, Clone)]
pub struct Authenticator {
    secret: Vec<u8>,
    pub recovery_codes: Vec<String>,
}

impl Authenticator {
    /// An app into which this secret was typed.
    pub fn new(base32: &str) -> Self {
        let (mut secret, mut word, mut bits) = (Vec::new(), 0_usize, 0);
        for letter in base32.chars().filter(|letter| !letter.is_whitespace()) {
            word = word << 5 | ALPHABET.find(letter).expect("base32");
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                secret.push(u8::try_from(word >> bits & 255).expect("a byte"));
            }
        }
        assert_eq!(secret.len(), 20, "a secret has 160 bits");
        Self { secret, recovery_codes: Vec::new() }
    }

    /// The code that the app shows at this time.
    pub fn code_at(&self, time: DateTime<Utc>) -> String {
        let step = (time.timestamp() / 30).to_be_bytes();
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.secret).expect("a key of any length");
        mac.update(&step);
        let digest = mac.finalize().into_bytes();
        let start = usize::from(digest[19] & 15);
        let word = u32::from_be_bytes(digest[start..start + 4].try_into().expect("four bytes"));
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }

    /// The code that the app shows now.
    pub fn code(&self, server: &TestServer) -> String {
        self.code_at(server.now())
    }

    /// A code that is wrong at this time.
    pub fn wrong(&self, server: &TestServer) -> String {
        let now = server.now().timestamp();
        let near: Vec<String> = (-2..=2)
            .map(|step| self.code_at(DateTime::from_timestamp(now + 30 * step, 0).expect("a time")))
            .collect();
        (0..10)
            .map(|number: u32| format!("{number:06}"))
            .find(|code| !near.contains(code))
            .expect("a wrong code")
    }
}

impl TestServer {
    /// An enrolment link for this account, as an operator makes one.
    pub async fn enrolment_link(&self, user_id: &str) -> EnrolmentToken {
        let id: Uuid = user_id.parse().expect("an id");
        match second_factor::reset(&self.services, id, AdminPermission::by_command()).await {
            Ok(Reset::Done { link, .. }) => link,
            other => panic!("{other:?}"),
        }
    }

    /// Sets up a second factor for this account. The code of the current step is used: the clock moves to the next one.
    pub async fn enrol(&self, user_id: &str) -> Authenticator {
        let token = self.enrolment_link(user_id).await;
        let Ok(Offer::Live { secret, .. }) = second_factor::offer(&self.services, &token).await else {
            panic!("the link works");
        };
        let mut app = Authenticator::new(&secret.base32());
        let code = FactorCode::parse(&app.code(self)).expect("a code");
        let from = ClientAddress::new([203, 0, 113, 7].into());
        let Ok(Enrolled::Done(codes)) = second_factor::enrol(&self.services, token, code, from).await else {
            panic!("the code is right");
        };
        app.recovery_codes =
            codes.iter().map(loopin_auth::domain::second_factor::RecoveryCode::shown).collect();
        self.advance(30);
        app
    }

    /// How long an enrolment link works, in seconds.
    pub fn link_life() -> i64 {
        LINK_LIFE.num_seconds()
    }
}
