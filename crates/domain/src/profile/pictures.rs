//! The URLs of a user's pictures. They are stored and returned; this service never fetches one.

use std::collections::HashSet;

use url::Url;
use validator::ValidateLength;

use super::{FieldErrors, ok_unless, public_host::is_public, text::is_deceptive};

/// The fewest pictures of a profile, from the contract.
const MIN: u64 = 1;

/// The most pictures of a profile, from the contract.
const MAX: u64 = 6;

/// The most characters of one URL, from the contract. Counted in the stored text, not in the parser's normal form.
const MAX_CHARS: u64 = 2048;

/// The hosts that a picture may be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureHosts {
    /// Any host, for `dev`, where pictures may be on the developer's machine.
    Any,
    /// Only hosts of the public internet, for `prod`, so that a client that loads a picture is not directed into its
    /// own network.
    ///
    /// A name is judged by its spelling. Only a lookup shows whether it resolves to a private address, so a server
    /// that fetches pictures must check again.
    PublicOnly,
}

/// One to six distinct `http` or `https` URLs of at most 2,048 characters each (the contract's limits).
///
/// Each is stored as sent, without the white space around it.
#[derive(Clone, PartialEq, Eq)]
pub struct PictureUrls(Vec<String>);

personal!(PictureUrls);

impl PictureUrls {
    /// Reads the URLs. Two are the same if their normal forms are equal: `HTTPS://CDN.company:443` and
    /// `https://cdn.company/`.
    ///
    /// # Errors
    ///
    /// All errors: no URL, too many, a repeated one, and the errors of each URL with its number. Only the first six
    /// URLs are read, which bounds the length of the answer.
    pub fn parse(raw: &[String], hosts: PictureHosts) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        if !raw.validate_length(Some(MIN), None, None) {
            errors.push("At least one profile picture is needed".into());
        }
        if !raw.validate_length(None, Some(MAX), None) {
            errors.push(format!("At most {MAX} profile pictures may be given"));
        }

        let mut seen = HashSet::new();
        let mut repeated = false;
        for (number, text) in (1..=MAX).zip(raw) {
            match parse_one(text, hosts) {
                Ok(url) => repeated |= !seen.insert(url),
                Err(ends) => {
                    errors.extend(ends.into_iter().map(|end| format!("Profile picture {number} {end}")));
                }
            }
        }
        if repeated {
            errors.push("Each profile picture may be given only once".into());
        }
        ok_unless(errors, Self(raw.iter().map(|text| text.trim().to_owned()).collect()))
    }

    /// The URLs in the order sent.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// The normal form of one URL, or its errors, each without the beginning of the sentence.
fn parse_one(raw: &str, hosts: PictureHosts) -> Result<Url, FieldErrors> {
    let text = raw.trim();
    let mut errors = FieldErrors::new();
    if !text.validate_length(None, Some(MAX_CHARS), None) {
        errors.push(format!("must be at most {MAX_CHARS} characters long"));
    }
    // The parser drops line breaks, and reads a backslash as a slash where others read it as part of a name:
    // https://cdn.company\@localhost/ has two hosts. After this check all parsers agree on the URL.
    if raw.contains(char::is_control)
        || text.contains(|c: char| c.is_whitespace() || c == '\\' || is_deceptive(c))
    {
        errors.push("must not contain spaces, control characters or backslashes".into());
        return Err(errors);
    }
    let Some(authority) = authority(text) else {
        errors.push("must be an http or https URL".into());
        return Err(errors);
    };
    // Checked in the text, because the parser drops an empty user name.
    if authority.contains('@') {
        errors.push("must not contain a user name or password".into());
    }
    match Url::parse(text) {
        Err(_) => errors.push("must be a URL with a valid host".into()),
        Ok(url) if is_allowed(hosts, &url) => return ok_unless(errors, url),
        Ok(_) => errors.push("must be on a public host".into()),
    }
    Err(errors)
}

/// The part between `http://` or `https://` and the path, if the text begins with one of these. The parser would also
/// accept `https:cdn.company` and any number of slashes.
fn authority(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next()?;
    (known && !authority.is_empty()).then_some(authority)
}

fn is_allowed(hosts: PictureHosts, url: &Url) -> bool {
    match hosts {
        PictureHosts::Any => true,
        PictureHosts::PublicOnly => url.host().is_some_and(|host| is_public(&host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACES: &str = "Profile picture 1 must not contain spaces, control characters or backslashes";
    const SCHEME: &str = "Profile picture 1 must be an http or https URL";
    const HOST: &str = "Profile picture 1 must be a URL with a valid host";
    const USER: &str = "Profile picture 1 must not contain a user name or password";
    const LONG: &str = "Profile picture 1 must be at most 2048 characters long";
    const PUBLIC: &str = "Profile picture 1 must be on a public host";

    fn errors(urls: &[&str], hosts: PictureHosts) -> FieldErrors {
        let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
        PictureUrls::parse(&urls, hosts).err().unwrap_or_default()
    }

    #[test]
    fn addresses_that_pass_everywhere() {
        for url in [
            "https://cdn.company/a.jpg", // a top-level domain of seven letters
            "http://example.com",
            "HTTPS://Example.COM/A.jpg",
            "https://cdn.example.com:8443/p/a.jpg?w=1&h=2#top",
            "https://cdn.example.com/@asha/a.jpg", // not a user name
            "https://cdn.example.com/a%20b.jpg",
            "https://cdn.example.com/गौरव.jpg",
            "https://भारत.भारत/a.jpg",
            "https://8.8.8.8/a.jpg",
            "https://[2606:4700::1111]/a.jpg",
            "https://cdn.example.com?u=http://localhost/",
        ] {
            assert_eq!(errors(&[url], PictureHosts::PublicOnly), FieldErrors::new(), "{url}");
            assert_eq!(errors(&[url], PictureHosts::Any), FieldErrors::new(), "{url}");
        }
    }

    #[test]
    fn addresses_that_pass_nowhere() {
        for (url, why) in [
            ("", SCHEME),
            ("cdn.company/a.jpg", SCHEME),
            ("//cdn.company/a.jpg", SCHEME),
            ("ftp://cdn.company/a.jpg", SCHEME),
            ("javascript:alert(1)", SCHEME),
            ("javascript://cdn.company/%0aalert(1)", SCHEME),
            ("data:image/png;base64,AAAA", SCHEME),
            ("file:///etc/passwd", SCHEME),
            ("https:cdn.company/a.jpg", SCHEME), // the parser would accept it
            ("https:/cdn.company/a.jpg", SCHEME),
            ("https:///cdn.company/a.jpg", SCHEME), // the parser would accept it; others see no host
            ("https://", SCHEME),
            ("https://?a", SCHEME),
            ("https://#a", SCHEME),
            ("https://:443/a.jpg", HOST),
            ("https://cdn.company:70000/a.jpg", HOST),
            ("https://999.999.999.999/a.jpg", HOST),
            ("https://1.2.3.4.5/a.jpg", HOST),
            ("https://[::1/a.jpg", HOST),
            ("https://[fe80::1%25eth0]/a.jpg", HOST),
            ("https://cdn<b>.company/a.jpg", HOST),
            ("https://cdn%00.company/a.jpg", HOST),
            ("https://asha@cdn.company/a.jpg", USER),
            ("https://asha:secret@cdn.company/a.jpg", USER),
            ("https://@cdn.company/a.jpg", USER), // empty, which the parser drops
            ("https://:@cdn.company/a.jpg", USER),
            ("https://cdn.company\\@localhost/", SPACES), // two hosts, depending on the parser
            ("https:\\\\cdn.company\\a.jpg", SPACES),
            ("https://cdn.company/a b.jpg", SPACES),
            ("https://cdn.company/a\u{a0}b.jpg", SPACES),
            ("https://cdn.com\npany/a.jpg", SPACES), // the parser drops the line break
            ("https://cdn.company/a.jpg\n", SPACES), // trimming does not remove it
            ("\thttps://cdn.company/a.jpg", SPACES),
            ("https://cdn.company/\0", SPACES),
            ("https://cdn.company/\u{202e}gpj.exe", SPACES),
        ] {
            assert_eq!(errors(&[url], PictureHosts::PublicOnly), [why], "{url:?}");
            assert_eq!(errors(&[url], PictureHosts::Any), [why], "{url:?}");
        }
    }

    #[test]
    fn hosts_that_only_dev_takes() {
        for url in [
            "http://localhost:8000/a.jpg",
            "http://169.254.169.254/latest/meta-data/",
            "http://2130706433/a.jpg",    // 127.0.0.1 as one number
            "http://0x7f.1/a.jpg",        // and in two parts
            "http://0177.0.0.1/a.jpg",    // and in octal
            "http://%31%32%37.0.0.1/",    // and with percents
            "http://１２７。０。０。１/", // and in the wide digits of East Asia
            "http://ⓛocalhost/a.jpg",
            "http://loc\u{ad}alhost/a.jpg",
            "http://127.0.0.1./a.jpg",
            "http://[::ffff:10.0.0.1]/a.jpg",
            "http://nas/a.jpg",
        ] {
            assert_eq!(errors(&[url], PictureHosts::PublicOnly), [PUBLIC], "{url}");
            assert_eq!(errors(&[url], PictureHosts::Any), FieldErrors::new(), "{url}");
        }
    }

    #[test]
    fn at_most_2048_characters() {
        for (letter, count, why) in [("a", 2048, vec![]), ("a", 2049, vec![LONG]), ("é", 2048, vec![])] {
            let start = "https://cdn.company/";
            let url = format!("  {start}{} ", letter.repeat(count - start.len()));
            assert_eq!(errors(&[&url], PictureHosts::Any), why, "{letter} {count}");
        }
        let all = format!("http://asha@localhost/{}", "a".repeat(20_000));
        assert_eq!(errors(&[&all], PictureHosts::PublicOnly), [LONG, USER, PUBLIC]);
    }

    #[test]
    fn one_to_six() {
        let urls: Vec<String> = (0..7).map(|n| format!("https://cdn.company/{n}.jpg")).collect();
        for (count, why) in [
            (0, vec!["At least one profile picture is needed"]),
            (1, vec![]),
            (6, vec![]),
            (7, vec!["At most 6 profile pictures may be given"]),
        ] {
            let found = PictureUrls::parse(&urls[..count], PictureHosts::PublicOnly).err();
            assert_eq!(found.unwrap_or_default(), why, "{count}");
        }
        // The answer stays short for any number of URLs.
        assert_eq!(errors(&vec!["x"; 5000], PictureHosts::Any).len(), 7);
    }

    #[test]
    fn distinct_by_their_normal_form() {
        let twice = ["Each profile picture may be given only once"];
        for same in [
            "https://cdn.company/a.jpg",
            " https://cdn.company/a.jpg ",
            "HTTPS://CDN.Company/a.jpg",
            "https://cdn.company:443/a.jpg",
            "https://cdn.company/b/../a.jpg",
        ] {
            assert_eq!(errors(&["https://cdn.company/a.jpg", same], PictureHosts::Any), twice, "{same}");
        }
        for other in
            ["https://cdn.company/A.jpg", "http://cdn.company/a.jpg", "https://cdn.company/a.jpg?w=1"]
        {
            assert_eq!(
                errors(&["https://cdn.company/a.jpg", other], PictureHosts::Any),
                FieldErrors::new(),
                "{other}"
            );
        }
    }

    #[test]
    fn each_fault_has_the_number_of_its_picture() {
        assert_eq!(
            errors(&["https://cdn.company/", "x", "http://10.0.0.1/"], PictureHosts::PublicOnly),
            ["Profile picture 2 must be an http or https URL", "Profile picture 3 must be on a public host"],
        );
    }

    #[test]
    fn addresses_are_kept_as_they_were_sent() {
        let urls = ["  HTTPS://CDN.company/Ä.jpg ".to_owned(), "https://cdn.company".to_owned()];
        let parsed = PictureUrls::parse(&urls, PictureHosts::PublicOnly).unwrap();
        assert_eq!(parsed.as_slice(), ["HTTPS://CDN.company/Ä.jpg", "https://cdn.company"]);
        assert_eq!(format!("{parsed:?}"), "PictureUrls(..)");
    }
}
