//! The template as CloudFormation has it, and a stack of it on moto, by `tests/peers/stack.py`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore_aws::testing::Moto;
use longshore_aws::{Account, Aws, Keys, Names};
use serde_json::Value;

/// The stack's name.
pub(crate) const NAME: &str = "longshore";

/// The root of the sources.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The template.
pub(crate) fn template() -> PathBuf {
    root().join("infra/sam/template.yaml")
}

/// A program of the peers, ready to run.
pub(crate) fn peer(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root().join("infra/sam"));
    command.env("AWS_DEFAULT_REGION", "eu-west-1").env("SAM_CLI_TELEMETRY", "0");
    command
}

/// What a program writes to stdout; it must succeed.
pub(crate) fn output(mut command: Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| {
        panic!("{program}: {error}; run `cargo xtask peers`, and the tests by `cargo xtask test`")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn run(command: &str, rest: &[&str]) -> Value {
    let (script, template) = (root().join("tests/peers/stack.py"), template());
    let mut arguments = vec![script.to_str().unwrap(), command, template.to_str().unwrap()];
    arguments.extend(rest);
    serde_json::from_str(&output(peer("sam-python", &arguments))).unwrap()
}

/// The template after the SAM transform.
pub(crate) fn transformed() -> Value {
    run("transform", &[])
}

/// A stack on a moto of its own.
pub(crate) struct Stack {
    pub(crate) aws: Aws,
    /// What `stack.py deploy` says.
    pub(crate) said: Value,
    pub(crate) moto: Arc<Moto>,
}

impl Stack {
    pub(crate) fn deploy() -> Self {
        let moto = Moto::start();
        let endpoint = format!("http://{}", moto.address);
        let said = run("deploy", &[NAME, &endpoint]);
        Self { aws: account("AKIATEST", endpoint).connect().unwrap(), said, moto }
    }

    /// What the functions' journal is called.
    pub(crate) fn names(&self) -> Names {
        let variable = |name: &str| self.variable("Build", name);
        Names {
            table: variable("LONGSHORE_TABLE"),
            bus: variable("LONGSHORE_BUS"),
            wakes: variable("LONGSHORE_WAKES"),
        }
    }

    /// What a resource's service says of it.
    pub(crate) fn found(&self, resource: &str) -> &Value {
        let found = &self.said["found"][resource];
        assert!(!found.is_null(), "{resource} is not there");
        found
    }

    /// A variable of a function.
    pub(crate) fn variable(&self, function: &str, name: &str) -> String {
        let value = &self.found(function)["Environment"]["Variables"][name];
        value.as_str().unwrap_or_else(|| panic!("{function} has no {name}")).to_owned()
    }
}

/// The name in the template of a function.
pub(crate) fn logical(function: &str) -> String {
    let (first, rest) = function.split_at(1);
    first.to_uppercase() + rest
}

/// The account that moto plays, as whoever has this key at an end point.
pub(crate) fn account(key: &str, endpoint: String) -> Account {
    Account {
        region: "eu-west-1".into(),
        keys: Keys { id: key.into(), secret: "secret".into(), session: None },
        endpoint: Some(endpoint),
        answer_within: Duration::from_secs(20),
    }
}

/// Waits for an answer, on the one runtime of the test: connections belong to theirs.
pub(crate) fn ask<T>(question: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    RUNTIME.get_or_init(make).block_on(question)
}
