//! Who is who in a cluster: one authority, the certificates of its programs, and kubeconfigs.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// The token of one who may do everything.
pub(super) const ADMIN: &str = "admin-of-the-test";

/// A certificate and its key, as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The authority that all of a cluster trusts.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub(super) certificate: String,
}

impl Authority {
    /// A new one.
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Certifies `name` of `group`, as client, and as the server of `names`: of hosts or addresses.
    pub(super) fn pair(&self, name: &str, group: Option<&str>, names: Vec<String>) -> Pair {
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = distinguished(name, group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A kubeconfig, for the server at `server`.
    pub(super) fn kubeconfig(&self, server: &str, user: &User<'_>) -> String {
        let user = match user {
            User::Token(token) => json!({ "token": token }),
            User::Pair(pair) => json!({
                "client-certificate-data": BASE64.encode(&pair.certificate),
                "client-key-data": BASE64.encode(&pair.key),
            }),
        };
        let cluster =
            json!({ "server": server, "certificate-authority-data": BASE64.encode(&self.certificate) });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "users": [{ "name": "test", "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        });
        format!("{config:#}\n")
    }
}

/// How somebody proves who it is.
pub(super) enum User<'a> {
    Token(&'a str),
    Pair(&'a Pair),
}

fn distinguished(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    if let Some(group) = group {
        distinguished.push(DnType::OrganizationName, group);
    }
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The files of a cluster's programs, in a folder of their own.
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Writes them all. The API server and the kubelet answer at `addresses`.
    pub(super) fn write(folder: PathBuf, authority: &Authority, addresses: &[IpAddr]) -> Self {
        fs::create_dir(&folder).unwrap();
        let files = Self { folder };
        let front = Authority::new("front-proxy");
        files.put("ca.crt", &authority.certificate);
        files.put("front.crt", &front.certificate);
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let addresses = addresses.iter().map(ToString::to_string);
        let names: Vec<String> = names.iter().map(ToString::to_string).chain(addresses).collect();
        files.put_pair("api", &authority.pair("kube-apiserver", None, names.clone()));
        files.put_pair("api-to-kubelet", &authority.pair("kube-apiserver", Some("system:masters"), vec![]));
        files.put_pair("front-proxy", &front.pair("front-proxy-client", None, vec![]));
        let node = authority.pair("system:node:node-1", Some("system:nodes"), names.clone());
        files.put_pair("kubelet", &node);
        files.put_kubeconfig("kubelet", authority, &node);
        for name in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
            let pair = authority.pair(&format!("system:{name}"), None, names.clone());
            files.put_pair(name, &pair);
            files.put_kubeconfig(name, authority, &pair);
        }
        let accounts = KeyPair::generate().unwrap();
        files.put("accounts.key", &accounts.serialize_pem());
        files.put("accounts.pub", &accounts.public_key_pem());
        files.put("tokens.csv", &format!("{ADMIN},admin,admin,system:masters\n"));
        files
    }

    /// The path of one.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn put(&self, name: &str, text: &str) {
        write(&self.folder.join(name), text);
    }

    fn put_pair(&self, name: &str, pair: &Pair) {
        self.put(&format!("{name}.crt"), &pair.certificate);
        self.put(&format!("{name}.key"), &pair.key);
    }

    fn put_kubeconfig(&self, name: &str, authority: &Authority, pair: &Pair) {
        let config = authority.kubeconfig("https://127.0.0.1:6443", &User::Pair(pair));
        self.put(&format!("{name}.kubeconfig"), &config);
    }
}

/// Writes a file of the cluster.
pub(super) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
