//! What is measured, how much of it, and with which programs.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::clock;
use crate::machine::Machine;

/// Measure the built release, against its peers where there are any.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Arguments {
    /// What to measure; without names, everything.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Events of history, of what is read in it, and of the intake's memory.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) events: u64,
    /// Pushes for the overhead, and rollouts.
    #[arg(long, default_value_t = 200)]
    pub(crate) pushes: u32,
    /// Seeds for the simulator.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) seeds: u64,
    /// The size of the registry's layer, in MiB.
    #[arg(long, default_value_t = 1024)]
    pub(crate) layer: usize,
    /// Starts of each function for Lambda, and invocations of it.
    #[arg(long, default_value_t = 41)]
    pub(crate) starts: u32,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The folder with the peers' programs.
    #[arg(long, hide = true)]
    pub(crate) peers: PathBuf,
    /// The document to write.
    #[arg(long, hide = true)]
    pub(crate) document: PathBuf,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A line for each row.
    #[default]
    Table,
    /// One object.
    Json,
}

/// The checked arguments, and what is known of the machine.
pub(crate) struct Settings {
    /// The built `longshore`, where something that is measured needs it.
    pub(crate) longshore: PathBuf,
    /// The built simulator, likewise.
    pub(crate) sim: PathBuf,
    /// The folder of what cargo-lambda built: for each function one with its `bootstrap`.
    pub(crate) functions: PathBuf,
    /// Where programs are looked for.
    pub(crate) path: String,
    pub(crate) peers: PathBuf,
    pub(crate) document: PathBuf,
    pub(crate) events: u64,
    pub(crate) pushes: u32,
    pub(crate) seeds: u64,
    /// In bytes.
    pub(crate) layer: usize,
    pub(crate) starts: u32,
    pub(crate) date: Date,
    pub(crate) machine: Machine,
}

impl Settings {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        if arguments.events < 10_000 || arguments.pushes < 2 || arguments.layer == 0 || arguments.starts < 7 {
            bail!(
                "at least 10000 events, 2 pushes, 7 starts and a layer of 1 MiB are needed to measure anything"
            );
        }
        Ok(Self {
            longshore: program.with_file_name("longshore"),
            sim: program.with_file_name("sim"),
            functions: program.with_file_name("../lambda"),
            path: search_path(),
            peers: arguments.peers.clone(),
            document: arguments.document.clone(),
            events: arguments.events,
            pushes: arguments.pushes,
            seeds: arguments.seeds,
            layer: arguments.layer << 20,
            starts: arguments.starts,
            date: clock::now().to_zoned(TimeZone::UTC).date(),
            machine: Machine::this()?,
        })
    }

    /// When, where and how a bench was run, for the document.
    pub(crate) fn circumstances(&self, bench: &str) -> [String; 3] {
        let amount = match bench {
            "intake" | "history" | "reads" => format!(" --events {}", self.events),
            "push" | "rollouts" => format!(" --pushes {}", self.pushes),
            "simulator" => format!(" --seeds {}", self.seeds),
            "registry" => format!(" --layer {}", self.layer >> 20),
            "lambda" => format!(" --starts {}", self.starts),
            _ => String::new(),
        };
        let command = format!("`cargo xtask bench {bench}{amount}`");
        [self.date.to_string(), self.machine.to_string(), command]
    }
}

#[expect(clippy::disallowed_methods, reason = "the program's one look at the environment")]
fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}
