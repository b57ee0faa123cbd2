//! The runner is killed, ended, started twice.

use std::time::Instant;

use rustix::process::Signal;

use crate::process::{RunnerProcess, signal};
use crate::stage::{Stage, eventually, is_alive};

#[tokio::test]
async fn a_killed_runner_is_followed_by_one_that_finds_its_processes() {
    let mut stage = Stage::with_one("v1").await;
    let (pid, before) = (stage.traffic.get("/pid").await, stage.listed().await);
    for kill in [true, false] {
        if kill {
            stage.runner.kill();
        } else {
            assert!(stage.runner.terminate(), "SIGTERM is a good end");
        }
        let begun = Instant::now();
        stage.start_again().await;
        let traffic = stage.traffic.clone();
        let found = eventually("the process behind the proxy", async || {
            traffic.ask("shop.localhost", "/pid").await.ok().filter(|answer| answer.status == 200)
        });
        assert_eq!(found.await.body, pid);
        println!("the proxy was back after {} ms", begun.elapsed().as_millis());
        let after = stage.listed().await;
        assert_eq!(
            (after.pid, after.port, after.observed.restarts, after.observed.boot_ms),
            (before.pid, before.port, 0, before.observed.boot_ms)
        );
    }
    assert_eq!(stage.starts(), ["v1 1 0"]);
}

#[tokio::test]
async fn an_order_outlives_the_runner_that_took_it() {
    let mut stage = Stage::open().await;
    stage.apply((7, 3), &[stage.release(7, "v1", 100).await]).await;
    stage.runner.kill();
    stage.start_again().await;
    stage.until_ready(7).await;
    stage.apply((7, 4), &[]).await;
    stage.runner.kill();
    stage.start_again().await;
    let seen = stage.until("nothing", |seen| seen.releases.is_empty()).await;
    assert_eq!((seen.generation, seen.step), (7, 4));
}

#[tokio::test]
async fn a_process_that_ended_while_no_runner_looked_is_started_again() {
    let mut stage = Stage::with_one("v1").await;
    let before = stage.listed().await;
    stage.runner.kill();
    signal(before.pid.unwrap(), Signal::KILL);
    eventually("its end", async || (!is_alive(before.pid.unwrap())).then_some(())).await;
    stage.start_again().await;
    stage.until_release(1, "a restart", |seen| seen.restarts == 1).await;
    stage.until_ready(1).await;
    assert_eq!(stage.listed().await.port, before.port);
    assert_eq!(stage.starts(), ["v1 1 0", "v1 1 1"]);
}

#[tokio::test]
async fn a_second_runner_on_one_folder_refuses_and_names_the_first() {
    let stage = Stage::open().await;
    let mut second = RunnerProcess::start(&stage.data, &stage.registry.address);
    assert!(!second.ended());
    let log = std::fs::read_to_string(stage.data.with_extension("log")).unwrap();
    assert!(log.contains(&format!("another runner (pid {}) serves", stage.runner.pid())), "{log}");
    assert_eq!(stage.client.info().await.unwrap().pid, stage.runner.pid(), "the first goes on");
}

#[tokio::test]
async fn a_shutdown_leaves_nothing_running_and_what_shall_run_comes_back() {
    let mut stage = Stage::with_one("v1").await;
    let listed = stage.listed().await;
    stage.client.shutdown().await.unwrap();
    assert!(!is_alive(listed.pid.unwrap()));
    assert!(stage.runner.ended());
    assert!(tokio::net::TcpStream::connect(stage.traffic.proxy).await.is_err());
    stage.start_again().await;
    stage.until_ready(1).await;
    assert_eq!(stage.starts(), ["v1 1 0", "v1 1 1"]);
}

#[tokio::test]
async fn a_shutdown_ends_what_an_earlier_runner_was_about_to_end() {
    let mut stage = Stage::with_one("v1").await;
    let pid = stage.listed().await.pid.unwrap();
    // Stopped by a signal it does not see SIGTERM, so that only SIGKILL ends it.
    signal(pid, Signal::STOP);
    stage.apply((1, 1), &[]).await;
    stage.runner.kill();
    stage.start_again().await;
    stage.client.shutdown().await.unwrap();
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn sigterm_finishes_open_requests_and_leaves_the_services_running() {
    let mut stage = Stage::with_one("v1").await;
    let pid = stage.listed().await.pid.unwrap();
    let traffic = stage.traffic.clone();
    let slow = tokio::spawn(async move { traffic.ask("shop.localhost", "/slow").await });
    stage.until_open(1).await;
    signal(stage.runner.pid(), Signal::TERM);
    let proxy = stage.traffic.proxy;
    let closed = async || tokio::net::TcpStream::connect(proxy).await.is_err().then_some(());
    eventually("nothing new is accepted", closed).await;
    assert!(!slow.is_finished());
    // Its successor waits for it meanwhile.
    let mut next = RunnerProcess::start(&stage.data, &stage.registry.address);
    std::fs::write(stage.witness().with_extension("end"), "").unwrap();
    let answer = slow.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "beginend"));
    assert!(stage.runner.ended(), "SIGTERM is a good end");
    std::mem::swap(&mut stage.runner, &mut next);
    eventually("the next runner", async || stage.client.info().await.ok()).await;
    stage.until_ready(1).await;
    assert_eq!((stage.listed().await.pid, stage.starts()), (Some(pid), vec!["v1 1 0".to_owned()]));
}

#[tokio::test]
async fn a_recorded_pid_that_is_somebody_elses_by_now_is_let_be() {
    let mut stage = Stage::with_one("v1").await;
    let before = stage.listed().await;
    stage.runner.kill();
    let mut command = std::process::Command::new("sleep");
    let mut other = std::os::unix::process::CommandExt::process_group(command.arg("60"), 0).spawn().unwrap();
    let record = stage.data.join("state/prod/shop/release-1.json");
    let mut written: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert_eq!(written["process"]["pid"], before.pid.unwrap());
    written["process"]["pid"] = other.id().into();
    std::fs::write(&record, written.to_string()).unwrap();
    stage.start_again().await;
    stage.until_release(1, "another start", |seen| seen.restarts == 1 && seen.boot_ms.is_some()).await;
    stage.until_ready(1).await;
    let after = stage.listed().await;
    assert_ne!((after.pid, after.port), (before.pid, before.port), "the first still has its port");
    assert!(is_alive(other.id()) && is_alive(before.pid.unwrap()));
    signal(before.pid.unwrap(), Signal::KILL);
    other.kill().unwrap();
    other.wait().unwrap();
}
