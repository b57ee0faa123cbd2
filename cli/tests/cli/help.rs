//! Help and completions.

use super::{folder, longshore};

#[test]
fn the_help_tells_every_command_and_the_first_steps() {
    let folder = folder(&[]);
    let said = longshore(folder.path(), &["--help"]);
    assert_eq!(said.status, 0);
    insta::assert_snapshot!(said.stdout);
}

#[test]
fn every_command_has_help() {
    let folder = folder(&[]);
    let commands = "demo init check up status timeline replay dora findings logs events approve reject release-digest rollback stop resume down backup restore load eks completions";
    for command in commands.split(' ') {
        let said = longshore(folder.path(), &[command, "--help"]);
        assert_eq!(said.status, 0, "{command}");
        assert!(said.stdout.contains("Usage: longshore"), "{command}: {}", said.stdout);
    }
}

#[test]
fn without_a_command_the_help_is_shown_and_the_status_is_2() {
    let folder = folder(&[]);
    let said = longshore(folder.path(), &[]);
    assert_eq!(said.status, 2);
    assert!(said.stderr.contains("First steps:"), "{}", said.stderr);
}

#[test]
fn a_slip_of_the_hand_is_answered_with_what_was_meant() {
    let folder = folder(&[]);
    let said = longshore(folder.path(), &["stat"]);
    assert_eq!(said.status, 2);
    assert!(said.stderr.contains("a similar subcommand exists: 'status'"), "{}", said.stderr);
}

#[test]
fn every_shell_gets_its_completions() {
    let folder = folder(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = longshore(folder.path(), &["completions", shell]);
        assert_eq!(said.status, 0, "{shell}");
        assert!(said.stdout.contains("timeline") && said.stdout.contains("rollback"), "{shell}");
    }
}

#[test]
fn bash_accepts_its_completions() {
    let folder = folder(&[]);
    let script = longshore(folder.path(), &["completions", "bash"]).stdout;
    std::fs::write(folder.path().join("completions.bash"), script).unwrap();
    let bash = std::process::Command::new("bash")
        .args(["-n", "completions.bash"])
        .current_dir(folder.path())
        .status();
    assert!(bash.unwrap().success());
}

#[test]
fn event_types_are_listed_and_described_without_a_host() {
    let folder = folder(&[]);
    let listed = longshore(folder.path(), &["events", "schema"]);
    assert!(listed.stdout.contains("dev.longshore.push.received.v1\n"), "{}", listed.stdout);
    let described = longshore(folder.path(), &["events", "schema", "push.received"]);
    let schema: serde_json::Value = serde_json::from_str(&described.stdout).unwrap();
    assert_eq!(schema["title"], "dev.longshore.push.received.v1");
    let unknown = longshore(folder.path(), &["events", "schema", "push.recieved"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.stderr.contains("there is no event type \"push.recieved\""), "{}", unknown.stderr);
}
