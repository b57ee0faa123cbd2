//! A registry on the machine's loopback, without TLS, and images of the test service in it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_kube::testing::Image;
use serde_json::json;
use tempfile::TempDir;

/// A running docker-registry.
pub(crate) struct Registry {
    child: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": folder.path().join("data") } },
            "http": { "addr": address.to_string() },
        });
        let path = folder.path().join("registry.yml");
        std::fs::write(&path, config.to_string()).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("`cargo xtask peers` brings docker-registry");
        while TcpStream::connect(address).is_err() {
            tokio::task::yield_now().await;
        }
        Self { child, folder, address }
    }

    /// Pushes the test service with this environment; the image's name.
    pub(crate) fn push(&self, tag: &str, env: &[(&str, &str)]) -> String {
        let name = format!("{}/shop:{tag}", self.address);
        let archive = self.folder.path().join(tag);
        Image::test_service(env).write(&name, &archive);
        crane(&["push", "--insecure", &archive.display().to_string(), &name], self.folder.path());
        name
    }

    /// The same; the image's digest.
    pub(crate) fn push_by_digest(&self, tag: &str, env: &[(&str, &str)]) -> String {
        let name = self.push(tag, env);
        crane(&["digest", "--insecure", &name], self.folder.path()).trim().to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn crane(words: &[&str], home: &Path) -> String {
    let said = Command::new("crane").args(words).env("HOME", home).output();
    let said = said.expect("`cargo xtask peers` brings crane");
    assert!(said.status.success(), "crane {words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}
