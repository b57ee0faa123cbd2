//! What is stored stays readable for ever.

use longshore_frame::Lease;
use longshore_ports::{ObservedRelease, Phase};

use super::{Unit, image};
use crate::Apply;

/// Where samples of stored states and effects lie, in a folder for each release.
fn samples() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/state/deploy")
}

/// What this build stores is what its samples say. A change that is meant makes a new folder, and leaves the old one:
/// delete the file that differs in the folder of a release that was never shipped, and it is written anew.
fn keeps(name: &str, value: &impl serde::Serialize) {
    let path = samples().join("0.1").join(name);
    let now = serde_json::to_string_pretty(value).unwrap() + "\n";
    if !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), now, "{} is stored otherwise", path.display());
}

#[test]
fn what_is_stored_stays_as_it_is() {
    let mut unit = Unit::new();
    unit.runs(1);
    unit.hears(image(2));
    keeps("state-start.json", &unit.state);
    keeps("effect-start.json", &unit.wishes.last());
    unit.turns(Phase::Ready);
    keeps("state-shift.json", &unit.state);
    unit.asked_to_roll_back();
    keeps("effect-back.json", &unit.wishes.last());
    keeps("state-rest.json", &unit.state);
    let mut waiting = Unit::new();
    waiting.runs(1);
    waiting.runs(2);
    waiting.lease = Lease::Theirs;
    waiting.asked_to_roll_back();
    keeps("state-asked.json", &waiting.state);
}

#[test]
fn a_rollout_begun_by_any_release_is_finished_by_this_build() {
    let mut found = 0;
    for release in std::fs::read_dir(samples()).unwrap() {
        for file in std::fs::read_dir(release.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if path.file_name().unwrap().to_str().unwrap().starts_with("effect-") {
                serde_json::from_str::<Apply>(&text).unwrap();
                continue;
            }
            found += 1;
            let mut unit = Unit::new();
            unit.state = serde_json::from_str(&text).unwrap();
            let Some(rollout) = unit.state.rollout.clone() else { continue };
            unit.lease = Lease::Mine(rollout.generation);
            unit.minted = rollout.generation;
            unit.seen.tip.clone_from(&rollout.to.commit);
            (unit.seen.running.generation, unit.seen.running.step) = (rollout.generation, rollout.step);
            let runs = |release: &crate::Release, weight| ObservedRelease {
                release: release.release,
                digest: release.image.digest.clone(),
                weight,
                phase: Phase::Ready,
                reason: None,
                restarts: 0,
                boot_ms: None,
            };
            unit.seen.running.releases = vec![runs(&rollout.to, 0)];
            unit.seen.running.releases.extend(rollout.from.as_ref().map(|from| runs(from, 100)));
            for _ in 0..5 {
                unit.passes(1_000);
            }
            assert_eq!(unit.weights(), [(rollout.to.image.digest, 100)], "{}", path.display());
            assert_eq!(unit.state.rollout, None);
        }
    }
    assert!(found >= 3, "{found} samples");
}
