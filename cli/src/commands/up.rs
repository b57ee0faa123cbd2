//! `longshore up`, `longshore runner`, `longshore hook`

use anyhow::{Context as _, Result};

use crate::args::{Global, HookCommand, LogArgs, Output, RunnerArgs, UpArgs};
use crate::host::{self, HookOptions, LogOptions, RunnerOptions, UpOptions};

/// Runs the host.
pub(super) fn up(args: UpArgs, global: &Global) -> Result<()> {
    host::up(&UpOptions {
        config: args.config,
        data: global.data.clone(),
        cluster: args.cluster,
        listen: args.listen,
        proxy: args.proxy,
        ready_file: args.ready_file,
        output_json: global.output == Output::Json,
        log: log(args.log),
    })
}

/// Runs the runner.
pub(super) fn runner(args: RunnerArgs) -> Result<()> {
    host::runner(&RunnerOptions { config: args.config, log: log(args.log) })
}

/// Tells the host about a push.
pub(super) fn hook(command: HookCommand, global: &Global) -> Result<()> {
    let HookCommand::PostReceive { repository } = command;
    let data = global.data.clone().context("`hook` needs `--data`")?;
    host::post_receive_hook(&HookOptions { data, repository })
}

fn log(args: LogArgs) -> LogOptions {
    LogOptions { json: args.log_json, level: args.log_level }
}
