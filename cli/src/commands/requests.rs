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
    let to = Some(args.to).filter(|to| to != "previous");
    let request = NewRequest { what: RequestKind::RollBack, target, to, why: args.why, who: who() };
    ask(client, request, output).await
}

/// Lets nothing new happen.
pub(super) async fn stop(client: &Client, args: SwitchArgs, output: Output) -> Result<()> {
    ask(client, switch(RequestKind::Stop, args), output).await
}

/// Takes back `stop`.
pub(super) async fn resume(client: &Client, args: SwitchArgs, output: Output) -> Result<()> {
    ask(client, switch(RequestKind::Resume, args), output).await
}

fn switch(what: RequestKind, args: SwitchArgs) -> NewRequest {
    let target = args.env.unwrap_or_else(|| "all".into());
    NewRequest { what, target, to: None, why: args.why, who: who() }
}

async fn ask(client: &Client, request: NewRequest, output: Output) -> Result<()> {
    let target = &request.target;
    let said = match request.what {
        RequestKind::RollBack => format!("asked to roll back {target}"),
        RequestKind::Stop => format!("asked to stop {target}; `longshore resume` goes on"),
        RequestKind::Resume => format!("asked to resume {target}"),
    };
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
pub(super) fn who() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| format!("user {}", rustix::process::getuid().as_raw()))
}
