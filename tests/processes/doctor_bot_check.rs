//! `loopin-auth doctor` on the bot check: whether the provider answers and accepts the secret.

use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{CommandOutput, Folder, run};

const SECRET: &str = "the-provider-secret-of-the-tests";

/// The output, and its lines about the bot check, with a provider that gives this answer.
async fn output_with(provider: &str, answer: ResponseTemplate) -> (CommandOutput, Vec<String>) {
    let server = MockServer::start().await;
    Mock::given(matchers::method("POST"))
        .and(matchers::path("/siteverify"))
        .and(matchers::body_string_contains(format!("secret={SECRET}")))
        .respond_with(answer)
        .mount(&server)
        .await;
    let url = format!("{}/siteverify", server.uri());
    let output = run(
        &Folder::new(),
        &["doctor"],
        &[
            ("BOT_PROOF", provider),
            ("BOT_PROOF_SITE_KEY", "the-site-key"),
            ("BOT_PROOF_SECRET", SECRET),
            ("BOT_PROOF_URL", &url),
            ("BOT_PROOF_HOSTNAMES", "app.example.com"),
        ],
    );
    let lines = lines(&output);
    assert!(!output.out.contains(SECRET) && !output.err.contains(SECRET), "{}", output.out);
    (output, lines)
}

fn lines(output: &CommandOutput) -> Vec<String> {
    output.out.lines().filter(|line| line.contains("  bot proof: ")).map(str::to_owned).collect()
}

fn refused(code: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"success": false, "error-codes": [code]}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_says_whether_it_takes_the_secret() {
    for (provider, answer, word, sentence, code) in [
        ("turnstile", refused("invalid-input-response"), "ok", "accepts the secret", 0),
        ("hcaptcha", refused("invalid-input-response"), "ok", "accepts the secret", 0),
        (
            "turnstile",
            refused("invalid-input-secret"),
            "FAIL",
            "refuses the settings (invalid-input-secret)",
            1,
        ),
        (
            "hcaptcha",
            refused("sitekey-secret-mismatch"),
            "FAIL",
            "refuses the settings (sitekey-secret-mismatch)",
            1,
        ),
        ("turnstile", ResponseTemplate::new(503), "FAIL", "does not answer as it should (server-error)", 1),
        (
            "turnstile",
            ResponseTemplate::new(200).set_body_json(json!({"success": true, "hostname": "app.example.com"})),
            "warn",
            "does not refuse an invalid token",
            0,
        ),
    ] {
        let (output, lines) = output_with(provider, answer).await;
        assert_eq!(lines.len(), 1, "{}", output.out);
        assert!(
            lines[0].starts_with(word) && lines[0].contains(provider) && lines[0].contains(sentence),
            "{lines:?}"
        );
        assert_eq!(output.status.code(), Some(code), "{}", output.out);
    }
}

#[test]
fn work_asks_nobody_and_off_says_nothing() {
    let output = run(&Folder::new(), &["doctor"], &[("BOT_PROOF", "pow"), ("BOT_PROOF_DIFFICULTY", "19")]);
    assert_eq!(lines(&output), ["ok    bot proof: suspicious requests do 19 bits of work"], "{}", output.out);
    let output = run(&Folder::new(), &["doctor"], &[]);
    assert_eq!(lines(&output), Vec::<String>::new(), "{}", output.out);
}
