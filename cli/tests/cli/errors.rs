//! What is said when a command cannot do its work: in lower case, on stderr, with what to do.

use super::{folder, longshore};

#[test]
fn without_a_host_every_command_says_how_to_start_one() {
    let folder = folder(&[]);
    let commands: [&[&str]; 10] = [
        &["status"],
        &["timeline", "shop"],
        &["replay", "shop"],
        &["logs", "shop"],
        &["events", "list"],
        &["events", "tail"],
        &["rollback", "shop"],
        &["stop"],
        &["resume"],
        &["down"],
    ];
    for args in commands {
        let said = longshore(folder.path(), args);
        assert_eq!((said.status, said.stdout.as_str()), (1, ""), "{args:?}");
        assert!(said.stderr.starts_with("error: no host runs on "), "{}", said.stderr);
        assert!(said.stderr.contains("start one with `longshore up`"), "{}", said.stderr);
    }
}

#[test]
fn the_data_folder_is_that_of_the_nearest_configuration() {
    let text =
        "[host]\ndata = \"elsewhere\"\n[[service]]\nname = \"shop\"\nimage = \"docker.io/library/nginx\"\n";
    let folder = folder(&[("longshore.toml", text), ("deep/below/file", "")]);
    let said = longshore(&folder.path().join("deep/below"), &["status"]);
    let wanted = folder.path().canonicalize().unwrap().join("elsewhere");
    assert!(said.stderr.contains(&format!("no host runs on {}", wanted.display())), "{}", said.stderr);
}

#[test]
fn a_host_that_does_not_answer_is_named() {
    let folder = folder(&[]);
    // Nobody listens on a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let said = longshore(folder.path(), &["status", "--host", &url, "--token", "t"]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.starts_with(&format!("error: the host at {url} does not answer")), "{}", said.stderr);
    assert!(said.stderr.contains("longshore up"), "{}", said.stderr);
}

#[test]
fn a_host_needs_a_url_and_a_token() {
    let folder = folder(&[]);
    let said = longshore(folder.path(), &["status", "--host", "somewhere", "--token", "t"]);
    assert!(said.stderr.starts_with("error: \"somewhere\" is not the URL of a host"), "{}", said.stderr);
    let said = longshore(folder.path(), &["status", "--host", "http://127.0.0.1:1"]);
    assert!(said.stderr.contains("LONGSHORE_TOKEN"), "{}", said.stderr);
}

#[test]
fn up_refuses_a_configuration_that_is_missing_or_faulty_before_it_touches_anything() {
    let folder = folder(&[("faulty.toml", "[[service]]\nnam = \"shop\"\n")]);
    for (file, what) in [("missing.toml", "cannot read missing.toml"), ("faulty.toml", "faulty.toml:2:1")] {
        let said = longshore(folder.path(), &["up", "--config", file]);
        assert_eq!(said.status, 1);
        assert!(said.stderr.contains(what), "{}", said.stderr);
    }
    assert!(!folder.path().join(".longshore").exists());
}

#[test]
fn the_demo_leaves_a_folder_alone_that_is_not_empty() {
    let folder = folder(&[("mine/file", "mine")]);
    let said = longshore(folder.path(), &["demo", "--dir", "mine"]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("is not empty"), "{}", said.stderr);
    assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);
}

#[test]
fn colours_are_for_terminals() {
    let folder = folder(&[("longshore.toml", "[[service]]\nnam = 1\n")]);
    for args in [&["check"][..], &["status"], &["--help"]] {
        let said = longshore(folder.path(), args);
        assert!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "{args:?}");
    }
}
