//! What functions store, as each release wrote it: samples in `events/state/<function>/<release>`, for the tests of the
//! functions and of whoever reads what they stored.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The release that is being made.
const RELEASE: &str = "0.1";

/// The samples of a function.
pub struct Samples(PathBuf);

impl Samples {
    /// Those of the function of this name.
    pub fn of(function: &str) -> Self {
        Self(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/state").join(function))
    }

    /// What this build stores is what its sample says. A change that is meant makes a new folder, and leaves the old one:
    /// delete the file that differs in the folder of a release that was never shipped, and it is written anew.
    pub fn keep(&self, name: &str, value: &impl Serialize) {
        let path = self.0.join(RELEASE).join(name);
        let now = serde_json::to_string_pretty(value).unwrap() + "\n";
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &now).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), now, "{} is stored otherwise", path.display());
    }

    /// The states of all releases, each with its file. All of them load, and so do the effects.
    pub fn load<State: DeserializeOwned, Effect: DeserializeOwned>(&self) -> Vec<(PathBuf, State)> {
        let mut states = Vec::new();
        for release in self.releases() {
            for file in fs::read_dir(release).unwrap() {
                let path = file.unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                if path.file_name().unwrap().to_str().unwrap().starts_with("effect-") {
                    serde_json::from_str::<Effect>(&text).unwrap();
                } else {
                    states.push((path, serde_json::from_str(&text).unwrap()));
                }
            }
        }
        states
    }

    /// The folders of the releases; there is one at least.
    pub fn releases(&self) -> Vec<PathBuf> {
        let found: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!found.is_empty(), "{} has samples", self.0.display());
        found
    }
}
