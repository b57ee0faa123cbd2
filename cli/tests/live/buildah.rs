//! Dockerfiles with RUN, built by the real buildah and the real podman on a base image with nothing but a shell.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use longshore_events::types::{BuildFinished, BuildOutcome};
use longshore_events::{Data, Digest};

use crate::forge::git;
use crate::given::compile_service;
use crate::host::Host;
use crate::stage::eventually;

const CONFIG: &str = r#"
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
args = { WHO = "world" }
secrets = ["npm"]
timeout = "15s"
prepare = ["cp", "@PROGRAM@", "service"]
[service.run]
env = { WITNESS = "/dev/null" }
drain = "1s"
stop = "1s"
[[environment]]
name = "live"
deadline = "4s"
settle = "200ms"
"#;

/// A host with one service, and a base image `base:1` in its registry.
struct Shop {
    host: Host,
    folder: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Shop {
    fn open(tool: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let program = compile_service(&folder);
        let config = CONFIG.replace("@PROGRAM@", &program.display().to_string());
        fs::write(folder.join("longshore.toml"), config).unwrap();
        let work = folder.join("work");
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(work.join("broken"), "false").unwrap();
        let path = path_without(&folder.join("path"), if tool == "buildah" { "podman" } else { "buildah" });
        let host = Host::start_with(&folder, &[("PATH", path.to_str().unwrap())]);
        write_secret(&folder.join(".longshore/secrets/npm"));
        let shop = Self { host, folder, _temporary: temporary };
        shop.push_base();
        shop
    }

    /// The system's shell, and the libraries that it needs.
    fn push_base(&self) {
        let base = self.folder.join("base");
        let libraries = Command::new("ldd").args(["/bin/sh", "/bin/sleep"]).output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        let words = libraries.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
        for file in words.chain(["/bin/sh", "/bin/sleep"]) {
            let target = base.join(&file[1..]);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).unwrap();
        }
        fs::write(base.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
        let token = fs::read_to_string(&self.host.ready.token_file).unwrap();
        let target = format!("docker://{}/base:1", self.host.ready.listen);
        let creds = format!("longshore:{}", token.trim());
        self.buildah(&["bud", "--tag", "base", "base"]);
        self.buildah(&["push", "--tls-verify=false", "--creds", &creds, "base", &target]);
    }

    fn buildah(&self, words: &[&str]) {
        let mut command = Command::new("buildah");
        command.current_dir(&self.folder).args(["--root", "own/root", "--runroot", "own/run"]);
        let output = command.args(["--storage-driver", "vfs"]).args(words).output();
        let output = output.expect("`cargo xtask peers` brings buildah");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Commits a Dockerfile with this RUN, and waits until it was built.
    fn build(&self, run: &str, change: &str) -> BuildFinished {
        let work = self.folder.join("work");
        let dockerfile = format!(
            "FROM base:1 AS made\nARG WHO\nRUN --mount=type=secret,id=npm {run}\nFROM scratch\nCOPY --from=made /commit /commit\n\
             COPY service broken /\nENTRYPOINT [\"/service\"]\n"
        );
        fs::write(work.join("Dockerfile"), dockerfile).unwrap();
        // Outside of what is copied into the image.
        fs::write(work.join("change"), change).unwrap();
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "--message", "a change"]);
        let commit = git(&work, &["rev-parse", "HEAD"]);
        let bare = self.folder.join(".longshore/git/shop.git");
        git(&work, &["push", "--quiet", &bare.display().to_string(), "main"]);
        let mut finished = None;
        eventually("the build ends", || {
            finished = self.host.events().into_iter().find_map(|event| match event.data {
                Data::BuildFinished(fact) if fact.commit.as_str() == commit => Some(fact),
                _ => None,
            });
            finished.is_some()
        });
        finished.unwrap()
    }

    /// Nothing is mounted, and nothing could log in any more.
    fn is_clean(&self) {
        let folder = self.folder.display().to_string();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&folder), "{mounts}");
        let logins = self.folder.join(".longshore/build/work/shop/pack/logins.json");
        assert!(!logins.exists());
    }
}

/// A search path with all of the system's programs but one.
fn path_without(folder: &Path, left_out: &str) -> PathBuf {
    fs::create_dir(folder).unwrap();
    for entry in ["/usr/bin", "/usr/sbin"].iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let program = entry.unwrap().path();
        let name = program.file_name().unwrap();
        if name != left_out {
            // The first of two is found.
            let _ = std::os::unix::fs::symlink(&program, folder.join(name));
        }
    }
    folder.to_owned()
}

const SECRET: &str = "planted-secret-4711";

fn write_secret(file: &Path) {
    fs::write(file, SECRET).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The files below a folder, but for the secrets themselves, that hold the secret, compressed or not.
fn hold_the_secret(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && !path.ends_with(".longshore/secrets") {
            found.extend(hold_the_secret(&path));
        } else if kind.is_file() && holds(&fs::read(&path).unwrap()) {
            found.push(path);
        }
    }
    found
}

fn holds(content: &[u8]) -> bool {
    let holds = |content: &[u8]| content.windows(SECRET.len()).any(|found| found == SECRET.as_bytes());
    let mut unpacked = Vec::new();
    // What is not compressed, or not whole, ends it.
    let _ = GzDecoder::new(content).read_to_end(&mut unpacked);
    holds(content) || holds(&unpacked)
}

/// Whether a process has this word on its command line.
fn runs(word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap();
    let lines = processes.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|found| found == word.as_bytes()))
}

fn remove(path: &Path) {
    fs::remove_dir_all(path).unwrap();
}

/// What a build logged.
fn log_of(shop: &Shop, build: &BuildFinished) -> String {
    let log = format!("shop-{}.log", build.commit);
    fs::read_to_string(shop.folder.join(".longshore/build/logs").join(log)).unwrap()
}

/// Builds, deploys, and builds again by one tool: the image's digest.
fn what_run_makes_is_deployed(tool: &str) -> Option<Digest> {
    let shop = Shop::open(tool);
    let run = "read -r secret < /run/secrets/npm; printf hello-$WHO-${#secret} > /commit";
    let first = shop.build(run, "1");
    assert_eq!(first.outcome, BuildOutcome::Succeeded, "{first:?}");
    eventually("the service says what RUN made", || {
        let said = crate::client::body(shop.host.ready.proxy, "shop.live.localhost");
        said.is_ok_and(|said| said == format!("hello-world-{}", SECRET.len()))
    });
    let second = shop.build(run, "2");
    assert_eq!((&second.outcome, &second.digest), (&BuildOutcome::Succeeded, &first.digest));
    eprintln!("{tool}, built again with nothing changed: {:?}", second.times);
    assert!(log_of(&shop, &second).contains("Using cache"));
    remove(&shop.folder.join(".longshore/build/containers"));
    let third = shop.build(run, "3");
    assert_eq!(third.digest, first.digest, "from an empty store too");
    eprintln!("{tool}, from the registry's cache alone: {:?}", third.times);
    shop.is_clean();
    assert_eq!(hold_the_secret(&shop.folder), Vec::<PathBuf>::new());
    first.digest
}

#[test]
fn what_run_makes_is_deployed_and_the_same_files_are_the_same_image() {
    let [buildah, podman] = ["buildah", "podman"].map(what_run_makes_is_deployed);
    assert_eq!(buildah, podman);
}

#[test]
fn a_secret_that_the_host_does_not_have_fails_the_build_by_name() {
    let shop = Shop::open("buildah");
    fs::remove_file(shop.folder.join(".longshore/secrets/npm")).unwrap();
    let failed = shop.build("echo never > /commit", "1");
    let reason = failed.reason.unwrap_or_default();
    assert!(failed.outcome == BuildOutcome::Failed && reason.contains("npm"), "{reason}");
    shop.is_clean();
}

#[test]
fn a_run_that_fails_or_hangs_ends_the_build_and_leaves_nothing() {
    let shop = Shop::open("buildah");
    let failed = shop.build("echo the reason >&2; exit 3", "1");
    let reason = failed.reason.unwrap_or_default();
    assert!(failed.outcome == BuildOutcome::Failed && reason.contains("the reason"), "{reason}");
    assert!(reason.contains("status 3"), "{reason}");
    shop.is_clean();
    let hung = shop.build("sleep 4711.25", "2");
    let reason = hung.reason.unwrap_or_default();
    assert!(hung.outcome == BuildOutcome::Failed && reason.contains("time limit"), "{reason}");
    shop.is_clean();
    assert!(!runs("4711.25"), "what RUN began is ended");
    let good = shop.build("echo again > /commit", "3");
    assert_eq!(good.outcome, BuildOutcome::Succeeded, "{good:?}");
}
