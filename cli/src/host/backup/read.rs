//! Reads a backup into a new data folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use longshore_local::SqliteJournal;
use tar::{Archive, Entry};

use super::super::folder::{DataFolder, RESTORING};
use super::{Backup, CONTENTS, FORMAT, JOURNAL, PARTS, RestoreOptions, SECRETS};

/// The most that the list of contents may have, in bytes.
const LISTED: u64 = 64 << 10;

/// Puts what is in a backup into a folder that holds nothing yet. The journal is checked first, and comes last.
///
/// # Errors
/// When a host holds the folder, or something is in it; when the file is no backup, damaged, or from a newer build.
pub fn restore(options: &RestoreOptions) -> Result<Backup> {
    let says = || format!("cannot restore {}", options.file.display());
    let file = File::open(&options.file).with_context(says)?;
    let folder = DataFolder::take(&options.data)?;
    must_be_empty(&folder.path)?;
    let aside = folder.join(RESTORING);
    DirBuilder::new().mode(0o700).create(&aside)?;
    let unpacked = unpack(file, &aside).with_context(says);
    if unpacked.is_ok() {
        place(&aside, &folder.path)?;
    }
    fs::remove_dir_all(&aside)?;
    unpacked
}

/// Nothing but what every host finds or makes first.
fn must_be_empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        ensure!(
            name == "lock" || name == ".gitignore",
            "the data folder {} is not empty ({}); restore into a new one with `--data`, or move this one away",
            folder.display(),
            name.display()
        );
    }
    Ok(())
}

fn unpack(file: File, aside: &Path) -> Result<Backup> {
    let mut archive = Archive::new(zstd::Decoder::new(file)?);
    let mut entries = archive.entries()?;
    let first =
        entries.next().context("the file is empty")?.context("this is no backup, or a damaged one")?;
    let contents = contents(first)?;
    for entry in entries {
        unpack_one(entry?, aside)?;
    }
    // The checksum comes after the last entry.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    let journal = aside.join(JOURNAL);
    ensure!(journal.is_file(), "there is no journal in it");
    let found = SqliteJournal::inspect(&journal).context("the journal in the backup")?;
    ensure!(
        found.events == contents.events,
        "its journal has {} events and should have {}",
        found.events,
        contents.events
    );
    Ok(contents)
}

fn contents(entry: Entry<'_, impl Read>) -> Result<Backup> {
    ensure!(entry.path()? == Path::new(CONTENTS), "this is no backup of longshore");
    let contents: Backup = serde_json::from_reader(entry.take(LISTED)).context("this is no backup")?;
    let (found, version) = (contents.format, &contents.version);
    ensure!(
        found == FORMAT,
        "the backup has form {found}, and this build knows {FORMAT}; restore it with longshore {version}"
    );
    Ok(contents)
}

fn unpack_one(mut entry: Entry<'_, impl Read>, aside: &Path) -> Result<()> {
    let path = entry.path()?.into_owned();
    ensure!(is_ours(&path), "{} does not belong into a data folder", path.display());
    let (kind, to) = (entry.header().entry_type(), aside.join(&path));
    if kind.is_dir() {
        return Ok(DirBuilder::new().recursive(true).mode(0o700).create(to)?);
    }
    ensure!(kind.is_file(), "{} is neither a file nor a folder", path.display());
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to)?;
    io::copy(&mut entry, &mut file)?;
    file.flush()?;
    Ok(())
}

/// Whether it lies in one of the parts, and leads nowhere else.
fn is_ours(path: &Path) -> bool {
    let mut parts = path.components();
    let ours =
        |name: &std::ffi::OsStr| name == JOURNAL || PARTS.iter().chain(SECRETS).any(|part| name == *part);
    matches!(parts.next(), Some(Component::Normal(name)) if ours(name))
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Moves everything into the folder once it is on the disk; the journal last, so that a folder with one has all.
fn place(aside: &Path, folder: &Path) -> Result<()> {
    let disk = File::open(folder)?;
    rustix::fs::syncfs(&disk)?;
    let parts: Vec<PathBuf> = PARTS.iter().chain(SECRETS).map(PathBuf::from).collect();
    for part in parts.iter().map(PathBuf::as_path).chain([Path::new(JOURNAL)]) {
        match fs::rename(aside.join(part), folder.join(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => bail!("cannot move {} into {}: {error}", part.display(), folder.display()),
            Ok(()) => {}
        }
    }
    disk.sync_all()?;
    Ok(())
}
