//! What can be written on the command line, and every environment variable that the command reads.

mod load;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use load::{LoadCommand, LoadMergeArgs, LoadRunArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
First steps:
  longshore demo                         see it work, in a temporary folder
  longshore init && longshore up         with a repository of your own
  git push longshore main                build it, roll it out
  longshore status                       see what runs";

/// Carries a change from commit to a healthy release, on this machine or on AWS.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, about, after_help = AFTER, styles = STYLES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The host to talk to: an address, e.g. `http://127.0.0.1:7070`, or a stack on AWS, `aws:STACK`; without it, the
    /// one that runs on the data folder.
    #[arg(long, global = true, env = "LONGSHORE_HOST", value_name = "URL|aws:STACK", hide_env_values = true)]
    pub host: Option<String>,
    /// The token, the host's or one's own; without it, that of the data folder or of the stack.
    #[arg(
        long,
        global = true,
        env = "LONGSHORE_TOKEN",
        value_name = "TOKEN",
        hide = true,
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// The host's data folder; without it, what `longshore.toml` says, here or in a folder above.
    #[arg(long, global = true, env = "LONGSHORE_DATA", value_name = "DIR", hide_env_values = true)]
    pub data: Option<PathBuf>,
    /// How to print: for people, or for programs.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all in a minute: a canary, a killed host, a bad release taken back, a race; in a temporary folder.
    Demo(DemoArgs),
    /// Write a `longshore.toml` from what is found in this folder, and explain each choice.
    Init(InitArgs),
    /// Check a configuration: every fault at once, each with its place and a suggestion.
    Check(CheckArgs),
    /// Run the host: webhooks, Git, registry, proxy, and every function.
    Up(UpArgs),
    /// Show what runs, what is being rolled out, and what is still to be done.
    Status,
    /// Show what happened to a change: every event, what it follows from, and when.
    Timeline(TimelineArgs),
    /// Make past decisions once more by today's configuration, and show what it would decide otherwise.
    Replay(ReplayArgs),
    /// Show how well delivery does: deployment frequency, lead time, change failure rate, time to restore.
    Dora(DoraArgs),
    /// List what scans found in what runs.
    Findings(FindingsArgs),
    /// Show the log of a service, or of a build.
    Logs(LogsArgs),
    /// List, follow, show, send, send again and describe events.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Ask for the release before, or for an older one.
    Rollback(RollbackArgs),
    /// Approve an image for an environment; without a name: list what waits for people.
    Approve(ApproveArgs),
    /// Reject an image for an environment.
    Reject(RejectArgs),
    /// Lift the quarantine of a digest that was taken back: it may run again.
    ReleaseDigest(ReleaseDigestArgs),
    /// Let nothing new happen: no build, no rollout; rolling back still does.
    Stop(SwitchArgs),
    /// Take back `stop`.
    Resume(SwitchArgs),
    /// Stop the host, the runner and everything that it runs.
    Down(DownArgs),
    /// Write the journal, repositories, images and blobs to one file, also while the host runs.
    Backup(BackupArgs),
    /// Put a backup into a new data folder.
    Restore(RestoreArgs),
    /// Put load on a service: runs scripts of k6.
    #[command(subcommand)]
    Load(LoadCommand),
    /// Reach a cluster of EKS with the keys of AWS that are at hand.
    #[command(subcommand)]
    Eks(EksCommand),
    /// Print the completions of a shell.
    Completions(CompletionsArgs),
    /// Run processes for a host; started by `up`.
    #[command(hide = true)]
    Runner(RunnerArgs),
    /// Tell a host about a push; run by Git.
    #[command(subcommand, hide = true)]
    Hook(HookCommand),
}

/// `longshore demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Leave everything running, and say where.
    #[arg(long)]
    pub keep: bool,
    /// Work in this folder, new or empty, rather than in a temporary one.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `longshore init`
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The folder to look at.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Overwrite a `longshore.toml` that is there.
    #[arg(long)]
    pub force: bool,
    /// Print the configuration; write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `longshore check`
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration; `-` reads it from stdin.
    #[arg(value_name = "FILE", default_value = "longshore.toml")]
    pub file: PathBuf,
}

/// `longshore up`
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// The configuration; without it, `longshore.toml` of this folder.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Run the environments that name no cluster on this one; the namespace is the environment's name.
    #[arg(long, value_name = "kube:CONTEXT[/NAMESPACE]")]
    pub cluster: Option<String>,
    /// Where webhooks, Git, registry and API listen, whatever the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where the proxy listens, whatever the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    pub proxy: Option<SocketAddr>,
    /// Write one line of JSON to this file once the host is ready.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// How to log.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Log one JSON object a line.
    #[arg(long)]
    pub log_json: bool,
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or by module.
    #[arg(long, env = "LONGSHORE_LOG", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// `longshore timeline`
#[derive(Debug, Clone, Args)]
pub struct TimelineArgs {
    /// A service (its newest change), or a commit (7 digits or more).
    #[arg(value_name = "SERVICE|COMMIT", required_unless_present = "chain")]
    pub what: Option<String>,
    /// This chain of events instead.
    #[arg(long, value_name = "ID", conflicts_with = "what")]
    pub chain: Option<String>,
}

const REPLAY: &str = "\
Nothing is done, and nothing is written: only what the journal kept is read, for 30 days.

Exit status:
  0  the configuration decides the same
  1  it decides otherwise somewhere, or nothing could be made once more";

/// `longshore replay`
#[derive(Debug, Clone, Args)]
#[command(after_help = REPLAY)]
pub struct ReplayArgs {
    /// A chain of events, a service (its newest change) or a commit (7 digits or more): all decisions about it. Or a
    /// unit, e.g. `deploy/production/shop`: its last ones.
    #[arg(value_name = "CHAIN|SERVICE|COMMIT|UNIT")]
    pub what: String,
    /// The configuration to decide by; without it, `longshore.toml`, here or in a folder above.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How many decisions of a unit; 100 without it, and 300 at most.
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub limit: Option<usize>,
}

/// `longshore dora`
#[derive(Debug, Clone, Args)]
pub struct DoraArgs {
    /// Only this service: `shop`, or `production/shop`.
    pub service: Option<String>,
    /// Only this environment.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// So many days, up to now or `--until`.
    #[arg(long, value_name = "COUNT", default_value_t = 30, conflicts_with = "from",
        value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub days: u16,
    /// Since then, as 2026-12-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// Until then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
}

/// `longshore findings`
#[derive(Debug, Clone, Args)]
pub struct FindingsArgs {
    /// Only this service: `shop`, or `production/shop`.
    pub service: Option<String>,
    /// Only this environment.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Only findings that are at least so bad.
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<LeastSeverity>,
    /// How many of each image are shown.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
}

/// How bad findings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LeastSeverity {
    /// Low and worse.
    Low,
    /// Medium and worse.
    Medium,
    /// High and worse.
    High,
    /// Critical alone.
    Critical,
}

/// `longshore logs`
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// A service (`shop`, `production/shop`), or the commit of a build (7 digits or more).
    #[arg(value_name = "SERVICE|COMMIT")]
    pub what: String,
    /// The log of the service's last build, rather than of what runs.
    #[arg(long, conflicts_with = "release")]
    pub build: bool,
    /// The release; without it, the one that runs.
    #[arg(long, value_name = "N")]
    pub release: Option<u64>,
    /// Go on as the log grows.
    #[arg(short, long)]
    pub follow: bool,
}

/// `longshore events`
#[derive(Debug, Clone, Subcommand)]
pub enum EventsCommand {
    /// List the last events.
    List(EventsFilter),
    /// Print events as they happen.
    Tail(EventsFilter),
    /// Print one event as CloudEvents JSON.
    Show {
        /// Its id.
        id: String,
    },
    /// Send an event: CloudEvents 1.0, structured JSON.
    Send {
        /// The file that holds it; `-` reads it from stdin.
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Send again what a function gave up: the event that a dead letter names, once.
    Redrive {
        /// The id of the event `event.deadlettered`; `longshore events list --type event.deadlettered` lists them.
        id: String,
    },
    /// List the types of events, or print the JSON Schema of one.
    Schema {
        /// The type, e.g. `push.received`.
        #[arg(value_name = "TYPE")]
        kind: Option<String>,
    },
}

/// Which events.
#[derive(Debug, Clone, Default, Args)]
pub struct EventsFilter {
    /// Only this type, e.g. `push.received`.
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only this subject: a service, `environment/service`, or a repository.
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// Only events after this number.
    #[arg(long, value_name = "N")]
    pub after: Option<u64>,
    /// How many: with `tail`, of those before it began.
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub limit: Option<usize>,
}

/// `longshore rollback`
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The service: `shop`, or `production/shop`.
    pub service: String,
    /// The environment, where the service runs in more than one.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// The release to go back to: its digest, or how that begins; `previous` for the one before.
    #[arg(long, value_name = "DIGEST", default_value = "previous")]
    pub to: String,
    /// Why; kept with the request.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// `longshore approve`
#[derive(Debug, Clone, Args)]
pub struct ApproveArgs {
    /// A service (`shop`, `production/shop`), whose newest image that waits is meant; or a digest, or how that begins.
    pub what: Option<String>,
    /// The environment, where the service waits in more than one.
    #[arg(long, value_name = "NAME", requires = "what")]
    pub env: Option<String>,
    /// Why; kept with the approval.
    #[arg(long, value_name = "TEXT", requires = "what")]
    pub why: Option<String>,
    /// Until when it counts, as 2026-12-31T12:00:00Z; without it, as long as the environment's `approval_valid` says.
    #[arg(long, value_name = "TIME", requires = "what")]
    pub until: Option<jiff::Timestamp>,
    /// Begin although the environment is outside of its windows or frozen: for who may (`overrides` under `[[person]]`).
    #[arg(long, requires_all = ["what", "why"])]
    pub override_window: bool,
}

/// `longshore reject`
#[derive(Debug, Clone, Args)]
pub struct RejectArgs {
    /// A service (`shop`, `production/shop`), whose newest image is meant; or a digest, or how that begins.
    pub what: String,
    /// The environment, where the service waits in more than one.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Why; kept with the word.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// `longshore release-digest`
#[derive(Debug, Clone, Args)]
pub struct ReleaseDigestArgs {
    /// The digest, or how it begins (6 digits or more).
    pub digest: String,
    /// The environment, where it is quarantined in more than one.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// The service, where it is quarantined for more than one.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Why it may run again; kept with the release.
    #[arg(long, value_name = "TEXT")]
    pub why: String,
}

/// `longshore stop`, `longshore resume`
#[derive(Debug, Clone, Args)]
pub struct SwitchArgs {
    /// Only this environment, rather than everything.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Why; kept with the request.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// `longshore down`
#[derive(Debug, Clone, Args)]
pub struct DownArgs {
    /// Stop the host alone: what runs goes on, and the next host finds it.
    #[arg(long)]
    pub keep_services: bool,
}

/// `longshore backup`
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The file to write: a tar in zstd.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Put the secrets and the token in too.
    #[arg(long)]
    pub with_secrets: bool,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// `longshore restore`
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The file that `backup` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `longshore eks`
#[derive(Debug, Clone, Subcommand)]
pub enum EksCommand {
    /// Print a token for the cluster, as kubectl takes it from a program (`ExecCredential`).
    Token {
        /// The cluster's name in EKS.
        cluster: String,
    },
    /// Print a kubeconfig for the cluster, in JSON; its tokens come from `longshore eks token`.
    Kubeconfig {
        /// The cluster's name in EKS.
        cluster: String,
    },
}

/// `longshore completions`
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `longshore runner`
#[derive(Debug, Clone, Args)]
pub struct RunnerArgs {
    /// The file that the host wrote for it.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// `longshore hook`
#[derive(Debug, Clone, Subcommand)]
pub enum HookCommand {
    /// After a push was taken: the references come on stdin.
    PostReceive {
        /// The repository.
        #[arg(long, value_name = "NAME")]
        repository: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
