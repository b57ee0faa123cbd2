//! The rules for single values. Each takes the text and returns what it means, or what is wrong with it.

use std::net::SocketAddr;

use longshore_events::{
    EnvironmentName, ImageName, InvalidName, Measure, Number, RefName, RepositoryName, ServiceName,
    Timestamp, types::Severity,
};

use crate::fault::{Code, Wrong};
use crate::policy::{ForgeKind, Provider, Requirement};
use crate::strategy::OnUnknown;
use crate::suggest::{self, nearest, quoted};
use crate::units;

/// What sources may speak.
pub(crate) const PROVIDERS: &[(&str, Provider)] = &[
    ("github", Provider::Github),
    ("gitlab", Provider::Gitlab),
    ("bitbucket", Provider::Bitbucket),
    ("gitea", Provider::Gitea),
    ("forgejo", Provider::Forgejo),
    ("oci", Provider::Oci),
    ("dockerhub", Provider::DockerHub),
    ("quay", Provider::Quay),
    ("alertmanager", Provider::Alertmanager),
    ("grafana", Provider::Grafana),
    ("falco", Provider::Falco),
    ("cloudwatch", Provider::CloudWatch),
    ("aws", Provider::Aws),
    ("cloudevents", Provider::CloudEvents),
];
/// Forges whose API can be asked.
pub(crate) const FORGES: &[(&str, ForgeKind)] =
    &[("github", ForgeKind::Github), ("gitlab", ForgeKind::Gitlab)];
/// What a gate may require.
pub(crate) const REQUIREMENTS: &[(&str, Requirement)] = &[
    ("scan", Requirement::Scan),
    ("tests", Requirement::Tests),
    ("approval", Requirement::Approval),
    ("signature", Requirement::Signature),
];
/// Whether who pushed a commit may be one of those who approve it.
pub(crate) const AUTHORS: &[(&str, bool)] = &[("excluded", false), ("counts", true)];

/// How bad findings are.
pub(crate) const SEVERITIES: &[(&str, Severity)] = &[
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("unknown", Severity::Unknown),
];
/// How releases may replace each other, without the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rolling,
    Canary,
    BlueGreen,
}

/// How releases may replace each other.
pub(crate) const STRATEGIES: &[(&str, Kind)] =
    &[("rolling", Kind::Rolling), ("canary", Kind::Canary), ("blue-green", Kind::BlueGreen)];
/// What unknown may do.
pub(crate) const UNKNOWNS: &[(&str, OnUnknown)] =
    &[("wait", OnUnknown::Wait), ("fail", OnUnknown::Fail), ("pass", OnUnknown::Pass)];
/// What can be measured; of the percentiles, those that people name.
pub(crate) const MEASURES: &[&str] = &[
    "error_rate",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "latency_p99.9",
    "saturation",
    "requests",
    "expression",
];

fn invalid(error: &InvalidName) -> Wrong {
    Wrong::new(
        Code::InvalidName,
        format!("{} is not a valid {}: {}", quoted(&error.value), error.what, error.rule),
    )
}

pub(crate) fn service(text: &str) -> Result<ServiceName, Wrong> {
    ServiceName::new(text).map_err(|error| invalid(&error).suggest(suggest::label(text)))
}

pub(crate) fn environment(text: &str) -> Result<EnvironmentName, Wrong> {
    EnvironmentName::new(text).map_err(|error| invalid(&error).suggest(suggest::label(text)))
}

/// A source's name is part of a path of the host, so it follows the rule of services.
pub(crate) fn source(text: &str) -> Result<String, Wrong> {
    let named = ServiceName::new(text).map_err(|error| InvalidName { what: "source name", ..error });
    named.map(String::from).map_err(|error| invalid(&error).suggest(suggest::label(text)))
}

pub(crate) fn repository(text: &str) -> Result<RepositoryName, Wrong> {
    RepositoryName::new(text).map_err(|error| invalid(&error).suggest(suggest::repository(text)))
}

pub(crate) fn branch(text: &str) -> Result<RefName, Wrong> {
    if let Some(short) = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("origin/")) {
        let message = format!("{} is more than a branch: write the branch's name alone", quoted(text));
        return Err(Wrong::new(Code::InvalidName, message).suggest(Some(short)));
    }
    RefName::branch(text).map_err(|_| {
        let message =
            format!("{} is not a valid branch: it must pass git check-ref-format --branch", quoted(text));
        Wrong::new(Code::InvalidName, message)
    })
}

pub(crate) fn image(text: &str) -> Result<ImageName, Wrong> {
    ImageName::new(text).map_err(|error| {
        let last = text.rfind('/').map_or(0, |slash| slash + 1);
        let name = text[last..].find(['@', ':']).map_or(text, |end| &text[..last + end]);
        let meant = ImageName::new(name.to_ascii_lowercase()).ok().map(String::from);
        if name.len() < text.len() {
            let message = format!("{} is more than an image's name: its tag goes into `tag`", quoted(text));
            return Wrong::new(Code::InvalidName, message).suggest(meant);
        }
        invalid(&error).suggest(meant)
    })
}

/// OCI distribution-spec, "Pulling manifests".
pub(crate) fn tag(text: &str) -> Result<String, Wrong> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let valid = text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    let rule = "1 to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'";
    let wrong = || Wrong::new(Code::InvalidName, format!("{} is not a valid tag: {rule}", quoted(text)));
    valid.then(|| text.to_owned()).ok_or_else(wrong)
}

/// The name of a secret. What is refused may be the secret itself, so it is not repeated.
pub(crate) fn secret(text: &str) -> Result<String, Wrong> {
    let valid = (1..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let message = "this is not the name of a secret: 1 to 100 letters, digits, '_', '.' and '-'; the secret itself \
                   belongs into the secrets of the host, never here";
    valid.then(|| text.to_owned()).ok_or_else(|| Wrong::new(Code::InvalidName, message).confidential())
}

pub(crate) fn choice<T: Copy>(text: &str, what: &str, choices: &[(&str, T)]) -> Result<T, Wrong> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
    found.ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("{} is not a {what}: write {}", quoted(text), names.join(", "));
        Wrong::new(Code::UnknownChoice, message).suggest(nearest(text, names))
    })
}

/// A day to its end, or a moment, as RFC 3339 writes them.
pub(crate) fn until(text: &str) -> Result<Timestamp, Wrong> {
    let day = format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
    let end = day.and_then(|day| day.checked_add(std::time::Duration::from_hours(24)).ok());
    let wrong = || {
        let message = format!("{} is no day: write one such as \"2026-12-31\"", quoted(text));
        Wrong::new(Code::InvalidQuantity, message)
    };
    end.or_else(|| text.parse().ok()).ok_or_else(wrong)
}

/// A text that is not empty, on one line.
pub(crate) fn line(text: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() || text.contains(char::is_control) || text.len() > 500 {
        let message = format!("{} says nothing: write a line of up to 500 characters", quoted(text));
        return Err(Wrong::new(Code::InvalidName, message));
    }
    Ok(text.to_owned())
}

/// A path within a folder, without `.` and empty parts; empty for the folder itself.
pub(crate) fn inside(text: &str) -> Result<String, Wrong> {
    let wrong = |why: &str| Err(Wrong::new(Code::InvalidPath, format!("the path {} {why}", quoted(text))));
    if text.starts_with('/') {
        return wrong("is absolute: write it relative, without a leading `/`");
    }
    if text.split('/').any(|part| part == "..") {
        return wrong("leads out of its folder by `..`: name something inside of it");
    }
    if text.contains(|c: char| c.is_control() || c == '\\') {
        return wrong("holds a backslash or a control character: write folders with `/`");
    }
    Ok(text.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/"))
}

pub(crate) fn dockerfile(text: &str) -> Result<String, Wrong> {
    let path = inside(text)?;
    let empty = || {
        Wrong::new(Code::InvalidPath, "the Dockerfile's path is empty: leave the key out for \"Dockerfile\"")
    };
    (!path.is_empty()).then_some(path).ok_or_else(empty)
}

/// The data folder: the operator's own, so it may lie anywhere.
pub(crate) fn folder(text: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        let message = format!("{} is not a folder: write a path, such as \".longshore\"", quoted(text));
        return Err(Wrong::new(Code::InvalidPath, message));
    }
    Ok(text.to_owned())
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse::<u16>().ok().filter(|_| ["", "localhost"].contains(&host));
        let message =
            format!("{} is not an address: write IP:PORT, such as \"127.0.0.1:7070\"", quoted(text));
        Wrong::new(Code::InvalidAddress, message).suggest(port.map(|port| format!("127.0.0.1:{port}")))
    })
}

/// A path to probe, as it goes into a request line.
pub(crate) fn probe_path(text: &str) -> Result<String, Wrong> {
    if text.starts_with('/') && text.len() <= 1000 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
    {
        return Ok(text.to_owned());
    }
    let message =
        format!("{} is not a path to probe: write one such as \"/healthz\", in ASCII", quoted(text));
    let meant = Some(format!("/{text}"))
        .filter(|_| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()));
    Err(Wrong::new(Code::InvalidPath, message).suggest(meant))
}

/// A line for the shell becomes a command of three words.
pub(crate) fn shell(line: &str) -> Result<Vec<String>, Wrong> {
    command(vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()])
}

pub(crate) fn command(words: Vec<String>) -> Result<Vec<String>, Wrong> {
    let wrong = |message: &str| Err(Wrong::new(Code::InvalidCommand, message));
    let program = match words.as_slice() {
        [shell, option, line] if shell == "sh" && option == "-c" => Some(line),
        words => words.first(),
    };
    if program.is_none_or(|program| program.trim().is_empty()) {
        return wrong("the command is empty: name a program, or leave the key out");
    }
    if words.iter().any(|word| word.contains('\0')) {
        return wrong("a command cannot hold NUL characters: take them out");
    }
    Ok(words)
}

/// An argument of the service; any text but NUL.
pub(crate) fn argument(text: &str) -> Result<String, Wrong> {
    let wrong = || Wrong::new(Code::InvalidCommand, "an argument cannot hold NUL characters: take them out");
    (!text.contains('\0')).then(|| text.to_owned()).ok_or_else(wrong)
}

/// An environment variable or build argument.
pub(crate) fn variable(name: &str, value: &str) -> Result<(String, String), Wrong> {
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let wrong = |message: String| Err(Wrong::new(Code::InvalidVariable, message));
    if !valid {
        return wrong(format!(
            "{} is not a variable's name: letters, digits, '_', '.' and '-'",
            quoted(name)
        ));
    }
    if value.contains('\0') {
        return wrong(format!("the value of {name} holds a NUL character: take it out"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// An environment variable of a service.
pub(crate) fn environment_variable(name: &str, value: &str) -> Result<(String, String), Wrong> {
    if name == "PORT" {
        let message =
            "PORT is given by whoever runs the service: take it out, and let the service listen on $PORT";
        return Err(Wrong::new(Code::InvalidVariable, message));
    }
    variable(name, value)
}

/// The name of a check, as events and messages show it.
pub(crate) fn check_name(text: &str) -> Result<String, Wrong> {
    let named = ServiceName::new(text).map_err(|error| InvalidName { what: "name of a check", ..error });
    named.map(String::from).map_err(|error| invalid(&error).suggest(suggest::label(text)))
}

/// A percentage of 0 or more, such as `0.5%`.
pub(crate) fn percent(text: &str) -> Result<Number, Wrong> {
    let number = text.strip_suffix('%').and_then(number_of);
    number.ok_or_else(|| {
        let message = format!("{} is not a percentage: write one such as \"5%\" or \"0.5%\"", quoted(text));
        let meant = number_of(text).map(|_| format!("{text}%"));
        Wrong::new(Code::InvalidQuantity, message).suggest(meant)
    })
}

/// A value of a measure, in its unit.
pub(crate) fn limit(text: &str, measure: &Measure) -> Result<Number, Wrong> {
    match measure.unit() {
        "%" => percent(text),
        "ms" => units::duration(text, 1).map(millis),
        _ => number_of(text).ok_or_else(|| {
            let message = format!("{} is not a number: write one such as \"100\" or \"0.5\"", quoted(text));
            Wrong::new(Code::InvalidQuantity, message)
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "30 days are the longest")]
fn millis(ms: u64) -> Number {
    Number::new(ms as f64).unwrap_or_else(|| Number::from(u32::MAX))
}

/// Digits, and a point with more of them.
fn number_of(text: &str) -> Option<Number> {
    let plain = text.len() <= 15 && text.starts_with(|c: char| c.is_ascii_digit());
    let plain = plain && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain).and_then(Number::new)
}
