//! A log that cannot be written does not stop the program.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use futures_util::future::join_all;

use crate::{
    server::{Folder, SECRETS, Server, free_port, program, run},
    support::{PHONE, wait_until},
};

/// An output on which every write fails.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a full disk").into()
}

/// A pipe whose reader has closed it.
fn broken() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

async fn lines_lost(server: &Server, metrics: &str) -> u64 {
    let answer = server.client.get(format!("http://{metrics}/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    let line = text.lines().find_map(|line| line.strip_prefix("loopin_log_lines_lost_total "));
    line.expect("the metric").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_write_its_log_goes_on_and_counts() {
    for environment in ["a full disk", "nobody reads"] {
        let target = || if environment == "nobody reads" { broken() } else { full() };
        let folder = Folder::new();
        let metrics = format!("127.0.0.1:{}", free_port());
        let settings = [("METRICS_ADDR", metrics.as_str())];
        let mut server = Server::begin_with(&folder, &settings, target(), target());
        server.ready().await;
        wait_until("the lines of the start are lost", async || lines_lost(&server, &metrics).await > 0).await;
        let before = lines_lost(&server, &metrics).await;
        server.signup(PHONE).await.ok();
        server.verify_otp(PHONE, &server.code_for(PHONE).await).await.ok();
        assert_eq!(server.get("/nowhere").await.status, 404);
        let counted = async || lines_lost(&server, &metrics).await >= before + 3;
        wait_until(&format!("{environment}: the lines are counted"), counted).await;
        server.terminate();
        assert!(server.ended().await.success(), "{environment}: it stops as it should");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_can_be_written_again_says_what_is_missing() {
    let folder = Folder::new();
    let pipe = folder.0.join("log");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    // Opened for reading and writing: opening one end alone waits for the other.
    let reader = File::options().read(true).write(true).open(&pipe).expect("the pipe");
    let writer = || Stdio::from(File::options().write(true).open(&pipe).expect("the pipe"));
    let metrics = format!("127.0.0.1:{}", free_port());
    let settings = [("METRICS_ADDR", metrics.as_str())];
    let mut server = Server::begin_with(&folder, &settings, writer(), writer());
    server.ready().await;
    // The first purge logs its line after the server listens. It is the last line of the start.
    let mut started = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    assert!(started.any(|line| line.contains("old rows were removed")));
    drop(started);
    for _ in 0..3 {
        assert_eq!(server.get("/nowhere").await.status, 404);
    }
    wait_until("the lines are lost", async || lines_lost(&server, &metrics).await == 3).await;
    let reader = File::options().read(true).write(true).open(&pipe).expect("the pipe");
    assert_eq!(server.get("/nowhere").await.status, 404);
    assert_eq!(server.get("/nowhere").await.status, 404);
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    let line = lines.find(|line| line.contains("could not be written")).expect("it says so");
    assert!(line.contains("WARN") && line.contains("lines=3"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stays_and_does_not_read_stops_no_request() {
    let folder = Folder::new();
    let metrics = format!("127.0.0.1:{}", free_port());
    let settings = [("METRICS_ADDR", metrics.as_str()), ("GUARD_REQUESTS_PER_SECOND", "0")];
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let copy = writer.try_clone().expect("the same pipe");
    let mut server = Server::begin_with(&folder, &settings, copy.into(), writer.into());
    server.ready().await;
    // Two megabytes of lines fit into the server's memory.
    let mut rounds = 0;
    while lines_lost(&server, &metrics).await == 0 {
        for answer in join_all((0..500).map(|_| server.get("/nowhere"))).await {
            assert_eq!(answer.status, 404);
        }
        rounds += 1;
        assert!(rounds < 100, "no line is lost");
    }
    // It stops although its last lines are not read.
    server.terminate();
    assert!(server.ended().await.success());
    drop(reader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_is_a_setting() {
    for (settings, has_request, has_start) in [
        (&[("LOG_LEVEL", "warn")][..], false, false),
        (&[("LOG_LEVEL", "warn"), ("RUST_LOG", "warn,loopin_auth::http=info")], true, false),
        (&[("DEBUG", "true"), ("RUST_LOG", "off")], false, false),
        (&[], true, true),
    ] {
        let folder = Folder::new();
        let mut server = Server::start(&folder, settings).await;
        assert_eq!(server.get("/nowhere").await.status, 404);
        server.terminate();
        assert!(server.ended().await.success());
        let log = server.log();
        let found = (log.contains("status=404"), log.contains("listening"));
        assert_eq!(found, (has_request, has_start), "{settings:?}: {log}");
        assert_eq!(log.contains("stopped"), has_start, "the last line is written too");
    }
}

#[test]
fn a_command_writes_its_lines_before_it_prints() {
    let folder = Folder::new();
    let settings = [SECRETS.as_slice(), &[("DEBUG", "true"), ("RUST_LOG", "trace")]].concat();
    let output = run(&folder, &["migrate"], &settings);
    assert!(output.status.success(), "{}", output.err);
    let lines: Vec<&str> = output.out.lines().collect();
    assert!(lines.len() > 2 && lines[lines.len() - 1] == "the database is up to date", "{}", output.out);
    assert!(lines[..lines.len() - 2].iter().all(|line| line.contains("Z ")), "{}", output.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_closed_outputs_serves() {
    let folder = Folder::new();
    let address = format!("127.0.0.1:{}", free_port());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" <&- >&- 2>&-", env!("CARGO_BIN_EXE_loopin-auth")])
        .current_dir(&folder.0)
        .env_clear()
        .env("BIND_ADDR", &address);
    let mut server = Server::spawn(shell, &address);
    server.ready().await;
    server.signup(PHONE).await.ok();
}

#[test]
fn a_server_that_cannot_start_and_cannot_say_why_ends_quietly() {
    for target in [full, broken] {
        let settings = [("OTP_LENGTH", "3")];
        let mut command = program(&Folder::new().0, &[], &settings);
        let status = command.current_dir("/").stdout(target()).stderr(target()).status();
        assert_eq!(status.expect("the program starts").code(), Some(1));
    }
}

fn printed_to(folder: &Folder, arguments: &[&str], target: Stdio) -> Output {
    let child = program(&folder.0, arguments, &SECRETS).stdout(target).stderr(Stdio::piped()).spawn();
    child.expect("the program starts").wait_with_output().expect("the program ends")
}

#[test]
fn a_command_whose_reader_has_gone_ends_quietly_and_one_on_a_full_disk_says_so() {
    let folder = Folder::new();
    assert!(run(&folder, &["migrate"], &SECRETS).status.success());
    for (index, arguments) in [
        &["prefixes"][..],
        &["openapi"],
        &["unlock", PHONE],
        &["migrate"],
        &["purge"],
        &["keys", "generate"],
        &["--help"],
        &["--version"],
    ]
    .into_iter()
    .enumerate()
    {
        let mut all = arguments.to_vec();
        let out = format!("{index}.pem");
        if arguments[0] == "keys" {
            all.extend(["--out", &out]);
        }
        let gone = printed_to(&folder, &all, broken());
        let line = String::from_utf8_lossy(&gone.stderr);
        assert_eq!((gone.status.code(), line.as_ref()), (Some(0), ""), "{arguments:?}");
    }
    for arguments in [&["prefixes"][..], &["openapi"], &["unlock", PHONE], &["migrate"], &["purge"]] {
        let full = printed_to(&folder, arguments, full());
        let line = String::from_utf8_lossy(&full.stderr);
        assert_eq!(full.status.code(), Some(1), "{arguments:?}: {line}");
        assert!(line.contains("cannot be printed") && !line.contains("panicked"), "{arguments:?}: {line}");
    }
    // Whatever the result is, nothing is on standard error and there is no panic.
    let doctor = printed_to(&folder, &["doctor"], broken());
    assert!(doctor.status.code().is_some_and(|code| code < 2), "{:?}", doctor.status);
    assert!(doctor.stderr.is_empty(), "{}", String::from_utf8_lossy(&doctor.stderr));
}

/// The values of a field in the lines with this text.
fn numbers(log: &str, text: &str, field: &str) -> Vec<u64> {
    let lines = log.lines().filter(|line| line.contains(text));
    let number = |line: &str| {
        let digits = line.split(field).nth(1)?.chars().take_while(char::is_ascii_digit).collect::<String>();
        digits.parse().ok()
    };
    lines.map(|line| number(line).unwrap_or_else(|| panic!("no {field} in {line}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_a_few_lines_of_the_log_whatever_it_asks_for() {
    let origin = "https://app.example.com";
    let folder = Folder::new();
    let settings =
        [("GUARD_REQUESTS_PER_SECOND", "1"), ("GUARD_BURST", "3"), ("CORS_ALLOWED_ORIGINS", origin)];
    let mut server = Server::start(&folder, &settings).await;
    let url = |path: &str| format!("{}{path}", server.base);
    let (mut refused, mut let_through) = (0, 0);
    for number in 0..200 {
        // A preflight is answered before anything else, but the flood control counts it too.
        let request = if number % 2 == 0 {
            server.client.get(url("/api/auth/event-interests"))
        } else {
            let preflight = server.client.request(reqwest::Method::OPTIONS, url("/api/auth/profile"));
            preflight.header("origin", origin).header("access-control-request-method", "PUT")
        };
        let answer = request.send().await.expect("an answer");
        match answer.status().as_u16() {
            429 => refused += 1,
            _ => let_through += 1,
        }
        server
            .client
            .get(url("/api/health"))
            .send()
            .await
            .expect("an answer")
            .error_for_status()
            .expect("200");
    }
    assert!(refused > 100, "{refused} of 200 were refused");
    server.terminate();
    assert!(server.ended().await.success());
    let log = server.log();
    let counts = numbers(&log, "a flood: requests of this address are refused", "times=");
    assert_eq!(counts.iter().sum::<u64>(), refused, "{log}");
    assert!(log.contains("address=\"127.0.0.1\""), "{log}");
    let lines = numbers(&log, ": request ", "status=");
    assert_eq!(u64::try_from(lines.len()).expect("a number"), let_through, "{log}");
    assert!(!lines.contains(&429), "{log}");
    // At most one in ten seconds.
    assert!(counts.len() <= 1 + lines.len() / 10, "{} lines: {log}", counts.len());
}
