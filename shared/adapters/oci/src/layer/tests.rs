//! Layers written and unpacked, and hostile ones made by hand.

use std::{
    fs,
    io::{Cursor, Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use proptest::prelude::*;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::{digest, image::Descriptor};

mod hostile;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const EPOCH: u64 = 1_700_000_000;

fn no_limits() -> Limits {
    Limits { bytes: 1 << 20, entries: 1000 }
}

/// A tar made by hand: names and links go into the headers as they are.
#[derive(Default)]
struct Hostile(Vec<u8>);

impl Hostile {
    fn entry(mut self, kind: EntryType, name: &str, link: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        header.set_mtime(EPOCH);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_link_name_literal(link).unwrap();
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, data: &str) -> Self {
        self.entry(EntryType::Regular, name, "", data.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, b"")
    }

    fn done(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn describe(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, digest::of(bytes), bytes.len() as u64)
}

/// A folder for the image beside a file that must not change.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        fs::write(folder.path().join("victim"), "untouched").unwrap();
        Self { folder }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    fn unpack(&self, layers: &[Vec<u8>]) -> Result<(), LayerError> {
        let mut unpacker = Unpacker::new(&self.root(), no_limits())?;
        let result =
            layers.iter().try_for_each(|bytes| unpacker.apply(&describe(TAR, bytes), Cursor::new(bytes)));
        self.nothing_outside_changed();
        result
    }

    fn nothing_outside_changed(&self) {
        assert_eq!(fs::read_to_string(self.folder.path().join("victim")).unwrap(), "untouched");
        let mut names: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["root", "victim"]);
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root().join(path)).ok()
    }
}

fn refused(result: Result<(), LayerError>) -> String {
    match result {
        Err(error @ LayerError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_tree_is_written_the_same_whatever_its_times_and_umask() {
    let write = |mode: u32| {
        let folder = TempDir::new().unwrap();
        for name in if mode == 0o600 { ["b", "a"] } else { ["a", "b"] } {
            fs::write(folder.path().join(name), name).unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(folder.path().join("c")).unwrap();
        symlink("../a", folder.path().join("c/link")).unwrap();
        write_tree(folder.path(), EPOCH, Vec::new()).unwrap()
    };
    let (one, bytes) = write(0o600);
    let (two, _) = write(0o664);
    assert_eq!(one, two);
    assert_eq!(one.digest, digest::of(&bytes));
    assert_eq!(one.size, bytes.len() as u64);
    let mut tar = Vec::new();
    decoder(LAYER, bytes.as_slice()).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(one.diff_id, digest::of(&tar));
}

const LAYER: &str = crate::image::LAYER_GZIP;

#[test]
fn what_was_written_is_unpacked_again() {
    let source = TempDir::new().unwrap();
    let deep = format!("{}/{}", "d".repeat(120), "e".repeat(120));
    fs::create_dir_all(source.path().join(&deep)).unwrap();
    fs::write(source.path().join(&deep).join("file"), vec![7; 200_000]).unwrap();
    fs::write(source.path().join("run"), "#!").unwrap();
    fs::set_permissions(source.path().join("run"), fs::Permissions::from_mode(0o4711)).unwrap();
    symlink("t".repeat(150), source.path().join("link")).unwrap();
    let (layer, bytes) = write_tree(source.path(), EPOCH, Vec::new()).unwrap();

    let scene = Scene::new();
    let mut unpacker = Unpacker::new(&scene.root(), no_limits()).unwrap();
    unpacker.apply(&layer.descriptor(), bytes.as_slice()).unwrap();
    assert_eq!(fs::read(scene.root().join(&deep).join("file")).unwrap(), vec![7; 200_000]);
    assert_eq!(fs::read_link(scene.root().join("link")).unwrap(), Path::new(&"t".repeat(150)));
    let run = fs::metadata(scene.root().join("run")).unwrap();
    assert_eq!(run.permissions().mode() & 0o7777, 0o755, "set-id bits are dropped");
    let modified = run.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(modified.as_secs(), EPOCH);
}

#[test]
fn gzip_and_zstd_and_plain_layers_are_unpacked() {
    let tar = Hostile::default().file("a", "hello").done();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let layers = [
        (TAR, tar.clone()),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip.finish().unwrap()),
        ("application/vnd.oci.image.layer.v1.tar+zstd", zstd::encode_all(tar.as_slice(), 3).unwrap()),
    ];
    for (media_type, bytes) in layers {
        let scene = Scene::new();
        let mut unpacker = Unpacker::new(&scene.root(), no_limits()).unwrap();
        unpacker.apply(&describe(media_type, &bytes), bytes.as_slice()).unwrap();
        assert_eq!(scene.read("a").as_deref(), Some("hello"), "{media_type}");
    }
    let scene = Scene::new();
    let mut unpacker = Unpacker::new(&scene.root(), no_limits()).unwrap();
    for other in ["application/json", "application/vnd.oci.image.layer.v1.tar+br", ""] {
        let error = unpacker.apply(&describe(other, &tar), tar.as_slice()).unwrap_err();
        assert!(matches!(error, LayerError::MediaType(_)), "{other}");
    }
}

#[test]
fn whiteouts_hide_lower_layers_only() {
    let scene = Scene::new();
    let lower = Hostile::default()
        .file("a/x", "1")
        .file("a/y", "1")
        .file("b/x", "1")
        .file("b/s/z", "1")
        .file("c", "1");
    let upper = Hostile::default()
        .file("b/new", "2")
        .file("b/s/new", "2")
        .file("b/.wh..wh..opq", "")
        .file("a/.wh.x", "")
        .file(".wh.c", "")
        .file("b/.wh..wh.plnk", "");
    scene.unpack(&[lower.done(), upper.done()]).unwrap();
    assert_eq!(scene.read("a/x"), None);
    assert_eq!(scene.read("a/y").as_deref(), Some("1"));
    assert_eq!((scene.read("b/x"), scene.read("b/s/z"), scene.read("c")), (None, None, None));
    assert_eq!((scene.read("b/new"), scene.read("b/s/new")), (Some("2".to_owned()), Some("2".to_owned())));
}

#[test]
fn a_whiteout_cannot_hide_its_folder_or_the_outside() {
    for name in [".wh.", ".wh..", ".wh..."] {
        refused(Scene::new().unpack(&[Hostile::default().file(name, "").done()]));
    }
    let scene = Scene::new();
    scene.unpack(&[Hostile::default().link("out", "..").file("out/.wh.victim", "").done()]).unwrap();
}

#[test]
fn a_whiteout_removes_a_link_but_not_its_target() {
    let scene = Scene::new();
    let outside = scene.folder.path().to_str().unwrap().to_owned();
    let lower =
        Hostile::default().link("l", &outside).folder("keep").file("keep/x", "1").link("k", "keep").done();
    scene.unpack(&[lower, Hostile::default().file(".wh.l", "").file(".wh.k", "").done()]).unwrap();
    assert_eq!(scene.read("keep/x").as_deref(), Some("1"));
}

#[test]
fn a_folder_is_replaced_by_a_file_and_back() {
    let scene = Scene::new();
    let layers = [
        Hostile::default().file("a/b/c", "1").done(),
        Hostile::default().file("a", "2").done(),
        Hostile::default().folder("a").file("a/d", "3").done(),
    ];
    scene.unpack(&layers[..2]).unwrap();
    assert_eq!(scene.read("a").as_deref(), Some("2"));
    scene.unpack(&layers[2..]).unwrap();
    assert_eq!(scene.read("a/d").as_deref(), Some("3"));
    refused(scene.unpack(&[Hostile::default().file("f", "1").file("f/g", "2").done()]));
}

#[test]
fn other_bytes_than_promised_are_an_error() {
    let right = Hostile::default().file("a", "1").done();
    let promised = describe(TAR, &right);
    let scene = Scene::new();
    let other = Hostile::default().file("a", "2").done();
    let longer = [right.clone(), vec![0; 512]].concat();
    for bytes in [&other, &longer, &right[..right.len() - 512].to_vec()] {
        let mut unpacker = Unpacker::new(&scene.root(), no_limits()).unwrap();
        let error = unpacker.apply(&promised, bytes.as_slice()).unwrap_err();
        assert!(matches!(error, LayerError::Mismatch { .. }), "{error}");
    }
}
