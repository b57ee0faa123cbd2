//! A directory that nothing reached through it can leave.
//!
//! Paths are resolved by the kernel (`openat2`, Linux 5.6): to unpack, links are followed as if the directory were
//! the root of the file system; to read, a link that leads outside is an error.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::LayerError;

/// The kernel asks to try again when something was renamed meanwhile; this often is enough.
const TRIES: u32 = 32;

pub(crate) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// Something below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) found: Found,
    /// The permission bits, set-id and sticky bits included.
    pub(crate) mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    File { size: u64 },
    Folder,
    Link(PathBuf),
}

impl Node {
    /// The mode without what a umask left of it.
    pub(crate) fn normal_mode(&self) -> u32 {
        match self.found {
            Found::Folder => 0o755 | self.mode & 0o1000,
            Found::Link(_) => 0o777,
            Found::File { .. } if self.mode & 0o111 == 0 => 0o644 | self.mode & 0o7000,
            Found::File { .. } => 0o755 | self.mode & 0o7000,
        }
    }
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self, LayerError> {
        let fd = fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let fd = fd.map_err(|errno| LayerError::io(format!("open {}", path.display()))(errno.into()))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    fn resolve(&self, path: &Path, flags: OFlags, how: ResolveFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = how | ResolveFlags::NO_MAGICLINKS;
        let mut tries = 0;
        loop {
            match fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
                Err(Errno::AGAIN) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    /// The folder at `path`, links followed within the root; made, with its parents, where it is missing.
    pub(crate) fn folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let open = || self.resolve(path, OFlags::DIRECTORY | OFlags::RDONLY, ResolveFlags::IN_ROOT);
        match open() {
            Err(Errno::NOENT) => {}
            done => return done,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let parent = self.folder(parent)?;
        match fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            // A link that leads nowhere is in the way: the second attempt to open says so.
            Ok(()) | Err(Errno::EXIST) => open(),
            Err(errno) => Err(errno),
        }
    }

    /// Opens the file at `path` to read it. Links are followed as long as they stay below the root.
    pub(crate) fn read(&self, path: &Path) -> Result<File, LayerError> {
        // Without NONBLOCK a named pipe put there meanwhile would block for ever.
        let opened = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK, ResolveFlags::BENEATH);
        opened.map(File::from).map_err(|errno| self.outside(path, errno))
    }

    /// What lies at `path`; a link there is followed as long as it stays below the root.
    pub(crate) fn find(&self, path: &Path) -> Result<Option<Node>, LayerError> {
        let fd = match self.resolve(path, OFlags::PATH, ResolveFlags::BENEATH) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            done => done.map_err(|errno| self.outside(path, errno))?,
        };
        let stat = fs::fstat(&fd).map_err(|errno| self.outside(path, errno))?;
        self.node(&fd, OsStr::new(""), path.to_owned(), &stat).map(Some)
    }

    /// All below the folder `path`, sorted by path, parents before children. `enter` is asked for each with its
    /// kind; what it refuses is left out, and not entered.
    pub(crate) fn walk(
        &self,
        path: &Path,
        enter: &mut dyn FnMut(&Path, bool) -> bool,
    ) -> Result<Vec<Node>, LayerError> {
        let mut found = Vec::new();
        let mut pending = vec![path.to_owned()];
        while let Some(folder) = pending.pop() {
            let fd = self.resolve(&folder, OFlags::DIRECTORY | OFlags::RDONLY, ResolveFlags::BENEATH);
            let fd = fd.map_err(|errno| self.outside(&folder, errno))?;
            for name in names(&fd).map_err(|errno| self.outside(&folder, errno))? {
                let path = folder.join(&name);
                let stat = fs::statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW);
                let stat = stat.map_err(|errno| self.outside(&path, errno))?;
                let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if !enter(&path, is_folder) {
                    continue;
                }
                let node = self.node(&fd, &name, path, &stat)?;
                if is_folder {
                    pending.push(node.path.clone());
                }
                found.push(node);
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn node(&self, at: &OwnedFd, name: &OsStr, path: PathBuf, stat: &fs::Stat) -> Result<Node, LayerError> {
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File { size: u64::try_from(stat.st_size).unwrap_or(0) },
            FileType::Directory => Found::Folder,
            FileType::Symlink => {
                let target =
                    fs::readlinkat(at, name, Vec::new()).map_err(|errno| self.outside(&path, errno))?;
                Found::Link(OsString::from_vec(target.into_bytes()).into())
            }
            _ => return Err(LayerError::refused(&path, "it is a socket, pipe or device: leave it out")),
        };
        Ok(Node { path, found, mode: stat.st_mode & 0o7777 })
    }

    fn outside(&self, path: &Path, errno: Errno) -> LayerError {
        match errno {
            Errno::XDEV => LayerError::refused(path, format!("it leaves {}", self.path.display())),
            errno => LayerError::io(format!("read {}", self.path.join(path).display()))(errno.into()),
        }
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: impl AsFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Removes `name` in `folder` with all below it, following no link.
pub(crate) fn remove(folder: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    match fs::unlinkat(&folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        Err(Errno::NOENT) => return Ok(()),
        done => return done,
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = fs::openat(&folder, name, flags, Mode::empty())?;
    for child in names(&inner)? {
        remove(&inner, &child)?;
    }
    fs::unlinkat(&folder, name, AtFlags::REMOVEDIR)
}

/// Whether `name` in `folder` is a folder itself, no link to one.
pub(crate) fn is_folder(folder: impl AsFd, name: &OsStr) -> io::Result<bool> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
