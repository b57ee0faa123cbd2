//! `COPY`, and `ADD` of local files: one layer each.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use parse_dockerfile::{Flag, Source as Written, UnescapedString};

use super::{
    PackError,
    line::Line,
    source::{Context, Source, What},
    stage::Stage,
    tree::Place,
};
use crate::layer::{Found, Layer, LayerError, LayerWriter, Node, Owner, Root};

/// The flags of a copy.
#[derive(Default)]
struct Options {
    mode: Option<u32>,
    owner: Owner,
}

/// What goes into the layer, by its path in the image.
type Pieces = BTreeMap<PathBuf, Option<Node>>;

/// Carries out a `COPY`, or an `ADD` with `add`.
pub(super) fn copy(
    stage: &mut Stage<'_>,
    context: &Context<'_>,
    line: Line,
    (flags, sources, target): (&[Flag<'_>], &[Written<'_>], &UnescapedString<'_>),
    add: bool,
) -> Result<(), PackError> {
    let options = options(stage, line, flags)?;
    let mut found = Vec::new();
    for source in sources {
        let Written::Path(path) = source else { return Err(line.unsupported("a here-document")) };
        let path = stage.expand(line, &path.value)?;
        if add && (path.contains("://") || path.starts_with("git@")) {
            return Err(line.unsupported("ADD of a URL"));
        }
        found.extend(context.sources(&path).map_err(|message| line.invalid(message))?);
    }
    if add {
        refuse_archives(context.root, &found, line)?;
    }
    let target = stage.expand(line, &target.value)?;
    let pieces = arrange(stage, line, found, &target)?;
    if let Some(layer) = write(stage, context.root, &pieces, &options)? {
        stage.push_layer(layer);
    }
    Ok(())
}

fn options(stage: &Stage<'_>, line: Line, flags: &[Flag<'_>]) -> Result<Options, PackError> {
    let mut options = Options::default();
    for flag in flags {
        let value = flag.value.as_ref().map(|value| stage.expand(line, &value.value)).transpose()?;
        match (flag.name.value.as_ref(), value) {
            // It says how layers may be reused, not what they hold.
            ("link", _) => {}
            ("chmod", Some(mode)) => {
                let bits = u32::from_str_radix(&mode, 8).ok().filter(|bits| *bits <= 0o7777);
                let bits =
                    bits.ok_or_else(|| line.unsupported(&format!("--chmod={mode}, which is not octal,")))?;
                options.mode = Some(bits);
            }
            ("chown", Some(owner)) => {
                let named = || line.unsupported(&format!("--chown={owner}, which is not numeric,"));
                options.owner = numeric(&owner).ok_or_else(named)?;
            }
            (name, _) => return Err(line.unsupported(&format!("{} --{name}", line.instruction))),
        }
    }
    Ok(options)
}

/// `1000` or `1000:1000`; a user alone has the group of the same number, as with BuildKit.
fn numeric(owner: &str) -> Option<Owner> {
    let (uid, gid) = owner.split_once(':').unwrap_or((owner, owner));
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    Some(Owner { uid: number(uid)?, gid: number(gid)? })
}

/// Decides where in the image each source goes.
fn arrange(stage: &Stage<'_>, line: Line, sources: Vec<Source>, target: &str) -> Result<Pieces, PackError> {
    let into = target.ends_with('/') || matches!(target.rsplit('/').next(), Some("." | ".."));
    let place = stage.resolve(line, target)?;
    let is_folder = stage.tree.at(&place) == Some(&Place::Folder);
    if sources.len() > 1 && !into && !is_folder {
        return Err(line.invalid(format!("{target:?} must end with `/`, since there are several sources")));
    }
    let mut pieces = Pieces::new();
    for source in sources {
        match source.what {
            What::File(node) if into || is_folder => {
                drop(pieces.insert(place.join(&source.name), Some(node)));
            }
            What::File(node) => drop(pieces.insert(place.clone(), Some(node))),
            What::Folder(nodes) => {
                pieces.entry(place.clone()).or_insert(None);
                pieces.extend(nodes.into_iter().map(|(path, node)| (place.join(path), Some(node))));
            }
        }
    }
    with_parents(stage, line, pieces)
}

/// Adds the missing folders above each piece; leaves out folders that are there already.
fn with_parents(stage: &Stage<'_>, line: Line, mut pieces: Pieces) -> Result<Pieces, PackError> {
    let above: Vec<PathBuf> =
        pieces.keys().flat_map(|path| path.ancestors().skip(1)).map(Path::to_path_buf).collect();
    for parent in above {
        pieces.entry(parent).or_insert(None);
    }
    for (path, node) in &pieces {
        let folder = node.as_ref().is_none_or(|node| node.found == Found::Folder);
        let there = stage.tree.at(path);
        if there.is_some_and(|place| (*place == Place::Folder) != folder) {
            let path = path.display();
            return Err(
                line.invalid(format!("/{path} would replace a folder by a file, or a file by a folder"))
            );
        }
    }
    pieces.retain(|path, node| {
        let folder = node.as_ref().is_none_or(|node| node.found == Found::Folder);
        !(folder && stage.tree.at(path) == Some(&Place::Folder))
    });
    Ok(pieces)
}

/// Writes the layer's file; `None` when there is nothing to write.
fn write(
    stage: &mut Stage<'_>,
    root: &Root,
    pieces: &Pieces,
    options: &Options,
) -> Result<Option<(Layer, PathBuf)>, PackError> {
    if pieces.is_empty() {
        return Ok(None);
    }
    let layer = stage.write_layer(|writer| {
        for (path, node) in pieces {
            write_piece(writer, root, path, node.as_ref(), options)?;
        }
        Ok(())
    })?;
    for (path, node) in pieces {
        stage.tree.add(
            path,
            match node.as_ref().map(|node| &node.found) {
                None | Some(Found::Folder) => Place::Folder,
                Some(Found::Link(target)) => Place::Link(target.clone()),
                Some(Found::File { .. }) => Place::File,
            },
        );
    }
    Ok(Some(layer))
}

fn write_piece(
    writer: &mut LayerWriter<File>,
    root: &Root,
    path: &Path,
    node: Option<&Node>,
    options: &Options,
) -> Result<(), LayerError> {
    let Some(node) = node else { return writer.folder(path, 0o755, options.owner) };
    let mode = options.mode.unwrap_or_else(|| node.normal_mode());
    match &node.found {
        Found::Folder => writer.folder(path, mode, options.owner),
        Found::Link(target) => writer.symlink(path, target, options.owner),
        Found::File { size } => writer.file(path, mode, options.owner, *size, root.read(&node.path)?),
    }
}

/// `ADD` would unpack an archive: copying it as a file would be something else.
fn refuse_archives(root: &Root, sources: &[Source], line: Line) -> Result<(), PackError> {
    for source in sources {
        let What::File(node) = &source.what else { continue };
        let mut start = [0; 512];
        let length = fill(root.read(&node.path)?, &mut start);
        let start = &start[..length];
        let mut inner = [0; 512];
        let inner_length = if start.starts_with(&[0x1f, 0x8b]) {
            fill(GzDecoder::new(root.read(&node.path)?), &mut inner)
        } else {
            0
        };
        let compressed: [&[u8]; 3] = [b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
        if is_tar(start)
            || is_tar(&inner[..inner_length])
            || compressed.iter().any(|magic| start.starts_with(magic))
        {
            return Err(line.unsupported("ADD of an archive"));
        }
    }
    Ok(())
}

fn is_tar(block: &[u8]) -> bool {
    block.get(257..262) == Some(b"ustar")
}

/// Reads until the buffer is full, the end, or an error; gives the number of bytes.
fn fill(mut input: impl Read, buffer: &mut [u8]) -> usize {
    let mut length = 0;
    while let Ok(read @ 1..) = input.read(&mut buffer[length..]) {
        length += read;
    }
    length
}
