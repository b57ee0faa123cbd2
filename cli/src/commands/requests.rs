//! `longshore rollback`, `longshore stop`, `longshore resume`

use anyhow::{Context as _, Result, bail};
use longshore_events::types::RequestKind;

use super::Client;
use super::print::{self, line};
use super::style::{GOOD, paint};
use crate::api::{NewRequest, RequestTaken, Status};
use crate::args::{Output, RollbackArgs, SwitchArgs};

/// Asks for the release before.
pub(super) async fn roll_back(client: &Client, args: RollbackArgs, output: Output) -> Result<()> {
    let (environment, service) = match args.service.split_once('/') {
        Some((environment, service)) => (Some(environment.to_owned()), service.to_owned()),
        None => (args.env, args.service),
    };
    let status: Status = client.get("/api/status", &[]).await?;
    let within: Vec<&str> = status
        .environments
        .iter()
        .filter(|known| known.services.iter().any(|known| known.name == service))
        .map(|known| known.name.as_str())
        .filter(|known| environment.as_deref().is_none_or(|wanted| wanted == *known))
        .collect();
    let environment = match within.as_slice() {
        [one] => (*one).to_owned(),
        [] => bail!("{service} runs in no such environment; `longshore status` shows what runs where"),
        several => bail!("{service} runs in {}; choose one with `--env`", several.join(", ")),
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
    let request = NewRequest { what, target, why, who: who() };
    let taken: RequestTaken =
        client.post("/api/requests", &request).await.context("the request was not taken")?;
    if output == Output::Json {
        return print::json(&taken);
    }
    line(format!(
        "{} asked for; `longshore timeline --chain {}` shows what comes of it",
        paint(GOOD, "ok"),
        taken.id
    ))
}

/// Who asks, as far as this machine knows.
#[expect(clippy::disallowed_methods, reason = "an entry point")]
fn who() -> String {
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into())
}
