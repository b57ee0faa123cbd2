//! `longshore check`

use super::{folder, longshore};

const GOOD: &str = "[[service]]\nname = \"shop\"\nimage = \"docker.io/library/nginx\"\n";
const BAD: &str = "[[service]]\nname = \"Shop\"\nimagee = \"docker.io/library/nginx\"\n\n[[environment]]\nname = \"live\"\nstrategy = \"rollin\"\n";

#[test]
fn a_good_configuration_is_summed_up() {
    let folder = folder(&[("longshore.toml", GOOD)]);
    let said = longshore(folder.path(), &["check"]);
    assert_eq!(said.stdout, "ok longshore.toml: 0 repositories, 1 service, 1 environment\n");
    assert_eq!((said.status, said.stderr.as_str()), (0, ""));
}

#[test]
fn all_faults_are_shown_at_once_each_with_its_place_and_a_suggestion() {
    let folder = folder(&[("longshore.toml", BAD)]);
    let said = longshore(folder.path(), &["check"]);
    assert_eq!((said.status, said.stdout.as_str()), (1, ""));
    insta::assert_snapshot!(said.stderr);
}

#[test]
fn programs_get_one_json_object() {
    let folder = folder(&[("other.toml", BAD)]);
    let said = longshore(folder.path(), &["check", "other.toml", "--output", "json"]);
    assert_eq!((said.status, said.stderr.as_str()), (1, ""));
    let value: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(value["ok"], false);
    assert_eq!(value["faults"].as_array().unwrap().len(), 3);
    assert_eq!(value["faults"][0]["line"], 2);
    assert_eq!(value["faults"][0]["suggestion"], "shop");
}

#[test]
fn a_credential_is_never_shown() {
    let text = format!(
        "[[repository]]\nname = \"shop\"\nurl = \"https://me:hunter2@example.com/shop.git\"\n\n{GOOD}"
    );
    let folder = folder(&[("longshore.toml", &text)]);
    for args in [&["check"][..], &["check", "-o", "json"]] {
        let said = longshore(folder.path(), args);
        assert_eq!(said.status, 1);
        assert!(!said.stderr.contains("hunter2") && !said.stdout.contains("hunter2"), "{}", said.stderr);
    }
}

#[test]
fn a_missing_file_is_named_with_what_writes_one() {
    let folder = folder(&[]);
    let said = longshore(folder.path(), &["check"]);
    assert_eq!(said.status, 1);
    assert!(
        said.stderr.starts_with("error: cannot read longshore.toml; `longshore init` writes one"),
        "{}",
        said.stderr
    );
}

#[test]
fn bytes_that_are_no_text_are_a_fault_with_a_place() {
    let folder = folder(&[]);
    std::fs::write(folder.path().join("longshore.toml"), b"[host]\n# \xff\n").unwrap();
    let said = longshore(folder.path(), &["check"]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("longshore.toml:2:3"), "{}", said.stderr);
}
