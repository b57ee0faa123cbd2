//! Whatever the text, checking ends with a policy or with faults whose places lie within it; whatever was found, `init`
//! writes what passes.

use longshore_policy::{
    Fault, Found, FoundDockerfile, FoundLanguage, Language, Policy, SAMPLE, check, check_bytes, init, schema,
};
use proptest::prelude::*;

use crate::support::{sample_lines, to_json};

fn assert_in_range(text: &str, result: &Result<Policy, Vec<Fault>>) {
    let Err(faults) = result else { return };
    assert!(!faults.is_empty());
    for fault in faults {
        let shown = text.get(fault.span.clone());
        assert!(shown.is_some(), "{fault}: {:?} of {}", fault.span, text.len());
        let before = &text[..fault.span.start];
        assert_eq!(fault.line, before.matches('\n').count() + 1);
        assert_eq!(fault.column, before.rsplit('\n').next().unwrap_or("").chars().count() + 1);
        assert!(!fault.message.contains('\n') && !fault.message.is_empty());
    }
}

fn language() -> impl Strategy<Value = Language> {
    prop_oneof![Just(Language::Rust), Just(Language::Node), Just(Language::Go), Just(Language::Python)]
}

fn folder() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,3}(/[a-z]{1,3}){0,2}",
        ".{0,12}",
        "[./\\[\\]{}*?!\"\\\\\n]{0,8}"
    ]
}

fn found() -> impl Strategy<Value = Found> {
    let file = prop_oneof![Just("Dockerfile".to_owned()), "Dockerfile\\.[a-z]{1,4}", ".{0,60}"];
    let dockerfile = (folder(), file, prop::collection::vec(any::<u16>(), 0..3), any::<bool>());
    let dockerfile = dockerfile.prop_map(|(folder, file, exposes, has_run)| {
        let path = if folder.is_empty() { file } else { format!("{folder}/{file}") };
        FoundDockerfile { path, exposes, has_run }
    });
    let language = (folder(), language()).prop_map(|(folder, language)| FoundLanguage { folder, language });
    let parts = (
        prop_oneof!["[a-z]{1,8}(/[a-z]{1,8})?", ".{0,50}"],
        prop_oneof![Just("main".to_owned()), ".{0,20}"],
        prop::collection::vec(dockerfile, 0..5),
        prop::collection::vec(language, 0..5),
    );
    parts.prop_map(|(repository, branch, dockerfiles, languages)| Found {
        repository,
        branch,
        dockerfiles,
        languages,
    })
}

/// Pieces that reach deeper than random characters do.
fn toml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "(\\[|\\[\\[)(host|source|repository|service|service.run|service.run.ready|environment|a.b)(\\]|\\]\\])\n",
        "(name|listen|services|ready|args|a.b.c|service.run|env) = (1|\"x\"|\"*\"|\\[\"x\"\\]|\\{ a = \"b\" \\}|true|-0.5)\n",
        ".{0,10}",
        Just("\u{feff}".to_owned()),
        Just("\r\n".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        assert_in_range(&text, &check(&text, "f"));
    }

    #[test]
    fn no_text_that_looks_like_toml_panics(text in toml_like()) {
        assert_in_range(&text, &check(&text, "f"));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let faults = check_bytes(&bytes, "f").unwrap_err();
        prop_assert!(faults.iter().all(|fault| fault.span.end <= text.len()));
    }

    #[test]
    fn any_mutation_of_the_sample_is_checked(
        at in 0..SAMPLE.len(), length in 0..2usize, with in prop_oneof![Just(String::new()), "[\"\\[\\]=#.a-z0-9\n]", ".{1}"]
    ) {
        let start = SAMPLE.floor_char_boundary(at);
        let end = SAMPLE.ceil_char_boundary(at + length).min(SAMPLE.len()).max(start);
        let text = format!("{}{with}{}", &SAMPLE[..start], &SAMPLE[end..]);
        assert_in_range(&text, &check(&text, "f"));
    }

    #[test]
    fn any_mutation_of_an_uncommented_sample_is_checked(at in 0..SAMPLE.len(), with in ".{1}") {
        let whole = sample_lines().join("\n");
        let at = whole.floor_char_boundary(at % whole.len());
        let text = format!("{}{with}{}", &whole[..at], &whole[whole.ceil_char_boundary(at + 1)..]);
        assert_in_range(&text, &check(&text, "f"));
    }

    #[test]
    fn what_init_writes_passes(found in found()) {
        let text = init(&found);
        let policy = check(&text, "longshore.toml");
        let shown: Vec<_> = policy.iter().flat_map(|policy| &policy.services).collect();
        prop_assert!(!shown.is_empty(), "{:?}\n{}", policy, text);
    }

    #[test]
    fn what_passes_validates_against_the_schema(found in found()) {
        let text = init(&found);
        let validator = jsonschema::validator_for(&schema()).unwrap();
        prop_assert!(validator.is_valid(&to_json(&toml_span::parse(&text).unwrap())), "{}", text);
    }
}

#[test]
fn every_single_character_taken_out_of_the_sample_is_checked() {
    for (at, character) in SAMPLE.char_indices() {
        let text = format!("{}{}", &SAMPLE[..at], &SAMPLE[at + character.len_utf8()..]);
        assert_in_range(&text, &check(&text, "f"));
    }
}

#[test]
fn deep_nesting_is_refused_without_exhausting_the_stack() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("a = {}{}", open.repeat(100_000), close.repeat(100_000));
        assert_in_range(&text, &check(&text, "f"));
    }
    let dotted = format!("{} = 1", vec!["a"; 100_000].join("."));
    assert_in_range(&dotted, &check(&dotted, "f"));
}
