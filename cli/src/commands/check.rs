//! `longshore check`

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::{Context as _, Result};
use longshore_policy::{Fault, Policy};
use serde_json::json;

use super::print::{self, count};
use super::style::{BAD, GOOD, paint};
use crate::args::{CheckArgs, Output};

/// Prints every fault of a configuration, each with its place; the exit status is 1 when there are any.
pub(super) fn run(args: &CheckArgs, output: Output) -> Result<ExitCode> {
    let bytes = read(&args.file)?;
    let name = args.file.display().to_string();
    let checked = longshore_policy::check_file(&bytes, &args.file);
    let faults = checked.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    if output == Output::Json {
        let list: Vec<_> = faults.iter().map(for_programs).collect();
        print::json(&json!({ "ok": faults.is_empty(), "file": name, "faults": list }))?;
    } else {
        show(&checked, &String::from_utf8_lossy(&bytes), &name)?;
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let missing = || format!("cannot read {}; `longshore init` writes one", path.display());
    std::fs::read(path).with_context(missing)
}

fn for_programs(fault: &Fault) -> serde_json::Value {
    json!({ "code": fault.code.to_string(), "line": fault.line, "column": fault.column, "message": fault.message,
            "suggestion": fault.suggestion })
}

fn show(checked: &Result<Policy, Vec<Fault>>, text: &str, name: &str) -> Result<()> {
    match checked {
        Ok(policy) => print::line(format!(
            "{} {name}: {}, {}, {}",
            paint(GOOD, "ok"),
            count(policy.repositories.len(), "repository", "repositories"),
            count(policy.services.len(), "service", "services"),
            count(policy.environments.len(), "environment", "environments")
        )),
        Err(faults) => {
            for fault in faults {
                print::note(format!("{}\n", render(fault, text)));
            }
            print::note(format!("{} in {name}", paint(BAD, count(faults.len(), "fault", "faults"))));
            Ok(())
        }
    }
}

/// The fault with the lines around it, unless these may hold a secret.
fn render(fault: &Fault, text: &str) -> String {
    if fault.confidential {
        return fault.to_string();
    }
    let code = fault.code.to_string();
    let span = fault.span.start.min(text.len())..fault.span.end.min(text.len());
    let snippet = Snippet::source(text).path(&fault.file).annotation(AnnotationKind::Primary.span(span));
    let mut report = Level::ERROR.primary_title(fault.message.as_str()).id(code.as_str()).element(snippet);
    if let Some(suggestion) = &fault.suggestion {
        report = report.element(Level::HELP.message(format!("did you mean `{suggestion}`?")));
    }
    Renderer::styled().render(&[report])
}
