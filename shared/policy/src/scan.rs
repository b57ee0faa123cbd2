//! How images are looked into: what looks, by which advisories, and how often.

use crate::read::Keys;
use crate::{rules, url};

/// What looks into images, and whether that is Trivy.
const SCANNERS: &[(&str, bool)] = &[("built-in", false), ("trivy", true)];
/// After how long images that run are looked at again, where nothing else is said: a day.
const AGAIN_MS: u64 = 24 * 3_600_000;

/// How images are looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The folder of advisories in OSV's JSON, relative to the configuration file; `None` when there is none.
    pub advisories: Option<String>,
    /// How long a scan may take, in milliseconds.
    pub timeout_ms: u64,
    /// After how long an image that runs is looked at again, in milliseconds; `None`: never.
    pub again_ms: Option<u64>,
    /// How Trivy is asked; `None` where the host's own scanner looks.
    pub trivy: Option<Trivy>,
}

/// How Trivy is asked on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trivy {
    /// Its program.
    pub program: String,
    /// The folder with a database that is used as it is, relative to the configuration file.
    pub cache: Option<String>,
    /// The server that has the database.
    pub server: Option<String>,
    /// The name of the secret with the server's token.
    pub token: Option<String>,
    /// How old advisories may be, in milliseconds.
    pub max_age_ms: u64,
}

/// `[scan]`.
pub(crate) fn scan(keys: &Keys<'_>) -> Option<Scan> {
    let advisories = keys.parsed("advisories", rules::folder);
    let is_trivy = keys.parsed("scanner", |text| rules::choice(text, "scanner", SCANNERS))?;
    let asked = keys.table("trivy").and_then(|keys| trivy(&keys))?;
    let trivy = is_trivy.then_some(asked);
    // The host's own rules find the same tomorrow; advisories do not.
    let again_ms = match keys.millis("again") {
        None if advisories.is_some() || trivy.is_some() => Some(AGAIN_MS),
        given => given,
    };
    Some(Scan { advisories, timeout_ms: keys.millis("timeout")?, again_ms, trivy })
}

fn trivy(keys: &Keys<'_>) -> Option<Trivy> {
    let (server, token) = (keys.parsed("server", url::api), keys.parsed("token", rules::secret));
    Some(Trivy {
        program: keys.parsed("program", rules::folder)?,
        cache: keys.parsed("cache", rules::folder),
        server,
        token,
        max_age_ms: keys.millis("max_age")?,
    })
}
