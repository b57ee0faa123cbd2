//! A stack on AWS as the host: where its console answers and what its token is, from the stack itself.
//!
//! Who we are there is what the environment says (`AWS_ACCESS_KEY_ID`, …), else the profile in `~/.aws`. Sources: "Configuration
//! and credential file settings" and "Environment variables to configure the AWS CLI", AWS documentation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use longshore_aws::{Account, Aws, AwsSecrets};
use longshore_ports::{Clock, PortError, Secrets as _};

use super::Client;
use crate::host::MachineClock;

/// The output with the address of the console.
const URL: &str = "ConsoleUrl";
/// The output with the address of `intake`.
const INTAKE: &str = "IntakeUrl";
/// The output with the name of the stack's secret.
const SECRET: &str = "SecretName";
/// The name of the token in the secret.
const TOKEN: &str = "token";

/// A client of the stack's console.
///
/// # Errors
/// Says what is missing, with a code.
pub(super) async fn client(stack: &str, token: Option<&str>) -> Result<Client> {
    let aws = account()?;
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let outputs = aws.outputs(stack, clock).await.map_err(|error| coded(&error, "LS0501"))?;
    let output = |name: &str| {
        let given = outputs.get(name).filter(|value| !value.is_empty()).cloned();
        given.with_context(|| {
            format!(
                "the stack {stack} has no output {name}; deploy it anew with this version's template [LS0503]"
            )
        })
    };
    let url = output(URL)?;
    let token = match token {
        Some(token) => token.to_owned(),
        None => read_token(&aws, &output(SECRET)?).await?,
    };
    Ok(Client::new(&url, token.trim())?.of_stack(stack, output(INTAKE).ok()))
}

async fn read_token(aws: &Aws, secret: &str) -> Result<String> {
    let tokens = AwsSecrets::new(aws, secret).get(TOKEN).await.map_err(|error| coded(&error, "LS0504"))?;
    let newest = tokens.first().map(|token| String::from_utf8_lossy(token.expose()).into_owned());
    let newest = newest.filter(|token| !token.trim().is_empty());
    newest.with_context(|| format!("`{TOKEN}` in the secret {secret} is empty; put one there [LS0504]"))
}

/// An error with its code: AWS's refusals have theirs, and `own` is that of the others.
pub(super) fn coded(error: &PortError, own: &'static str) -> anyhow::Error {
    match longshore_aws::code(error) {
        Some(_) => anyhow::anyhow!("{error}"),
        None => anyhow::anyhow!("{error} [{own}]"),
    }
}

/// The account that the environment, or the profile, names.
///
/// # Errors
/// Says what is missing, with a code.
pub(crate) fn account() -> Result<Aws> {
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".into());
    let settings = settings(&profile)?;
    let lookup = |name: &str| match name {
        "AWS_REGION" => variable(name)
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| settings.get("region").cloned()),
        // Keys of the environment and of the profile are never mixed.
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => {
            if variable("AWS_ACCESS_KEY_ID").is_some() {
                variable(name)
            } else {
                settings.get(name.to_ascii_lowercase().as_str()).cloned()
            }
        }
        _ => variable(name),
    };
    if lookup("AWS_ACCESS_KEY_ID").is_none() {
        bail!(
            "there are no keys of AWS: neither in the environment nor of the profile {profile}; where it signs in or \
             takes a role, run eval \"$(aws configure export-credentials --profile {profile} --format env)\" [LS0505]"
        );
    }
    let account = Account::from_environment(lookup);
    let account = account.with_context(|| "cannot tell which account of AWS to ask [LS0505]")?;
    account.connect().context("cannot speak to AWS")
}

/// What `~/.aws/credentials`, and where that says nothing `~/.aws/config`, says of a profile.
fn settings(profile: &str) -> Result<BTreeMap<String, String>> {
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default().join(".aws");
    let file = |name: &str, usual: &str| variable(name).map_or_else(|| home.join(usual), PathBuf::from);
    let read = |path: PathBuf| match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| format!("cannot read {}", path.display())),
    };
    let config = read(file("AWS_CONFIG_FILE", "config"))?;
    let keys = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?;
    let mut settings = section(&config, &[&format!("profile {profile}"), profile]);
    settings.extend(section(&keys, &[profile]));
    Ok(settings)
}

/// The settings of the sections of these names.
fn section(text: &str, names: &[&str]) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            inside = names.contains(&name.0.trim());
        } else if let (true, Some((name, value))) = (inside, line.split_once('='))
            && !line.starts_with(['#', ';', ' ', '\t'])
        {
            settings.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

/// A variable of the environment that is not empty.
#[expect(clippy::disallowed_methods, reason = "an entry point")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_from_its_own_section() {
        let text = "# keys\n[default]\nregion = eu-west-1\n[profile work]\nregion=us-east-2\ns3 =\n  region = nested\n\
                    ; old\n[other]\nregion = x\n";
        let region = |names: &[&str]| section(text, names).remove("region");
        assert_eq!(region(&["profile default", "default"]).as_deref(), Some("eu-west-1"));
        assert_eq!(region(&["profile work", "work"]).as_deref(), Some("us-east-2"));
        assert_eq!(region(&["profile none", "none"]), None);
    }
}
