//! An image of one static program, as an archive that containerd, crane and docker read.
//!
//! Source: the Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::programs::on_path;

/// An image whose only file is `/program`.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    /// A static program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: &'a [&'a str],
    /// Its environment.
    pub env: &'a [(&'a str, &'a str)],
}

impl<'a> Image<'a> {
    /// The test service, with this environment. What it does is told in its source, `tests/peers/test-service`.
    pub fn test_service(env: &'a [(&'a str, &'a str)]) -> Self {
        Self { program: on_path("test-service"), args: &[], env }
    }

    /// Writes it to `path`, tagged with `name`.
    pub fn write(&self, name: &str, path: &Path) {
        let layer = self.layer();
        let digest = Sha256::digest(&layer);
        let digest = digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let entrypoint: Vec<&str> = ["/program"].iter().chain(self.args).copied().collect();
        let env: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Entrypoint": entrypoint, "Env": env },
            "rootfs": { "type": "layers", "diff_ids": [digest] },
            "history": [{ "created_by": "a test" }],
        });
        let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
        let mut archive = tar::Builder::new(File::create(path).unwrap());
        add(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes());
        add(&mut archive, "config.json", 0o644, config.to_string().as_bytes());
        add(&mut archive, "layer.tar", 0o644, &layer);
        archive.finish().unwrap();
    }

    fn layer(&self) -> Vec<u8> {
        let mut layer = tar::Builder::new(Vec::new());
        add(&mut layer, "program", 0o755, &std::fs::read(&self.program).unwrap());
        layer.into_inner().unwrap()
    }
}

fn add(archive: &mut tar::Builder<impl std::io::Write>, name: &str, mode: u32, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, bytes).unwrap();
}
