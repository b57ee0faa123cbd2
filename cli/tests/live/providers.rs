//! Providers as they are: a real registry and a real Alertmanager tell the host; and what GitHub sends is replayed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_events::{Data, Event};
use longshore_intake::sign;
use longshore_ports::{BlobRef, Secret};
use serde_json::{Value, json};

use crate::common::http::send;
use crate::host::Host;
use crate::stage::eventually;

/// A peer that ends with the test.
pub(crate) struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Peer {
    pub(crate) fn run(program: &str, words: &[&str], at: SocketAddr) -> Self {
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{program}: {error}; `cargo xtask test` brings it and tells where it is")
        });
        let peer = Self(child);
        eventually(&format!("{program} listens"), || TcpStream::connect(at).is_ok());
        peer
    }
}

/// A host with a source for each provider, a repository, and a service whose image lies in `registry`.
fn host(folder: &Path, registry: SocketAddr) -> Host {
    let source = |name: &str| format!("[[source]]\nname = \"{name}\"\nprovider = \"{name}\"\n");
    let sources = ["github", "oci", "alertmanager"].map(source).concat();
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"\n{sources}\
         [[repository]]\nname = \"acme/shop\"\n\
         [[service]]\nname = \"shop\"\nrepository = \"acme/shop\"\n\
         [[service]]\nname = \"api\"\nimage = \"{registry}/acme/shop\"\n\
         [[environment]]\nname = \"live\"\nservices = [\"shop\"]\n"
    );
    std::fs::write(folder.join("longshore.toml"), text).unwrap();
    Host::start(folder)
}

/// Debian's Alertmanager reads its templates from a fixed place: unpacked, it gets a `/usr/share` of its own, with the
/// folder that is named first, before the rest of the words are its arguments.
const ALONE: [&str; 6] = [
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs none /usr/share && cp -r \"$1\" /usr/share/ && shift && \
     exec prometheus-alertmanager \"$@\"",
    "sh",
];

/// The folder `prometheus` of the `share` beside the folder that a program lies in.
#[expect(clippy::disallowed_methods, reason = "a test is an entry point: it may read the environment")]
fn beside(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).filter(|folder| folder.join(program).is_file());
    let folder = folders.next().unwrap_or_else(|| panic!("{program}: `cargo xtask test` brings it"));
    folder.join("../share/prometheus").display().to_string()
}

pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn secret(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(".longshore/secrets").join(name)).unwrap().trim().to_owned()
}

/// Sends a body, and returns the status of the answer.
fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    send(to, "POST", path, headers, body).status.to_string()
}

/// An image without layers in a folder; each `label` makes another. Returns its digest.
pub(crate) fn layout(folder: &Path, label: &str) -> String {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |content: &Value, media: &str| {
        let bytes = serde_json::to_vec(content).unwrap();
        let digest = BlobRef::of(&bytes).0;
        let hex = digest.hex();
        std::fs::write(blobs.join(hex), &bytes).unwrap();
        json!({ "mediaType": media, "digest": digest, "size": bytes.len() })
    };
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": { "Labels": { "label": label } },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let config = put(&config, "application/vnd.oci.image.config.v1+json");
    let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [] });
    let manifest = put(&manifest, manifest_type);
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    manifest["digest"].as_str().unwrap().to_owned()
}

pub(crate) fn copy(words: &[&str]) {
    let output = Command::new("skopeo").arg("copy").args(words).output();
    let output = output.expect("`cargo xtask peers` brings skopeo");
    assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_real_registry_tells_of_each_image_once() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, at) = (folder.path(), free());
    let host = host(folder, at);
    let token = secret(folder, "oci");
    let config = json!({
        "version": "0.1", "log": { "level": "error" }, "http": { "addr": at.to_string() },
        "storage": { "filesystem": { "rootdirectory": folder.join("registry") } },
        "notifications": { "endpoints": [{
            "name": "longshore", "url": format!("{}/hooks/oci", host.ready.url()), "timeout": "5s",
            "threshold": 3, "backoff": "100ms", "headers": { "Authorization": [format!("Bearer {token}")] },
        }] },
    });
    // JSON is YAML.
    std::fs::write(folder.join("registry.yml"), config.to_string()).unwrap();
    let path = folder.join("registry.yml").display().to_string();
    let _registry = Peer::run("docker-registry", &["serve", &path], at);

    let images = ["one", "two"].map(|label| (folder.join(label), layout(&folder.join(label), label)));
    let target = |tag: &str| format!("docker://{at}/acme/shop:{tag}");
    let push = |image: &Path, tag: &str| {
        copy(&["--dest-tls-verify=false", &format!("oci:{}", image.display()), &target(tag)]);
    };
    let heard = || -> Vec<String> {
        let pushed = host.events().into_iter().filter_map(|event| match event.data {
            Data::ImagePushed(image) => Some(image.digest.to_string()),
            _ => None,
        });
        pushed.collect()
    };
    push(&images[0].0, "latest");
    push(&images[0].0, "latest");
    push(&images[1].0, "cache");
    let out = format!("oci:{}", folder.join("out").display());
    copy(&["--src-tls-verify=false", &target("latest"), &out]);
    // Notices come in order: once this one is there, none of those before it is missing.
    push(&images[1].0, "latest");
    eventually("the second image is heard of", || heard().contains(&images[1].1));
    assert_eq!(heard(), [images[0].1.clone(), images[1].1.clone()]);
}

#[test]
fn a_real_alertmanager_raises_and_clears_an_alarm_once() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, at) = (folder.path(), free());
    let host = host(folder, free());
    let config = json!({
        "route": { "receiver": "longshore", "group_by": ["service"], "group_wait": "50ms",
            "group_interval": "100ms", "repeat_interval": "200ms" },
        "receivers": [{ "name": "longshore", "webhook_configs": [{
            "url": format!("{}/hooks/alertmanager", host.ready.url()), "send_resolved": true,
            "http_config": { "authorization": { "credentials": secret(folder, "alertmanager") } },
        }] }],
    });
    std::fs::write(folder.join("alertmanager.yml"), config.to_string()).unwrap();
    let words = [
        format!("--config.file={}", folder.join("alertmanager.yml").display()),
        format!("--storage.path={}", folder.join("alertmanager").display()),
        format!("--web.listen-address={at}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let shared = beside("prometheus-alertmanager");
    let _alertmanager = Peer::run("unshare", &[&ALONE[..], &[&shared], &words].concat(), at);

    let alert = |name: &str, ends: Value| {
        json!({
            "labels": { "alertname": name, "service": "shop", "severity": "critical" },
            "annotations": { "summary": "p99 is 3 s" }, "startsAt": "2026-11-24T09:58:00Z", "endsAt": ends,
        })
    };
    let tell = |alerts: Value| {
        let alerts = alerts.to_string();
        let json = [("content-type", "application/json")];
        assert_eq!(post(at, "/api/v2/alerts", &json, alerts.as_bytes()), "200");
    };
    let alarms = || -> Vec<Event> {
        let mut events = host.events();
        events.retain(|event| matches!(&event.data, Data::AlarmRaised(_) | Data::AlarmCleared(_)));
        events
    };
    let far = json!("2126-11-24T09:58:00Z");
    tell(json!([alert("High latency", far.clone()), alert("Errors", far.clone())]));
    eventually("both are raised", || alarms().len() == 2);
    tell(json!([alert("High latency", json!("2026-11-24T09:59:00Z"))]));
    eventually("one is cleared", || alarms().len() == 3);
    // It is repeated every 200 ms all the while: once a third one is there, several repetitions were no news.
    tell(json!([alert("Disk", far)]));
    eventually("a third one is raised", || alarms().len() >= 4);
    let alarms = alarms();
    assert_eq!(alarms.len(), 4, "{alarms:#?}");
    let Data::AlarmCleared(cleared) = &alarms[2].data else { panic!("{:#?}", alarms[2]) };
    assert_eq!(
        (cleared.name.as_str(), cleared.ended_at.to_string()),
        ("High latency", "2026-11-24T09:59:00Z".into())
    );
    assert_eq!(cleared.service.as_ref().map(AsRef::as_ref), Some("shop"));
    assert!(alarms[..2].iter().any(|raised| raised.link.chain == alarms[2].link.chain));
}

#[test]
fn a_pull_request_from_a_fork_is_recorded_and_never_built() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let host = host(folder, free());
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/providers/github");
    let body = std::fs::read(samples.join("pull_request_from_fork.body")).unwrap();
    let signature = sign::github(&Secret::new(secret(folder, "github")), &body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "pull_request"),
        ("x-github-delivery", "1"),
        ("x-hub-signature-256", &signature),
    ];
    assert_eq!(post(host.ready.listen, "/hooks/github", &headers, &body), "202");
    let events = host.events();
    let [event] = &events[..] else { panic!("{events:#?}") };
    let Data::ChangeOpened(change) = &event.data else { panic!("{event:#?}") };
    assert!(change.fork);
    assert_eq!(host.status().work.deliveries, 0, "nobody is told, so nobody builds");
}

#[test]
fn a_secret_is_rotated_while_the_host_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let host = host(folder, free());
    let old = secret(folder, "alertmanager");
    let empty = br#"{"alerts":[]}"#;
    let send = |path: &str, token: &str| {
        let token = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        headers.extend((token.len() > 7).then_some(("authorization", token.as_str())));
        post(host.ready.listen, path, &headers, empty)
    };
    let path = "/hooks/alertmanager";
    assert_eq!((send(path, &old), send(path, "new")), ("200".into(), "401".into()));
    let file = folder.join(".longshore/secrets/alertmanager");
    std::fs::write(&file, format!("new\n{old}\n")).unwrap();
    assert_eq!((send(path, &old), send(path, "new")), ("200".into(), "200".into()));
    assert_eq!(send(&format!("{path}?token=new"), ""), "200", "who can set no headers");
    std::fs::write(&file, "new\n").unwrap();
    assert_eq!((send(path, &old), send(path, "new")), ("401".into(), "200".into()));
}
