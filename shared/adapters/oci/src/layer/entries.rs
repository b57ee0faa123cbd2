//! Reading a layer's entries, strictly.
//!
//! The long names of GNU and PAX are read here, within bounds: the tar crate would hold any length of them in
//! memory. Where tar readers are known to differ (PAX sizes, sparse files) the archive is refused.

use std::{
    ffi::OsStr,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use tar::{Archive, EntryType, Header};

use super::LayerError;

/// The longest extended header, in bytes.
const EXTENDED: u64 = 1 << 20;
/// The longest path, in bytes; Linux has the same limit.
const PATH: usize = 4096;
/// The deepest path.
const DEPTH: usize = 255;

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File { size: u64 },
    Folder,
    Link { target: PathBuf },
    HardLink { target: PathBuf },
    Other(&'static str),
}

/// One entry of a layer. Its path is relative, without `.` and `..`; empty for the root itself.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) modified: u64,
}

/// What extended headers say about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Shows each entry of the tar `input` to `visit`, with its data.
pub(crate) fn for_each<R: Read>(
    input: R,
    mut visit: impl FnMut(&Entry, &mut dyn Read) -> Result<(), LayerError>,
) -> Result<(), LayerError> {
    let damaged = || LayerError::io("read the layer's tar");
    let mut archive = Archive::new(input);
    let mut extended = Extended::default();
    for entry in archive.entries().map_err(damaged())?.raw(true) {
        let mut entry = entry.map_err(damaged())?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => extended.path = Some(text(&mut entry)?),
            EntryType::GNULongLink => extended.link = Some(text(&mut entry)?),
            EntryType::XHeader => pax(&bounded(&mut entry)?, &mut extended)?,
            EntryType::XGlobalHeader => {}
            _ => {
                let read = describe(entry.header(), std::mem::take(&mut extended))?;
                visit(&read, &mut entry)?;
            }
        }
    }
    Ok(())
}

fn describe(header: &Header, extended: Extended) -> Result<Entry, LayerError> {
    let raw = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let path = clean(&raw)?;
    let damaged = |what: &str| LayerError::io(format!("read the {what} of {}", path.display()));
    let size = header.entry_size().map_err(damaged("size"))?;
    if extended.size.is_some_and(|other| other != size) {
        return Err(LayerError::refused(&path, "it gives two sizes"));
    }
    let link = || extended.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") => Kind::Folder,
        EntryType::Regular | EntryType::Continuous => Kind::File { size },
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Link { target: target(&path, link())? },
        EntryType::Link => Kind::HardLink { target: clean(&link().unwrap_or_default())? },
        EntryType::Char | EntryType::Block => Kind::Other("it is a device"),
        EntryType::Fifo => Kind::Other("it is a named pipe"),
        EntryType::GNUSparse => Kind::Other("it is a sparse file: pack it without sparse"),
        _ => Kind::Other("its kind is unknown"),
    };
    let mode = header.mode().map_err(damaged("mode"))?;
    let modified = header.mtime().map_err(damaged("time"))?;
    Ok(Entry { path, kind, mode, modified })
}

fn target(path: &Path, raw: Option<Vec<u8>>) -> Result<PathBuf, LayerError> {
    let raw = raw.unwrap_or_default();
    if raw.is_empty() || raw.len() >= PATH || raw.contains(&0) {
        return Err(LayerError::refused(path, "its link leads nowhere"));
    }
    Ok(PathBuf::from(OsStr::from_bytes(&raw)))
}

/// The path relative to the root, or a refusal.
pub(crate) fn clean(raw: &[u8]) -> Result<PathBuf, LayerError> {
    let path = Path::new(OsStr::from_bytes(raw));
    let shown = Path::new(OsStr::from_bytes(&raw[..raw.len().min(200)]));
    if raw.is_empty() || raw.len() >= PATH || raw.contains(&0) {
        return Err(LayerError::refused(shown, "its path is empty, too long, or has a zero byte"));
    }
    let mut cleaned = PathBuf::new();
    for (depth, part) in path.components().enumerate() {
        match part {
            Component::Normal(name) if name.len() <= 255 && depth < DEPTH => cleaned.push(name),
            Component::Normal(_) => {
                return Err(LayerError::refused(shown, "its path is too long or too deep"));
            }
            Component::ParentDir => return Err(LayerError::refused(shown, "its path has `..`")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(cleaned)
}

fn bounded(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, LayerError> {
    let mut bytes = Vec::new();
    if entry.size() > EXTENDED {
        return Err(LayerError::refused(Path::new(""), "an extended header is longer than 1 MiB"));
    }
    entry.read_to_end(&mut bytes).map_err(LayerError::io("read an extended header"))?;
    Ok(bytes)
}

/// A GNU long name ends with a zero byte.
fn text(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, LayerError> {
    let mut bytes = bounded(entry)?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

/// Reads PAX records, `LENGTH KEY=VALUE\n` each, by their length: a value may hold newlines.
fn pax(mut bytes: &[u8], extended: &mut Extended) -> Result<(), LayerError> {
    while !bytes.is_empty() {
        let record = pax_record(&mut bytes)
            .ok_or_else(|| LayerError::refused(Path::new(""), "a PAX header is malformed"))?;
        match record {
            (b"path", value) => extended.path = Some(value.to_vec()),
            (b"linkpath", value) => extended.link = Some(value.to_vec()),
            (b"size", value) => {
                let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                extended.size = Some(size.unwrap_or(u64::MAX));
            }
            (key, _) if key.starts_with(b"GNU.sparse.") => {
                return Err(LayerError::refused(
                    Path::new(""),
                    "it is a sparse file: pack it without sparse",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn pax_record<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let space = bytes.iter().position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    *bytes = &bytes[length..];
    let equals = record.iter().position(|b| *b == b'=')?;
    Some((&record[..equals], &record[equals + 1..]))
}
