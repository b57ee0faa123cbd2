//! Base images, there and not there.

use super::*;

/// Gives one base image.
struct Only(Base);

impl Bases for Only {
    fn base(&self, reference: &str) -> Result<Option<Base>, Box<dyn std::error::Error + Send + Sync>> {
        Ok((reference == "base").then(|| self.0.clone()))
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
