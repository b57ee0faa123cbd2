//! Who may use whom: the arrows between our packages, as `cargo metadata` tells them, against the design's rules.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a package is, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Events,
    Policy,
    Ports,
    Frame,
    Sim,
    /// An adapter, or the load engine, which is the adapter of the port `Load`.
    Adapter,
    Function,
    /// The command, the tasks and the end-to-end tests.
    Top,
}

use Part::{Adapter, Events, Frame, Function, Policy, Ports, Sim, Top};

/// Each beyond the rule, with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The runner unpacks the layers of an image; whiteouts and contained paths are written once, with the packer.
    ("longshore-runner", "longshore-oci"),
];

fn part(folder: &str) -> Part {
    match folder {
        "shared/events" => Events,
        "shared/policy" => Policy,
        "shared/ports" => Ports,
        "shared/frame" => Frame,
        "shared/sim" => Sim,
        "shared/load" => Adapter,
        "cli" | "xtask" | "tests" | "tests/bench" | "tests/fuzz-targets" => Top,
        _ if folder.starts_with("shared/adapters/") => Adapter,
        _ if folder.starts_with("functions/") => Function,
        _ => panic!("{folder} is in no part of the design: say in this test whom it may use"),
    }
}

/// Whether code of `from` may use `to`.
fn may_use(from: Part, to: Part) -> bool {
    match from {
        Events => false,
        Policy | Ports => to == Events,
        Frame => matches!(to, Ports | Events),
        Sim | Adapter | Function => matches!(to, Frame | Policy | Ports | Events),
        Top => true,
    }
}

/// One dependency of one of our packages on another.
#[derive(Clone, Copy)]
struct Arrow {
    from: Part,
    to: Part,
    dev: bool,
    /// Taken only by the feature `lambda`, which only binaries ask for.
    lambda_only: bool,
    itself: bool,
}

fn allowed(arrow: Arrow) -> bool {
    let Arrow { from, to, dev, lambda_only, itself } = arrow;
    may_use(from, to)
        || (dev && (itself || (from == Function && to == Sim)))
        || (from == Function && to == Adapter && lambda_only && !dev)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn part_of(package: &Value) -> Part {
    let folder = Path::new(text(package, "manifest_path")).parent().unwrap();
    part(folder.strip_prefix(root().canonicalize().unwrap()).unwrap().to_str().unwrap())
}

/// Whether `dependency` is optional, and only the feature `lambda` takes it.
fn is_lambda_only(package: &Value, dependency: &Value) -> bool {
    let name = text(dependency, "name");
    let takes = |taken: &Value| {
        let taken = taken.as_str().unwrap_or_default();
        taken.trim_start_matches("dep:").split(['/', '?']).next() == Some(name)
    };
    let mut features = package["features"].as_object().unwrap().iter();
    let only =
        features.all(|(feature, taken)| feature == "lambda" || !taken.as_array().unwrap().iter().any(takes));
    dependency["optional"].as_bool() == Some(true) && only
}

#[test]
fn no_arrow_between_our_packages_is_one_that_the_design_forbids() {
    let packages = packages();
    let parts: BTreeMap<&str, Part> =
        packages.iter().map(|package| (text(package, "name"), part_of(package))).collect();
    let mut unused: BTreeSet<_> = EXCEPTIONS.iter().copied().collect();
    let mut forbidden = Vec::new();
    for package in &packages {
        let from = text(package, "name");
        for dependency in list(package, "dependencies") {
            let to = text(dependency, "name");
            let Some(&part) = parts.get(to) else { continue };
            let arrow = Arrow {
                from: parts[from],
                to: part,
                dev: text(dependency, "kind") == "dev",
                lambda_only: is_lambda_only(package, dependency),
                itself: from == to,
            };
            // One package may depend on another twice: for its code and for its tests.
            let excepted = EXCEPTIONS.contains(&(from, to));
            unused.remove(&(from, to));
            if !allowed(arrow) && !excepted {
                forbidden.push(format!("{from} ({:?}) -> {to} ({part:?})", arrow.from));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden by the design, \"Who may use whom\": {forbidden:#?}");
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
}

#[test]
fn a_function_has_binaries_only_behind_the_feature_lambda() {
    for package in packages().iter().filter(|package| part_of(package) == Function) {
        let is_bin = |target: &&Value| list(target, "kind").any(|kind| kind == "bin");
        for target in list(package, "targets").filter(is_bin) {
            let behind = list(target, "required-features").any(|feature| feature == "lambda");
            assert!(
                behind,
                "{}: [[bin]] {} lacks required-features = [\"lambda\"]",
                package["name"], target["name"]
            );
        }
        let default = list(&package["features"], "default").count();
        assert_eq!(default, 0, "{} has default features", package["name"]);
    }
}

#[test]
fn the_rule_tells_good_arrows_from_bad_ones() {
    let plain = |from, to| Arrow { from, to, dev: false, lambda_only: false, itself: false };
    for (from, to) in [
        (Function, Frame),
        (Function, Policy),
        (Adapter, Ports),
        (Sim, Frame),
        (Frame, Ports),
        (Top, Adapter),
    ] {
        assert!(allowed(plain(from, to)), "{from:?} -> {to:?}");
    }
    let bad = [
        (Events, Policy),
        (Policy, Ports),
        (Ports, Policy),
        (Frame, Policy),
        (Frame, Sim),
        (Sim, Function),
        (Adapter, Adapter),
        (Function, Function),
        (Function, Adapter),
        (Function, Sim),
        (Adapter, Function),
        (Frame, Top),
    ];
    for (from, to) in bad {
        assert!(!allowed(plain(from, to)), "{from:?} -> {to:?}");
    }
    assert!(allowed(Arrow { dev: true, ..plain(Function, Sim) }));
    assert!(!allowed(Arrow { dev: true, ..plain(Function, Adapter) }));
    assert!(allowed(Arrow { lambda_only: true, ..plain(Function, Adapter) }));
    assert!(allowed(Arrow { dev: true, itself: true, ..plain(Events, Events) }));
}

#[test]
fn the_tests_of_deploy_compile_nothing_of_aws_or_kubernetes() {
    let tree = cargo(&[
        "tree",
        "--package",
        "longshore-deploy",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    assert!(tree.contains("longshore-frame "), "not the tree of deploy: {tree}");
    let bad = ["aws", "kube", "k8s"];
    let found: Vec<_> = tree.lines().filter(|line| bad.iter().any(|name| line.starts_with(name))).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn unsafe_code_is_excepted_in_one_module() {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && excepts_unsafe(&path) {
                found.push(path);
            }
        }
    }
    let allowed = root().join("shared/load/src/raw/mod.rs");
    assert_eq!(found, [allowed], "unsafe code stands in one module of the load engine, and nowhere else");
}

/// Whether a file lets `unsafe` through the lint, on one line or over several.
fn excepts_unsafe(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    let dense: String = text.split_whitespace().collect();
    ["expect(", "allow(", "warn("].iter().any(|level| {
        dense.match_indices(level).any(|(at, _)| {
            let rest = &dense[at..];
            rest.split(')').next().is_some_and(|inside| inside.contains(concat!("unsafe", "_code")))
        })
    })
}
