//! What a repository of the host runs after a push: tells the host, as a signed webhook.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use longshore_events::{
    CommitId, Data, EventId, RefName, RepositoryName, types::PushReceived, types::RefKind,
};
use longshore_intake::sign;
use longshore_ports::{BlobRef, Secrets as _};
use serde_json::{Value, json};

use super::options::HookOptions;
use super::system::{MachineClock, OWN_SOURCE};

/// Reads what moved from stdin, and tells the host. Never fails the push: what the host does not hear now, its ref
/// check finds.
///
/// # Errors
/// When stdin is not what Git gives a hook.
pub fn post_receive_hook(options: &HookOptions) -> Result<()> {
    let mut lines = String::new();
    std::io::stdin().read_to_string(&mut lines)?;
    let repo = RepositoryName::new(&options.repository)?;
    let events: Vec<Value> = lines.lines().filter_map(|line| moved(&repo, line)).collect();
    if events.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Err(error) = runtime.block_on(tell(&options.data, &serde_json::to_vec(&events)?)) {
        crate::commands::note(format!(
            "longshore: the host was not told ({error:#}); its ref check will find this push"
        ));
    }
    Ok(())
}

/// One line `old new ref` as an event. A push's id names what moved and where to, and the moment: the same move can
/// happen again.
fn moved(repo: &RepositoryName, line: &str) -> Option<Value> {
    let mut words = line.split_whitespace();
    let (old, new, name) = (words.next()?, words.next()?, RefName::new(words.next()?).ok()?);
    let (before, after) = (commit(old), commit(new));
    let forced = match (&before, &after) {
        (Some(before), Some(after)) => !is_ancestor(before, after),
        _ => false,
    };
    let push = PushReceived {
        provider: OWN_SOURCE.into(),
        delivery: None,
        repo: repo.clone(),
        clone_url: None,
        ref_kind: RefKind::of(&name),
        git_ref: name,
        created: before.is_none(),
        deleted: after.is_none(),
        before,
        after,
        forced,
        actor: None,
        paths: Vec::new(),
        paths_truncated: true,
    };
    let now = longshore_ports::Clock::now(&MachineClock);
    let id = format!("longshore/{repo}/{}/{new}/{}", in_an_id(&push.git_ref), now.as_millisecond());
    Some(json!({
        "specversion": "1.0", "id": id, "source": format!("longshore/git/{repo}"), "subject": repo.as_str(),
        "type": Data::from(push.clone()).kind(), "time": now.to_string(), "data": push,
    }))
}

/// The commit of what a ref points to: an annotated tag points to a tag that points to it. Nothing for what is gone.
fn commit(id: &str) -> Option<CommitId> {
    let plain = CommitId::new(id).ok()?;
    let ask = ["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{plain}^{{commit}}")];
    let peeled = Command::new("git").args(ask).output().ok().filter(|output| output.status.success());
    let peeled = peeled.and_then(|output| String::from_utf8(output.stdout).ok());
    peeled.and_then(|peeled| CommitId::new(peeled.trim()).ok()).or(Some(plain))
}

/// A ref's name as a part of an event's id, which has fewer letters than names of refs may have.
fn in_an_id(name: &RefName) -> String {
    match EventId::new(name.as_str()) {
        Ok(_) => name.to_string(),
        Err(_) => BlobRef::of(name.as_str().as_bytes()).0.hex().to_owned(),
    }
}

/// Git runs a hook in the repository's folder, with its environment.
fn is_ancestor(before: &CommitId, after: &CommitId) -> bool {
    let ask = ["merge-base", "--is-ancestor", "--end-of-options", before.as_str(), after.as_str()];
    Command::new("git").args(ask).status().is_ok_and(|status| status.success())
}

async fn tell(data: &Path, body: &[u8]) -> Result<()> {
    let ready = crate::commands::ready(data)?;
    let secrets = longshore_local::FileSecrets::open(&data.join("secrets"), [])?;
    let values = secrets.get(OWN_SOURCE).await?;
    let secret = values.first().context("the host's own secret is missing")?;
    let now = longshore_ports::Clock::now(&MachineClock);
    let id = format!("hook-{}", now.as_nanosecond());
    let signed =
        sign::standard(secret, &id, now.as_second(), body).context("the host's own secret is damaged")?;
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(10)).build()?;
    let url = format!("{}/hooks/{OWN_SOURCE}", ready.url());
    let mut request = client.post(url).header("content-type", "application/cloudevents-batch+json");
    for (name, value) in signed {
        request = request.header(name, value);
    }
    request.body(body.to_vec()).send().await?.error_for_status()?;
    Ok(())
}
