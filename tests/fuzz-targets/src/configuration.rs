//! The configuration: it is checked, and every fault lies in it.

use longshore_policy::{Found, FoundDockerfile, Policy, SAMPLE, check_bytes, init};

use crate::Seed;

/// The sample, the sample with its comments taken off, and what `longshore init` writes.
pub(crate) fn seeds() -> Vec<Seed> {
    let key = |line: &&str| line.starts_with("# ") && line.contains(" = ");
    let bare: String =
        SAMPLE.lines().map(|line| if key(&line) { &line[2..] } else { line }.to_owned() + "\n").collect();
    let found = Found {
        repository: "acme/shop".into(),
        branch: "main".into(),
        dockerfiles: vec![FoundDockerfile {
            path: "api/Dockerfile".into(),
            exposes: vec![80],
            has_run: true,
        }],
        languages: Vec::new(),
    };
    [("sample", SAMPLE.to_owned()), ("bare", bare), ("init", init(&found))]
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .into()
}

pub(crate) fn run(input: &[u8]) {
    match check_bytes(input, "longshore.toml") {
        Ok(policy) => whole(&policy),
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            for fault in faults {
                let inside = fault.span.start <= fault.span.end && fault.span.end <= input.len();
                assert!(inside && fault.line > 0 && fault.column > 0, "{fault:?}");
                if let Ok(text) = std::str::from_utf8(input) {
                    assert!(text.get(fault.span.clone()).is_some(), "{fault:?}");
                }
                assert!(!fault.to_string().contains(['\n', '\r', '\u{1b}']), "{fault:?}");
            }
        }
    }
}

/// Whatever a checked policy names is in it.
fn whole(policy: &Policy) {
    assert!(!policy.services.is_empty());
    for environment in &policy.environments {
        assert!(environment.services.iter().all(|name| policy.service(name).is_some()), "{environment:?}");
    }
    let built = policy.services.iter().filter_map(|service| service.source.as_ref());
    assert!(built.into_iter().all(|source| policy.repository(&source.repository).is_some()));
}
