//! The table of tasks.

use crate::context::Context;
use crate::step::{Failure, run, run_last};
use crate::{bench, fuzz, lint, peers, sizes, suggest, test, torture};

struct Task {
    name: &'static str,
    arguments: Arguments,
    about: &'static str,
    run: fn(&Context, &[String]) -> Result<(), Failure>,
}

/// What a task makes of the words after its name.
enum Arguments {
    None,
    /// It reads them itself, or hands them on.
    Taken(&'static str),
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        arguments: Arguments::None,
        about: "bring the peers, lint, then run all tests",
        run: test::all,
    },
    Task {
        name: "peers",
        arguments: Arguments::Taken("[--list]"),
        about: "bring the programs that lint and tests need; --list: say which are there",
        run: peers::task,
    },
    Task {
        name: "lint",
        arguments: Arguments::None,
        about: "formatting, clippy, licences and bans, documentation, crates that may not enter",
        run: lint::all,
    },
    Task {
        name: "sim",
        arguments: Arguments::Taken("[ARGUMENTS]"),
        about: "run the simulator, e.g. --seeds 200000, or --seed N to replay one",
        run: |context, arguments| program(context, "sim", arguments),
    },
    Task {
        name: "torture",
        arguments: Arguments::Taken("[--pushes N …]"),
        about: "10,000 pushes over 100 services, webhooks twice and shuffled, the host killed 200 times; also --services, --kills, --seed N",
        run: torture::task,
    },
    Task {
        name: "fuzz",
        arguments: Arguments::Taken("[--seconds N] [TARGET …]"),
        about: "fuzz what strangers can send, a minute each; a finding is named by its file",
        run: fuzz::task,
    },
    Task {
        name: "bench",
        arguments: Arguments::Taken("[NAME …]"),
        about: "measure in release against the peers, and write docs/performance.md; --help: what and how much",
        run: bench::task,
    },
    Task {
        name: "schemas",
        arguments: Arguments::None,
        about: "write the JSON Schemas of the events and of the configuration anew",
        run: schemas,
    },
    Task {
        name: "sam",
        arguments: Arguments::None,
        about: "write what of infra/sam/template.yaml follows from the code anew",
        run: sam,
    },
    Task {
        name: "cost",
        arguments: Arguments::None,
        about: "count what a release and a month at rest cost on AWS, and write docs/cost.md",
        run: cost,
    },
    Task {
        name: "sizes",
        arguments: Arguments::None,
        about: "how long functions and files are",
        run: sizes::task,
    },
];

/// Runs the task that `arguments` name, or lists them all.
pub(crate) fn dispatch(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        list();
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        list();
        return Ok(());
    }
    let task = TASKS.iter().find(|task| task.name == name).ok_or_else(|| unknown(name))?;
    match (&task.arguments, rest.first()) {
        (Arguments::None, Some(extra)) => {
            Err(format!("{name} takes no arguments, but was given {extra:?}").into())
        }
        _ => (task.run)(context, rest),
    }
}

fn list() {
    println!("cargo xtask TASK\n");
    for Task { name, arguments, about, .. } in TASKS {
        let arguments = match arguments {
            Arguments::None => "",
            Arguments::Taken(shown) => shown,
        };
        println!("  {:<20} {about}", format!("{name} {arguments}"));
    }
}

fn unknown(name: &str) -> String {
    match suggest::nearest(name, TASKS.iter().map(|task| task.name)) {
        Some(near) => format!("no task {name:?}; did you mean `cargo xtask {near}`?"),
        None => format!("no task {name:?}; `cargo xtask` lists them"),
    }
}

/// Runs one of the test package's programs in release, with the arguments as they are.
fn program(context: &Context, name: &str, arguments: &[String]) -> Result<(), Failure> {
    let cargo = ["run", "--quiet", "--release", "--package", "longshore-tests", "--bin", name, "--"];
    run_last(name, context.cargo(cargo).args(arguments))
}

/// The tests that compare the schemas, those with `generate` in their names, write them when the variable is set.
fn schemas(context: &Context, _: &[String]) -> Result<(), Failure> {
    let cargo = [
        "test",
        "--quiet",
        "--package",
        "longshore-events",
        "--package",
        "longshore-policy",
        "--",
        "generate",
    ];
    run("schemas", context.cargo(cargo).env("LONGSHORE_WRITE_SCHEMAS", "1"))
}

/// As the schemas.
fn sam(context: &Context, _: &[String]) -> Result<(), Failure> {
    let cargo = ["test", "--quiet", "--package", "longshore-tests", "--test", "sam", "--", "generate"];
    run("sam", context.cargo(cargo).env("LONGSHORE_WRITE_SAM", "1"))
}

/// As the schemas, on the stack that the end-to-end tests make.
fn cost(context: &Context, _: &[String]) -> Result<(), Failure> {
    let cargo = ["test", "--package", "longshore-tests", "--all-features", "--test", "relay", "--", "cost"];
    run("cost", context.cargo(cargo).env("LONGSHORE_WRITE_COST", "1"))
}

#[cfg(test)]
mod tests {
    use super::{TASKS, unknown};

    #[test]
    fn every_task_is_described_in_one_line() {
        for task in TASKS {
            assert!(!task.about.is_empty() && !task.about.contains('\n'), "{}", task.name);
        }
    }

    #[test]
    fn an_unknown_task_gets_a_suggestion() {
        assert_eq!(unknown("tests"), "no task \"tests\"; did you mean `cargo xtask test`?");
        assert_eq!(unknown("release"), "no task \"release\"; `cargo xtask` lists them");
    }
}
