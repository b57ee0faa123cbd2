//! Dockerfiles: the text, and after a zero byte that of `.dockerignore`. Where the packer takes it, it must do so twice
//! alike, and its layers must unpack.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use longshore_oci::image::Config;
use longshore_oci::layer::{Limits, Unpacker};
use longshore_oci::packer::{self, Image, NoBases, PackError, Request};
use tempfile::TempDir;

use crate::manifest::digest;
use crate::{Seed, root};

const LIMITS: Limits = Limits { bytes: 16 << 20, entries: 10_000 };

/// The demo's Dockerfile, and one with all that the packer serves.
pub(crate) fn seeds() -> Vec<Seed> {
    let all = "# escape=\\\nARG V=1\nFROM scratch AS last\nARG V\nENV A=$V B=\"${A:-x}\" \\\n  C='d'\nLABEL l=${B:+y}\n\
               WORKDIR /srv\nCOPY --chmod=755 --chown=1:2 a b* dir/ ./\nCOPY [\"a\", \"/x y\"]\nADD dir /dir\n\
               EXPOSE 80/tcp 9000-9002\nVOLUME [\"/data\"]\nUSER 1:2\nSTOPSIGNAL SIGTERM\nENTRYPOINT [\"/a\"]\nCMD echo $A\n\
               \0*.md\n!dir/keep.md\ndir/**/x\n";
    let run = "FROM busybox\nRUN <<EOF\nls\nEOF\nHEALTHCHECK CMD true\nSHELL [\"sh\"]\nONBUILD RUN x\n";
    let demo = fs::read(root().join("cli/demo/Dockerfile")).unwrap();
    vec![("all".into(), all.into()), ("run".into(), run.into()), ("demo".into(), demo)]
}

pub(crate) fn run(input: &[u8]) {
    let cut = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    let context = context(&input[..cut], input.get(cut + 1..));
    let path = Path::new("Dockerfile");
    let refused = packer::refused_run(context.path(), path);
    let (work, packed) = pack(context.path());
    let Ok(image) = packed else { return };
    assert!(matches!(refused, Ok(None)), "{refused:?}");
    let (_again, second) = pack(context.path());
    assert_eq!(second.expect("the same once more").manifest, image.manifest);
    unpack(&work, &image);
}

fn context(dockerfile: &[u8], ignore: Option<&[u8]>) -> TempDir {
    let context = tempfile::tempdir().unwrap();
    let at = |path: &str| context.path().join(path);
    fs::create_dir_all(at("dir/below")).unwrap();
    for path in ["a", "b1", "b2", "dir/keep.md", "dir/below/x"] {
        fs::write(at(path), path).unwrap();
    }
    std::os::unix::fs::symlink("a", at("link")).unwrap();
    std::os::unix::fs::symlink("../..", at("dir/up")).unwrap();
    fs::write(at("Dockerfile"), dockerfile).unwrap();
    if let Some(ignore) = ignore {
        fs::write(at(".dockerignore"), ignore).unwrap();
    }
    context
}

fn pack(context: &Path) -> (TempDir, Result<Image, PackError>) {
    let work = tempfile::tempdir().unwrap();
    let args = BTreeMap::from([("V".to_owned(), "2".to_owned())]);
    let labels = BTreeMap::new();
    let dockerfile = Path::new("Dockerfile");
    let request = Request {
        context,
        dockerfile,
        args: &args,
        epoch: 1_700_000_000,
        labels: &labels,
        work: work.path(),
    };
    let packed = packer::pack(&request, &NoBases);
    (work, packed)
}

fn unpack(work: &TempDir, image: &Image) {
    let config: Config = serde_json::from_slice(&image.config).expect("the configuration can be read");
    assert_eq!(config.rootfs.diff_ids.len(), image.layers.len());
    assert_eq!(digest(&image.manifest), image.digest);
    let folder = work.path().join("root");
    fs::create_dir(&folder).unwrap();
    let mut unpacker = Unpacker::new(&folder, LIMITS).unwrap();
    for layer in &image.layers {
        unpacker.apply(&layer.descriptor, File::open(&layer.path).unwrap()).expect("the layer unpacks");
    }
}
