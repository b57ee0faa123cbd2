//! Dockerfiles with RUN, built by the real buildah on a base image with nothing but a shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_events::Data;
use longshore_events::types::{BuildFinished, BuildOutcome};

use crate::forge::git;
use crate::host::Host;
use crate::stage::{compile_service, eventually};

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
    fn open() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let program = compile_service(&folder);
        let config = CONFIG.replace("@PROGRAM@", &program.display().to_string());
        fs::write(folder.join("longshore.toml"), config).unwrap();
        let work = folder.join("work");
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(work.join("broken"), "false").unwrap();
        let shop = Self { host: Host::start(&folder), folder, _temporary: temporary };
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
            "FROM base:1 AS made\nARG WHO\nRUN {run}\nFROM scratch\nCOPY --from=made /commit /commit\n\
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

    /// Nothing is mounted, runs, or could log in any more.
    fn is_clean(&self) {
        let folder = self.folder.display().to_string();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&folder), "{mounts}");
        let logins = self.folder.join(".longshore/build/work/shop/pack/logins.json");
        assert!(!logins.exists());
        assert!(!runs("4711.25"), "what RUN began is ended");
    }
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

#[test]
fn what_run_makes_is_deployed_and_the_same_files_are_the_same_image() {
    let shop = Shop::open();
    let first = shop.build("printf hello-$WHO > /commit", "1");
    assert_eq!(first.outcome, BuildOutcome::Succeeded, "{first:?}");
    eventually("the service says what RUN made", || {
        let said = crate::client::body(shop.host.ready.proxy, "shop.live.localhost");
        said.is_ok_and(|said| said == "hello-world")
    });
    let second = shop.build("printf hello-$WHO > /commit", "2");
    assert_eq!((&second.outcome, &second.digest), (&BuildOutcome::Succeeded, &first.digest));
    let log = shop.folder.join(".longshore/build/logs").join(format!("shop-{}.log", second.commit));
    assert!(fs::read_to_string(log).unwrap().contains("Using cache"));
    remove(&shop.folder.join(".longshore/build/containers"));
    let third = shop.build("printf hello-$WHO > /commit", "3");
    assert_eq!(third.digest, first.digest, "from an empty store too");
    shop.is_clean();
}

#[test]
fn a_run_that_fails_or_hangs_ends_the_build_and_leaves_nothing() {
    let shop = Shop::open();
    let failed = shop.build("echo the reason >&2; exit 3", "1");
    let reason = failed.reason.unwrap_or_default();
    assert!(failed.outcome == BuildOutcome::Failed && reason.contains("the reason"), "{reason}");
    assert!(reason.contains("status 3"), "{reason}");
    shop.is_clean();
    let hung = shop.build("sleep 4711.25", "2");
    let reason = hung.reason.unwrap_or_default();
    assert!(hung.outcome == BuildOutcome::Failed && reason.contains("time limit"), "{reason}");
    shop.is_clean();
    let good = shop.build("echo again > /commit", "3");
    assert_eq!(good.outcome, BuildOutcome::Succeeded, "{good:?}");
}
