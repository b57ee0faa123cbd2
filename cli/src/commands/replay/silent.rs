//! The outside, of which a replay asks nothing: every answer is that nobody answers.

use async_trait::async_trait;
use longshore_events::{CommitId, Digest, Event, ImageName, RefName, RepositoryName};
use longshore_ports::{
    BlobRef, Blobs, BuildOrder, BuildStatus, Builder, Changes, Claim, CommitStatus, Desired, Facts, Forge,
    Git, Key, Measured, Metrics, Notice, Notify, Observed, PortError, Question, Registry, Resolved,
    ScanOrder, ScanState, Scanner, ScannerVersion, Signatures, Workload, Workloads,
};

/// Nobody.
pub(super) struct Silent;

fn nobody<T>() -> Result<T, PortError> {
    Err(PortError::unavailable("replay", "it asks nobody"))
}

#[async_trait]
impl Facts for Silent {
    async fn latest(&self, _: &str, _: &str) -> Result<Option<Event>, PortError> {
        nobody()
    }
}

#[async_trait]
impl Git for Silent {
    async fn refs(&self, _: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        nobody()
    }

    async fn tip(&self, _: &RepositoryName, _: &RefName) -> Result<Option<CommitId>, PortError> {
        nobody()
    }

    async fn compare(&self, _: &RepositoryName, _: &CommitId, _: &CommitId) -> Result<Changes, PortError> {
        nobody()
    }
}

#[async_trait]
impl Builder for Silent {
    async fn start(&self, _: &Key, _: &BuildOrder) -> Result<(), PortError> {
        nobody()
    }

    async fn find(&self, _: &Key) -> Result<Option<BuildStatus>, PortError> {
        nobody()
    }
}

#[async_trait]
impl Workloads for Silent {
    async fn observe(&self, _: &Workload) -> Result<Observed, PortError> {
        nobody()
    }

    async fn apply(&self, _: &Desired) -> Result<(), PortError> {
        nobody()
    }
}

#[async_trait]
impl Metrics for Silent {
    async fn measure(&self, _: &Question) -> Result<Measured, PortError> {
        nobody()
    }
}

#[async_trait]
impl Registry for Silent {
    async fn resolve(&self, _: &ImageName, _: &str) -> Result<Option<Resolved>, PortError> {
        nobody()
    }
}

#[async_trait]
impl Signatures for Silent {
    async fn claims(&self, _: &ImageName, _: &Digest) -> Result<Vec<Claim>, PortError> {
        nobody()
    }
}

#[async_trait]
impl Scanner for Silent {
    async fn version(&self) -> Result<ScannerVersion, PortError> {
        nobody()
    }

    async fn start(&self, _: &Key, _: &ScanOrder) -> Result<(), PortError> {
        nobody()
    }

    async fn find(&self, _: &Key, _: &ScanOrder) -> Result<Option<ScanState>, PortError> {
        nobody()
    }
}

#[async_trait]
impl Forge for Silent {
    async fn status(&self, _: &Key, _: &CommitStatus) -> Result<(), PortError> {
        nobody()
    }
}

#[async_trait]
impl Notify for Silent {
    async fn tell(&self, _: &Key, _: &Notice) -> Result<(), PortError> {
        nobody()
    }
}

#[async_trait]
impl Blobs for Silent {
    async fn put(&self, _: Vec<u8>) -> Result<BlobRef, PortError> {
        nobody()
    }

    async fn get(&self, _: &BlobRef) -> Result<Vec<u8>, PortError> {
        nobody()
    }
}
