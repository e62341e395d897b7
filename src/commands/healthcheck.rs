//! `loopin-auth healthcheck`: asks a running server whether it answers. For containers, whose images have no other HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use reqwest::{Client, Url, redirect};

use super::{
    CommandError, Context,
    output::{print, print_error},
    runtime, with_causes,
};
use crate::config::Config;

/// A server that takes longer is not healthy. Docker waits 30 seconds for a probe, Kubernetes one.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the address, or else the server with the settings of this process. Prints one line.
///
/// # Errors
/// When the client cannot be made, or the line cannot be written.
pub fn run(context: &Context, url: Option<String>) -> Result<ExitCode, CommandError> {
    // A server that runs has right settings. Those of this process only say where it is.
    let (config, _) = context.inspect_config();
    // Its own certificate is for the name that clients use, not for this address. Nothing secret is sent.
    let is_own = url.is_none();
    let url = url.unwrap_or_else(|| own_url(&config));
    let shown = shown(&url);
    let client = Client::builder()
        .user_agent("loopin-auth healthcheck")
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .tls_danger_accept_invalid_certs(is_own)
        .build()?;
    // The timer of the request needs the runtime from the beginning.
    match runtime()?.block_on(async { client.get(&url).send().await }) {
        Ok(answer) if answer.status().is_success() => {
            print(format_args!("healthy: {shown} answers {}\n", answer.status().as_u16()))?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(answer) => {
            print_error(format_args!("unhealthy: {shown} answers {}\n", answer.status().as_u16()));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            print_error(format_args!("unhealthy: {shown}: {}\n", with_causes(&error.without_url())));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The scheme, host, port and path: a user, a password or a query can be secret.
fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Ok(_) | Err(_) => "the value of --url".to_owned(),
    }
}

/// Where the server answers on this machine.
fn own_url(config: &Config) -> String {
    let address = config.bind_addr;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}/api/health", SocketAddr::new(ip, address.port()))
}
