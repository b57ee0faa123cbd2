//! `cargo xtask sim`: many seeds with their speed, or one seed with its history.

#![expect(clippy::print_stdout, reason = "a command that prints what it found")]

use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use longshore_tests::{Run, enumerate_crashes, run};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |flag: &str| {
        let at = args.iter().position(|arg| arg == flag)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--seed") {
        return one(seed, number("--crash-at"));
    }
    if let Some(seed) = number("--enumerate") {
        return enumerate(seed);
    }
    many(number("--from").unwrap_or(0), number("--seeds").unwrap_or(2_000))
}

/// One seed, with every call.
fn one(seed: u64, crash_at: Option<u64>) -> ExitCode {
    let plan = if crash_at.is_some() { Run::calm(seed) } else { Run::storm(seed) };
    let report = run(&Run { record: true, crash_at, ..plan });
    for line in &report.history {
        println!("{line}");
    }
    println!("seed {seed}: {:?}", report.outcome);
    verdict(&report.wrong)
}

fn enumerate(seed: u64) -> ExitCode {
    let (points, wrong) = enumerate_crashes(seed);
    println!("seed {seed}: a crash at each of {points} points, {} of them bad", wrong.len());
    for (point, wrong) in &wrong {
        println!("  crash at {point}: {}", wrong.join("; "));
        println!("    replay: cargo xtask sim --seed {seed} --crash-at {point}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(from: u64, seeds: u64) -> ExitCode {
    let begin = Instant::now();
    let (mut calls, mut crashes, mut bad) = (0_u64, 0_u64, Vec::new());
    let bar = ProgressBar::new(seeds).with_style(style());
    for seed in from..from + seeds {
        let report = run(&Run::storm(seed));
        calls += report.outcome.calls;
        crashes += report.outcome.crashes;
        if !report.wrong.is_empty() {
            bad.push((seed, report.wrong));
        }
        bar.inc(1);
        if bar.position().is_multiple_of(64) {
            bar.set_message(format!("{} bad", bad.len()));
        }
    }
    bar.finish_and_clear();
    let seconds = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let per = |count: u64, by: f64| count as f64 / by;
    println!(
        "{seeds} seeds in {seconds:.1} s: {} bad, {:.0} port calls and {:.1} crashes a seed, {:.0} port calls a second",
        bad.len(),
        per(calls, per(seeds, 1.0)),
        per(crashes, per(seeds, 1.0)),
        per(calls, seconds),
    );
    for (seed, wrong) in bad.iter().take(10) {
        println!("  seed {seed}: {}", wrong.join("; "));
        println!("    replay: cargo xtask sim --seed {seed}");
    }
    if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Shown on a terminal alone.
fn style() -> ProgressStyle {
    let wanted = ProgressStyle::with_template("{bar:40} {pos} of {len} seeds, {msg}, {eta} left");
    wanted.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn verdict(wrong: &[String]) -> ExitCode {
    for line in wrong {
        println!("WRONG: {line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
