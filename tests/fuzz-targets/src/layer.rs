//! Layers: a letter that stands for the compression, then the bytes. They are unpacked into a folder whose
//! neighbours must stay as they are.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use longshore_oci::image::Descriptor;
use longshore_oci::layer::{Limits, Unpacker};
use tar::{Builder, EntryType, Header};

use crate::Seed;
use crate::manifest::digest;

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 200 };
const UNTOUCHED: &[u8] = b"untouched";

/// An archive of all kinds of entries, hostile ones among them, in each compression.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, tar) in [("kinds", kinds()), ("hostile", hostile())] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar).unwrap();
        let zstd = zstd::encode_all(tar.as_slice(), 1).unwrap();
        for (letter, bytes) in [(b't', tar), (b'g', gzip.finish().unwrap()), (b'z', zstd)] {
            seeds.push((format!("{name}-{}", char::from(letter)), [&[letter][..], &bytes].concat()));
        }
    }
    seeds
}

fn kinds() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let long = format!("{}/file", "folder-".repeat(30));
    add(&mut tar, EntryType::Directory, "etc", "", b"");
    add(&mut tar, EntryType::Regular, "etc/passwd", "", b"root");
    add(&mut tar, EntryType::Symlink, "link", "etc/passwd", b"");
    add(&mut tar, EntryType::Link, "hard", "etc/passwd", b"");
    add(&mut tar, EntryType::Regular, ".wh.gone", "", b"");
    add(&mut tar, EntryType::Regular, "etc/.wh..wh..opq", "", b"");
    tar.append_pax_extensions([("path", long.as_bytes()), ("mtime", &b"1.5"[..])]).unwrap();
    add(&mut tar, EntryType::Regular, "short", "", b"long name");
    let mut header = Header::new_gnu();
    header.set_size(5);
    tar.append_data(&mut header, long + "-gnu", &b"hello"[..]).unwrap();
    tar.into_inner().unwrap()
}

fn hostile() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    add(&mut tar, EntryType::Symlink, "up", "../..", b"");
    add(&mut tar, EntryType::Regular, "up/outside", "", b"changed");
    add(&mut tar, EntryType::Link, "hard", "../outside", b"");
    add(&mut tar, EntryType::Regular, "hard", "", b"changed");
    add(&mut tar, EntryType::Regular, "../outside", "", b"changed");
    add(&mut tar, EntryType::Fifo, "pipe", "", b"");
    add(&mut tar, EntryType::Block, "disk", "", b"");
    tar.into_inner().unwrap()
}

/// Adds an entry with exactly this name, which the builder alone would refuse.
fn add(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, data: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(0o4755);
    header.set_mtime(1_700_000_000);
    header.set_size(data.len() as u64);
    header.set_cksum();
    tar.append(&header, data).unwrap();
}

pub(crate) fn run(input: &[u8]) {
    let Some((letter, bytes)) = input.split_first() else { return };
    let media = match letter {
        b'g' => "application/vnd.oci.image.layer.v1.tar+gzip",
        b'z' => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    };
    let place = tempfile::tempdir().unwrap();
    let (root, outside) = (place.path().join("root"), place.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::write(&outside, UNTOUCHED).unwrap();
    let layer = Descriptor::new(media, digest(bytes), bytes.len() as u64);
    let mut unpacker = Unpacker::new(&root, LIMITS).unwrap();
    // Twice: the second one meets what the first one left.
    let _ = unpacker.apply(&layer, bytes).and_then(|()| unpacker.apply(&layer, bytes));
    assert_eq!(fs::read(&outside).unwrap(), UNTOUCHED);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "something was made beside the folder");
    let (mut bytes, mut entries) = (0, 0);
    weigh(&root, &mut bytes, &mut entries);
    assert!(bytes <= LIMITS.bytes && entries <= LIMITS.entries, "{bytes} bytes, {entries} entries");
}

/// What lies in a folder.
fn weigh(folder: &Path, bytes: &mut u64, entries: &mut u64) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let about = entry.metadata().unwrap();
        *entries += 1;
        if about.is_dir() {
            weigh(&entry.path(), bytes, entries);
        } else if about.is_file() {
            *bytes += about.len();
        }
    }
}
