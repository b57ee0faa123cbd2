//! CodeBuild, which on moto runs nothing: each build that was started is checked out, packed and pushed here, and then the
//! two notices go onto the default bus that AWS would send.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use longshore_aws::Aws;
use longshore_aws::testing::Proxy;
use longshore_oci::client::Client;
use longshore_oci::packer::{NoBases, Request, pack};
use serde_json::{Value, json};

use crate::forge::git;
use crate::platform::Shared;
use crate::stack::ask;

/// The registry of the account that moto plays.
pub(crate) const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// The repository of the image that others push.
pub(crate) const OUTSIDE: &str = "longshore/outside";
/// The finding of each scan; the stage's configuration waives it.
const WAIVED: &str = "CVE-2026-1";
/// A build takes up to so many milliseconds.
const BUILD_MS: usize = 400;

/// What plays it.
pub(crate) struct Builds {
    pub(crate) aws: Aws,
    pub(crate) proxy: Proxy,
    pub(crate) shared: Arc<Shared>,
    pub(crate) folder: PathBuf,
    /// Where images can be had, `host:port`.
    pub(crate) registry: String,
    /// The program of all services.
    pub(crate) program: PathBuf,
}

impl Builds {
    /// Builds until the platform ends.
    pub(crate) fn start(self: &Arc<Self>) -> JoinHandle<()> {
        let builds = self.clone();
        thread::spawn(move || {
            let mut begun = 0;
            while !builds.shared.ended() {
                let started = builds.proxy.builds();
                for asked in started.iter().skip(begun) {
                    let (builds, asked) = (builds.clone(), asked.clone());
                    thread::spawn(move || {
                        thread::sleep(builds.shared.ms(BUILD_MS));
                        builds.build(&asked);
                    });
                }
                begun = started.len();
                thread::sleep(Duration::from_millis(50));
            }
        })
    }

    /// What somebody outside builds of a commit and pushes under the tag that the service `outside` follows.
    pub(crate) fn push_outside(&self, service: &str, commit: &str) -> String {
        self.pack(service, commit, OUTSIDE, "latest")
    }

    /// ECR's notice of that push.
    pub(crate) fn tell_outside(&self, digest: &str) {
        self.tell(vec![pushed(OUTSIDE, "latest", digest)]);
    }

    /// One build, to its end.
    fn build(&self, asked: &Value) {
        let variables: BTreeMap<&str, &str> = asked["environmentVariablesOverride"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variable| (variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap()))
            .collect();
        let (service, commit) = (variables["LONGSHORE_SERVICE"], variables["LONGSHORE_COMMIT"]);
        let image = variables["LONGSHORE_IMAGE"].strip_prefix(&format!("{REGISTRY}/")).unwrap();
        let witness = witness(&self.folder, service);
        let mut witness = std::fs::OpenOptions::new().create(true).append(true).open(witness).unwrap();
        witness.write_all(format!("prepare {commit} 0\n").as_bytes()).unwrap();
        let digest = self.pack(service, commit, image, commit);
        let logs = json!({ "groupName": "/longshore/longshore/builder", "streamName": commit });
        self.proxy.build(commit, json!({ "logs": logs }));
        let ended = json!({
            "build-status": "SUCCEEDED", "project-name": asked["projectName"],
            "additional-information": { "environment": { "environment-variables": asked["environmentVariablesOverride"] } },
        });
        let ended = ("aws.codebuild", "CodeBuild Build State Change", ended);
        self.tell(vec![pushed(image, commit, &digest), ended]);
    }

    /// Puts notices of AWS onto the default bus.
    fn tell(&self, notices: Vec<Notice>) {
        let entry = |(source, kind, detail): Notice| {
            let entry = PutEventsRequestEntry::builder().source(source).detail_type(kind);
            entry.detail(detail.to_string()).build()
        };
        let entries = notices.into_iter().map(entry).collect();
        let events =
            aws_sdk_eventbridge::Client::new(self.aws.config()).put_events().set_entries(Some(entries));
        assert_eq!(ask(events.send()).unwrap().failed_entry_count, 0);
    }

    /// Packs a commit, and pushes its image to where it can be had and, as far as moto goes, to ECR. Its digest.
    fn pack(&self, service: &str, commit: &str, image: &str, tag: &str) -> String {
        let work = tempfile::tempdir_in(&self.folder).unwrap();
        let (source, layers) = (work.path().join("source"), work.path().join("layers"));
        for folder in [&source, &layers] {
            std::fs::create_dir(folder).unwrap();
        }
        let bare = self.folder.join("forge").join(format!("{service}.git"));
        git(&self.folder, &["clone", "--quiet", path(&bare), path(&source)]);
        git(&source, &["checkout", "--quiet", "--detach", commit]);
        std::fs::copy(&self.program, source.join("service")).unwrap();
        std::fs::write(source.join("commit"), commit).unwrap();
        let none = BTreeMap::new();
        let request = Request {
            context: &source,
            dockerfile: Path::new("Dockerfile"),
            args: &none,
            epoch: 1_700_000_000,
            labels: &none,
            work: &layers,
        };
        let packed = pack(&request, &NoBases).unwrap();
        let client = Client::new(&self.registry, None).unwrap();
        ask(client.push(&image.parse().unwrap(), &tag.parse().unwrap(), &packed)).unwrap();
        let ecr = aws_sdk_ecr::Client::new(self.aws.config());
        let put = ecr.put_image().repository_name(image).image_tag(tag);
        let put = put.image_manifest(String::from_utf8(packed.manifest).unwrap());
        let put = put.image_manifest_media_type("application/vnd.oci.image.manifest.v1+json");
        ask(put.image_digest(packed.digest.as_str()).send()).unwrap();
        self.proxy.scan(packed.digest.as_str(), scanned());
        packed.digest.to_string()
    }
}

/// What ECR found in an image: what the configuration waives.
fn scanned() -> Value {
    let findings = json!([{ "name": WAIVED, "severity": "HIGH" }]);
    json!({
        "imageScanStatus": { "status": "COMPLETE" },
        "imageScanFindings": { "findings": findings, "findingSeverityCounts": { "HIGH": 1 } },
    })
}

/// What a service of AWS says: its source, the kind, and the detail.
type Notice = (&'static str, &'static str, Value);

/// ECR's word of a push.
fn pushed(repository: &str, tag: &str, digest: &str) -> Notice {
    let detail = json!({
        "result": "SUCCESS", "repository-name": repository, "image-digest": digest, "action-type": "PUSH",
        "image-tag": tag, "manifest-media-type": "application/vnd.oci.image.manifest.v1+json",
    });
    ("aws.ecr", "ECR Image Action", detail)
}

/// The file that a service and its builds testify in.
pub(crate) fn witness(folder: &Path, service: &str) -> PathBuf {
    folder.join(format!("witness-{service}"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
