//! A disk that is full in the middle of a deployment.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_cli::demo::facts::{Facts, Fate};

use crate::client;
use crate::common::disk::Disk;
use crate::forge::git;
use crate::given::compile_service;
use crate::host::Host;
use crate::stage::eventually;

/// `size` is a file of zeros that an image brings: small while it travels, large when it is unpacked.
const CONFIG: &str = r#"
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
prepare = ["sh", "-c", '''
    touch "$1/building"; while [ -e "$1/hold" ]; do sleep 0.1; done
    cp "$1/service" service; printf %s "$LONGSHORE_COMMIT" > commit; truncate --size="$(cat size)" zeros
''', "prepare", "@FOLDER@"]
[service.run]
env = { WITNESS = "/dev/null" }
drain = "1s"
stop = "1s"
[[environment]]
name = "live"
deadline = "4s"
settle = "200ms"
"#;

const DOCKERFILE: &str =
    "FROM scratch\nCOPY service /\nCOPY commit broken zeros /\nENTRYPOINT [\"/service\"]\n";

struct Shop {
    host: Host,
    folder: PathBuf,
}

impl Shop {
    fn open(folder: &Path) -> Self {
        compile_service(folder);
        fs::write(folder.join("longshore.toml"), CONFIG.replace("@FOLDER@", folder.to_str().unwrap()))
            .unwrap();
        let work = folder.join("work");
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        fs::write(work.join("Dockerfile"), DOCKERFILE).unwrap();
        fs::write(work.join("broken"), "false").unwrap();
        Self { host: Host::start(folder), folder: folder.to_owned() }
    }

    fn push(&self, size: &str) -> String {
        let work = self.folder.join("work");
        fs::write(work.join("size"), size).unwrap();
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "--message", size]);
        let token = fs::read_to_string(&self.host.ready.token_file).unwrap();
        let url = format!("http://longshore:{}@{}/git/shop.git", token.trim(), self.host.ready.listen);
        git(&work, &["push", "--quiet", &url, "main"]);
        git(&work, &["rev-parse", "HEAD"])
    }

    fn runs(&self, commit: &str) {
        eventually(&format!("{commit} runs"), || Facts(self.host.events()).fate(commit) == Some(Fate::Ran));
        assert!(self.answers(commit));
    }

    fn answers(&self, commit: &str) -> bool {
        let answer = client::ask(self.host.ready.proxy, "shop.live.localhost");
        answer.is_ok_and(|answer| answer == commit)
    }
}

#[test]
fn a_disk_full_while_an_image_is_pushed_or_unpacked_is_named_and_the_deployment_ends_well_when_there_is_room()
{
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().canonicalize().unwrap();
    let Some(disk) = Disk::mount(&folder.join(".longshore"), 64) else {
        return eprintln!("skipped: this user may not mount a file system");
    };
    let shop = Shop::open(&folder);
    let first = shop.push("0");
    shop.runs(&first);

    // No room for what is built.
    fs::write(folder.join("hold"), "").unwrap();
    fs::remove_file(folder.join("building")).unwrap();
    let second = shop.push("1");
    eventually("it is being built", || folder.join("building").exists());
    disk.fill();
    fs::remove_file(folder.join("hold")).unwrap();
    let log = folder.join("host.log");
    eventually("the full disk is named", || fs::read_to_string(&log).unwrap().contains("disk is full"));
    assert!(shop.answers(&first));
    disk.free();
    shop.runs(&second);

    // No room for what it unpacks to.
    let third = shop.push("100M");
    eventually("the roll-out waits for room", || {
        let log = fs::read_to_string(&log).unwrap();
        log.lines().any(|line| line.contains("live/shop") && line.contains("disk is full"))
    });
    assert_eq!(Facts(shop.host.events()).fate(&third), None);
    assert!(shop.answers(&second));
    disk.grow(400);
    shop.runs(&third);
    drop(shop);
}
