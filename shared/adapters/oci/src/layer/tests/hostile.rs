//! Layers that want out.

use super::*;

#[test]
fn a_path_with_dots_is_refused() {
    for path in ["../victim", "a/../../victim", "..", "/../victim"] {
        let scene = Scene::new();
        let message = refused(scene.unpack(&[Hostile::default().file(path, "hit").done()]));
        assert!(message.contains(".."), "{message}");
    }
}

#[test]
fn an_absolute_path_stays_within_the_image() {
    let scene = Scene::new();
    let victim = scene.folder.path().join("victim");
    let victim = victim.to_str().unwrap();
    scene.unpack(&[Hostile::default().file(victim, "hit").done()]).unwrap();
    assert_eq!(scene.read(victim.trim_start_matches('/')).as_deref(), Some("hit"));
}

#[test]
fn a_link_to_the_outside_leads_nowhere() {
    for target in ["..", "/..", "../../.."] {
        let scene = Scene::new();
        let layer = Hostile::default().link("out", target).file("out/victim", "hit").done();
        scene.unpack(&[layer]).unwrap();
        assert_eq!(scene.read("victim").as_deref(), Some("hit"), "{target} is the image's own root");
    }
}

#[test]
fn an_absolute_link_is_followed_within_the_image() {
    let scene = Scene::new();
    let outside = scene.folder.path().to_str().unwrap().to_owned();
    let lower = Hostile::default().link("out", &outside).done();
    let upper = Hostile::default().file("out/victim", "hit").done();
    refused(scene.unpack(&[lower.clone(), upper.clone()]));
    let with_target = Hostile::default().folder(outside.trim_start_matches('/')).done();
    scene.unpack(&[with_target, lower, upper]).unwrap();
}

#[test]
fn a_file_replaces_a_link_rather_than_writing_through_it() {
    let scene = Scene::new();
    let layer = Hostile::default().link("a", "../victim").file("a", "hit").done();
    scene.unpack(&[layer]).unwrap();
    assert!(fs::symlink_metadata(scene.root().join("a")).unwrap().is_file());
}

#[test]
fn a_hard_link_reaches_only_what_the_image_holds() {
    let scene = Scene::new();
    for target in ["../victim", "/../victim", "missing", "", "out/victim"] {
        let layer = Hostile::default().link("out", "..").hard_link("a", target).done();
        refused(scene.unpack(&[layer]));
    }
    let layer = Hostile::default().file("b", "mine").hard_link("c", "/b").hard_link("b", "b");
    refused(scene.unpack(&[layer.done()]));
    scene.unpack(&[Hostile::default().file("b", "mine").hard_link("c", "/b").done()]).unwrap();
    assert_eq!(scene.read("c").as_deref(), Some("mine"));
    refused(scene.unpack(&[Hostile::default().folder("d").hard_link("e", "d").done()]));
}

#[test]
fn devices_and_pipes_are_refused_by_name() {
    for (kind, name) in [
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "pipe"),
        (EntryType::GNUSparse, "sparse"),
    ] {
        let scene = Scene::new();
        let message = refused(scene.unpack(&[Hostile::default().entry(kind, "dev/x", "", b"").done()]));
        assert!(message.contains(name) && message.contains("dev/x"), "{message}");
    }
}

#[test]
fn too_many_bytes_or_entries_are_refused() {
    let many = (0..20).fold(Hostile::default(), |tar, n| tar.file(&format!("f{n}"), "x")).done();
    let scene = Scene::new();
    let limits = |bytes, entries| Unpacker::new(&scene.root(), Limits { bytes, entries }).unwrap();
    let error = limits(1 << 20, 19).apply(&describe(TAR, &many), many.as_slice()).unwrap_err();
    assert!(matches!(error, LayerError::TooMany { limit: 19 }));
    let error = limits(many.len() as u64 - 1, 100).apply(&describe(TAR, &many), many.as_slice()).unwrap_err();
    assert!(matches!(error, LayerError::TooLarge { .. }));
    limits(many.len() as u64, 20).apply(&describe(TAR, &many), many.as_slice()).unwrap();
    // Both are counted over all layers.
    let mut unpacker = limits(many.len() as u64 + 1, 100);
    unpacker.apply(&describe(TAR, &many), many.as_slice()).unwrap();
    let error = unpacker.apply(&describe(TAR, &many), many.as_slice()).unwrap_err();
    assert!(matches!(error, LayerError::TooLarge { .. }));
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    zip.write_all(&Hostile::default().entry(EntryType::Regular, "zeros", "", &vec![0; 8 << 20]).done())
        .unwrap();
    let bomb = zip.finish().unwrap();
    let scene = Scene::new();
    let mut unpacker = Unpacker::new(&scene.root(), no_limits()).unwrap();
    let error = unpacker.apply(&describe(LAYER, &bomb), bomb.as_slice()).unwrap_err();
    assert!(matches!(error, LayerError::TooLarge { .. }), "{error}");
    assert!(fs::metadata(scene.root().join("zeros")).unwrap().len() <= 1 << 20);
}

#[test]
fn ten_thousand_tiny_layers_count_together() {
    let scene = Scene::new();
    let layer = Hostile::default().file("a", "x").done();
    let described = describe(TAR, &layer);
    let limits = Limits { bytes: 1 << 30, entries: 9_999 };
    let mut unpacker = Unpacker::new(&scene.root(), limits).unwrap();
    for _ in 0..9_999 {
        unpacker.apply(&described, layer.as_slice()).unwrap();
    }
    let error = unpacker.apply(&described, layer.as_slice()).unwrap_err();
    assert!(matches!(error, LayerError::TooMany { limit: 9_999 }), "{error}");
    assert_eq!(scene.read("a").as_deref(), Some("x"));
}

#[test]
fn a_full_disk_is_told_apart_and_the_layer_is_unpacked_when_there_is_room() {
    let scene = Scene::new();
    let mount = |options: &str| {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "longshore-test"]).arg(scene.root());
        mount.output().is_ok_and(|output| output.status.success())
    };
    if !mount("size=1m") {
        return eprintln!("skipped: this user may not mount a file system");
    }
    let layer = Hostile::default().file("big", &"x".repeat(4 << 20)).done();
    let limits = Limits { bytes: 1 << 30, entries: 10 };
    let unpack = || Unpacker::new(&scene.root(), limits)?.apply(&describe(TAR, &layer), layer.as_slice());
    let (full, room) = (unpack(), mount("remount,size=16m"));
    let (whole, length) = (unpack(), fs::metadata(scene.root().join("big")).map(|meta| meta.len()));
    let _ = std::process::Command::new("umount").arg("--lazy").arg(scene.root()).status();
    match full {
        Err(LayerError::Io { what, source }) => {
            assert_eq!((what.as_str(), source.kind()), ("unpack big", std::io::ErrorKind::StorageFull));
        }
        other => panic!("{other:?}"),
    }
    assert!(room);
    whole.unwrap();
    assert_eq!(length.unwrap(), 4 << 20);
}

#[test]
fn long_and_strange_headers_are_bounded() {
    let pax = |records: &str| {
        Hostile::default().entry(EntryType::XHeader, "pax", "", records.as_bytes()).file("short", "1").done()
    };
    let scene = Scene::new();
    scene.unpack(&[pax("16 path=long/é\n")]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scene.read("long/é").as_deref(), Some("1"));
    for bad in [
        "30 path=x\n",
        "x path=y\n",
        "21 GNU.sparse.size=1\n",
        "11 size=99\n",
        "17 path=../../xx\n",
        "99999999999999999999 path=x\n",
    ] {
        refused(scene.unpack(&[pax(bad)]));
    }
    let huge = vec![b'a'; (1 << 20) + 1];
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let layer = Hostile::default().entry(kind, "x", "", &huge).file("a", "1").done();
        let mut unpacker = Unpacker::new(&scene.root(), Limits { bytes: 1 << 30, entries: 10 }).unwrap();
        refused(unpacker.apply(&describe(TAR, &layer), layer.as_slice()));
    }
    let deep = "d/".repeat(1000);
    refused(scene.unpack(&[
        Hostile::default().entry(EntryType::GNULongName, "x", "", deep.as_bytes()).file("a", "1").done(),
    ]));
}

#[test]
fn a_context_is_read_without_leaving_it() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("secret"), "s").unwrap();
    symlink("../secret", folder.path().join("in/out")).unwrap();
    symlink(folder.path().join("secret"), folder.path().join("in/absolute")).unwrap();
    let root = Root::open(&folder.path().join("in")).unwrap();
    for path in ["out", "absolute", "../secret"] {
        assert!(matches!(root.read(Path::new(path)), Err(LayerError::Refused { .. })), "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the names and kinds, nothing outside the root changes, and nothing panics.
    #[test]
    fn no_layer_reaches_outside(entries in proptest::collection::vec((0_usize..6, name(), name()), 0..12)) {
        let scene = Scene::new();
        let tar = entries.iter().fold(Hostile::default(), |tar, (kind, name, link)| match kind {
            0 => tar.file(name, "hit"),
            1 => tar.folder(name),
            2 => tar.hard_link(name, link),
            3 => tar.file(&format!("{name}/.wh.victim"), ""),
            _ => tar.link(name, link),
        });
        let _ = scene.unpack(&[tar.done()]);
    }

    /// Bytes that are no tar at all are an error, not a panic.
    #[test]
    fn garbage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096), which in 0_usize..3) {
        let scene = Scene::new();
        let media_type = [TAR, LAYER, "application/vnd.oci.image.layer.v1.tar+zstd"][which];
        let mut unpacker = Unpacker::new(&scene.root(), no_limits()).unwrap();
        let _ = unpacker.apply(&describe(media_type, &bytes), bytes.as_slice());
        scene.nothing_outside_changed();
    }
}

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just(".."), Just("a"), Just("b"), Just("victim"), Just("."), Just("")];
    proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}
