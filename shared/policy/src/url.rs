//! Where git may clone from. An address is given to git as it stands, so nothing may be in it that git would take for an
//! option or a helper program, and no secret: the configuration is committed, printed and logged.

use crate::fault::{Code, Wrong};
use crate::suggest::quoted;

/// The transports that git is allowed; `ext::` and the like run commands.
const SCHEMES: &[&str] = &["https", "http", "ssh", "git", "file"];

/// Checks an address to clone from.
pub(crate) fn clone_url(text: &str) -> Result<String, Wrong> {
    if holds_credentials(text) {
        let way_out = "take them out, and put a deploy key or token into the secrets of the host";
        return Err(
            Wrong::new(Code::Credentials, format!("the url carries credentials: {way_out}")).confidential()
        );
    }
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if plain && (is_url(text) || is_scp(text) || is_folder(text)) {
        return Ok(text.to_owned());
    }
    let wanted =
        "write https://HOST/PATH, ssh://git@HOST/PATH, git@HOST:PATH or the absolute path of a folder";
    Err(Wrong::new(Code::InvalidUrl, format!("{} is not a url to clone from: {wanted}", quoted(text))))
}

/// Checks the address of a forge's API. A token is sent there, so it is `https`, or on this machine.
pub(crate) fn api(text: &str) -> Result<String, Wrong> {
    if holds_credentials(text) {
        let message =
            "the address carries credentials: take them out, and name the token's secret in `token`";
        return Err(Wrong::new(Code::Credentials, message).confidential());
    }
    let plain =
        text.is_ascii() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\\#".contains(c));
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let safe = scheme == "https" || (scheme == "http" && ["localhost", "127.0.0.1", "[::1]"].contains(&host));
    if plain && safe && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    let wanted = "write https://HOST/PATH; http only for this machine";
    Err(Wrong::new(Code::InvalidUrl, format!("{} is not the address of an API: {wanted}", quoted(text))))
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let local = scheme == "file" && authority.is_empty();
    SCHEMES.contains(&scheme)
        && !path.is_empty()
        && !authority.starts_with('-')
        && (local || (!host.is_empty() && !host.starts_with(['-', ':'])))
}

/// `git@host:path`, as scp writes it.
fn is_scp(text: &str) -> bool {
    let Some((login, path)) = text.split_once(':') else { return false };
    let (user, host) = login.split_once('@').unwrap_or(("git", login));
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    word(user) && word(host) && !path.is_empty() && !path.starts_with(['-', ':']) && !path.starts_with("//")
}

fn is_folder(text: &str) -> bool {
    text.starts_with('/') && text.len() > 1
}

/// Whether an address holds a password, a token, or a query (where tokens travel too).
fn holds_credentials(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.split_once(':').is_some_and(|(_, path)| path.contains('@'));
    };
    let login = rest.rsplit_once('@').map(|(login, _)| login);
    let bare_login = scheme == "ssh" && login.is_some_and(|login| !login.contains([':', '/']));
    rest.contains('?') || (login.is_some() && !bare_login)
}

/// Whether a line of the configuration could hold a secret, so that it is not to be shown in an excerpt. Errs on the
/// side of silence: it cannot know where a broken line's text ends.
pub(crate) fn may_hold_credentials(line: &str) -> bool {
    line.match_indices("://").any(|(at, separator)| {
        let rest = &line[at + separator.len()..];
        let bare = rest.split_once('@').is_some_and(|(login, rest)| {
            line[..at].ends_with("ssh") && login.chars().all(char::is_alphanumeric) && !rest.contains('@')
        });
        rest.contains('?') || (rest.contains('@') && !bare)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_may_be_given_passes() {
        for url in [
            "https://github.com/acme/shop.git",
            "http://127.0.0.1:7070/git/shop",
            "ssh://git@github.com:22/acme/shop.git",
            "git@github.com:acme/shop.git",
            "git://example.org/x",
            "file:///srv/git/shop.git",
            "/srv/git/shop.git",
        ] {
            assert_eq!(clone_url(url), Ok(url.to_owned()));
        }
    }

    #[test]
    fn options_helpers_and_nonsense_are_refused() {
        for url in [
            "",
            " ",
            "shop",
            "./shop",
            "/",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "fd::3",
            "https://",
            "https://host",
            "ftp://host/x",
            "ssh://-oProxyCommand=x/y",
            "-x@host:path",
            "host:-path",
            "ssh://git@-oProxyCommand=x/y",
            "host:://x",
            "https://ho st/x",
            "https://host/x\ny",
        ] {
            assert!(clone_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_token_is_sent_over_tls_or_not_away_from_this_machine() {
        for (url, kept) in [
            ("https://api.github.com", "https://api.github.com"),
            ("https://git.example.org:8443/api/v4/", "https://git.example.org:8443/api/v4"),
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            ("http://[::1]:1/api", "http://[::1]:1/api"),
        ] {
            assert_eq!(api(url), Ok(kept.to_owned()));
        }
        for url in [
            "",
            "api.github.com",
            "http://api.github.com",
            "ftp://x/y",
            "https://",
            "https:///x",
            "https://a b",
            "https://a#b",
        ] {
            assert!(api(url).is_err(), "{url}");
        }
        for url in ["https://t0ken@api.github.com", "https://api.github.com?access_token=t0ken"] {
            let wrong = format!("{:?}", api(url).unwrap_err());
            assert!(wrong.contains("Credentials") && !wrong.contains("t0ken"), "{wrong}");
        }
    }

    #[test]
    fn credentials_are_refused_and_never_repeated() {
        for url in [
            "https://hunter2@github.com/acme/shop",
            "https://user:hunter2@github.com/acme/shop",
            "https://user:hun/ter2@github.com/acme/shop",
            "ssh://git:hunter2@github.com/acme/shop",
            "https://github.com/acme/shop?private_token=hunter2",
            "git:hunter2@github.com:acme/shop",
        ] {
            let wrong = format!("{:?}", clone_url(url).unwrap_err());
            assert!(wrong.contains("Credentials") && wrong.contains("confidential: true"), "{wrong}");
            assert!(!wrong.contains("hunter2") && !wrong.contains("ter2"), "{wrong}");
        }
    }

    #[test]
    fn lines_with_logins_in_addresses_are_not_shown() {
        assert!(may_hold_credentials("env = { DATABASE = \"postgres://app:hunter2@db/shop\" }"));
        assert!(may_hold_credentials("url = \"https://hunter2@host/x"));
        assert!(may_hold_credentials("url = \"https://user:hun,ter2@host/x\""));
        assert!(!may_hold_credentials("url = \"ssh://git@host/x\""));
        assert!(!may_hold_credentials("url = \"https://host/x\""));
    }
}
