//! The tools for templates find nothing. What they are told to overlook stands in `infra/sam/checkov.yaml`, with reasons.

use crate::stack::{output, peer, template, transformed};

#[test]
fn sam_and_cfn_lint_find_nothing_in_the_template() {
    let said = output(peer("sam", &["validate", "--lint", "--template-file", "template.yaml"]));
    assert!(said.contains("is a valid SAM Template"), "{said}");
    assert_eq!(output(peer("cfn-lint", &["--include-checks", "W", "--template", "template.yaml"])), "");
}

/// checkov reads SAM's own resources too, but knows more of what they become.
#[test]
fn checkov_finds_nothing_in_the_template_nor_in_what_it_becomes() {
    let folder = tempfile::tempdir().unwrap();
    let becomes = folder.path().join("becomes.json");
    std::fs::write(&becomes, transformed().to_string()).unwrap();
    for file in [template(), becomes] {
        let file = file.to_str().unwrap();
        let said = output(peer("checkov", &["--config-file", "checkov.yaml", "--file", file]));
        assert!(said.contains("Failed checks: 0"), "{said}");
    }
}
