//! The stage of a story: a forge, a configuration with a service for each of its repositories, and a host.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use longshore_cli::demo::facts::{Facts, Fate};
use longshore_ports::Secret;

use crate::forge::{Forge, Push, full_name};
use crate::given::compile_service;
use crate::host::Host;
use crate::{client, common};

/// What a command said, and whether it was done.
pub(crate) struct Said {
    pub(crate) good: bool,
    pub(crate) text: String,
}

/// A folder with all of it.
pub(crate) struct Stage {
    // Before the folder: what runs in it ends first.
    pub(crate) host: Host,
    pub(crate) forge: Forge,
    pub(crate) folder: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Stage {
    /// So many services, `s0` and on, in the environment `live`; `more` is added to the configuration.
    pub(crate) fn set(services: usize, more: &str) -> Self {
        Self::set_with(services, "", more)
    }

    /// With these keys of each service.
    pub(crate) fn set_with(services: usize, keys: &str, more: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let forge = Forge::new(folder.join("forge"), services);
        let program = compile_service(&folder);
        let mut text = String::from(HEAD);
        for service in 0..services {
            text += &section(service, keys, &folder, &forge, &program);
        }
        std::fs::write(folder.join("longshore.toml"), text + more).unwrap();
        let host = Host::start(&folder);
        Self { host, forge, folder, temporary: Some(temporary) }
    }

    /// The file that the service and its builds testify in.
    pub(crate) fn witness(&self, service: usize) -> PathBuf {
        witness(&self.folder, service)
    }

    /// What webhooks are signed with.
    pub(crate) fn secret(&self) -> Secret {
        let secret = std::fs::read_to_string(self.folder.join(".longshore/secrets/github")).unwrap();
        Secret::new(secret.trim())
    }

    /// Pushes, and delivers the webhook.
    pub(crate) fn push(&self, service: usize, number: usize) -> Push {
        let push = self.forge.push(service, number, false);
        assert_eq!(crate::forge::send(self.host.ready.listen, &self.secret(), &push).unwrap(), "202");
        push
    }

    /// Pushes a release that errs, and delivers the webhook.
    pub(crate) fn push_erring(&self, service: usize, number: usize) -> Push {
        let push = self.forge.push_with(service, number, "errs");
        assert_eq!(crate::forge::send(self.host.ready.listen, &self.secret(), &push).unwrap(), "202");
        push
    }

    /// Runs `longshore` against the host.
    pub(crate) fn longshore(&self, words: &[&str]) -> Output {
        let output = common::longshore(&self.folder, words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Puts a secret where the host finds it.
    pub(crate) fn keep_secret(&self, name: &str, secret: &str) {
        let file = self.folder.join(".longshore/secrets").join(name);
        std::fs::write(&file, secret).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What `longshore` says to somebody with this token.
    pub(crate) fn as_person(&self, token: &str, words: &[&str]) -> Said {
        let output = common::longshore(&self.folder, words).env("LONGSHORE_TOKEN", token).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { good: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts(self.host.events())
    }

    /// Waits until a commit was rolled out.
    pub(crate) fn runs(&self, commit: &str) {
        eventually(&format!("{commit} runs"), || self.facts().fate(commit) == Some(Fate::Ran));
    }

    /// Who answers for a service, by its name.
    pub(crate) fn answer(&self, service: &str) -> Option<String> {
        client::ask(self.host.ready.proxy, &format!("{service}.live.localhost")).ok()
    }

    /// Leaves the folder for whoever wants to look.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.temporary.take().map(tempfile::TempDir::keep).unwrap_or_default()
    }
}

const HEAD: &str = r#"
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"
ref_check = "5s"
[[source]]
name = "github"
provider = "github"
[[environment]]
name = "live"
deadline = "4s"
settle = "200ms"
"#;

fn section(service: usize, keys: &str, folder: &Path, forge: &Forge, program: &Path) -> String {
    let (name, url, witness) = (full_name(service), forge.bare(service), witness(folder, service));
    let mut text = String::new();
    let _ = write!(
        text,
        r#"
[[repository]]
name = "{name}"
url = "{url}"
[[service]]
name = "s{service}"
repository = "{name}"
prepare = ["sh", "-c", '''
    echo "prepare $LONGSHORE_COMMIT $$" >> "$1"
    cp "$2" service && if [ -e same ]; then cp same commit; else printf %s "$LONGSHORE_COMMIT" > commit; fi
''', "prepare", "{witness}", "{program}"]
{keys}
[service.run]
ready = {{ path = "/ready" }}
env = {{ WITNESS = "{witness}" }}
drain = "1s"
stop = "1s"
"#,
        url = url.display(),
        witness = witness.display(),
        program = program.display(),
    );
    text
}

fn witness(folder: &Path, service: usize) -> PathBuf {
    folder.join(format!("witness-s{service}.log"))
}

/// Looks until it holds: for what says nothing by itself.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
