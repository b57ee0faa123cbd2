//! Objects of Kubernetes, as JSON. Only the fields that are used are named: the rest belongs to whoever wrote it.

use std::collections::BTreeMap;
use std::fmt;

use longshore_ports::BlobRef;
use serde_json::{Map, Value};

use crate::mark;

/// The SHA-256 of a text, in hexadecimal digits.
pub(crate) fn sha256(text: impl AsRef<[u8]>) -> String {
    BlobRef::of(text.as_ref()).0.hex().to_owned()
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object(pub(crate) Value);

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectRef {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl ObjectRef {
    pub(crate) fn new(api_version: &str, kind: &str, name: &str) -> Self {
        Self { api_version: api_version.into(), kind: kind.into(), name: name.into() }
    }

    /// As the inventory has it: `apps/v1 Deployment web`.
    pub(crate) fn text(&self) -> String {
        format!("{} {} {}", self.api_version, self.kind, self.name)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (api_version, kind, name) = (words.next()?, words.next()?, words.next()?);
        words.next().is_none().then(|| Self::new(api_version, kind, name))
    }
}

impl Object {
    pub(crate) fn reference(&self) -> ObjectRef {
        ObjectRef::new(self.api_version(), self.kind(), self.name())
    }

    pub(crate) fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(crate) fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    pub(crate) fn is_going(&self) -> bool {
        self.0.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string)
    }

    /// A text; empty when there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number that is not negative; `None` when there is none.
    pub(crate) fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer).and_then(Value::as_u64)
    }

    /// The items of a list; none when there is no list.
    pub(crate) fn items(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// A map of texts; empty when there is none.
    pub(crate) fn texts(&self, pointer: &str) -> BTreeMap<&str, &str> {
        let map = self.0.pointer(pointer).and_then(Value::as_object);
        map.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        self.set(&["metadata"], "name", name.into());
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        self.set(&["metadata"], "namespace", namespace.into());
    }

    pub(crate) fn set_label(&mut self, key: &str, value: &str) {
        self.set(&["metadata", "labels"], key, value.into());
    }

    pub(crate) fn set_annotation(&mut self, key: &str, value: &str) {
        self.set(&["metadata", "annotations"], key, value.into());
    }

    /// Sets the member `key` of the map at `path`, which is made where it is missing.
    pub(crate) fn set(&mut self, path: &[&str], key: &str, value: Value) {
        self.at(path)[key] = value;
    }

    /// The map at `path`, which is made where it is missing, or is no map.
    pub(crate) fn at(&mut self, path: &[&str]) -> &mut Value {
        let mut value = &mut self.0;
        for step in path {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            value = &mut value[*step];
        }
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        value
    }

    /// Says nothing of the number of instances.
    pub(crate) fn leave_replicas(&mut self) {
        if let Some(spec) = self.0.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("replicas");
        }
    }

    /// What was wished last of whoever wrote it: (generation, step); (0, 0) for an object that was never ours.
    pub(crate) fn pair(&self) -> (u64, u32) {
        let generation = self.annotation(mark::GENERATION).and_then(|text| text.parse().ok());
        let step = self.annotation(mark::STEP).and_then(|text| text.parse().ok());
        (generation.unwrap_or(0), step.unwrap_or(0))
    }

    /// Which release it is of.
    pub(crate) fn release(&self) -> Option<u64> {
        self.label(mark::RELEASE)?.parse().ok()
    }

    /// Where its pods are described: the path of the template within it. `None` for what has no pods.
    pub(crate) fn template_path(&self) -> Option<&'static [&'static str]> {
        match (self.api_version(), self.kind()) {
            ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet") | ("batch/v1", "Job") => {
                Some(&["spec", "template"])
            }
            ("batch/v1", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template"]),
            _ => None,
        }
    }

    /// Its pods' template.
    pub(crate) fn template(&self) -> Option<&Value> {
        let mut value = &self.0;
        for step in self.template_path()? {
            value = value.get(step)?;
        }
        Some(value)
    }

    /// Whether it exists because of this manager's own applies, and this field is its.
    pub(crate) fn owns(&self, path: &[&str]) -> bool {
        let ours = |entry: &&Value| {
            entry.get("manager").and_then(Value::as_str) == Some(mark::MANAGER)
                && entry.get("operation").and_then(Value::as_str) == Some("Apply")
        };
        let has = |entry: &Value| {
            let mut fields = entry.get("fieldsV1");
            for step in path {
                fields = fields.and_then(|fields| fields.get(format!("f:{step}")));
            }
            fields.is_some()
        };
        self.items("/metadata/managedFields").iter().filter(ours).any(has)
    }
}
