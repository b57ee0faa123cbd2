//! Variables, build arguments and ignore patterns.

use std::cell::Cell;

use super::*;

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
    Expander { escape: '\\', lookup: &lookup, left: &Cell::new(usize::MAX) }.word(text)
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
    let long = format!("FROM scratch\nENV A={}\n", "a".repeat(60_000));
    let in_quotes = format!("{long}ENV B=\"{}\"\n", "$A".repeat(400_000));
    assert!(Shop::new(&in_quotes).error().contains("longer than"));
    let one_each = (0..40_000).fold(long, |text, n| format!("{text}ENV B{n}=$A\n"));
    assert!(Shop::new(&one_each).error().contains("variables make more than"));
}

#[test]
fn a_path_that_no_unpacker_takes_is_refused_before_it_is_in_an_image() {
    for path in ["x".repeat(256), "x/".repeat(2_100), "srv/.wh.data".into(), ".wh.x/y".into()] {
        let error = Shop::new(&format!("FROM scratch\nWORKDIR /{path}\n")).error();
        assert!(error.contains("refused"), "{error}");
    }
    let error = Shop::new("FROM scratch\nCOPY . /\n").file("a/.wh.b", "1").error();
    assert!(error.contains("rename it"), "{error}");
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
