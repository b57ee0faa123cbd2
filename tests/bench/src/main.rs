//! `cargo xtask bench`: measures the built release against its goals and its peers, and writes `docs/performance.md`.
//!
//! What can be compared is compared in the same run, by turns, and the median of the turns counts: a ratio to a peer
//! holds on a busy machine where a bare figure does not.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints what it measured")]

mod clock;
mod decisions;
mod document;
mod engine;
mod history;
mod host;
mod http;
mod idle;
mod intake;
mod lambda;
mod load;
mod machine;
mod peers;
mod process;
mod proxy;
mod push;
mod push_body;
mod reads;
mod registry;
mod rollouts;
mod row;
mod settings;
mod simulator;
mod stage;
mod stats;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use row::Row;
use settings::{Arguments, Output, Settings};

/// A measurement, with the rows that it makes.
struct Bench {
    name: &'static str,
    run: fn(&Settings) -> Result<Vec<Row>>,
}

const BENCHES: &[Bench] = &[
    Bench { name: "intake", run: intake::run },
    Bench { name: "push", run: push::run },
    Bench { name: "rollouts", run: rollouts::run },
    Bench { name: "decisions", run: decisions::run },
    Bench { name: "history", run: history::run },
    Bench { name: "reads", run: reads::run },
    Bench { name: "idle", run: idle::run },
    Bench { name: "registry", run: registry::run },
    Bench { name: "proxy", run: proxy::run },
    Bench { name: "simulator", run: simulator::run },
    Bench { name: "load", run: engine::run },
    Bench { name: "lambda", run: lambda::run },
];

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let settings = Settings::new(&arguments)?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for bench in chosen(&arguments.names)? {
        eprintln!("==> {}", bench.name);
        let begun = Instant::now();
        match (bench.run)(&settings) {
            Ok(measured) => {
                for row in &measured {
                    eprintln!("    {}", row.line());
                }
                document::write(&settings.document, &measured, &settings.circumstances(bench.name))
                    .with_context(|| format!("cannot write {}", settings.document.display()))?;
                rows.extend(measured);
            }
            Err(error) => {
                eprintln!("    {} FAILED: {error:#}", bench.name);
                failed.push(bench.name);
            }
        }
        eprintln!("    {} took {:.0} s", bench.name, begun.elapsed().as_secs_f64());
    }
    print(&rows, &failed, &settings, arguments.output)?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The benches of these names, in the order of the table; all when there are none.
fn chosen(names: &[String]) -> Result<Vec<&'static Bench>> {
    let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("nothing named {other:?} is measured; there are: {}", known.join(", "));
    }
    Ok(BENCHES
        .iter()
        .filter(|bench| names.is_empty() || names.iter().any(|name| name == bench.name))
        .collect())
}

fn print(rows: &[Row], failed: &[&str], settings: &Settings, output: Output) -> Result<()> {
    match output {
        Output::Table => rows.iter().for_each(|row| println!("{}", row.line())),
        Output::Json => {
            let all = serde_json::json!({
                "ok": failed.is_empty() && rows.iter().all(|row| row.met),
                "date": settings.date.to_string(),
                "machine": settings.machine.to_string(),
                "failed": failed,
                "rows": rows,
            });
            println!("{}", serde_json::to_string(&all)?);
        }
    }
    Ok(())
}
