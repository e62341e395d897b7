//! What a device is called in a list of sessions: the name that the user gave it, or a few words made of its `User-Agent`.

/// The longest name in a list, in characters.
const LONGEST: usize = 60;

/// Browsers by a part of their `User-Agent`. The first that fits counts: most of them also claim to be Chrome or Safari.
const BROWSERS: [(&str, &str); 14] = [
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("UCBrowser/", "UC Browser"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("; wv)", "App"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Systems by a part of the `User-Agent`. An iPhone also names the Mac, and Android also names Linux.
const SYSTEMS: [(&str, &str); 10] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Mac OS X", "Mac"),
    ("iOS", "iOS"),
    ("Darwin", "an Apple device"),
    ("Linux", "Linux"),
];

/// `Chrome on Android`, `Loopin 5.2 on Android`; a name that the app gave the device as it is, but not longer than a list
/// can show. Empty if the device sent nothing.
#[must_use]
pub fn device_name(sent: &str) -> String {
    let sent = sent.trim();
    let system = first_in(&SYSTEMS, sent);
    let program = if sent.starts_with("Mozilla/") {
        Some(first_in(&BROWSERS, sent).unwrap_or("Browser").to_owned())
    } else {
        program(sent)
    };
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program,
        (None, _) => shortened(sent),
    }
}

fn first_in(known: &[(&str, &'static str)], sent: &str) -> Option<&'static str> {
    known.iter().find(|(part, _)| sent.contains(part)).map(|(_, name)| *name)
}

/// `Loopin 5.2` of `Loopin/5.2.1 (Android 15)`; none if the text does not begin with a product and its version.
fn program(sent: &str) -> Option<String> {
    let (name, version) = sent.split_whitespace().next()?.split_once('/')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    let is_version = version.starts_with(|c: char| c.is_ascii_digit());
    let is_dotted = |c: char| c.is_ascii_digit() || c == '.';
    let version = version.split(|c: char| !is_dotted(c)).next()?;
    let version = version.split('.').take(2).collect::<Vec<_>>().join(".");
    (is_name && is_version).then(|| shortened(&format!("{name} {version}")))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_short_name() {
        for (sent, name) in [
            ("", ""),
            ("Pixel 8", "Pixel 8"),
            ("Asha's iPhone", "Asha's iPhone"),
            ("गौरव का फ़ोन", "गौरव का फ़ोन"),
            ("work / home", "work / home"),
            ("a/b", "a/b"),
            ("Loopin/5.2.17 (Android 15)", "Loopin 5.2 on Android"),
            ("Loopin/31 CFNetwork/1568.100.1 Darwin/24.0.0", "Loopin 31 on an Apple device"),
            ("Loopin/5.2 (iPhone; iOS 18.1; Scale/3.00)", "Loopin 5.2 on iPhone"),
            ("okhttp/4.12.0", "okhttp 4.12"),
            ("Dart/3.5 (dart:io)", "Dart 3.5"),
            ("curl/8.5.0", "curl 8.5"),
            ("python-requests/2.32.3", "python-requests 2.32"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0 Mobile Safari/537.36",
                "App on Android",
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-A536E) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/139.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on Mac",
            ),
            ("Mozilla/5.0", "Browser"),
        ] {
            assert_eq!(device_name(sent), name, "{sent}");
        }
        let long = device_name(&"ग".repeat(200));
        assert!(long.chars().count() == LONGEST && long.ends_with('…'), "{long}");
        assert!(device_name(&format!("{}/1", "a".repeat(200))).chars().count() <= LONGEST);
    }
}
