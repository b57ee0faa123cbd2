//! The demo, whole: real git, real builds, a host that is killed. What it says of itself is checked from outside.

#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Starts the demo with `temporary` as the folder for temporary folders.
fn demo(temporary: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_longshore"))
        .arg("demo")
        .args(args)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Processes whose program, working folder or arguments lie in `folder`.
fn processes(folder: &Path) -> Vec<String> {
    let within = |process: &Path| {
        let link = |name| fs::read_link(process.join(name)).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&fs::read(process.join("cmdline")).unwrap_or_default())
            .replace('\0', " ");
        let folder = folder.canonicalize().unwrap();
        let named = arguments.contains(&*folder.to_string_lossy());
        (named || link("exe").starts_with(&folder) || link("cwd").starts_with(&folder)).then_some(arguments)
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| within(&entry.unwrap().path())).collect()
}

fn nothing_is_left(temporary: &Path) {
    assert_eq!(processes(temporary), Vec::<String>::new());
    let left: Vec<_> = fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[test]
fn the_demo_goes_well_says_so_in_one_object_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &["--output", "json"]).wait_with_output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    let said: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    assert_eq!(said["ok"], true, "{stdout}{stderr}");
    assert_eq!((&said["lost"], &said["twice"]), (&0.into(), &0.into()));
    for key in ["n", "p50", "max"] {
        assert!(said["overhead_ms"][key].as_u64().unwrap() > 0, "{stdout}");
    }
    let dora = &said["dora"];
    assert!(dora["deployments"].as_u64() >= Some(4) && dora["lead_time_ms"].as_u64() > Some(0), "{stdout}");
    assert_eq!((&dora["failed"], &dora["restored"]), (&1.into(), &1.into()), "{stdout}");
    let names: Vec<_> =
        said["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["host", "first push", "kill -9", "broken push", "pushed again", "race", "down"]);
    assert!(said["steps"].as_array().unwrap().iter().all(|step| step["ok"] == true && step["ms"].is_u64()));
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
    nothing_is_left(temporary.path());
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = demo(temporary.path(), &[]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // In the middle of the second scene, when a build or a rollout goes on.
    let mut lines = lines.skip_while(|line| !line.contains("first push"));
    assert!(lines.next().is_some_and(|line| line.contains('✓')));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was left running"));
    nothing_is_left(temporary.path());
}
