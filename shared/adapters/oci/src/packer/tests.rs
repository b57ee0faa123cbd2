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
        assert!(error.contains(name) && error.contains("builder = \"buildah\""), "{error}");
    }
}

#[test]
fn only_the_last_stage_is_packed() {
    let shop = Shop::new("FROM golang AS build\nRUN go build\nFROM scratch\nCOPY a /a\n").file("a", "1");
    assert_eq!(shop.pack().read("a").as_deref(), Some("1"));
    let error = Shop::new("FROM golang AS build\nFROM build\n").error();
    assert!(error.contains("line 2") && error.contains("earlier stage"), "{error}");
}

#[test]
fn a_missing_base_image_or_dockerfile_is_named() {
    let error = Shop::new("ARG TAG=9\nFROM nginx:${TAG}\n").error();
    assert!(
        error.contains("line 2") && error.contains("nginx:9") && error.contains("not at hand"),
        "{error}"
    );
    let error = Shop::new("FROM --platform=linux/s390x scratch\n").error();
    assert!(error.contains("--platform=linux/s390x"), "{error}");
    assert!(Shop::new("FROM --platform=$TARGETPLATFORM scratch\n").pack_on(&NoBases).is_ok());
    let shop = Shop::new("");
    fs::remove_file(shop.context().join("Dockerfile")).unwrap();
    assert!(shop.error().contains("there is no Dockerfile"));
    for bad in ["", "FROM", "COPY a b", "FROM scratch\nNONSENSE x", "FROM scratch\nCOPY a"] {
        assert!(Shop::new(bad).error().contains("cannot be parsed"), "{bad:?}");
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

#[test]
fn ignored_files_are_as_if_they_were_not_there() {
    let ignore = "# comment\n*.log\n!keep.log\n**/secret\nnode_modules/\n/docs\n!docs/README\n";
    let shop = Shop::new("FROM scratch\nCOPY . /\n")
        .file(".dockerignore", ignore)
        .file("a.log", "1")
        .file("keep.log", "1")
        .file("x/a.log", "1")
        .file("x/y/secret", "1")
        .file("node_modules/m/index.js", "1")
        .file("docs/README", "1")
        .file("docs/other", "1");
    let packed = shop.pack();
    for kept in ["keep.log", "x/a.log", "docs/README", "Dockerfile"] {
        assert!(packed.read(kept).is_some(), "{kept} is kept");
    }
    for gone in ["a.log", "x/y/secret", "node_modules/m/index.js", "docs/other"] {
        assert!(packed.read(gone).is_none(), "{gone} is gone");
    }
    let error = Shop::new("FROM scratch\nCOPY a /\n").file(".dockerignore", "a").file("a", "1").error();
    assert!(error.contains(".dockerignore"), "{error}");
    let own = Shop::new("FROM scratch\nCOPY a /\n").file(".dockerignore", "a").file("a", "1");
    assert!(own.file("Dockerfile.dockerignore", "b").pack_on(&NoBases).is_ok());
}

/// Gives one base image.
struct Only(Base);

impl Bases for Only {
    fn base(&self, reference: &str) -> Result<Option<Base>, Box<dyn std::error::Error + Send + Sync>> {
        Ok((reference == "base").then(|| self.0.clone()))
    }
}

fn base() -> (Shop, Only) {
    let shop = Shop::new(
        "FROM scratch\nCOPY root /\nENV PATH=/opt A=1\nCMD [\"old\"]\nENTRYPOINT [\"old\"]\nCMD [\"old\"]\nUSER app\n",
    )
    .file("root/usr/bin/sh", "shell");
    symlink("usr/bin", shop.context().join("root/bin")).unwrap();
    let image = shop.pack().image;
    let base = Base { config: image.config, layers: image.layers };
    (shop, Only(base))
}

#[test]
fn an_image_is_built_upon_a_base_at_hand() {
    let (_kept, bases) = base();
    let shop =
        Shop::new("FROM base\nENV A=$A:2\nCOPY tool /bin\nWORKDIR /bin/x\nENTRYPOINT [\"/bin/tool\"]\n");
    let packed = Packed::new(shop.file("tool", "t").pack_on(&bases).unwrap());
    assert_eq!(packed.read("usr/bin/sh").as_deref(), Some("shell"));
    assert_eq!(packed.read("usr/bin/tool").as_deref(), Some("t"), "the base's link is followed");
    assert_eq!((packed.env("A"), packed.env("PATH")), (Some("1:2"), Some("/opt")));
    assert_eq!(packed.config.config.user, "app");
    assert_eq!(packed.config.config.working_dir, "/bin/x");
    assert_eq!(packed.config.config.cmd, None, "the base's arguments were for its own entrypoint");
    assert!(packed.root.path().join("bin").is_symlink());
}

#[test]
fn a_base_image_that_does_not_fit_is_refused() {
    let (_kept, Only(base)) = base();
    let change = |from: &str, to: &str| {
        let config = String::from_utf8(base.config.clone()).unwrap();
        assert!(config.contains(from), "{config}");
        let base = Base { config: config.replace(from, to).into_bytes(), layers: base.layers.clone() };
        Shop::new("FROM base\n").pack_on(&Only(base)).unwrap_err().to_string()
    };
    let arch = format!("\"architecture\":\"{}\"", Platform::of_this_host().architecture);
    assert!(change(&arch, "\"architecture\":\"pdp11\"").contains("pdp11"));
    assert!(change("\"User\":\"app\"", "\"OnBuild\":[\"RUN x\"]").contains("ONBUILD"));
    assert!(change("\"diff_ids\":[\"", "\"diff_ids\":[\"x").contains("damaged"));
}

#[test]
fn build_arguments_do_not_get_into_the_image_by_themselves() {
    let shop = Shop::new("FROM scratch\nARG TOKEN\nARG NAME=x\nLABEL name=$NAME\n")
        .arg("TOKEN", "hush")
        .arg("NAME", "y");
    let image = shop.pack().image;
    let all = [image.config, image.manifest].concat();
    let text = String::from_utf8(all).unwrap();
    assert!(!text.contains("hush"), "{text}");
    assert!(text.contains("\"name\":\"y\""));
}

fn expand(text: &str) -> Result<String, String> {
    let lookup = |name: &str| match name {
        "X" => Some("x".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    Expander { escape: '\\', lookup: &lookup }.word(text)
}

#[test]
fn variables_are_expanded_as_buildkit_does() {
    let table = [
        ("$X", "x"),
        ("${X}y", "xy"),
        ("$Xy", ""),
        ("a$", "a$"),
        ("\\$X", "$X"),
        ("'$X'", "$X"),
        ("\"$X\\\"\\n\"", "x\"\\n"),
        ("${NO:-d$X}", "dx"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${X:+yes}", "yes"),
        ("${NO+yes}", ""),
        ("${X:?wrong}", "x"),
        ("${NO:-'}'}", "}"),
        ("$X.$X-$1", "x.x-"),
    ];
    for (text, value) in table {
        assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
    }
    for bad in ["${X", "${}", "${NO:?set it}", "'open", "\"open", "${X#a}", "${X:"] {
        assert!(expand(bad).is_err(), "{bad}");
    }
    assert!(expand(&"${NO:-".repeat(100)).unwrap_err().contains("too deep"));
}

#[test]
fn an_expansion_bomb_is_refused() {
    let bomb = (0..40).fold("FROM scratch\nENV A=aaaaaaaaaa\n".to_owned(), |text, _| text + "ENV A=$A$A\n");
    assert!(Shop::new(&bomb).error().contains("longer than"));
}

#[test]
fn ignore_patterns_follow_mobys_rules() {
    let excludes = |text: &str, path: &str| Ignore::parse(text).unwrap().excludes(Path::new(path));
    assert!(excludes("a/*", "a/b") && excludes("a/*", "a/b/c") && !excludes("a/*", "a"));
    assert!(excludes("**/x", "x") && excludes("**/x", "a/b/x") && excludes("a/**", "a/b/c"));
    assert!(!excludes("x", "a/x") && excludes("./x/", "x/y"));
    assert!(!excludes("*\n!a", "a/b") && excludes("!a\n*", "a/b"));
    assert!(Ignore::parse("[").is_err());
}

proptest! {
    #[test]
    fn no_dockerfile_makes_the_packer_panic(text in "(FROM scratch\n)?((ENV|COPY|ARG|LABEL|EXPOSE|WORKDIR|CMD|ADD) [ -~]{0,30}\n){0,4}") {
        let _ = Shop::new(&text).file("a", "1").pack_on(&NoBases);
    }

    #[test]
    fn any_word_is_expanded_or_refused(text in "[${}:'\"\\\\a-c?+ -]{0,40}") {
        let _ = expand(&text);
    }
}
