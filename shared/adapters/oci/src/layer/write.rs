//! Writing layers, reproducibly.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use longshore_events::Digest;
use tar::{EntryType, Header};

use super::{Found, LayerError, Root, entries::clean};
use crate::{
    digest::{self, Hashing},
    image::{Descriptor, LAYER_GZIP},
};

/// Layers lie on this machine and are unpacked at once: speed counts more than the last tenth of size.
const LEVEL: Compression = Compression::new(1);
/// What is between the tar writer and the compressor, in bytes: compressing small pieces is slow.
const BUFFER: usize = 64 << 10;

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of the compressed bytes.
    pub digest: Digest,
    /// The digest of the tar inside.
    pub diff_id: Digest,
    /// The length of the compressed bytes.
    pub size: u64,
}

impl Layer {
    /// As a manifest names it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(LAYER_GZIP, self.digest.clone(), self.size)
    }
}

/// Who owns an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u64,
    /// Group id.
    pub gid: u64,
}

/// Writes one tar+gzip layer. The same calls give the same bytes: each entry has the one given time, and nothing of
/// this machine (its names, users, clock) gets in. The caller orders the entries, parents before children.
pub struct LayerWriter<W: Write> {
    tar: tar::Builder<Tar<W>>,
    epoch: u64,
}

type Tar<W> = BufWriter<Hashing<GzEncoder<Hashing<W>>>>;

impl<W: Write> LayerWriter<W> {
    /// A writer to `out`; every entry gets the modification time `epoch`, in seconds since 1970.
    pub fn new(out: W, epoch: u64) -> Self {
        let zip = GzBuilder::new().operating_system(255).write(Hashing::new(out), LEVEL);
        Self { tar: tar::Builder::new(BufWriter::with_capacity(BUFFER, Hashing::new(zip))), epoch }
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// [`LayerError::Io`] when it cannot be written, [`LayerError::Refused`] when no unpacker would take its path.
    pub fn folder(&mut self, path: &Path, mode: u32, owner: Owner) -> Result<(), LayerError> {
        possible(path)?;
        let mut header = self.header(EntryType::Directory, mode, owner);
        let mut name = path.as_os_str().to_owned();
        name.push("/");
        let added = self.tar.append_data(&mut header, Path::new(&name), io::empty());
        added.map_err(LayerError::io(format!("add {}", path.display())))
    }

    /// Adds a file of exactly `size` bytes.
    ///
    /// # Errors
    /// [`LayerError::Io`] when it cannot be read or written, or has another size: it changed meanwhile. Else as
    /// [`LayerWriter::folder`].
    pub fn file(
        &mut self,
        path: &Path,
        mode: u32,
        owner: Owner,
        size: u64,
        data: impl Read,
    ) -> Result<(), LayerError> {
        possible(path)?;
        let mut header = self.header(EntryType::Regular, mode, owner);
        header.set_size(size);
        let mut data = Exactly { inner: data, left: size };
        let added = self.tar.append_data(&mut header, path, &mut data);
        added.map_err(LayerError::io(format!("add {}", path.display())))
    }

    /// Adds a symbolic link to `target`, which is written as it is.
    ///
    /// # Errors
    /// As [`LayerWriter::folder`].
    pub fn symlink(&mut self, path: &Path, target: &Path, owner: Owner) -> Result<(), LayerError> {
        possible(path)?;
        let mut header = self.header(EntryType::Symlink, 0o777, owner);
        let added = if header.set_link_name_literal(target.as_os_str().as_bytes()).is_ok() {
            self.tar.append_data(&mut header, path, io::empty())
        } else {
            self.tar.append_link(&mut header, path, target)
        };
        added.map_err(LayerError::io(format!("add {}", path.display())))
    }

    /// Ends the layer; gives the writer back, flushed.
    ///
    /// # Errors
    /// [`LayerError::Io`] when the rest cannot be written.
    pub fn finish(self) -> Result<(Layer, W), LayerError> {
        let tar = self.tar.into_inner().map_err(LayerError::io("end the layer"))?;
        let tar = tar.into_inner().map_err(|error| LayerError::io("end the layer")(error.into_error()))?;
        let diff_id = digest::finish(tar.hasher);
        let mut zip = tar.inner.finish().map_err(LayerError::io("end the layer"))?;
        zip.inner.flush().map_err(LayerError::io("end the layer"))?;
        let layer = Layer { digest: digest::finish(zip.hasher), diff_id, size: zip.count };
        Ok((layer, zip.inner))
    }

    fn header(&self, kind: EntryType, mode: u32, owner: Owner) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.uid);
        header.set_gid(owner.gid);
        header.set_mtime(self.epoch);
        header.set_size(0);
        header
    }
}

/// Refuses a path that the unpacker refuses, or that it takes for the whiteout of another.
fn possible(path: &Path) -> Result<(), LayerError> {
    let hides = |name: &OsStr| name.as_bytes().starts_with(b".wh.");
    // A folder's path ends so in the archive.
    let longest = [path.as_os_str().as_bytes(), b"/"].concat();
    if clean(&longest)?.iter().any(hides) {
        return Err(LayerError::refused(path, "a name that begins with `.wh.` hides another: rename it"));
    }
    Ok(())
}

/// Writes all that lies below `folder` as a layer: sorted, owned by root, modes without what a umask left
/// (executables 0755, other files 0644, set-id bits kept), each entry at `epoch` seconds since 1970.
///
/// # Errors
/// [`LayerError`] when something cannot be read or written, or is neither file, folder nor symbolic link.
pub fn write_tree<W: Write>(folder: &Path, epoch: u64, out: W) -> Result<(Layer, W), LayerError> {
    let root = Root::open(folder)?;
    let mut writer = LayerWriter::new(out, epoch);
    for node in root.walk(Path::new(""), &mut |_, _| true)? {
        let owner = Owner::default();
        match &node.found {
            Found::Folder => writer.folder(&node.path, node.normal_mode(), owner)?,
            Found::Link(target) => writer.symlink(&node.path, target, owner)?,
            Found::File { size } => {
                let file: File = root.read(&node.path)?;
                writer.file(&node.path, node.normal_mode(), owner, *size, file)?;
            }
        }
    }
    writer.finish()
}

/// Fails rather than give fewer or more bytes than promised, which would shift every later entry of the tar.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        let changed = || io::Error::other("the file changed while it was read: try again");
        if read == 0 && self.left > 0 && !buf.is_empty() {
            return Err(changed());
        }
        self.left = self.left.checked_sub(read as u64).ok_or_else(changed)?;
        Ok(read)
    }
}
