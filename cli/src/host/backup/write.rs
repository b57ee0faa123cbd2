//! Writes a backup.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use longshore_local::SqliteJournal;
use longshore_ports::Clock as _;
use tar::{Builder, EntryType, Header};

use super::super::system::MachineClock;
use super::{Backup, BackupOptions, CONTENTS, FORMAT, JOURNAL, PARTS, SECRETS};

/// Writes the data folder to a file, which is there whole or not at all.
///
/// # Errors
/// When the folder has no journal, or a damaged one; when the file is there already, or cannot be written.
pub fn backup(options: &BackupOptions) -> Result<Backup> {
    let (data, file) = (&options.data, &options.file);
    ensure!(
        data.join(JOURNAL).is_file(),
        "there is no journal in {}; name the data folder with `--data`",
        data.display()
    );
    ensure!(
        options.force || !file.exists(),
        "{} is there already; name another file, or overwrite it with `--force`",
        file.display()
    );
    let mut name = file.file_name().context("the backup needs the name of a file")?.to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let contents = write(options, &part)?;
    fs::rename(&part, file).with_context(|| format!("cannot write {}", file.display()))?;
    File::open(beside(file))?.sync_all()?;
    Ok(contents)
}

/// The folder of a file.
fn beside(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write(options: &BackupOptions, part: &Path) -> Result<Backup> {
    let says = || format!("cannot write {}", part.display());
    let mut open = OpenOptions::new();
    let out = open.create(true).truncate(false).write(true).mode(0o600).open(part).with_context(says)?;
    out.try_lock().with_context(|| format!("another backup writes {}", part.display()))?;
    out.set_len(0)?;
    let written = fill(options, beside(part), &out).with_context(says);
    if written.is_err() {
        let _ = fs::remove_file(part);
    }
    written
}

fn fill(options: &BackupOptions, aside: &Path, out: &File) -> Result<Backup> {
    let aside = tempfile::Builder::new().prefix(".longshore-backup-").tempdir_in(aside)?;
    let copy = aside.path().join(JOURNAL);
    SqliteJournal::copy(&options.data.join(JOURNAL), &copy)?;
    let found = SqliteJournal::inspect(&copy)?;
    let contents = Backup {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: MachineClock.now(),
        events: found.events,
        newest: found.newest,
        secrets: options.with_secrets,
    };

    let mut packed = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
    packed.include_checksum(true)?;
    let mut tar = Builder::new(packed);
    let text = serde_json::to_vec_pretty(&contents)?;
    tar.append_data(&mut header(EntryType::Regular, text.len() as u64), CONTENTS, &*text)?;
    put(&mut tar, aside.path(), Path::new(JOURNAL))?;
    let secrets = if options.with_secrets { SECRETS } else { &[] };
    for part in PARTS.iter().chain(secrets) {
        put(&mut tar, &options.data, Path::new(part))?;
    }
    tar.into_inner()?.finish()?;
    out.sync_all()?;
    Ok(contents)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    // For the owner alone, whatever the umask was: the repositories and images are as private as the folder.
    header.set_mode(if kind.is_dir() { 0o700 } else { 0o600 });
    header
}

/// Puts what is at `path` below `root` into the archive, with everything in it. Says whether it was there.
fn put<W: Write>(tar: &mut Builder<W>, root: &Path, path: &Path) -> Result<bool> {
    let from = root.join(path);
    let Some(meta) = there(fs::symlink_metadata(&from))? else { return Ok(false) };
    if meta.is_dir() {
        tar.append_data(&mut header(EntryType::Directory, 0), path, io::empty())?;
        return all(tar, root, path);
    }
    if !meta.is_file() {
        return Ok(true);
    }
    let Some(mut file) = there(File::open(&from))? else { return Ok(false) };
    let size = file.metadata()?.len();
    // Never fewer bytes than the header says, or everything after them would be unreadable.
    let content = (&mut file).take(size).chain(io::repeat(0)).take(size);
    tar.append_data(&mut header(EntryType::Regular, size), path, content)?;
    ensure!(file.metadata()?.len() >= size, "{} was cut while it was read; try again", from.display());
    Ok(true)
}

/// Puts what is in a folder. What vanishes meanwhile was put together with other things into a new file, as Git does
/// with its packs: then the folder is looked at again.
fn all<W: Write>(tar: &mut Builder<W>, root: &Path, folder: &Path) -> Result<bool> {
    let mut known = BTreeSet::new();
    loop {
        let mut whole = true;
        let Some(names) = there(in_order(&root.join(folder)))? else { return Ok(false) };
        for name in names {
            let path: PathBuf = folder.join(&name);
            if !passes(&path) && known.insert(name) {
                whole &= put(tar, root, &path)?;
            }
        }
        if whole {
            return Ok(true);
        }
    }
}

/// The names in a folder. Those of folders that others refer to come last, so that what was referred to is in them: Git's
/// objects after its references, packs after what may be packed, the registry's blobs after its manifests.
fn in_order(folder: &Path) -> io::Result<Vec<OsString>> {
    let names: io::Result<Vec<_>> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names?;
    let late = |name: &OsStr| ["objects", "pack", "blobs"].iter().any(|late| name == *late);
    names.sort_by_key(|name| (late(name), name.clone()));
    Ok(names)
}

/// Whether it is on the way to become something else: locks, uploads, half-written files. References and tags may have
/// such names too, so that it depends on where it lies.
fn passes(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let parts: Vec<&OsStr> = path.iter().collect();
    match parts[..] {
        [part, _, folder, ..] if part == "git" && folder == "objects" => {
            name.starts_with(b"tmp_") || name.starts_with(b"incoming-")
        }
        [part, ..] if part == "git" => name.ends_with(b".lock"),
        [part, uploads] if part == "registry" => uploads == "uploads",
        [part, ..] if part == "blobs" || part == "secrets" => name.starts_with(b".new-"),
        _ => false,
    }
}

/// Nothing for what is not there.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}
