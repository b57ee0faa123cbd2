//! What of the template follows from the code: the rules of each function, from what it takes, and its environment, from
//! what its binary asks for. `cargo xtask sam` writes it; here it is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use longshore_frame::lambda::routes;

use crate::stack::{root, template};

/// Set by `cargo xtask sam`.
const WRITE: &str = "LONGSHORE_WRITE_SAM";

/// What the template has for each variable.
const VALUES: &[(&str, &str)] = &[
    ("LONGSHORE_BUCKET", "!Ref Bucket"),
    ("LONGSHORE_BUILD_SECRET", "!Ref BuildSecret"),
    ("LONGSHORE_BUS", "!Ref Bus"),
    ("LONGSHORE_CODEBUILD_PROJECT", "!Ref Builder"),
    ("LONGSHORE_CONFIG", "/opt/longshore.toml"),
    (
        "LONGSHORE_REGISTRY",
        "!If [HasRegistry, !Ref Registry, !Sub \"${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}\"]",
    ),
    ("LONGSHORE_RUNNER", "!Ref Runner"),
    ("LONGSHORE_SECRET", "!Ref Secret"),
    ("LONGSHORE_TABLE", "!Ref Table"),
    ("LONGSHORE_TOPIC", "!Ref Alerts"),
    ("LONGSHORE_WAKES", "!Ref Wakes"),
];

/// What also runs by the clock: function, name, rate, and what for.
const SCHEDULES: &[(&str, &str, &str, &str)] =
    &[("refcheck", "Hourly", "rate(1 hour)", "Finds repositories of which no push was ever heard")];

/// The Lambda binaries by function: the source of each one's `main`.
pub(crate) fn binaries() -> BTreeMap<String, PathBuf> {
    let mut binaries = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("functions")).unwrap() {
        let package = entry.unwrap().path();
        let Ok(manifest) = std::fs::read_to_string(package.join("Cargo.toml")) else { continue };
        for binary in manifest.split("[[bin]]").skip(1).filter(|binary| binary.contains("\"lambda\"")) {
            let field = |name: &str| {
                let line = binary.lines().find(|line| line.starts_with(name)).unwrap();
                line.split('"').nth(1).unwrap().to_owned()
            };
            let function = field("name").strip_prefix("longshore-").unwrap().to_owned();
            binaries.insert(function, package.join(field("path")));
        }
    }
    binaries
}

/// The variables that a source names, and the module `lambda` beside it, each once.
fn variables(source: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(source).unwrap();
    let mut names: Vec<String> = text
        .split('"')
        .filter(|word| {
            word.starts_with("LONGSHORE_")
                && word.bytes().all(|b| b"_".contains(&b) || b.is_ascii_uppercase())
        })
        .map(ToOwned::to_owned)
        .collect();
    let module = source.with_file_name("lambda.rs");
    if module != source && module.is_file() && text.contains("mod lambda;") {
        names.extend(variables(&module));
    }
    names.sort();
    names.dedup();
    names
}

fn value(name: &str) -> String {
    let found = VALUES.iter().find(|(known, _)| *known == name);
    let (_, value) = found.unwrap_or_else(|| panic!("what is {name} on AWS? Say so in {}", file!()));
    format!("{name}: {value}\n")
}

/// The block of the variables that all functions have.
fn every() -> String {
    let shared = variables(&root().join("shared/adapters/aws/src/lambda.rs"));
    shared.iter().map(|name| value(name)).collect()
}

/// The block of one function.
fn block(function: &str, source: &Path) -> String {
    let mut block = String::new();
    let own = variables(source);
    if !own.is_empty() {
        block.push_str("Environment:\n  Variables:\n");
        block.extend(own.iter().map(|name| format!("    {}", value(name))));
    }
    if let Some((_, kinds)) = routes().0.into_iter().find(|(name, _)| *name == function) {
        let told = format!("source: [longshore]\ndetail-type: [{}]", kinds.join(", "));
        let wake = longshore_aws::WAKE;
        let woken =
            format!("source: [longshore]\ndetail-type: [{wake}]\ndetail: {{ function: [{function}] }}");
        block.push_str(&format!("Events:\n{}{}", rule("Told", &told), rule("Woken", &woken)));
        for (_, name, rate, why) in SCHEDULES.iter().filter(|(of, ..)| *of == function) {
            let properties = format!("Schedule: {rate}\n      Description: {why}");
            block.push_str(&format!("  {name}:\n    Type: Schedule\n    Properties:\n      {properties}\n"));
        }
    }
    block
}

/// A rule on our own bus. What is older than a minute the sweep has sent again.
fn rule(name: &str, pattern: &str) -> String {
    let pattern = pattern.replace('\n', "\n        ");
    format!(
        "  {name}:\n    Type: EventBridgeRule\n    Properties:\n      EventBusName: !Ref Bus\n      Pattern:\n        {pattern}\n      \
         RetryPolicy: {{ MaximumEventAgeInSeconds: 60 }}\n      DeadLetterConfig: {{ Arn: !GetAtt DeadLetters.Arn }}\n"
    )
}

/// The template with what the code says in its blocks.
fn written(text: &str) -> String {
    let mut blocks: BTreeMap<String, String> =
        binaries().iter().map(|(function, source)| (function.clone(), block(function, source))).collect();
    blocks.insert("every function".into(), every());
    let (mut written, mut inside) = (String::new(), false);
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        inside &= line.trim() != "# end";
        if !inside {
            written.push_str(&format!("{line}\n"));
        }
        if let Some(name) = line.trim().strip_prefix("# begin ") {
            let block = blocks.remove(name).unwrap_or_default();
            written.extend(block.lines().map(|line| format!("{indent}{line}\n")));
            inside = true;
        }
    }
    let left: Vec<_> = blocks.keys().collect();
    assert!(left.is_empty(), "the template has no block for {left:?}: add the function, as the others are");
    written
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whether to write or to compare is said by the task")]
fn the_rules_and_variables_of_the_template_are_those_that_generate_writes() {
    let text = std::fs::read_to_string(template()).unwrap();
    let wanted = written(&text);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(template(), &wanted).unwrap();
    } else {
        assert!(wanted == text, "the template differs from the code; run `cargo xtask sam`");
    }
}
