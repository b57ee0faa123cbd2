//! `longshore logs`

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Client;
use super::print::raw;
use crate::api::{MAY_GROW, NEXT_OFFSET, Status};
use crate::args::LogsArgs;

/// Prints a log, and follows it when asked to.
pub(super) async fn run(client: &Client, args: &LogsArgs) -> Result<()> {
    let (path, mut query) = which(client, args).await?;
    let mut offset = 0_u64;
    loop {
        query.retain(|(name, _)| *name != "offset");
        query.push(("offset", offset.to_string()));
        let answer = client.text(&path, &query).await?;
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
        };
        let next: u64 = header(NEXT_OFFSET)
            .and_then(|next| next.parse().ok())
            .context("the host did not say where the log goes on")?;
        let grows = header(MAY_GROW).as_deref() == Some("true");
        let text = answer.bytes().await?;
        raw(&text)?;
        let more = next != offset && !text.is_empty();
        offset = next;
        if more {
            continue;
        }
        if !args.follow || !grows {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

type Query = Vec<(&'static str, String)>;

/// The log that is meant: a build's where a commit is named or `--build` is given, else that of what runs.
async fn which(client: &Client, args: &LogsArgs) -> Result<(String, Query)> {
    let status: Status = client.get("/api/status", &[]).await?;
    let (environment, service) = match args.what.split_once('/') {
        Some((environment, service)) => (Some(environment), service),
        None => (None, args.what.as_str()),
    };
    let known = |name: &str| status.environments.iter().any(|e| e.services.iter().any(|s| s.name == name));
    if !known(service) {
        let built =
            status.builds.iter().find(|build| args.what.len() >= 7 && build.commit.starts_with(&args.what));
        let Some(build) = built else {
            bail!("{} is neither a service nor the commit of a last build", args.what)
        };
        return Ok((format!("/api/logs/build/{}", build.service), vec![("commit", args.what.clone())]));
    }
    if args.build {
        return Ok((format!("/api/logs/build/{service}"), Vec::new()));
    }
    let mut within = status.environments.iter().filter(|e| e.services.iter().any(|s| s.name == service));
    let found = within.find(|e| environment.is_none_or(|wanted| wanted == e.name));
    let environment = found.with_context(|| format!("{service} does not run in that environment"))?;
    let query = args.release.map(|release| ("release", release.to_string())).into_iter().collect();
    Ok((format!("/api/logs/service/{}/{service}", environment.name), query))
}
