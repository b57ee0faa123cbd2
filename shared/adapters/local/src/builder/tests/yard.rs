//! What the builder's tests are made of: a real repository, real commands, and a packer that takes one file.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use longshore_events::ImageName;
use longshore_policy::{Host, Manifests, MetricsSource, Probe, Run, Scan};
use longshore_ports::{BlobRef, EffectKind};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::super::*;
use crate::FileBlobs;

/// Checkouts of one repository, by the git command.
pub(super) struct Sources {
    pub(super) repository: PathBuf,
    /// So many fail before one succeeds.
    pub(super) failing: AtomicU32,
}

pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[async_trait]
impl Checkout for Sources {
    async fn checkout(&self, _: &RepositoryName, commit: &CommitId, folder: &Path) -> Result<u64, PortError> {
        if self.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            return Err(PortError::unavailable("check out", "no answer"));
        }
        let _ = fs::remove_dir_all(folder);
        git(&self.repository, &["clone", "-q", ".", &folder.to_string_lossy()]);
        git(folder, &["checkout", "-q", commit.as_str()]);
        Ok(git(folder, &["show", "--no-patch", "--format=%ct"]).parse().unwrap())
    }
}

/// "Packs" the file `image` of the context: its digest is that of its content.
pub(super) struct OneFile;

#[async_trait]
impl Pack for OneFile {
    async fn pack(&self, job: &PackJob) -> Result<Packed, PortError> {
        assert!(fs::read_dir(&job.work).unwrap().next().is_none(), "the work folder is empty");
        let content = fs::read(job.context.join("image"));
        let content = content.map_err(|error| PortError::invalid("pack", format!("no image:\n{error}")))?;
        Ok(Packed {
            digest: BlobRef::of(&content).0,
            media_type: "application/test".into(),
            platforms: Vec::new(),
            pack_ms: 1,
            push_ms: 2,
        })
    }
}

#[derive(Default)]
pub(super) struct Ends(pub(super) Notify);

impl Hints for Ends {
    fn hint(&self, function: &str, _: &str) {
        assert_eq!(function, "build");
        self.0.notify_one();
    }
}

/// Where every machine has its programs.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A repository with a script that the service's `prepare` runs.
pub(super) struct Yard {
    pub(super) folder: TempDir,
    pub(super) sources: Arc<Sources>,
    pub(super) ends: Arc<Ends>,
    pub(super) timeout_ms: u64,
    pub(super) manifests: Option<Manifests>,
    /// Where programs are found.
    pub(super) path: String,
}

impl Yard {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        fs::create_dir(&repository).unwrap();
        git(&repository, &["init", "-q"]);
        let sources = Arc::new(Sources { repository, failing: AtomicU32::new(0) });
        Self { folder, sources, ends: Arc::default(), timeout_ms: 60_000, manifests: None, path: PATH.into() }
    }

    /// Commits a `prepare` script.
    pub(super) fn commit(&self, script: &str) -> BuildOrder {
        let app = self.sources.repository.join("app");
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("prepare.sh"), script).unwrap();
        self.commit_all()
    }

    pub(super) fn commit_all(&self) -> BuildOrder {
        git(&self.sources.repository, &["add", "-A"]);
        git(&self.sources.repository, &["commit", "-q", "--allow-empty", "-m", "x"]);
        BuildOrder {
            service: ServiceName::new("api").unwrap(),
            repo: RepositoryName::new("shop").unwrap(),
            commit: CommitId::new(git(&self.sources.repository, &["rev-parse", "HEAD"])).unwrap(),
        }
    }

    fn policy(&self) -> Policy {
        let free = "127.0.0.1:0".parse().unwrap();
        let words = |text: &str| Some(text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let source = ServiceSource {
            repository: RepositoryName::new("shop").unwrap(),
            path: "app".into(),
            watch: longshore_policy::Watch::default(),
            prepare: words("sh ./prepare.sh"),
            test: words("test -s image"),
            dockerfile: "Dockerfile".into(),
            args: BTreeMap::new(),
            secrets: Vec::new(),
            manifests: self.manifests.clone(),
            timeout_ms: self.timeout_ms,
        };
        let ready = Probe { path: None, interval_ms: 1, timeout_ms: 1, failures: 1 };
        let run = Run { env: BTreeMap::new(), args: None, ready, health: None, drain_ms: 0, stop_ms: 0 };
        let service = Service {
            name: ServiceName::new("api").unwrap(),
            source: Some(source),
            image: ImageName::new("api").unwrap(),
            tag: "latest".into(),
            run,
            no_rollback_past: None,
        };
        Policy {
            host: Host { listen: free, proxy: free, data: ".".into(), max_body: 1, ref_check_ms: 1 },
            scan: Scan { advisories: None, timeout_ms: 1, again_ms: None, trivy: None },
            metrics: MetricsSource::Host,
            notify: longshore_policy::Notify { webhook: None, slack: None },
            sources: Vec::new(),
            repositories: Vec::new(),
            services: vec![service],
            environments: Vec::new(),
            waivers: Vec::new(),
            people: Vec::new(),
            signers: Vec::new(),
        }
    }

    pub(super) fn builder(&self, life: &str) -> LocalBuilder {
        LocalBuilder::open(Parts {
            folder: self.folder.path().join("build"),
            life: life.into(),
            policy: Arc::new(self.policy()),
            checkout: self.sources.clone(),
            pack: Arc::new(OneFile),
            blobs: Arc::new(FileBlobs::open(&self.folder.path().join("blobs")).unwrap()),
            hints: self.ends.clone(),
            environment: BTreeMap::from([
                ("PATH".to_owned(), self.path.clone()),
                ("OUT".to_owned(), self.folder.path().to_string_lossy().into_owned()),
            ]),
        })
        .unwrap()
    }

    /// What a script wrote to a file in `$OUT`, once it has.
    pub(super) async fn told(&self, file: &str) -> String {
        let path = self.folder.path().join(file);
        until(|| fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))).await
    }

    /// Begins a build, and waits for its end.
    pub(super) async fn build(&self, builder: &LocalBuilder, order: &BuildOrder) -> BuildStatus {
        let key = key(order);
        builder.start(&key, order).await.unwrap();
        self.ends.0.notified().await;
        builder.find(&key).await.unwrap().unwrap()
    }

    pub(super) async fn failure(&self, builder: &LocalBuilder, order: &BuildOrder) -> (String, String) {
        let BuildStatus::Failed(failure) = self.build(builder, order).await else { panic!("it was to fail") };
        let log = BlobRef(Digest::new(failure.logs_ref.unwrap()).unwrap());
        let log = builder.0.blobs.get(&log).await.unwrap();
        (failure.reason, String::from_utf8(log).unwrap())
    }
}

pub(super) fn key(order: &BuildOrder) -> Key {
    Key {
        function: "build".into(),
        unit: format!("{}/{}", order.service, order.commit),
        generation: None,
        name: "image".into(),
        kind: EffectKind::Named,
        restoring: false,
    }
}

/// Looks until there is something, at most ten seconds.
pub(super) async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the process of the number in this text is gone.
pub(super) fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}
