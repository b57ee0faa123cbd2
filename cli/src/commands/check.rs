//! `longshore check`

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::{Context as _, Result};
use longshore_policy::Fault;
use serde_json::json;

use super::{print, style};
use crate::args::{CheckArgs, Output};

/// Prints every fault of a configuration, each with its place; the exit status is 1 when there are any.
pub(super) fn run(args: &CheckArgs, output: Output) -> Result<ExitCode> {
    let text = read(&args.file)?;
    let name = args.file.display().to_string();
    let checked = longshore_policy::check(&text, &name);
    let faults = checked.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    if output == Output::Json {
        let list: Vec<_> = faults
            .iter()
            .map(|fault| {
                json!({ "code": fault.code.to_string(), "line": fault.line, "column": fault.column,
                        "message": fault.message, "suggestion": fault.suggestion })
            })
            .collect();
        print::json(&json!({ "ok": faults.is_empty(), "file": name, "faults": list }))?;
    } else if let Ok(policy) = &checked {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let (services, repositories) = (policy.services.len(), policy.repositories.len());
        print::line(format!(
            "{} {name}: {}, {}, {}",
            style::paint(style::GOOD, "ok"),
            count(repositories, "repository").replace("repositorys", "repositories"),
            count(services, "service"),
            count(policy.environments.len(), "environment")
        ))?;
    } else {
        for fault in faults {
            print::note(render(fault, &text, &name));
        }
        print::note(format!("{} fault(s) in {name}", faults.len()));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    let missing = || format!("cannot read {}; write one with `longshore init`", path.display());
    std::fs::read_to_string(path).with_context(missing)
}

fn render(fault: &Fault, text: &str, name: &str) -> String {
    let span = fault.span.start.min(text.len())..fault.span.end.min(text.len());
    let code = fault.code.to_string();
    let snippet = Snippet::source(text).path(name).annotation(AnnotationKind::Primary.span(span));
    let mut report = Level::ERROR.primary_title(fault.message.as_str()).id(code.as_str()).element(snippet);
    if let Some(suggestion) = &fault.suggestion {
        report = report.element(Level::HELP.message(suggestion.as_str()));
    }
    Renderer::styled().decor_style(DecorStyle::Ascii).render(&[report])
}
