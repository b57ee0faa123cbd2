//! Writes the objects of one wish, each as it was read, and none that a newer wish wrote.

use std::sync::{Mutex, PoisonError};

use longshore_ports::Workload;

use crate::api::{Api, Written};
use crate::error::KubeError;
use crate::mark;
use crate::object::{Object, ObjectRef, sha256};

/// How often an object is read again that somebody else changed meanwhile.
pub(crate) const TRIES: usize = 5;

/// Writes for one wish.
pub(crate) struct Write<'a> {
    pub(crate) api: &'a Api,
    pub(crate) workload: &'a Workload,
    pub(crate) pair: (u64, u32),
    /// What was not there before.
    pub(crate) made: Mutex<Vec<ObjectRef>>,
}

impl Write<'_> {
    /// Writes an object, unless a newer wish did. `found` is how it was read, if it was.
    pub(crate) async fn write(&self, mut object: Object, mut found: Option<Object>) -> Result<(), KubeError> {
        object.set_annotation(mark::GENERATION, &self.pair.0.to_string());
        object.set_annotation(mark::STEP, &self.pair.1.to_string());
        let of = object.reference();
        for _ in 0..TRIES {
            if found.is_none() {
                found = self.api.get(&of).await?;
            }
            let Some(there) = found.take() else {
                note_template(&mut object, None);
                match self.api.create(&object).await? {
                    Written::Done => {
                        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(of);
                        return Ok(());
                    }
                    Written::Stale => continue,
                    Written::Managed(fields) => return Err(managed(&of, &fields)),
                }
            };
            self.check(&there)?;
            keep_replicas(&mut object, &there);
            note_template(&mut object, Some(&there));
            match self.api.apply(&object, &there).await? {
                Written::Done => return Ok(()),
                Written::Stale => {}
                // An autoscaler that the manifests do not have: the number is its own.
                Written::Managed(fields) if fields.iter().all(|(field, _)| field == ".spec.replicas") => {
                    object.leave_replicas();
                }
                Written::Managed(fields) => return Err(managed(&of, &fields)),
            }
        }
        Err(KubeError::Silent { said: format!("changes {of} faster than it can be written") })
    }

    /// Removes objects that are this workload's, unless a newer wish wrote them.
    pub(crate) async fn remove(&self, all: &[ObjectRef]) -> Result<(), KubeError> {
        for of in all {
            match self.remove_one(of).await {
                // A release is not taken back because something old may not be removed.
                Err(error @ KubeError::Forbidden { .. }) => {
                    tracing::warn!(object = %of, %error, "it is left behind");
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn remove_one(&self, of: &ObjectRef) -> Result<(), KubeError> {
        for _ in 0..TRIES {
            let Some(there) = self.api.get(of).await? else { return Ok(()) };
            let is_ours = there.label(mark::SERVICE) == Some(self.workload.service.as_str())
                && there.label(mark::ENVIRONMENT) == Some(self.workload.environment.as_str());
            if !is_ours || there.is_going() {
                return Ok(());
            }
            self.check(&there)?;
            if let Written::Done = self.api.delete(&there).await? {
                return Ok(());
            }
        }
        Err(KubeError::Silent { said: format!("changes {of} faster than it can be removed") })
    }

    /// A newer wish was written meanwhile, which knows nothing of what was made since: that goes.
    pub(crate) async fn take_back(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for of in made {
            if let Err(error) = self.remove_one(&of).await {
                tracing::info!(object = %of, %error, "it stays");
            }
        }
    }

    /// That nobody else's object is touched, and none that a newer wish wrote.
    fn check(&self, there: &Object) -> Result<(), KubeError> {
        let (environment, service) = (there.label(mark::ENVIRONMENT), there.label(mark::SERVICE));
        let ours = (Some(self.workload.environment.as_str()), Some(self.workload.service.as_str()));
        let object = there.reference().to_string();
        if (environment.is_some() || service.is_some()) && (environment, service) != ours {
            let owner = format!("{}/{}", environment.unwrap_or("?"), service.unwrap_or("?"));
            return Err(KubeError::Taken { object, owner });
        }
        if there.is_going() {
            return Err(KubeError::Silent { said: format!("still removes {object}") });
        }
        let (generation, step) = there.pair();
        if (generation, step) > self.pair {
            let this = format!("generation {}, step {}", self.pair.0, self.pair.1);
            return Err(KubeError::Newer { object, generation, step, this });
        }
        Ok(())
    }
}

/// Says with which of the object's generations its pods' template comes.
fn note_template(object: &mut Object, there: Option<&Object>) {
    let Some(template) = object.template() else { return };
    let template = sha256(template.to_string());
    let before = there.filter(|there| there.annotation(mark::TEMPLATE) == Some(&template));
    let since = match (before.and_then(|before| before.annotation(mark::TEMPLATE_SINCE)), there) {
        (Some(since), _) => since.to_owned(),
        (None, Some(there)) => (there.number("/metadata/generation").unwrap_or(0) + 1).to_string(),
        (None, None) => "1".into(),
    };
    object.set_annotation(mark::TEMPLATE, &template);
    object.set_annotation(mark::TEMPLATE_SINCE, &since);
}

fn managed(of: &ObjectRef, fields: &[(String, String)]) -> KubeError {
    let each = fields.iter().map(|(field, said)| format!("{field}: {said}"));
    KubeError::Managed { object: of.to_string(), fields: each.collect::<Vec<_>>().join("; ") }
}

/// A number of instances that the manifests leave to others stays what it is: what this manager once set would be taken
/// away with the field.
fn keep_replicas(object: &mut Object, there: &Object) {
    const REPLICAS: &[&str] = &["spec", "replicas"];
    let leaves = object.0.pointer("/spec/replicas").is_none();
    let scales = matches!(object.kind(), "Deployment" | "StatefulSet");
    if let Some(now) = there.number("/spec/replicas").filter(|_| leaves && scales && there.owns(REPLICAS)) {
        object.set(&["spec"], "replicas", now.into());
    }
}
