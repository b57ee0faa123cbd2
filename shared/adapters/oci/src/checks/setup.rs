//! How an image is set up: by its configuration, and by the modes of its files.

use longshore_events::types::{ScanScope, Severity};
use longshore_ports::Finding;
use serde::Deserialize;

use super::secrets;
use crate::image::Config;

/// The steps that made an image, as build tools write them down.
#[derive(Deserialize, Default)]
pub(super) struct History {
    #[serde(default)]
    history: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created_by: String,
}

pub(super) fn finding(id: &str, severity: Severity, title: String, place: &str) -> Finding {
    Finding {
        id: format!("configuration/{id}"),
        scope: ScanScope::Configuration,
        severity,
        title,
        place: Some(place.to_owned()),
        package: None,
        version: None,
        fixed: None,
    }
}

/// What is wrong with an image's configuration.
pub(super) fn find(config: &Config, history: &History) -> Vec<Finding> {
    let mut found = Vec::new();
    let user = config.config.user.split(':').next().unwrap_or_default();
    let root = match user {
        "" => Some(("no-user", "it names no USER, so it runs as root")),
        "root" | "0" => Some(("root-user", "its USER is root")),
        _ => None,
    };
    found.extend(root.map(|(id, title)| finding(id, Severity::Medium, title.to_owned(), "config.User")));
    for (name, value) in config.config.env.iter().filter_map(|variable| variable.split_once('=')) {
        let named = secrets::is_secret_name(name) && !secrets::is_placeholder(value) && value.len() >= 8;
        if named || secrets::holds_token(value) {
            let name: String = name.chars().take(100).collect();
            let title =
                format!("the variable {name} holds a secret, which everybody with the image can read");
            found.push(finding("secret-in-env", Severity::High, title, "config.Env"));
        }
    }
    let is_remote = |step: &&Step| {
        let step = step.created_by.as_str();
        let add = step.split_once("ADD ").map(|(_, rest)| rest.trim_start_matches(['-', ' ']));
        add.is_some_and(|rest| rest.contains("http://") || rest.contains("https://"))
    };
    if history.history.iter().any(|step| is_remote(&step)) {
        let title = "it was built by ADD of an address, whose content may differ the next time".to_owned();
        found.push(finding("remote-add", Severity::Medium, title, "history"));
    }
    found
}

/// A file that runs as somebody else than who starts it.
pub(super) fn set_id(path: &str, mode: u32) -> Option<Finding> {
    let (id, who) = match mode & 0o6000 {
        0 => return None,
        0o2000 => ("setgid", "group"),
        _ => ("setuid", "owner"),
    };
    Some(finding(id, Severity::Low, format!("whoever runs it does so as its {who}"), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(config: &str) -> Vec<String> {
        let parsed = serde_json::from_str(config).unwrap();
        let history = serde_json::from_str(config).unwrap();
        find(&parsed, &history).into_iter().map(|found| found.id).collect()
    }

    #[test]
    fn an_image_that_runs_as_root_says_which_way() {
        assert_eq!(ids(r#"{"config":{}}"#), ["configuration/no-user"]);
        for user in ["root", "0", "0:0", "root:staff"] {
            assert_eq!(ids(&format!(r#"{{"config":{{"User":"{user}"}}}}"#)), ["configuration/root-user"]);
        }
        assert!(ids(r#"{"config":{"User":"1000:1000"}}"#).is_empty());
    }

    #[test]
    fn a_secret_in_a_variable_is_found_by_its_name_or_its_shape() {
        let config =
            |variable: &str| format!(r#"{{"config":{{"User":"1","Env":["PATH=/bin","{variable}"]}}}}"#);
        for bad in ["DB_PASSWORD=hunter2hunter2", "KEY=AKIAIOSFODNN7ABCDEFG"] {
            assert_eq!(ids(&config(bad)), ["configuration/secret-in-env"], "{bad}");
        }
        for good in ["DB_PASSWORD=", "DB_PASSWORD_FILE=/run/secrets/db", "TOKEN=$TOKEN", "LANG=C.UTF-8"] {
            assert!(ids(&config(good)).is_empty(), "{good}");
        }
    }

    #[test]
    fn an_add_of_an_address_is_seen_in_the_history() {
        let config =
            |step: &str| format!(r#"{{"config":{{"User":"1"}},"history":[{{"created_by":"{step}"}},{{}}]}}"#);
        assert_eq!(
            ids(&config("ADD https://example.com/tool /bin # buildkit")),
            ["configuration/remote-add"]
        );
        assert!(ids(&config("ADD file:1f /")).is_empty());
        assert!(ids(&config("RUN curl https://example.com")).is_empty());
    }
}
