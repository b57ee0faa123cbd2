//! Starting, stopping, being killed.

use std::time::{Duration, Instant};

use crate::common::http::send;
use crate::world::{World, eventually, is_alive, kill};

#[test]
fn a_second_host_on_the_folder_is_refused_and_told_who_holds_it() {
    let world = World::new();
    let first = world.up();
    let second = world.longshore(&["up"]).output().unwrap();
    assert!(!second.status.success());
    let says = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(says.contains(&first.ready.pid.to_string()), "{says}");
    assert!(says.contains(&first.ready.listen.to_string()), "{says}");
}

#[test]
fn sigterm_ends_the_host_soon_even_while_clients_wait_and_the_runner_goes_on() {
    let world = World::new();
    let mut host = world.up();
    let runner = host.runner_pid();
    let (to, bearer) = (host.ready.listen, host.bearer());
    let waiting = std::thread::spawn(move || {
        send(to, "GET", "/api/events?after=999999&wait_ms=30000", &[("authorization", &bearer)], b"")
    });
    // The request that waits was taken: the host answers one that came after it.
    assert_eq!(host.get("/api/units").status, 200);
    let begun = Instant::now();
    host.signal("TERM");
    let status = host.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let _ = waiting.join();
    assert!(is_alive(runner));

    let next = world.up();
    assert_eq!(next.runner_pid(), runner, "the next host finds it again");
    assert_eq!(next.ready.listen, host.ready.listen, "remotes and bookmarks go on working");
    assert_eq!(next.ready.proxy, host.ready.proxy);
}

#[test]
fn down_leaves_nothing_running() {
    let world = World::new();
    let mut host = world.up();
    let runner = host.runner_pid();
    let mut down = world.longshore(&["down"]).spawn().unwrap();
    assert_eq!(host.wait().code(), Some(0));
    assert!(down.wait().unwrap().success());
    assert!(!is_alive(runner));
}

#[test]
fn a_runner_that_was_killed_is_back_at_once() {
    let world = World::new();
    let host = world.up();
    let runner = host.runner_pid();
    kill("KILL", runner);
    let begun = Instant::now();
    eventually("the runner answers", || host.get("/api/status").json().get("runner_error").is_none());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_ne!(host.runner_pid(), runner);
}

#[test]
fn a_runner_of_another_configuration_is_started_again() {
    let world = World::new();
    let mut host = world.up();
    let runner = host.runner_pid();
    host.signal("TERM");
    host.wait();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let next = world.up_with(&["--proxy", &free.to_string()]);
    assert_eq!(next.ready.proxy, free);
    assert_ne!(next.runner_pid(), runner);
}

#[test]
fn a_host_that_was_killed_goes_on_with_what_it_owed() {
    let world = World::new();
    let mut host = world.up();
    world.working_copy();
    let pushed = world.git("work", &["push", "--quiet", &host.remote(&host.token), "main"]);
    assert!(pushed.status.success(), "{pushed:?}");
    host.signal("KILL");
    host.wait();
    let begun = Instant::now();
    let next = world.up();
    let finished = next.events("build.finished", 1);
    assert_eq!(finished[0]["data"]["outcome"], "failed");
    assert!(begun.elapsed() < Duration::from_secs(20), "not only with the next sweep: {:?}", begun.elapsed());
}

#[test]
fn without_a_configuration_the_sample_serves() {
    let world = World::new();
    std::fs::remove_file(world.path("longshore.toml")).unwrap();
    let mut child = world
        .longshore(&["up", "--output", "json", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert!(line.contains("listen"), "{line}");
    let mut down = world.longshore(&["down"]).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(down.wait().unwrap().success());
}

#[test]
fn a_level_that_is_none_is_refused() {
    let world = World::new();
    let output = world.longshore(&["up", "--log-level", "a=b=c"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("log level"));
}
