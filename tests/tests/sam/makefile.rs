//! What `sam build` runs: the Makefile has a target for each function of the template, and builds the binary that it is.

use crate::blocks::binaries;
use crate::stack::{logical, root, transformed};

#[test]
fn each_function_of_the_template_has_a_target_that_builds_its_binary() {
    let text = std::fs::read_to_string(root().join("infra/sam/Makefile")).unwrap();
    let call = |line: &str| {
        let words = line.strip_prefix("$(eval $(call function,")?.strip_suffix("))")?;
        Some(words.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    let mut targets: Vec<_> = text.lines().filter_map(call).collect();
    targets.sort();
    let package = |source: &std::path::Path| {
        let folder = source.parent().and_then(std::path::Path::parent).unwrap();
        folder.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let mut wanted: Vec<_> = binaries()
        .iter()
        .map(|(function, source)| vec![logical(function), package(source), function.clone()])
        .collect();
    wanted.sort();
    assert_eq!(targets, wanted);
    let template = transformed();
    for target in targets {
        assert_eq!(template["Resources"][&target[0]]["Type"], "AWS::Lambda::Function", "{target:?}");
    }
}
