//! Every target takes its seeds and what once broke it, and each is one that the fuzzer knows.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and shows what it did before"
)]

use std::fs;
use std::path::Path;

use longshore_fuzz_targets::{TARGETS, regressions, run};

fn takes_all(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    for (input, bytes) in seeds.into_iter().chain(regressions(name)) {
        // A panic shows the last line before it.
        println!("{name}: {input}");
        run(name, &bytes);
        // Cut in the middle, as by a connection that broke.
        run(name, &bytes[..bytes.len() / 2]);
    }
}

#[test]
fn webhooks_of_all_providers_are_answered() {
    takes_all("webhook");
}

#[test]
fn cloudevents_single_and_in_batches_are_answered() {
    takes_all("cloudevents");
}

#[test]
fn manifests_and_indexes_come_back_as_they_were_or_are_refused() {
    takes_all("manifest");
}

#[test]
fn layers_change_nothing_outside_their_folder() {
    takes_all("layer");
}

#[test]
fn dockerfiles_pack_twice_alike_or_are_refused() {
    takes_all("dockerfile");
}

#[test]
fn configurations_are_checked_with_every_fault_in_its_place() {
    takes_all("configuration");
}

#[test]
fn the_fuzzer_has_a_program_for_each_target_and_regressions_for_no_others() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let stems = |folder: &str| {
        let Ok(listed) = fs::read_dir(fuzz.join(folder)) else { return Vec::new() };
        let paths = listed.map(|entry| entry.unwrap().path());
        let mut stems: Vec<String> =
            paths.map(|path| path.file_stem().unwrap().display().to_string()).collect();
        stems.sort();
        stems
    };
    let mut names = TARGETS.map(|target| target.name.to_owned());
    names.sort();
    assert_eq!(stems("targets"), names);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    assert!(names.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
    assert!(stems("regressions").iter().all(|name| names.contains(name)));
}
