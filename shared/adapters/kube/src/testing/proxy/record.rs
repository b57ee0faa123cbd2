//! What was asked of an API server, as its own rules of access name it.
//!
//! Source: Kubernetes documentation, "Authorization", request attributes.

use http::{Method, Uri};

/// One request, as it came, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As HTTP names it.
    pub method: String,
    /// With its query.
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; of paths that are no resource's,
    /// the method in lower case. An apply is a `patch`, and has to be allowed as `create` too where nothing is there yet.
    pub verb: &'static str,
    /// The group of the API; of the first one, and of what is no resource, empty.
    pub group: String,
    /// E.g. `deployments`, or with what is below it `pods/eviction`; empty where the path is no resource's.
    pub resource: String,
    /// Empty where there is none.
    pub namespace: String,
    /// Of the one object that is meant; else empty.
    pub name: String,
    /// Of the answer; 0 where there was none.
    pub status: u16,
    /// The size of the body that was sent, in bytes.
    pub sent: usize,
    /// The size of the answer's body in bytes; 0 where it goes on for as long as somebody reads.
    pub answered: usize,
}

impl Asked {
    /// What is asked for by these.
    pub(super) fn read(method: &Method, uri: &Uri, sent: usize) -> Self {
        let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let mut asked = Self {
            method: method.to_string(),
            path: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            verb: plain(method),
            group: String::new(),
            resource: String::new(),
            namespace: String::new(),
            name: String::new(),
            status: 0,
            sent,
            answered: 0,
        };
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] if !rest.is_empty() => rest,
            ["apis", group, _, rest @ ..] if !rest.is_empty() => {
                (*group).clone_into(&mut asked.group);
                rest
            }
            _ => return asked,
        };
        // A namespace alone is an object like others.
        let rest = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => {
                (*namespace).clone_into(&mut asked.namespace);
                rest
            }
            rest => rest,
        };
        let (resource, name, below) = match rest {
            [resource] => (*resource, "", &[][..]),
            [resource, name, below @ ..] => (*resource, *name, below),
            [] => return asked,
        };
        asked.resource = [&[resource], below].concat().join("/");
        name.clone_into(&mut asked.name);
        let query = uri.query().unwrap_or_default();
        asked.verb = verb(method, !name.is_empty(), query.split('&').any(|one| one == "watch=true"));
        asked
    }

    /// Whether it asks for a change.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }
}

fn plain(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

fn verb(method: &Method, named: bool, watched: bool) -> &'static str {
    match *method {
        Method::GET if watched => "watch",
        Method::GET if !named => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE if !named => "deletecollection",
        _ => plain(method),
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    fn read(method: &str, path: &str) -> [String; 5] {
        let asked = Asked::read(&method.parse().unwrap(), &path.parse().unwrap(), 0);
        [asked.verb.to_owned(), asked.group, asked.resource, asked.namespace, asked.name]
    }

    #[test]
    fn a_request_is_named_as_the_rules_of_access_name_it() {
        for (method, path, expected) in [
            ("GET", "/api/v1/pods?limit=500", ["list", "", "pods", "", ""]),
            ("GET", "/api/v1/namespaces/shop/pods/a", ["get", "", "pods", "shop", "a"]),
            ("GET", "/api/v1/namespaces/shop/pods/a/log?follow=true", ["get", "", "pods/log", "shop", "a"]),
            ("POST", "/api/v1/namespaces/shop/pods/a/eviction", ["create", "", "pods/eviction", "shop", "a"]),
            ("GET", "/api/v1/namespaces/shop", ["get", "", "namespaces", "", "shop"]),
            ("GET", "/api/v1/namespaces", ["list", "", "namespaces", "", ""]),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/shop/deployments/a?fieldManager=x",
                ["patch", "apps", "deployments", "shop", "a"],
            ),
            (
                "GET",
                "/apis/apps/v1/namespaces/shop/deployments?watch=true&x=1",
                ["watch", "apps", "deployments", "shop", ""],
            ),
            (
                "DELETE",
                "/apis/apps/v1/namespaces/shop/deployments",
                ["deletecollection", "apps", "deployments", "shop", ""],
            ),
            ("PUT", "/api/v1/nodes/a/status", ["update", "", "nodes/status", "", "a"]),
            ("GET", "/readyz", ["get", "", "", "", ""]),
            ("GET", "/apis/apps/v1", ["get", "", "", "", ""]),
        ] {
            assert_eq!(read(method, path), expected, "{method} {path}");
        }
    }
}
