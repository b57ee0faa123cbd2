//! `longshore approve`, `longshore reject`, `longshore release-digest`

use anyhow::{Context as _, Result};
use longshore_events::types::ApprovalDecision;

use super::Client;
use super::print::{self, line, note, short, short_digest};
use super::requests::who;
use super::style::{GOOD, NAME, paint};
use crate::api::{Approvals, Given, NewApproval, NewRelease};
use crate::args::{ApproveArgs, Output, RejectArgs, ReleaseDigestArgs};

/// Says that an image may run, or lists what waits for that.
pub(super) async fn approve(client: &Client, args: ApproveArgs, output: Output) -> Result<()> {
    let Some(what) = args.what else { return list(client, output).await };
    let approval = NewApproval {
        what: placed(args.env, what),
        decision: ApprovalDecision::Approved,
        why: args.why,
        until: args.until,
        override_window: args.override_window,
        who: who(),
    };
    let how = if args.override_window { "overrides the window, and approved" } else { "approved" };
    give(client, &approval, how, output).await
}

/// Says that an image must not run.
pub(super) async fn reject(client: &Client, args: RejectArgs, output: Output) -> Result<()> {
    let approval = NewApproval {
        what: placed(args.env, args.what),
        decision: ApprovalDecision::Rejected,
        why: args.why,
        until: None,
        override_window: false,
        who: who(),
    };
    give(client, &approval, "rejected", output).await
}

/// Lifts a quarantine.
pub(super) async fn release(client: &Client, args: ReleaseDigestArgs, output: Output) -> Result<()> {
    let ReleaseDigestArgs { digest, env: environment, service, why } = args;
    let release = NewRelease { digest, environment, service, why, who: who() };
    let given: Given =
        client.post("/api/releases", &release).await.context("the quarantine was not lifted")?;
    said(&given, "lifted the quarantine of", output)
}

/// A service in an environment, where one is named.
fn placed(environment: Option<String>, what: String) -> String {
    match environment {
        Some(environment) => format!("{environment}/{what}"),
        None => what,
    }
}

async fn give(client: &Client, approval: &NewApproval, how: &str, output: Output) -> Result<()> {
    let given: Given = client.post("/api/approvals", approval).await.context("the word was not taken")?;
    said(&given, how, output)
}

fn said(given: &Given, how: &str, output: Output) -> Result<()> {
    if output == Output::Json {
        return print::json(given);
    }
    let Given { environment, service, digest, who, .. } = given;
    line(format!("{} {who} {how} {} for {environment}/{service}", paint(GOOD, "ok"), short_digest(digest)))?;
    note(format!("see what comes of it: {}", paint(NAME, format!("longshore timeline {service}"))));
    Ok(())
}

async fn list(client: &Client, output: Output) -> Result<()> {
    let Approvals { waiting } = client.get("/api/approvals", &[]).await?;
    if output == Output::Json {
        return print::json(&Approvals { waiting });
    }
    if waiting.is_empty() {
        return line("nothing waits for people");
    }
    for image in waiting {
        let commit =
            image.commit.as_deref().map(|commit| format!(" ({})", short(commit))).unwrap_or_default();
        let name = paint(NAME, format!("{}/{}", image.environment, image.service));
        line(format!("{name} {}{commit}, since {}", short_digest(&image.digest), image.since))?;
        for reason in image.reasons {
            line(format!("  {reason}"))?;
        }
    }
    note("`longshore approve SERVICE` or `longshore reject SERVICE` says a word");
    Ok(())
}
