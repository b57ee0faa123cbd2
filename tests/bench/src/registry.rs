//! A layer of 1 GB that does not compress, pushed to and pulled from our registry and Debian's `docker-registry`, by turns
//! and by the same client, as container tools do it: begin an upload, send the layer, end it with its digest; then a
//! manifest that names it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_cli::api::TOKEN_USER;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::host::Host;
use crate::http::Client;
use crate::peers;
use crate::process::{Server, forget_peak, free_address, peak, rss};
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::{float, median, mib};

const TURNS: usize = 3;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let folder = TempDir::with_prefix("longshore-bench-")?;
    let ours_folder = folder.path().join("ours");
    fs::create_dir(&ours_folder)?;
    fs::write(ours_folder.join("longshore.toml"), OURS)?;
    let host = Host::start(settings, &ours_folder, None)?;
    let password = STANDARD.encode(format!("{TOKEN_USER}:{}", host.token));
    let authorization = format!("authorization: Basic {password}\r\n");
    let (server, address) = start(settings, folder.path())?;
    let mut ours = Registry::new(host.ready.listen, authorization, host.pid());
    let mut theirs = Registry::new(address, String::new(), server.pid());
    let mut layer = noise(settings.layer);
    for turn in 1..=TURNS {
        layer[..8].copy_from_slice(&(turn as u64).to_le_bytes());
        let digest = digest(&layer);
        for registry in [&mut ours, &mut theirs] {
            registry.turn(&format!("bench/turn{turn}"), &layer, &digest)?;
        }
        eprintln!(
            "    turn {turn} of {TURNS}: push {:.2} and {:.2} s, pull {:.2} and {:.2} s",
            ours.pushes[turn - 1],
            theirs.pushes[turn - 1],
            ours.pulls[turn - 1],
            theirs.pulls[turn - 1]
        );
    }
    Ok(vec![
        times("registry push", &ours.pushes, &theirs.pushes, settings.layer),
        times("registry pull", &ours.pulls, &theirs.pulls, settings.layer),
        Row {
            name: "registry memory",
            goal: "grows at most half as much as docker-registry 2.8".into(),
            measured: format!(
                "{:.1} MiB more at its peak, docker-registry {:.1}",
                mib(ours.grown),
                mib(theirs.grown)
            ),
            ratio: Some(float(ours.grown) / float(theirs.grown.max(1))),
            met: ours.grown * 2 <= theirs.grown,
        },
    ])
}

fn times(name: &'static str, ours: &[f64], theirs: &[f64], size: usize) -> Row {
    let (ours, theirs) = (median(ours), median(theirs));
    Row {
        name,
        goal: "≤ 1.0 times docker-registry 2.8, a layer of 1 GB".into(),
        measured: format!("{ours:.2} s for {:.0} MiB, docker-registry {theirs:.2} s", mib(size as u64)),
        ratio: Some(ours / theirs),
        met: ours <= theirs && size >= 1 << 30,
    }
}

const OURS: &str = r#"
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"

[[service]]
name = "hello"
"#;

/// Starts Debian's registry on files.
fn start(settings: &Settings, folder: &Path) -> Result<(Server, SocketAddr)> {
    let folder = folder.join("theirs");
    fs::create_dir(&folder)?;
    let (program, address) =
        (peers::program(settings, "docker-registry", "usr/bin/docker-registry")?, free_address()?);
    let config = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}/data}}\nhttp: {{addr: \"{address}\"}}\n",
        folder.display()
    );
    fs::write(folder.join("config.yml"), config)?;
    let mut server = Server::start(&program, &["serve", "config.yml"], None, &folder.join("registry.log"))?;
    server.listens(address)?;
    Ok((server, address))
}

/// A registry, and what it took.
struct Registry {
    address: SocketAddr,
    authorization: String,
    pid: u32,
    /// Seconds.
    pushes: Vec<f64>,
    pulls: Vec<f64>,
    /// The most bytes that it grew by in a turn.
    grown: u64,
}

impl Registry {
    fn new(address: SocketAddr, authorization: String, pid: u32) -> Self {
        Self { address, authorization, pid, pushes: Vec::new(), pulls: Vec::new(), grown: 0 }
    }

    fn turn(&mut self, repository: &str, layer: &[u8], digest: &str) -> Result<()> {
        let before = rss(self.pid)?;
        forget_peak(self.pid)?;
        let begun = Instant::now();
        self.push(repository, layer, digest)?;
        self.pushes.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let path = format!("/v2/{repository}/blobs/{digest}");
        let (status, length) = self.client()?.count(&path, &self.authorization)?;
        self.pulls.push(begun.elapsed().as_secs_f64());
        if status != 200 || length != layer.len() as u64 {
            bail!("the pull answered {status}, with {length} bytes");
        }
        self.grown = self.grown.max(peak(self.pid)?.saturating_sub(before));
        Ok(())
    }

    fn push(&self, repository: &str, layer: &[u8], layer_digest: &str) -> Result<()> {
        let mut client = self.client()?;
        self.blob(&mut client, repository, layer, layer_digest)?;
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [layer_digest] } });
        let config = config.to_string().into_bytes();
        self.blob(&mut client, repository, &config, &digest(&config))?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(&config), "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len(),
            }],
        });
        let headers = format!("{}content-type: {MANIFEST}\r\n", self.authorization);
        let line = format!("PUT /v2/{repository}/manifests/bench");
        client.send(&line, &headers, manifest.to_string().as_bytes())?.ok().context("the manifest")?;
        Ok(())
    }

    fn blob(&self, client: &mut Client, repository: &str, bytes: &[u8], digest: &str) -> Result<()> {
        let begin =
            client.send(&format!("POST /v2/{repository}/blobs/uploads/"), &self.authorization, &[])?;
        let begin = begin.ok().context("an upload does not begin")?;
        let headers = format!("{}content-type: application/octet-stream\r\n", self.authorization);
        let place = place(begin.header("location"))?;
        let sent = client.send(&format!("PATCH {place}"), &headers, bytes)?.ok().context("an upload")?;
        let place = self::place(sent.header("location"))?;
        let sign = if place.contains('?') { '&' } else { '?' };
        client
            .send(&format!("PUT {place}{sign}digest={digest}"), &headers, &[])?
            .ok()
            .context("an upload's end")?;
        Ok(())
    }

    fn client(&self) -> Result<Client> {
        Ok(Client::connect(self.address)?)
    }
}

/// The path of a location.
fn place(location: Option<&str>) -> Result<String> {
    let location = location.context("an upload has no location")?;
    let path = location.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    Ok(path.unwrap_or(location).to_owned())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Bytes that do not compress (xorshift64*).
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
