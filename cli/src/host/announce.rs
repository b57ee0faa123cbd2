//! What `longshore up` says once it is ready.

use anyhow::Result;

use super::assemble::quoted;
use super::options::UpOptions;
use super::system::{OWN_SOURCE, System};
use crate::api::TOKEN_USER;
use crate::commands::line;

/// Says that the host is ready: to people, or to programs.
pub(super) fn announce(system: &System, options: &UpOptions) -> Result<()> {
    let ready = serde_json::to_string(&system.ready)?;
    if let Some(path) = &options.ready_file {
        super::folder::write_private(path, format!("{ready}\n").as_bytes())?;
    }
    if options.output_json {
        return line(ready);
    }
    line(format!("longshore is up on {}; data in {}", system.ready.url(), system.ready.data.display()))?;
    let password = format!("$(cat {})", quoted(&system.ready.token_file));
    for repository in system.console.repositories() {
        let Some(remote) = &repository.remote else { continue };
        let remote = remote.replacen("http://", &format!("http://{TOKEN_USER}:{password}@"), 1);
        let branch = &repository.branch;
        line(format!("push to it:   git remote add longshore \"{remote}\" && git push longshore {branch}"))?;
    }
    for source in system.console.sources().iter().filter(|source| source.name != OWN_SOURCE) {
        let secret = source.secret_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        line(format!("webhook:      {} ({}; its secret: {secret})", source.url, source.provider))?;
    }
    for environment in &system.policy.environments {
        for service in &environment.services {
            let port = system.ready.proxy.port();
            line(format!("service:      http://{service}.{}.localhost:{port}", environment.name))?;
        }
    }
    line("stop it with Ctrl-C (services go on), or everything with `longshore down`")
}
