//! `longshore rollback`, `longshore stop`, `longshore resume`

use anyhow::{Context as _, Result, bail};
use longshore_events::types::RequestKind;

use super::Client;
use super::print::{self, line, note};
use super::style::{GOOD, NAME, paint};
use crate::api::{EnvironmentStatus, NewRequest, RequestTaken, Status};
use crate::args::{Output, RollbackArgs, SwitchArgs};

/// Asks for the release before.
pub(super) async fn roll_back(client: &Client, args: RollbackArgs, output: Output) -> Result<()> {
    let (environment, service) = match args.service.split_once('/') {
        Some((environment, service)) => (Some(environment.to_owned()), service.to_owned()),
        None => (args.env, args.service),
    };
    let status: Status = client.get("/api/status", &[]).await?;
    let runs_in = |known: &&EnvironmentStatus| known.services.iter().any(|known| known.name == service);
    let within: Vec<&str> =
        status.environments.iter().filter(runs_in).map(|known| known.name.as_str()).collect();
    let environment = match (environment, within.as_slice()) {
        (_, []) => bail!("there is no service {service}; `longshore status` shows what there is"),
        (None, [one]) => (*one).to_owned(),
        (Some(named), within) if within.contains(&named.as_str()) => named,
        (_, several) => bail!("{service} runs in {}; choose with `--env`", several.join(", ")),
    };
    let target = format!("{environment}/{service}");
    ask(client, RequestKind::RollBack, target, args.why, output).await
}

/// Lets nothing new happen.
pub(super) async fn stop(client: &Client, args: SwitchArgs, output: Output) -> Result<()> {
    ask(client, RequestKind::Stop, args.env.unwrap_or_else(|| "all".into()), args.why, output).await
}

/// Takes back `stop`.
pub(super) async fn resume(client: &Client, args: SwitchArgs, output: Output) -> Result<()> {
    ask(client, RequestKind::Resume, args.env.unwrap_or_else(|| "all".into()), args.why, output).await
}

async fn ask(
    client: &Client,
    what: RequestKind,
    target: String,
    why: Option<String>,
    output: Output,
) -> Result<()> {
    let said = match what {
        RequestKind::RollBack => format!("asked to roll back {target}"),
        RequestKind::Stop => format!("asked to stop {target}; `longshore resume` goes on"),
        RequestKind::Resume => format!("asked to resume {target}"),
    };
    let request = NewRequest { what, target, why, who: who() };
    let taken: RequestTaken =
        client.post("/api/requests", &request).await.context("the request was not taken")?;
    if output == Output::Json {
        return print::json(&taken);
    }
    line(format!("{} {said}", paint(GOOD, "ok")))?;
    note(format!(
        "see what comes of it: {}",
        paint(NAME, format!("longshore timeline --chain {}", taken.id))
    ));
    Ok(())
}

/// Who asks, as far as this machine knows.
#[expect(clippy::disallowed_methods, reason = "an entry point")]
fn who() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| format!("user {}", rustix::process::getuid().as_raw()))
}
