//! A stranger to our own client: kubectl, of the cluster's own version.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::cluster::Cluster;

impl Cluster {
    /// What kubectl prints.
    ///
    /// # Errors
    ///
    /// What it says when it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl_with(&self.kubeconfig(), arguments, "").await
    }

    /// Applies a manifest by the server, as the field manager `test`.
    ///
    /// # Errors
    ///
    /// What kubectl says when it fails.
    pub async fn apply(&self, manifest: &str) -> Result<String, String> {
        let arguments = ["apply", "--server-side", "--field-manager=test", "--filename=-"];
        self.kubectl_with(&self.kubeconfig(), &arguments, manifest).await
    }

    /// What kubectl prints with another kubeconfig, and this as its input.
    ///
    /// # Errors
    ///
    /// What it says when it fails.
    pub async fn kubectl_with(
        &self,
        kubeconfig: &Path,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, String> {
        let mut command = Command::new(&self.space.programs().kube);
        command.arg("kubectl").arg("--kubeconfig").arg(kubeconfig).args(arguments);
        // It keeps what it learns of the API; in the home folder, unless it is told where.
        command.env("KUBECACHEDIR", self.path().join("kubectl"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let run = move || {
            let mut child = command.spawn().unwrap();
            // One that reads no input may be gone.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        };
        let said = tokio::task::spawn_blocking(run).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if said.status.success() { Ok(text(said.stdout)) } else { Err(text(said.stderr)) }
    }
}
