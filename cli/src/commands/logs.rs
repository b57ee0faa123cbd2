//! `longshore logs`

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use longshore_events::{Data, Event};

use super::Client;
use super::print::raw;
use super::timeline::is_commit;
use crate::api::{Events, MAY_GROW, NEXT_OFFSET, Status};
use crate::args::LogsArgs;

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(300);

/// A path of the API, and its query.
type Asked = (String, Vec<(&'static str, String)>);

/// Prints a log, and follows it when asked to.
pub(super) async fn run(client: &Client, args: &LogsArgs) -> Result<()> {
    let (path, query) = which(client, args).await?;
    let mut offset = 0_u64;
    loop {
        let mut query = query.clone();
        query.push(("offset", offset.to_string()));
        let answer = client.text(&path, &query).await?;
        let header = |name| answer.headers().get(name)?.to_str().ok();
        let next = header(NEXT_OFFSET).and_then(|next| next.parse().ok());
        let next: u64 = next.context("the host did not say where the log goes on")?;
        let grows = header(MAY_GROW) == Some("true");
        let text = answer.bytes().await?;
        raw(&text)?;
        offset = next;
        if !text.is_empty() {
            continue;
        }
        if !args.follow || !grows {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The log that is meant: a build's where a commit is named or `--build` is given, else that of what runs.
async fn which(client: &Client, args: &LogsArgs) -> Result<Asked> {
    let status: Status = client.get("/api/status", &[]).await?;
    let (environment, service) = match args.what.split_once('/') {
        Some((environment, service)) => (Some(environment), service),
        None => (None, args.what.as_str()),
    };
    let built = status.builds.iter().any(|build| build.service == service);
    if args.build && built {
        return Ok((format!("/api/logs/build/{service}"), Vec::new()));
    }
    let mut within = status.environments.iter().filter(|e| e.services.iter().any(|s| s.name == service));
    let found = within.find(|e| environment.is_none_or(|wanted| wanted == e.name));
    match found {
        Some(_) if args.build => bail!("{service} was not built here yet"),
        Some(environment) => {
            let release = args.release.map(|release| ("release", release.to_string()));
            Ok((format!("/api/logs/service/{}/{service}", environment.name), release.into_iter().collect()))
        }
        None if is_commit(service) => build_of(client, service).await,
        None => {
            bail!("{} is neither a service nor a commit; `longshore status` shows what there is", args.what)
        }
    }
}

/// The newest build of the commit that begins so.
async fn build_of(client: &Client, commit: &str) -> Result<Asked> {
    let asked = [("kind", "build.started".to_owned()), ("limit", "1000".to_owned())];
    let events: Events = client.get("/api/events", &asked).await?;
    let build = |event: &serde_json::Value| match Event::from_json(&event.to_string()).ok()?.data {
        Data::BuildStarted(build) if build.commit.as_str().starts_with(commit) => Some(build),
        _ => None,
    };
    let build = events.events.iter().rev().find_map(|entry| build(&entry.event));
    let build = build.with_context(|| format!("no build of {commit} is known"))?;
    Ok((format!("/api/logs/build/{}", build.service), vec![("commit", build.commit.to_string())]))
}
