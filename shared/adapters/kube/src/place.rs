//! Where an environment's workloads run, and where its nodes pull images from.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_events::ImageRef;
use longshore_ports::{Secret, Workload};
use serde_json::json;

use crate::api::Api;
use crate::object::{Object, sha256};

/// Where an environment's workloads run.
pub struct Place {
    pub(crate) api: Api,
    /// Where nodes pull images from whose name has no registry.
    own: Option<OwnRegistry>,
}

/// A registry as the nodes of a cluster reach it.
pub struct OwnRegistry {
    /// Its host, with its port.
    pub host: String,
    /// Who may pull there: a user's name and the password; `None` when anybody may.
    pub login: Option<(String, Secret)>,
}

impl Place {
    /// A namespace of the cluster behind `client`. Images without a registry in their name are pulled from `own`.
    pub fn new(client: kube::Client, namespace: String, own: Option<OwnRegistry>) -> Self {
        Self { api: Api::new(client, namespace), own }
    }

    /// Where the nodes pull an image from whose name has no registry.
    fn own(&self, image: &ImageRef) -> Option<&OwnRegistry> {
        self.own.as_ref().filter(|_| !image.name.has_registry())
    }

    /// The image as the nodes pull it.
    pub(crate) fn image(&self, image: &ImageRef) -> String {
        self.own(image).map_or(image.to_string(), |own| format!("{}/{image}", own.host))
    }

    /// What lets nodes pull the image, where they need it.
    pub(crate) fn pull_secret(&self, workload: &Workload, image: &ImageRef) -> Option<Object> {
        let own = self.own(image)?;
        let (user, password) = own.login.as_ref()?;
        let auth = BASE64_STANDARD.encode([user.as_bytes(), b":", password.expose()].concat());
        let logins = json!({"auths": {own.host.clone(): {"auth": auth}}}).to_string();
        let name = format!("{}-pull-{}", workload.service, &sha256(&logins)[..8]);
        Some(Object(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": self.api.namespace},
            "data": {".dockerconfigjson": BASE64_STANDARD.encode(logins)},
        })))
    }
}
