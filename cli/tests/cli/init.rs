//! `longshore init`

use super::{folder, longshore};

const DOCKERFILE: &str = "FROM scratch\nCOPY app /app\nEXPOSE 8080\nENTRYPOINT [\"/app\"]\n";

#[test]
fn what_is_found_becomes_a_configuration_that_passes_the_check() {
    let files =
        [("Dockerfile", DOCKERFILE), ("Cargo.toml", ""), ("web/Dockerfile.front", "FROM node\nRUN npm ci\n")];
    let folder = folder(&files);
    let said = longshore(folder.path(), &["init"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    for choice in ["service front", "dockerfile = \"Dockerfile.front\"", "prepare = ", "It has RUN"] {
        assert!(said.stdout.contains(choice), "{choice} in {}", said.stdout);
    }
    assert!(said.stderr.contains("longshore up"), "{}", said.stderr);
    let checked = longshore(folder.path(), &["check"]);
    assert_eq!(
        checked.stdout, "ok longshore.toml: 1 repository, 2 services, 1 environment\n",
        "{}",
        checked.stderr
    );
}

#[test]
fn an_empty_folder_gets_a_configuration_too() {
    let folder = folder(&[]);
    assert_eq!(longshore(folder.path(), &["init"]).status, 0);
    assert_eq!(longshore(folder.path(), &["check"]).status, 0);
}

#[test]
fn the_branch_that_is_checked_out_is_followed() {
    let folder = folder(&[]);
    let git = std::process::Command::new("git")
        .args(["init", "--quiet", "--initial-branch=trunk"])
        .current_dir(folder.path())
        .status();
    assert!(git.unwrap().success());
    let said = longshore(folder.path(), &["init", "--dry-run"]);
    assert!(said.stdout.contains("branch = \"trunk\""), "{}", said.stdout);
    assert!(!folder.path().join("longshore.toml").exists());
}

#[test]
fn a_configuration_that_is_there_stays_unless_forced() {
    let folder = folder(&[("longshore.toml", "mine")]);
    let read = || std::fs::read_to_string(folder.path().join("longshore.toml")).unwrap();
    let said = longshore(folder.path(), &["init"]);
    assert_eq!((said.status, read().as_str()), (1, "mine"));
    assert!(said.stderr.contains("--force"), "{}", said.stderr);
    assert_eq!(longshore(folder.path(), &["init", "--force"]).status, 0);
    assert!(read().contains("[[service]]"));
}

#[test]
fn what_others_wrote_is_not_looked_at() {
    let folder = folder(&[("node_modules/x/Dockerfile", DOCKERFILE), ("target/Dockerfile", DOCKERFILE)]);
    let said = longshore(folder.path(), &["init", "--dry-run"]);
    assert!(said.stdout.contains("No Dockerfile was found"), "{}", said.stdout);
}
