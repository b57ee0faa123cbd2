//! CodeBuild: a build came to its end. That is a hint for whoever started it, and no fact: what became of the build the
//! function `build` asks CodeBuild, at its own time where this notice never comes.

use longshore_events::{CommitId, ServiceName};
use serde::Deserialize;

use super::Envelope;
use crate::Refusal;
use crate::few::Few;
use crate::hear::{Heard, Hearing, brief};

/// The function that starts builds, and the variables by which a build of ours is known: every builder sets them.
const FUNCTION: &str = "build";
const SERVICE: &str = "LONGSHORE_SERVICE";
const COMMIT: &str = "LONGSHORE_COMMIT";
const MAX_VARIABLES: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    build_status: String,
    #[serde(default)]
    additional_information: Information,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Information {
    environment: Environment,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Environment {
    environment_variables: Few<Variable, MAX_VARIABLES>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

pub(super) fn hear(envelope: &Envelope, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    let detail = Detail::deserialize(&envelope.detail)?;
    if detail.build_status == "IN_PROGRESS" {
        heard.ignore("ignored: the build goes on".into());
        return Ok(());
    }
    match unit(&detail, hearing) {
        Some(unit) => {
            heard.ignore(format!("no event: {FUNCTION} is told to look at {unit}"));
            heard.hints.push((FUNCTION, unit));
        }
        None => heard.ignore(format!("ignored: no build of ours came to {:?}", brief(&detail.build_status))),
    }
    Ok(())
}

/// What `build` calls it: a service at a commit.
fn unit(detail: &Detail, hearing: &Hearing<'_>) -> Option<String> {
    let variables = &detail.additional_information.environment.environment_variables.items;
    let value = |name: &str| Some(variables.iter().find(|variable| variable.name == name)?.value.as_str());
    let service = ServiceName::new(value(SERVICE)?).ok()?;
    let commit = CommitId::new(value(COMMIT)?).ok()?;
    let is_built = hearing.policy.service(&service)?.source.is_some();
    is_built.then(|| format!("{service}@{commit}"))
}
