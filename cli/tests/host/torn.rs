//! A journal that the disk did not keep whole.

use std::fs;
use std::os::unix::fs::FileExt as _;

use crate::world::World;

/// SQLite's pages, in bytes.
const PAGE: usize = 4096;

#[test]
fn a_torn_page_is_noticed_and_the_way_to_restore_is_named() {
    let world = World::new();
    let mut host = world.up();
    world.working_copy();
    for branch in ["main", "main:a", "main:b"] {
        assert!(world.git("work", &["push", "--quiet", &host.remote(&host.token), branch]).status.success());
    }
    let first = host.events("build.finished", 1).remove(0);
    let backup = world.longshore(&["backup", "file"]).output().unwrap();
    assert!(backup.status.success(), "{backup:?}");
    // With its runner, which would outlive the folder.
    assert!(world.longshore(&["down"]).status().unwrap().success());
    host.wait();

    let path = world.data().join("journal.sqlite");
    let bytes = fs::read(&path).unwrap();
    let middle = |page: usize| page * PAGE + PAGE / 4..page * PAGE + PAGE * 3 / 4;
    let full = (1..bytes.len() / PAGE)
        .max_by_key(|page| bytes[middle(*page)].iter().filter(|byte| **byte != 0).count());
    let at = middle(full.unwrap());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0xff; at.len()], at.start as u64).unwrap();

    let refused = world.longshore(&["up"]).output().unwrap();
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{says}");
    for part in [path.to_str().unwrap(), "is damaged", "longshore restore"] {
        assert!(says.contains(part), "{says}");
    }
    let refused = world.longshore(&["backup", "damaged"]).output().unwrap();
    assert!(!refused.status.success() && !world.path("damaged").exists(), "{refused:?}");

    fs::rename(world.data(), world.path("torn")).unwrap();
    let restored = world.longshore(&["restore", "file"]).output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    let host = world.up();
    assert_eq!(host.events("build.finished", 1)[0], first);
}
