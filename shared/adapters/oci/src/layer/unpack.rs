//! Applying layers to a directory.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::{self, BufReader, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps},
    io::Errno,
};

use super::{
    Kind, LayerError, Root,
    entries::{Entry, for_each},
    root::{is_folder, names, remove},
};
use crate::{
    digest::{self, Hashing},
    image::Descriptor,
};

/// How much an image may hold, all its layers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

impl Default for Limits {
    /// 16 GiB and a million entries.
    fn default() -> Self {
        Self { bytes: 16 << 30, entries: 1_000_000 }
    }
}

/// Applies layers, the lowest first, to one directory.
///
/// Owners are not restored and set-id bits are dropped: the files belong to whoever unpacks, who could otherwise
/// lend out his own rights. Folders stay writable for their owner, so that the tree can be removed.
///
/// ```no_run
/// # use longshore_oci::{image::Descriptor, layer::{Limits, LayerError, Unpacker}};
/// # fn unpack(layer: &Descriptor, file: std::fs::File) -> Result<(), LayerError> {
/// let mut unpacker = Unpacker::new(std::path::Path::new("rootfs"), Limits::default())?;
/// unpacker.apply(layer, file)
/// # }
/// ```
pub struct Unpacker {
    root: Root,
    limits: Limits,
    left: Limits,
}

impl Unpacker {
    /// Unpacks into `folder`, which must exist.
    ///
    /// # Errors
    /// [`LayerError::Io`] when it cannot be opened.
    pub fn new(folder: &Path, limits: Limits) -> Result<Self, LayerError> {
        Ok(Self { root: Root::open(folder)?, limits, left: limits })
    }

    /// Applies `layer`, whose bytes `input` gives. The digest is checked as they stream by: after any error the
    /// directory holds a part of it, and must be thrown away.
    ///
    /// # Errors
    /// [`LayerError`] when the layer is damaged, hostile, too large, or not what its digest promises.
    pub fn apply(&mut self, layer: &Descriptor, input: impl Read) -> Result<(), LayerError> {
        // One byte more than promised is enough to fail the check below.
        let mut hashing = Hashing::new(input.take(layer.size.saturating_add(1)));
        let mut tar =
            Bounded { inner: decoder(&layer.media_type, &mut hashing)?, left: self.left.bytes, over: false };
        let mut mine = Mine::default();
        let applied = for_each(&mut tar, |entry, data| {
            let new = mine.add(&entry.path);
            let left = self.left.entries.checked_sub(new.max(1));
            self.left.entries = left.ok_or(LayerError::TooMany { limit: self.limits.entries })?;
            place(&self.root, &mine, entry, data)
        });
        let drained = applied.and_then(|()| {
            io::copy(&mut tar, &mut io::sink()).map(drop).map_err(LayerError::io("read the layer to its end"))
        });
        if tar.over {
            return Err(LayerError::TooLarge { limit: self.limits.bytes });
        }
        self.left.bytes = tar.left;
        drop(tar);
        drained?;
        io::copy(&mut hashing, &mut io::sink()).map_err(LayerError::io("read the layer to its end"))?;
        let found = digest::finish(hashing.hasher);
        if found != layer.digest || hashing.count != layer.size {
            return Err(LayerError::Mismatch { expected: layer.digest.clone(), found });
        }
        Ok(())
    }
}

/// The tar inside a layer of `media_type`.
pub(crate) fn decoder<'a>(media_type: &str, input: impl Read + 'a) -> Result<Box<dyn Read + 'a>, LayerError> {
    if !media_type.contains(".tar") {
        return Err(LayerError::MediaType(media_type.to_owned()));
    }
    match media_type.rsplit(['+', '.']).next() {
        Some("tar") => Ok(Box::new(input)),
        Some("gzip" | "gz") => Ok(Box::new(MultiGzDecoder::new(BufReader::new(input)))),
        Some("zstd") => {
            let zstd = zstd::stream::read::Decoder::new(input).map_err(LayerError::io("start zstd"))?;
            Ok(Box::new(zstd))
        }
        _ => Err(LayerError::MediaType(media_type.to_owned())),
    }
}

/// What a layer holds: an opaque folder hides all but that. Hashes stand for the paths, which a hostile layer could
/// make long; their key is random, and two paths with one hash would only leave a file unhidden.
#[derive(Default)]
struct Mine {
    hashes: HashSet<u64>,
    key: RandomState,
}

impl Mine {
    /// Adds a path and the folders above it; gives how many were new.
    fn add(&mut self, path: &Path) -> u64 {
        let mut new = 0;
        if path.file_name().is_none_or(|name| name.as_bytes().starts_with(b".wh.")) {
            return new;
        }
        for path in path.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            if !self.hashes.insert(self.key.hash_one(path)) {
                break;
            }
            new += 1;
        }
        new
    }

    fn holds(&self, path: &Path) -> bool {
        self.hashes.contains(&self.key.hash_one(path))
    }
}

fn place(root: &Root, mine: &Mine, entry: &Entry, data: &mut dyn Read) -> Result<(), LayerError> {
    let (Some(parent), Some(name)) = (entry.path.parent(), entry.path.file_name()) else { return Ok(()) };
    let failed = |errno: Errno| failed(&entry.path, errno);
    let folder = root.folder(parent).map_err(failed)?;
    if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
        return whiteout(&folder, parent, hidden, mine).map_err(failed);
    }
    let is_folder = is_folder(&folder, name).map_err(LayerError::io("look at what is unpacked"))?;
    if !(entry.kind == Kind::Folder && is_folder) {
        remove(&folder, name).map_err(failed)?;
    }
    match &entry.kind {
        Kind::File { .. } => write_file(&folder, name, entry, data)?,
        Kind::Folder => make_folder(&folder, name, entry.mode, is_folder).map_err(failed)?,
        Kind::Link { target } => fs::symlinkat(target, &folder, name).map_err(failed)?,
        Kind::HardLink { target } => hard_link(root, target, &folder, name, entry)?,
        Kind::Other(reason) => return Err(LayerError::refused(&entry.path, *reason)),
    }
    Ok(())
}

fn write_file(folder: &OwnedFd, name: &OsStr, entry: &Entry, data: &mut dyn Read) -> Result<(), LayerError> {
    let failed = |errno: Errno| failed(&entry.path, errno);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(fs::openat(folder, name, flags, Mode::from_raw_mode(0o600)).map_err(failed)?);
    let written = io::copy(data, &mut file);
    let written = written.map_err(LayerError::io(format!("unpack {}", entry.path.display())))?;
    if entry.kind != (Kind::File { size: written }) {
        return Err(LayerError::refused(&entry.path, "the layer ends within it"));
    }
    fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o1777 | 0o400)).map_err(failed)?;
    let time = Timespec { tv_sec: i64::try_from(entry.modified).unwrap_or(0), tv_nsec: 0 };
    fs::futimens(&file, &Timestamps { last_access: time, last_modification: time }).map_err(failed)
}

fn make_folder(folder: &OwnedFd, name: &OsStr, mode: u32, exists: bool) -> Result<(), Errno> {
    if !exists {
        fs::mkdirat(folder, name, Mode::from_raw_mode(0o700))?;
    }
    fs::chmodat(folder, name, Mode::from_raw_mode(mode & 0o1777 | 0o700), AtFlags::empty())
}

fn hard_link(
    root: &Root,
    target: &Path,
    folder: &OwnedFd,
    name: &OsStr,
    entry: &Entry,
) -> Result<(), LayerError> {
    let failed = |errno: Errno| failed(&entry.path, errno);
    let (Some(parent), Some(source)) = (target.parent(), target.file_name()) else {
        return Err(LayerError::refused(&entry.path, "its link leads nowhere"));
    };
    let parent = root.folder(parent).map_err(failed)?;
    let stat = fs::statat(&parent, source, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    if !matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Symlink) {
        return Err(LayerError::refused(&entry.path, "it is a hard link to something that is no file"));
    }
    fs::linkat(&parent, source, folder, name, AtFlags::empty()).map_err(failed)
}

/// Whiteouts are those of the OCI layer specification: `.wh.NAME` hides NAME, `.wh..wh..opq` all of lower layers.
fn whiteout(folder: &OwnedFd, path: &Path, hidden: &[u8], mine: &Mine) -> Result<(), Errno> {
    match hidden {
        b".wh..opq" => hide_lower(folder, path, mine),
        b"" | b"." | b".." => Err(Errno::INVAL),
        // AUFS' own records, of no meaning here.
        aufs if aufs.starts_with(b".wh.") => Ok(()),
        // What this layer itself put there stays, whatever the order of its entries.
        name if mine.holds(&path.join(OsStr::from_bytes(name))) => Ok(()),
        name => remove(folder, OsStr::from_bytes(name)),
    }
}

fn hide_lower(folder: &OwnedFd, path: &Path, mine: &Mine) -> Result<(), Errno> {
    for name in names(folder)? {
        let child = path.join(&name);
        if !mine.holds(&child) {
            remove(folder, &name)?;
        } else if fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            hide_lower(&fs::openat(folder, &name, flags, Mode::empty())?, &child, mine)?;
        }
    }
    Ok(())
}

fn failed(path: &Path, errno: Errno) -> LayerError {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => {
            LayerError::refused(path, "its way, or its link's, leads nowhere within the image")
        }
        Errno::INVAL | Errno::NAMETOOLONG => LayerError::refused(path, "its name is not possible"),
        Errno::NOSYS => LayerError::refused(
            path,
            "this kernel has no openat2 (Linux 5.6 has): nothing can be unpacked safely",
        ),
        errno => LayerError::io(format!("unpack {}", path.display()))(errno.into()),
    }
}

/// Fails once more than `left` bytes were read.
pub(crate) struct Bounded<R> {
    pub(crate) inner: R,
    pub(crate) left: u64,
    pub(crate) over: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        if let Some(left) = self.left.checked_sub(read as u64) {
            self.left = left;
            Ok(read)
        } else {
            self.over = true;
            Err(io::Error::other("too large"))
        }
    }
}
