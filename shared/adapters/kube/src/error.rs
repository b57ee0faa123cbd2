//! What a cluster refuses, in words that say what to do.

use longshore_ports::{ErrorKind, PortError, Retry};
use serde::Deserialize;

/// Why a cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {why}; see `kubectl config get-contexts` [LS0701]")]
    Config {
        /// What is wrong with it.
        why: String,
    },
    /// The manifests of a release are none that can be applied.
    #[error("the manifests of release {release}: {why} [LS0702]")]
    Manifests {
        /// Which release.
        release: u64,
        /// What is wrong with them.
        why: String,
    },
    /// The strategy asks for what cannot be had with these manifests.
    #[error("{why} [LS0703]")]
    Strategy {
        /// What, and the way out.
        why: String,
    },
    /// A right is missing.
    #[error("{said}; add the rule {rule} to the Role of this function [LS0704]")]
    Forbidden {
        /// What the API server said.
        said: String,
        /// The rule that is missing, as YAML in one line.
        rule: String,
    },
    /// The API server does not know the caller.
    #[error("the API server does not take the credentials: {said} [LS0705]")]
    Unauthorized {
        /// What it said.
        said: String,
    },
    /// Somebody else manages a field that differs.
    #[error(
        "{object}: {fields}; Longshore forces nothing: take the field out of the manifests, or have its manager give it up [LS0706]"
    )]
    Managed {
        /// The object.
        object: String,
        /// Which fields, and whose.
        fields: String,
    },
    /// The object belongs to another workload.
    #[error(
        "{object} belongs to {owner}: give it another name, or the environment another namespace [LS0707]"
    )]
    Taken {
        /// The object.
        object: String,
        /// Whose it is: environment/service.
        owner: String,
    },
    /// A newer generation or step was applied, or another wish under the same.
    #[error("{object} was applied by generation {generation}, step {step}; this is {this}")]
    Newer {
        /// The object.
        object: String,
        /// What was applied.
        generation: u64,
        /// See `generation`.
        step: u32,
        /// What was asked.
        this: String,
    },
    /// The API server, or an admission webhook, takes it for wrong.
    #[error("{said} [LS0708]")]
    Refused {
        /// What it said.
        said: String,
    },
    /// It is not there.
    #[error("{said} [LS0709]")]
    Missing {
        /// What the API server said.
        said: String,
    },
    /// The API server does not answer, or is busy.
    #[error("the API server {said} [LS0710]")]
    Silent {
        /// What it did.
        said: String,
    },
}

impl KubeError {
    pub(crate) fn into_port(self, operation: impl Into<String>) -> PortError {
        let kind = match &self {
            Self::Config { .. } | Self::Manifests { .. } | Self::Strategy { .. } | Self::Refused { .. } => {
                ErrorKind::Invalid
            }
            Self::Forbidden { .. } | Self::Unauthorized { .. } => ErrorKind::Denied,
            Self::Managed { .. } | Self::Taken { .. } => ErrorKind::Invalid,
            Self::Newer { .. } => ErrorKind::Conflict,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Silent { .. } => ErrorKind::Unavailable,
        };
        // A token that has just run out is renewed by the next call.
        let renewed = matches!(self, Self::Unauthorized { .. });
        let error = PortError::new(kind, operation, self);
        if renewed { PortError { retry: Retry::Temporary, ..error } } else { error }
    }
}

/// What the API server says when it refuses: `Status` of `meta/v1`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) message: String,
    pub(crate) details: Option<Details>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) causes: Vec<Cause>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Status {
    /// Somebody else manages fields that differ. The other conflict is that the object was changed meanwhile.
    pub(crate) fn is_managed_conflict(&self) -> bool {
        let causes = self.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        self.code == 409 && causes.iter().any(|cause| cause.reason == "FieldManagerConflict")
    }

    /// The fields that somebody else manages.
    pub(crate) fn managed(&self) -> Vec<(&str, &str)> {
        let causes = self.details.iter().flat_map(|details| &details.causes);
        causes.map(|cause| (cause.field.as_str(), cause.message.as_str())).collect()
    }

    /// What it means, for a call of `verb` on `resource` of `group`.
    pub(crate) fn error(&self, verb: &str, group: &str, resource: &str) -> KubeError {
        let said = self.message.clone();
        match self.code {
            401 => KubeError::Unauthorized { said },
            // Quotas, admission webhooks and namespaces that go answer 403 too.
            403 if said.contains("exceeded quota")
                || said.contains("admission webhook")
                || said.contains("being terminated")
                || !said.contains("cannot ") =>
            {
                KubeError::Refused { said }
            }
            403 => KubeError::Forbidden { said, rule: rule(verb, group, resource) },
            404 => KubeError::Missing { said },
            // It answers so where the object has a field that its schema has not.
            500 if said.contains("failed to create typed patch object") => KubeError::Refused { said },
            // Changed meanwhile, expired, too many, or the server's own trouble.
            409 | 410 | 429 | 500.. => KubeError::Silent { said: format!("answers {}: {said}", self.code) },
            _ => KubeError::Refused { said },
        }
    }
}

/// The rule of a Role that allows it.
fn rule(verb: &str, group: &str, resource: &str) -> String {
    format!("{{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}")
}

#[cfg(test)]
mod tests {
    use longshore_ports::{ErrorKind, Retry};

    use super::*;

    fn status(code: u16, message: &str) -> Status {
        Status { code, message: message.into(), ..Status::default() }
    }

    #[test]
    fn a_missing_right_names_the_rule_to_add() {
        let said = r#"deployments.apps is forbidden: User "deploy" cannot patch resource "deployments" in API group "apps""#;
        let error = status(403, said).error("patch", "apps", "deployments").into_port("apply");
        assert_eq!((error.kind, error.retry), (ErrorKind::Denied, Retry::Permanent));
        let rule =
            r#"add the rule {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]} to the Role"#;
        assert!(error.to_string().contains(rule), "{error}");
    }

    #[test]
    fn what_403_says_besides_rights_is_no_missing_right() {
        let said = [
            r#"pods "web" is forbidden: exceeded quota: small, requested: pods=1"#,
            r#"admission webhook "no.example" denied the request: cannot have that"#,
            "deployments.apps \"web\" is forbidden: unable to create new content in namespace x because it is being terminated",
        ];
        for said in said {
            let error = status(403, said).error("create", "", "pods").into_port("apply");
            assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        }
    }

    #[test]
    fn what_may_pass_is_temporary() {
        for code in [401, 409, 410, 429, 500, 503, 504] {
            let error = status(code, "x").error("get", "", "pods").into_port("look");
            assert!(error.is_temporary(), "{code}");
        }
        for code in [400, 403, 404, 422] {
            assert!(!status(code, "x").error("get", "", "pods").into_port("look").is_temporary(), "{code}");
        }
    }
}
