//! Which host to talk to: the one that was named, or the one that runs on the data folder.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context as _, Result, bail};

use super::Client;
use crate::api::{HOST_FILE, Ready, TOKEN_FILE};
use crate::args::Global;

/// A client of the host that the options, the environment or the folder name.
///
/// # Errors
/// When no host is found; the message says how to start one.
pub(super) fn client(global: &Global) -> Result<Client> {
    if let Some(stack) = global.host.as_deref().and_then(|host| host.strip_prefix("aws:")) {
        return super::wait(super::aws::client(stack, global.token.as_deref()));
    }
    if let Some(host) = &global.host {
        let token = global.token.clone().map_or_else(|| token(&data_folder(global)?.join(TOKEN_FILE)), Ok);
        return Client::new(
            host,
            token.context("`--host` needs a token: set LONGSHORE_TOKEN, or `--data`")?.trim(),
        );
    }
    let data = data_folder(global)?;
    let ready = ready(&data)?;
    let token = global.token.clone().map_or_else(|| token(&ready.token_file), Ok)?;
    Client::new(&ready.url(), token.trim())
}

/// The environment and the service that are meant by `service` or `environment/service`, and by `--env`.
///
/// # Errors
/// When two environments are named.
pub(super) fn place(
    service: Option<String>,
    env: Option<String>,
) -> Result<(Option<String>, Option<String>)> {
    match service.as_deref().and_then(|service| service.split_once('/')) {
        Some((in_env, _)) if env.as_ref().is_some_and(|env| env != in_env) => {
            bail!("{} and `--env` name two environments", service.unwrap_or_default())
        }
        Some((in_env, service)) => Ok((Some(in_env.to_owned()), Some(service.to_owned()))),
        None => Ok((env, service)),
    }
}

/// What the host of `data` says about itself.
pub(crate) fn ready(data: &Path) -> Result<Ready> {
    let path = data.join(HOST_FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "no host runs on {}; start one with `longshore up`, or name one with `--host` or `--data`",
            data.display()
        ),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; start the host again", path.display()))
}

/// The token in `path`.
pub(crate) fn token(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read the token {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The data folder: as named, or as the nearest configuration says.
pub(super) fn data_folder(global: &Global) -> Result<PathBuf> {
    if let Some(data) = &global.data {
        return Ok(data.clone());
    }
    let here = env::current_dir().context("cannot tell the working folder")?;
    let found = here.ancestors().find_map(of_folder);
    Ok(found.unwrap_or_else(|| here.join(".longshore")))
}

/// The data folder of a project in `folder`, if there is one.
fn of_folder(folder: &Path) -> Option<PathBuf> {
    let file = folder.join("longshore.toml");
    if let Ok(text) = fs::read_to_string(&file) {
        let policy = longshore_policy::check(&text, "longshore.toml");
        return Some(folder.join(policy.map_or_else(|_| ".longshore".to_owned(), |policy| policy.host.data)));
    }
    let data = folder.join(".longshore");
    data.join(HOST_FILE).exists().then_some(data)
}
