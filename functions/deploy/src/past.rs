//! What cannot be taken back: whether an image changes any of it, seen from the release that runs.

use longshore_events::{CommitId, Digest, types::GateEvaluated};
use longshore_policy::Watch;
use longshore_ports::{ErrorKind, PortError, Workload};

use crate::{Deploy, State};

impl Deploy {
    /// Of the images that may be begun now those that change what cannot be taken back. What Git cannot tell counts as changed.
    pub(crate) async fn past(
        &self,
        workload: &Workload,
        state: &State,
        told: Option<&GateEvaluated>,
        tip: Option<&CommitId>,
    ) -> Result<Vec<Digest>, PortError> {
        let service = self.policy.service(&workload.service);
        let globs = service.and_then(|service| service.no_rollback_past.as_ref());
        let (Some(globs), Some(current)) = (globs, &state.current) else { return Ok(Vec::new()) };
        let promoted = self.policy.environment(&workload.environment).is_some_and(|one| one.after.is_some());
        let known = state.candidates.iter().map(|one| (&one.image.digest, one.commit.as_ref()));
        let told = told.map(|gate| (&gate.digest, gate.commit.as_ref()));
        let may_begin = |commit: Option<&CommitId>| promoted || commit.is_none() || commit == tip;
        let mut past: Vec<Digest> = Vec::new();
        for (digest, commit) in known.chain(told).filter(|(_, commit)| may_begin(*commit)) {
            let looked = past.contains(digest) || *digest == current.image.digest;
            if !looked && self.crosses(workload, globs, current.commit.as_ref(), commit).await? {
                past.push(digest.clone());
            }
        }
        Ok(past)
    }

    async fn crosses(
        &self,
        workload: &Workload,
        globs: &Watch,
        from: Option<&CommitId>,
        to: Option<&CommitId>,
    ) -> Result<bool, PortError> {
        let source = self.policy.service(&workload.service).and_then(|service| service.source.as_ref());
        let (Some(source), Some((from, to))) = (source, from.zip(to)) else { return Ok(true) };
        if globs.is_empty() {
            return Ok(true);
        }
        match self.git.compare(&source.repository, from, to).await {
            Ok(changes) => {
                Ok(changes.paths.is_none_or(|paths| globs.touched_by(paths.iter().map(String::as_str))))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}
