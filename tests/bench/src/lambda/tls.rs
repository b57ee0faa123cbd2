//! TLS before a server on the loopback, with certificates as Amazon has them: a chain of three, with keys of RSA.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The file with the root, within the folder that is given.
pub(crate) const ROOT: &str = "root.pem";

/// Serves what `plain` does. It ends with the runtime.
pub(crate) async fn before(plain: SocketAddr, folder: &Path) -> Result<SocketAddr> {
    make_chain(folder)?;
    let acceptor = TlsAcceptor::from(Arc::new(config(folder)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let mut stream = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(plain).await?;
                server.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut stream, &mut server).await
            });
        }
    });
    Ok(address)
}

fn config(folder: &Path) -> Result<ServerConfig> {
    let chain: Vec<_> = ["leaf.pem", "middle.pem"]
        .iter()
        .map(|name| CertificateDer::from_pem_file(folder.join(name)))
        .collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_single_cert(chain, key)?)
}

/// A root, what it signed, and what that signed.
fn make_chain(folder: &Path) -> Result<()> {
    let authority = "basicConstraints=critical,CA:TRUE";
    fs::write(folder.join("authority.txt"), authority)?;
    fs::write(folder.join("leaf.txt"), "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1")?;
    let root = ["req", "-x509", "-subj", "/CN=root", "-days", "2", "-out", ROOT, "-addext", authority];
    openssl(folder, &[&root[..], &["-newkey", "rsa:2048", "-nodes", "-keyout", "root.key"]].concat())?;
    for (name, by, extensions) in [("middle", "root", "authority.txt"), ("leaf", "middle", "leaf.txt")] {
        let (key, asked, signed) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        let ask =
            ["req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &asked];
        openssl(folder, &ask)?;
        let (signer, signs) = (format!("{by}.pem"), format!("{by}.key"));
        let sign = ["x509", "-req", "-days", "2", "-in", &asked, "-out", &signed, "-extfile", extensions];
        openssl(folder, &[&sign[..], &["-CA", &signer, "-CAkey", &signs, "-CAcreateserial"]].concat())?;
    }
    Ok(())
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output();
    let output = output.context("cannot run openssl, which makes the certificates of the measurement")?;
    if !output.status.success() {
        bail!("openssl {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
