mod render;
mod yard;

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_ports::suite::builder::Bench;

use super::process::Process;
use super::*;
use yard::{Yard, is_gone, key, until};

#[tokio::test]
async fn builds_here_keep_the_contract_of_the_builder() {
    let yard = Yard::new();
    let good = yard.commit("echo made > image");
    let other = yard.commit("echo other > image");
    let failing = yard.commit("echo broken >&2; exit 3");
    let builders = AtomicU32::new(0);
    let make = async || {
        let number = builders.fetch_add(1, Ordering::Relaxed);
        let inner = Yard {
            folder: tempfile::tempdir_in(yard.folder.path()).unwrap(),
            sources: yard.sources.clone(),
            ends: Arc::default(),
            timeout_ms: 60_000,
            manifests: None,
            path: yard::PATH.into(),
        };
        let builder = inner.builder(&number.to_string());
        // The outer yard's folder holds this one, and removes it.
        let _ = inner.folder.keep();
        Bench {
            builder,
            good: good.clone(),
            other: other.clone(),
            failing: failing.clone(),
            why: "prepare failed with status 3",
        }
    };
    longshore_ports::suite::builder::run(make, async |_| tokio::time::sleep(Duration::from_millis(5)).await)
        .await;
}

#[tokio::test]
async fn commands_see_the_commit_and_nothing_of_the_hosts() {
    let yard = Yard::new();
    let order = yard.commit("env | sort > image; cat > stdin; pwd");
    let builder = yard.builder("a");
    let BuildStatus::Succeeded(built) = yard.build(&builder, &order).await else {
        panic!("it was to succeed")
    };
    let work = yard.folder.path().join("build/work/api");
    let seen = fs::read_to_string(work.join("src/app/image")).unwrap();
    let names: Vec<_> = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let own = [
        "LONGSHORE_COMMIT",
        "LONGSHORE_SERVICE",
        "LONGSHORE_WORK",
        "OUT",
        "PATH",
        "PWD",
        "SOURCE_DATE_EPOCH",
    ];
    let shell = ["OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| own.contains(name) || shell.contains(name)), "{names:?}");
    assert!(own.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(
        seen.contains(order.commit.as_str())
            && seen.contains(&format!("LONGSHORE_WORK={}\n", work.display()))
    );
    assert_eq!(fs::read_to_string(work.join("src/app/stdin")).unwrap(), "", "there is no input");
    assert_eq!((built.tag.as_str(), built.times.pack_ms, built.times.push_ms), (order.commit.as_str(), 1, 2));
    let (log, running) = builder.log(&order.service, Some(order.commit.short())).unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("longshore: prepare: sh ./prepare.sh\n") && log.contains("/src/app\n"), "{log}");
    assert!(!running);
    assert_eq!(fs::read_dir(yard.folder.path().join("build/groups")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_log_can_be_read_while_the_build_runs() {
    let yard = Yard::new();
    let order = yard.commit("echo half way; read x < $OUT/gate; echo made > image");
    let gate = yard.folder.path().join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let builder = yard.builder("a");
    builder.start(&key(&order), &order).await.unwrap();
    let log = until(|| {
        let (log, running) = builder.log(&order.service, None)?;
        assert!(running);
        fs::read_to_string(log).ok().filter(|text| text.contains("half way"))
    });
    assert!(!log.await.contains("succeeded"));
    assert_eq!(builder.find(&key(&order)).await.unwrap(), Some(BuildStatus::Running));
    tokio::fs::write(&gate, "go\n").await.unwrap();
    yard.ends.0.notified().await;
    assert!(matches!(builder.find(&key(&order)).await.unwrap(), Some(BuildStatus::Succeeded(_))));
}

#[tokio::test]
async fn a_build_that_hangs_is_ended_at_its_limit() {
    let yard = Yard { timeout_ms: 700, ..Yard::new() };
    let order = yard.commit("trap '' TERM; echo $$ > $OUT/pid; while :; do sleep 0.1; done");
    let (reason, log) = yard.failure(&yard.builder("a"), &order).await;
    assert!(reason.contains("prepare was ended") && reason.contains("time limit"), "{reason}");
    assert!(log.ends_with(&format!("longshore: {reason}\n")), "{log}");
    assert!(is_gone(&yard.told("pid").await), "TERM was not heard, KILL was");
}

#[tokio::test]
async fn children_that_a_build_leaves_behind_are_ended_and_named() {
    let yard = Yard::new();
    let order = yard.commit(
        "sleep 1000 & echo $! > $OUT/near
         setsid sh -c 'echo $$ > $OUT/far; exec sleep 1001' &
         while ! [ -s $OUT/far ]; do sleep 0.01; done
         echo made > image",
    );
    let builder = yard.builder("a");
    let status = yard.build(&builder, &order).await;
    assert!(matches!(status, BuildStatus::Succeeded(_)), "{status:?}");
    for file in ["near", "far"] {
        assert!(is_gone(&yard.told(file).await), "{file}");
    }
    let log = fs::read_to_string(builder.log(&order.service, None).unwrap().0).unwrap();
    assert!(log.contains("prepare left processes behind, which were ended: sleep, sleep"), "{log}");
}

#[tokio::test]
async fn failures_are_named() {
    let yard = Yard::new();
    let builder = yard.builder("a");
    let (reason, log) = yard.failure(&builder, &yard.commit("echo 'why it failed' >&2; exit 7")).await;
    assert_eq!(reason, "prepare failed with status 7");
    assert!(log.contains("why it failed"), "{log}");
    let (reason, _) = yard.failure(&builder, &yard.commit("no-such-command-here")).await;
    assert!(reason.contains("prepare failed with status 127"), "{reason}");
    let (reason, _) = yard.failure(&builder, &yard.commit("kill -9 $$")).await;
    assert_eq!(reason, "prepare was ended by a signal");
    let (reason, _) = yard.failure(&builder, &yard.commit("true")).await;
    assert_eq!(reason, "test failed with status 1");
}

#[tokio::test]
async fn a_context_that_leads_out_of_the_commit_is_refused() {
    let yard = Yard::new();
    yard.commit("echo made > image");
    let (app, outside) = (yard.sources.repository.join("app"), yard.folder.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::remove_dir_all(&app).unwrap();
    std::os::unix::fs::symlink(&outside, &app).unwrap();
    let (reason, _) = yard.failure(&yard.builder("a"), &yard.commit_all()).await;
    assert!(reason.contains("leads out of the commit"), "{reason}");
    fs::remove_file(&app).unwrap();
    let (reason, _) = yard.failure(&yard.builder("b"), &yard.commit_all()).await;
    assert!(reason.contains("has no folder \"app\""), "{reason}");
}

#[tokio::test]
async fn git_that_does_not_answer_is_asked_again() {
    let yard = Yard::new();
    let order = yard.commit("echo made > image");
    yard.sources.failing.store(1, Ordering::Relaxed);
    let status = yard.build(&yard.builder("a"), &order).await;
    assert!(matches!(status, BuildStatus::Succeeded(_)), "{status:?}");
}

#[tokio::test]
async fn a_service_that_the_configuration_does_not_name_is_refused() {
    let yard = Yard::new();
    let mut order = yard.commit("true");
    order.service = ServiceName::new("stranger").unwrap();
    let error = yard.builder("a").start(&key(&order), &order).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_long_log_is_cut_and_the_build_goes_on() {
    let yard = Yard::new();
    let order = yard.commit("head -c 20000000 /dev/zero | tr '\\0' 'x'; echo made > image");
    let builder = yard.builder("a");
    let status = yard.build(&builder, &order).await;
    assert!(matches!(status, BuildStatus::Succeeded(_)), "{status:?}");
    let log = fs::read(builder.log(&order.service, None).unwrap().0).unwrap();
    assert!(log.len() < (16 << 20) + 1000, "{}", log.len());
    let end = String::from_utf8_lossy(&log[log.len() - 400..]).into_owned();
    assert!(end.contains("the log is cut here") && end.contains("the build succeeded"), "{end}");
}

#[test]
fn a_build_that_a_kill_cut_off_is_ended_and_begun_anew() {
    let yard = Yard::new();
    let order = yard.commit("[ -e $OUT/pid ] || { echo $$ > $OUT/pid; exec sleep 1000; }; echo made > image");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let killed = runtime();
    let pid = killed.block_on(async {
        yard.builder("first").start(&key(&order), &order).await.unwrap();
        yard.told("pid").await
    });
    // Nothing of it is run any more, not even what ends its processes: as after a kill.
    std::mem::forget(killed);
    assert!(!is_gone(&pid));
    let builder = yard.builder("second");
    runtime().block_on(async {
        assert_eq!(builder.find(&key(&order)).await.unwrap(), None);
        assert_eq!(kill_leftover_groups(&yard.folder.path().join("build/groups")).unwrap(), 1);
        assert!(is_gone(&pid));
        let status = yard.build(&builder, &order).await;
        assert!(matches!(status, BuildStatus::Succeeded(_)), "{status:?}");
    });
    let third = yard.builder("third");
    let found = runtime().block_on(third.find(&key(&order))).unwrap();
    assert!(matches!(found, Some(BuildStatus::Succeeded(_))), "what has ended stays so for the next host");
}

#[test]
fn a_host_that_stops_ends_what_its_builds_run() {
    let yard = Yard::new();
    let order = yard.commit("echo $$ > $OUT/pid; exec sleep 1000");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let builder = yard.builder("a");
    let pid = runtime.block_on(async {
        builder.start(&key(&order), &order).await.unwrap();
        yard.told("pid").await
    });
    drop(runtime);
    // The kernel ends what was killed in its own time.
    let until = Instant::now() + Duration::from_secs(10);
    while !is_gone(&pid) {
        assert!(Instant::now() < until, "{pid} goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
    let status =
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(builder.find(&key(&order)));
    assert_eq!(status.unwrap(), None, "it was cut off");
}

#[test]
fn a_record_of_another_process_with_the_same_number_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let groups = folder.path().join("groups");
    fs::create_dir(&groups).unwrap();
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    let started = Process::read(bystander.id().cast_signed()).unwrap().started;
    fs::write(groups.join(bystander.id().to_string()), (started + 1).to_string()).unwrap();
    fs::write(groups.join("not-a-number"), "1").unwrap();
    assert_eq!(kill_leftover_groups(&groups).unwrap(), 0);
    assert!(bystander.try_wait().unwrap().is_none(), "the bystander lives");
    assert_eq!(fs::read_dir(&groups).unwrap().count(), 0);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
