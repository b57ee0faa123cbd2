//! Registries on the machine, as the node reaches them: under their own names, over plain HTTP.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::pki::write;

/// Has what is named after `registry` be pulled from there. The node reaches it by way of `host`, where we pass on to it
/// for as long as this test's runtime runs: an address of the machine's loopback is another one within the cluster.
pub(super) async fn reach(registry: SocketAddr, host: std::net::Ipv4Addr, folder: &Path) {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let way = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut to) = TcpStream::connect(registry).await else { return };
                // Who is cut off asks again.
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    let folder = folder.join(registry.to_string());
    std::fs::create_dir_all(&folder).unwrap();
    // With a server of its own what is not there is not asked of the address that the name means.
    let hosts = format!(
        "server = \"http://{way}\"\n[host.\"http://{way}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
    );
    write(&folder.join("hosts.toml"), &hosts);
}
