//! Dockerfiles packed and refused.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{expand::Expander, ignore::Ignore, *};
use crate::{
    image::Config,
    layer::{Limits, Unpacker},
};

mod bases;

mod words;

const EPOCH: u64 = 1_700_000_000;

/// A build context and the folder that its layers go to.
struct Shop {
    folder: TempDir,
    args: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

impl Shop {
    fn new(dockerfile: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("context")).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let shop = Self { folder, args: BTreeMap::new(), labels: BTreeMap::new() };
        shop.file("Dockerfile", dockerfile)
    }

    fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.insert(name.to_owned(), value.to_owned());
        self
    }

    fn pack_on(&self, bases: &dyn Bases) -> Result<Image, PackError> {
        let request = Request {
            context: &self.context(),
            dockerfile: Path::new("Dockerfile"),
            args: &self.args,
            epoch: EPOCH,
            labels: &self.labels,
            work: &self.folder.path().join("work"),
        };
        pack(&request, bases)
    }

    fn pack(&self) -> Packed {
        Packed::new(self.pack_on(&NoBases).unwrap())
    }

    fn error(&self) -> String {
        self.pack_on(&NoBases).unwrap_err().to_string()
    }
}

/// A packed image, unpacked.
struct Packed {
    image: Image,
    config: Config,
    root: TempDir,
}

impl Packed {
    fn new(image: Image) -> Self {
        let root = TempDir::new().unwrap();
        let mut unpacker = Unpacker::new(root.path(), Limits::default()).unwrap();
        for layer in &image.layers {
            unpacker.apply(&layer.descriptor, File::open(&layer.path).unwrap()).unwrap();
        }
        let config = serde_json::from_slice(&image.config).unwrap();
        Self { image, config, root }
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.path().join(path)).ok()
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.root.path().join(path)).unwrap().permissions().mode() & 0o7777
    }

    fn env(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}=");
        self.config.config.env.iter().find_map(|pair| pair.strip_prefix(&prefix))
    }
}

#[test]
fn a_service_is_packed_from_scratch() {
    let shop = Shop::new(
        "# syntax=docker/dockerfile:1\nARG VERSION=1\nFROM scratch\nARG VERSION\nLABEL version=$VERSION team=\"a b\"\n\
         ENV HOME=/home LEVEL=${LEVEL:-info}\nENV OLD style value\nWORKDIR /srv\nWORKDIR app\n\
         COPY server conf/ ./\nADD --chmod=0700 run.sh /bin/run\nEXPOSE 8080 53/udp\nVOLUME /data\nUSER 1000\n\
         STOPSIGNAL SIGINT\nENTRYPOINT [\"/srv/app/server\"]\nCMD --port 80\n",
    )
    .file("server", "binary")
    .file("conf/deep/a.toml", "a")
    .file("run.sh", "#!");
    let packed = shop.pack();
    let run = &packed.config.config;
    assert_eq!(packed.read("srv/app/server").as_deref(), Some("binary"));
    assert_eq!(packed.read("srv/app/deep/a.toml").as_deref(), Some("a"));
    assert_eq!(packed.mode("bin/run"), 0o700);
    assert_eq!(run.working_dir, "/srv/app");
    assert_eq!(run.user, "1000");
    assert_eq!(run.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(run.entrypoint.as_deref().unwrap(), ["/srv/app/server"]);
    assert_eq!(run.cmd.as_deref().unwrap(), ["/bin/sh", "-c", "--port 80"]);
    assert_eq!(run.exposed_ports.iter().collect::<Vec<_>>(), ["53/udp", "8080/tcp"]);
    assert!(run.volumes.contains("/data"));
    assert_eq!((run.labels["version"].as_str(), run.labels["team"].as_str()), ("1", "a b"));
    assert_eq!((packed.env("LEVEL"), packed.env("OLD")), (Some("info"), Some("style value")));
    assert!(packed.env("PATH").is_some());
    assert_eq!(packed.config.created.as_deref(), Some("2023-11-14T22:13:20Z"));
    assert_eq!(packed.image.platform.os, "linux");
    assert_eq!(packed.config.rootfs.diff_ids.len(), packed.image.layers.len());
}

#[test]
fn the_same_files_give_the_same_digest() {
    let pack = |mode: u32| {
        let shop = Shop::new("FROM scratch\nCOPY . /app\n").file("b/x", "1").file("a", "2");
        fs::set_permissions(shop.context().join("a"), fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(shop.context().join("b"), fs::Permissions::from_mode(0o700 | mode)).unwrap();
        shop.pack().image
    };
    let (one, two) = (pack(0o600), pack(0o664));
    assert_eq!(one.digest, two.digest);
    assert_eq!(one.manifest, two.manifest);
    assert_ne!(one.digest, pack(0o755).digest, "the executable bit counts");
    assert_ne!(one.digest, Shop::new("FROM scratch\nCOPY . /app\n").file("b/x", "1").pack().image.digest);
}

#[test]
fn a_golden_image_keeps_its_configuration() {
    let shop = Shop::new("FROM scratch\nCOPY a /a\nCMD [\"/a\"]\n").file("a", "1");
    let text = String::from_utf8(shop.pack().image.config).unwrap();
    let diff = text.split("diff_ids\":[\"").nth(1).unwrap().split('"').next().unwrap();
    let arch = Platform::of_this_host().architecture;
    let expected = format!(
        "{{\"created\":\"2023-11-14T22:13:20Z\",\"architecture\":\"{arch}\",\"os\":\"linux\",\
         \"config\":{{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],\
         \"Cmd\":[\"/a\"]}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{diff}\"]}}}}"
    );
    assert_eq!(text, expected);
}

#[test]
fn what_needs_a_command_is_refused_by_name_line_and_way_out() {
    let refused = [
        ("RUN make", "RUN"),
        ("HEALTHCHECK CMD true", "HEALTHCHECK"),
        ("SHELL [\"sh\"]", "SHELL"),
        ("ONBUILD RUN x", "ONBUILD"),
        ("MAINTAINER me", "MAINTAINER"),
        ("COPY --from=build /a /a", "COPY --from"),
        ("COPY --parents a /a/", "COPY --parents"),
        ("COPY --chown=node:node a /a", "--chown=node:node"),
        ("COPY --chmod=u+x a /a", "--chmod=u+x"),
        ("ADD https://example.org/a /a", "ADD of a URL"),
        ("ADD a.tar /a", "ADD of an archive"),
        ("ADD --checksum=x a /a", "ADD --checksum"),
        ("COPY <<EOF /a\nhi\nEOF", "here-document"),
    ];
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    for (instruction, name) in refused {
        let shop = Shop::new(&format!("FROM scratch\n\n{instruction}\n")).file("a", "1");
        fs::write(shop.context().join("a.tar"), &tar).unwrap();
        let error = shop.error();
        assert!(error.starts_with("line 3: "), "{error}");
        assert!(error.contains(name) && error.contains("not supported by the built-in packer"), "{error}");
    }
}

#[test]
fn a_copy_cannot_leave_the_context() {
    for source in ["../secret", "sub/../../secret", "out", "outside/secret", "absolute"] {
        let shop = Shop::new(&format!("FROM scratch\nCOPY {source} /a\n")).file("sub/x", "1");
        fs::write(shop.folder.path().join("secret"), "s").unwrap();
        symlink("../secret", shop.context().join("out")).unwrap();
        symlink("..", shop.context().join("outside")).unwrap();
        symlink(shop.folder.path().join("secret"), shop.context().join("absolute")).unwrap();
        let error = shop.error();
        assert!(error.contains("line 2: COPY") && error.contains("leaves"), "{source}: {error}");
    }
}

#[test]
fn links_below_a_folder_are_copied_as_links() {
    let shop = Shop::new("FROM scratch\nCOPY dir /d\nCOPY here /h\n").file("dir/a", "1");
    symlink("/etc/passwd", shop.context().join("dir/l")).unwrap();
    symlink("dir/a", shop.context().join("here")).unwrap();
    let packed = shop.pack();
    assert_eq!(fs::read_link(packed.root.path().join("d/l")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(packed.read("h").as_deref(), Some("1"), "a source that is itself a link is followed");
}

#[test]
fn the_dockerfile_itself_cannot_lie_outside() {
    let shop = Shop::new("");
    fs::write(shop.folder.path().join("secret"), "s").unwrap();
    fs::remove_file(shop.context().join("Dockerfile")).unwrap();
    symlink("../secret", shop.context().join("Dockerfile")).unwrap();
    assert!(shop.error().contains("leaves"));
}

#[test]
fn a_copy_goes_where_docker_would_put_it() {
    let shop = |copy: &str| {
        Shop::new(&format!("FROM scratch\nWORKDIR /w\n{copy}\n"))
            .file("a.txt", "1")
            .file("b.txt", "2")
            .file("d/e/f", "3")
    };
    let lands = |copy: &str, path: &str| assert!(shop(copy).pack().read(path).is_some(), "{copy} → {path}");
    lands("COPY a.txt x", "w/x");
    lands("COPY a.txt x/", "w/x/a.txt");
    lands("COPY a.txt .", "w/a.txt");
    lands("COPY a.txt /w", "w/a.txt");
    lands("COPY a.txt ../../../x", "x");
    lands("COPY *.txt x/", "w/x/b.txt");
    lands("COPY ?.txt d x/", "w/x/e/f");
    lands("COPY d x", "w/x/e/f");
    lands("COPY d/* x/", "w/x/f");
    lands("COPY /d/e/f /", "f");
    lands("COPY [\"a.txt\", \"b.txt\", \"/q/\"]", "q/a.txt");
    assert!(shop("COPY a.txt b.txt x").error().contains("must end with `/`"));
    assert!(shop("COPY *.md x/").error().contains("names nothing"));
    assert!(shop("COPY a.txt x\nCOPY d x").error().contains("would replace"));
    assert!(shop("COPY d x\nCOPY a.txt x").pack().read("w/x/a.txt").is_some());
}
