//! Backups, taken while the host works, and folders made from them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::world::World;

/// What a command said, and whether all was well.
fn say(world: &World, words: &[&str]) -> (bool, String, String) {
    let output = world.longshore(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The JSON that a command said.
fn json(world: &World, words: &[&str]) -> Value {
    let (well, stdout, stderr) = say(world, &[&["--output", "json"], words].concat());
    assert!(well, "{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

fn refused(world: &World, words: &[&str]) -> String {
    let (well, stdout, stderr) = say(world, words);
    assert!(!well, "{stdout}");
    stderr
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_backup_taken_while_pushes_go_on_is_continued_in_another_folder() {
    let world = World::new();
    let host = world.up();
    let first = world.working_copy();
    let remote = host.remote(&host.token);
    let push = || {
        world.git("work", &["commit", "--quiet", "--allow-empty", "--message=next"]);
        world.git("work", &["push", "--quiet", &remote, "main"])
    };
    assert!(world.git("work", &["push", "--quiet", &remote, "main"]).status.success());
    host.events("build.finished", 1);

    let (file, stop) = (world.path("all.backup"), AtomicBool::new(false));
    let words = ["backup", "--force", file.to_str().unwrap()];
    let backup = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let pushed = push();
                assert!(pushed.status.success(), "{pushed:?}");
            }
        });
        host.events("push.received", 3);
        let backups: Vec<Value> = (0..3).map(|_| json(&world, &words)).collect();
        stop.store(true, Ordering::Relaxed);
        pushing.join().unwrap();
        backups.into_iter().next_back().unwrap()["backup"].take()
    });
    let count = usize::try_from(backup["events"].as_u64().unwrap()).unwrap();
    assert!(count >= 4, "{backup}");
    let before = host.get("/api/events?after=0&limit=1000").json();

    let other = World::new();
    let restored = json(&other, &["restore", file.to_str().unwrap()]);
    assert_eq!(restored["backup"], backup);
    let next = other.up();
    let after = next.get("/api/events?after=0&limit=1000").json();
    let events = |of: &Value| of["events"].as_array().unwrap()[..count].to_vec();
    assert_eq!(events(&before), events(&after), "what the journal had, in its order");
    let timeline = next.get(&format!("/api/timeline?commit={first}")).json();
    assert_eq!(timeline["entries"][0]["kind"], "dev.longshore.push.received.v1", "{timeline}");

    let bare = ".longshore/git/shop.git";
    let fsck = other.git(bare, &["fsck", "--strict"]);
    assert!(fsck.status.success(), "{fsck:?}");
    for event in
        events(&after).iter().filter(|entry| entry["event"]["type"] == "dev.longshore.push.received.v1")
    {
        let commit = event["event"]["data"]["after"].as_str().unwrap();
        assert!(other.git(bare, &["cat-file", "-e", commit]).status.success(), "{commit} is missing");
    }
    assert_ne!(next.token, host.token, "the secrets were not in it");
    let pushed = world
        .git("work", &["push", "--quiet", "--force", &next.remote(&next.token), "main~1:refs/heads/more"]);
    assert!(pushed.status.success(), "{pushed:?}");
}

#[test]
fn a_backup_holds_the_secrets_only_when_asked_and_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let host = world.up();
    json(&world, &["backup", "without"]);
    assert!(refused(&world, &["backup", "without", "--with-secrets"]).contains("--force"));
    json(&world, &["backup", "with", "--with-secrets"]);
    assert_eq!(fs::metadata(world.path("with")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!names(&world.path("")).iter().any(|name| name.contains("part") || name.contains("backup")));

    let (well, says, _) = say(&world, &["--data", "bare", "restore", "without"]);
    assert!(well && says.contains("secrets are not in it"), "{says}");
    assert!(!names(&world.path("bare")).contains(&"secrets".to_owned()));
    json(&world, &["--data", "full", "restore", "with"]);
    assert_eq!(fs::read_to_string(world.path("full/token")).unwrap().trim(), host.token);
    assert_eq!(fs::metadata(world.path("full/secrets/github")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_restore_overwrites_nothing() {
    let world = World::new();
    let mut host = world.up();
    json(&world, &["backup", "file"]);
    let says = refused(&world, &["restore", "file"]);
    assert!(says.contains("another host holds the data folder"), "{says}");
    host.signal("TERM");
    host.wait();
    let says = refused(&world, &["restore", "file"]);
    assert!(says.contains("is not empty"), "{says}");
    assert!(refused(&world, &["--data", "nowhere", "backup", "other"]).contains("there is no journal"));
    world.up();
}

#[test]
fn a_damaged_or_foreign_file_is_refused_and_the_folder_stays_empty() {
    let world = World::new();
    let _host = world.up();
    json(&world, &["backup", "file"]);
    let whole = fs::read(world.path("file")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    let mut tail = whole.clone();
    *tail.last_mut().unwrap() ^= 1;
    let cut = &whole[..whole.len() - 3];
    for (what, bytes) in [
        ("flipped", &*flipped),
        ("tail", &*tail),
        ("cut", cut),
        ("half", &whole[..whole.len() / 2]),
        ("text", b"no"),
        ("empty", b""),
    ] {
        fs::write(world.path("bad"), bytes).unwrap();
        let says = refused(&world, &["--data", "new", "restore", "bad"]);
        assert!(says.contains("cannot restore bad"), "{what}: {says}");
        assert_eq!(names(&world.path("new")), [".gitignore", "lock"], "{what}");
    }
    json(&world, &["--data", "new", "restore", "file"]);
}

#[test]
fn a_restore_that_broke_off_is_not_taken_for_a_data_folder() {
    let world = World::new();
    fs::create_dir_all(world.data().join(".restoring")).unwrap();
    assert!(refused(&world, &["up"]).contains("broke off"));
}
