//! What a buildspec says, and that its commands do it: run by the shell with git, and with programs in the places of
//! docker and aws that write down how they were called.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use longshore_events::{CommitId, ServiceName};
use longshore_policy::Policy;
use tempfile::TempDir;

use super::{GIT_TOKEN, Job, Recipe};

const PLAIN: &str = r#"
[[repository]]
name = "acme/shop"
url = "https://github.com/acme/shop.git"
[[service]]
name = "shop"
repository = "acme/shop"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"
"#;

const FULL: &str = r#"
[[repository]]
name = "acme/shop"
url = "https://git.acme.example/acme/shop.git"
forge = "gitlab"
api = "https://git.acme.example/api/v4"
token = "gitlab-api"
[[service]]
name = "shop"
repository = "acme/shop"
path = "services/the shop"
prepare = ["printf", "%s|%s|", "it's $HOME", "\"quoted\" \\ `id`"]
test = "test \"$LONGSHORE_SERVICE\" = shop && echo tested"
dockerfile = "docker/Dockerfile"
args = { GREETING = "it's $5, \"really\"" }
secrets = ["npm-token"]
timeout = "90s"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop"
"#;

fn commit() -> CommitId {
    CommitId::new("1".repeat(40)).unwrap()
}

fn recipe<'a>(policy: &'a Policy, commit: &'a CommitId) -> Result<Recipe<'a>, String> {
    job(policy, commit, Some("longshore-builds")).recipe("eu-west-1")
}

fn job<'a>(policy: &'a Policy, commit: &'a CommitId, secret: Option<&'a str>) -> Job<'a> {
    let service = policy.service(&ServiceName::new("shop").unwrap()).unwrap();
    let source = service.source.as_ref().unwrap();
    let repository = policy.repository(&source.repository).unwrap();
    Job { service, source, repository, commit, secret, handover: ("longshore-bucket", "builds/1.yaml") }
}

fn policy(text: &str) -> Policy {
    longshore_policy::check(text, "test").unwrap()
}

#[test]
fn a_plain_service_is_cloned_and_packed() {
    let (policy, commit) = (policy(PLAIN), commit());
    let recipe = recipe(&policy, &commit).unwrap();
    assert_eq!((recipe.minutes, recipe.secrets.len()), (10, 0));
    insta::assert_snapshot!(recipe.buildspec());
}

#[test]
fn whatever_a_service_says_is_in_its_place() {
    let (policy, commit) = (policy(FULL), commit());
    let recipe = recipe(&policy, &commit).unwrap();
    assert_eq!(recipe.minutes, 5, "the least that CodeBuild takes");
    let secrets = [
        ("LONGSHORE_GIT_TOKEN".to_owned(), "longshore-builds:gitlab-api".to_owned()),
        ("LONGSHORE_SECRET_0".to_owned(), "longshore-builds:npm-token".to_owned()),
    ];
    assert_eq!(recipe.secrets, secrets);
    insta::assert_snapshot!(recipe.buildspec());
}

#[test]
fn what_codebuild_cannot_do_is_refused_by_name() {
    let commit = commit();
    let refusal = |text: &str, secret| job(&policy(text), &commit, secret).recipe("eu-west-1").err().unwrap();
    let elsewhere = PLAIN.replace("eu-west-1", "us-east-1");
    assert!(refusal(&elsewhere, None).contains("does not lie in ECR of eu-west-1; write `image` as"));
    let own = PLAIN.replace("image =", "tag = \"x\" #");
    assert!(refusal(&own, None).contains("the image shop does not lie in ECR"));
    let ssh = PLAIN.replace("https://github.com/", "git@github.com:");
    assert!(refusal(&ssh, None).contains("write `url` of acme/shop as https://"));
    assert!(refusal(FULL, None).contains("needs the secret \"gitlab-api\""));
}

/// In the place of AWS's command: a password, and a bucket in the folder of the machine.
const AWS: &str = "case \"$1 $2\" in
  'ecr get-login-password') echo password ;;
  's3 cp') mkdir -p \"$(dirname \"$HOME/${5#s3://}\")\" && cp \"$4\" \"$HOME/${5#s3://}\" ;;
  's3api head-object') test -e \"$HOME/$4/$6\" ;;
  *) echo \"aws $*?\" >&2; exit 2 ;;
esac";

/// A machine of CodeBuild.
struct Machine {
    folder: TempDir,
    commit: CommitId,
}

impl Machine {
    /// With a repository that answers at `url`, whose one commit has these files, `NAME` or `NAME=CONTENT`.
    fn new(url: &str, files: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let (bin, work) = (folder.path().join("bin"), folder.path().join("work"));
        std::fs::create_dir_all(&bin).unwrap();
        program(&bin.join("aws"), AWS);
        let docker = "[ \"$1\" != login ] || cat >/dev/null; printf '%s\\n' \"$*\" >> \"$HOME/docker.log\"; [ \"$3\" != inspect ] || test -e \"$HOME/there\"";
        program(&bin.join("docker"), docker);
        for file in files {
            let (file, content) = file.split_once('=').unwrap_or((file, "FROM scratch\n"));
            let file = work.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        std::os::unix::fs::symlink("/etc", work.join("out")).unwrap();
        let script = format!(
            "git init -q . && git add . && git -c user.name=m -c user.email=m@example.org commit -q -m first && \
             git config --global url.{}.insteadOf {url} && git rev-parse HEAD",
            work.display()
        );
        let mut machine = Self { folder, commit: commit() };
        let output = machine.bash(&format!("cd work && {script}"));
        assert!(output.status.success(), "{output:?}");
        machine.commit = CommitId::new(String::from_utf8(output.stdout).unwrap().trim()).unwrap();
        machine
    }

    /// Runs the commands in one shell, until one fails.
    fn build(&self, recipe: &Recipe<'_>) -> Output {
        let commands = recipe.phases.iter().flatten();
        let script: Vec<_> = commands.map(|command| format!("{{ {command}\n}} || exit 1\n")).collect();
        self.bash(&script.concat())
    }

    /// Gives it a program that this machine has.
    fn install(&self, name: &str) {
        #[expect(clippy::disallowed_methods, reason = "a test is an entry point")]
        let path = std::env::var_os("PATH").unwrap();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
        let found = found.unwrap_or_else(|| panic!("no {name}; run the tests by `cargo xtask test`"));
        std::os::unix::fs::symlink(found, self.folder.path().join("bin").join(name)).unwrap();
    }

    fn handed_over(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("longshore-bucket/builds/1.yaml")).ok()
    }

    fn bash(&self, script: &str) -> Output {
        let path = format!("{}/bin:/usr/bin:/bin", self.folder.path().display());
        let mut bash = Command::new("bash");
        bash.env_clear().env("PATH", path).env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        bash.env(GIT_TOKEN, "t0ken").current_dir(&self.folder).args(["-c", script]).output().unwrap()
    }

    fn docker(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("docker.log")).unwrap();
        log.replace(self.folder.path().to_str().unwrap(), "FOLDER").replace(self.commit.as_str(), "COMMIT")
    }
}

fn program(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_commands_fetch_prepare_test_and_pack() {
    let machine =
        Machine::new("https://git.acme.example/acme/shop.git", &["services/the shop/docker/Dockerfile"]);
    let policy = policy(FULL);
    let output = machine.build(&recipe(&policy, &machine.commit).unwrap());
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim(), "it's $HOME|\"quoted\" \\ `id`|tested");
    let docker = machine.docker();
    let lines: Vec<_> = docker.lines().collect();
    assert_eq!(lines.len(), 4, "{docker}");
    let build = lines[3];
    assert!(lines[0].starts_with("login --username AWS --password-stdin 123456789012.dkr.ecr."), "{docker}");
    for part in [
        "/src/services/the shop/docker/Dockerfile --output",
        ",name=123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop:COMMIT,push=true",
        " --build-arg GREETING=it's $5, \"really\" ",
        " --secret id=npm-token,env=LONGSHORE_SECRET_0 ",
    ] {
        assert!(build.contains(part), "{part:?} is not in {build}");
    }
    assert!(build.ends_with("/src/services/the shop"), "{build}");
}

#[test]
fn a_command_sees_no_token_and_its_failure_ends_the_build() {
    let machine =
        Machine::new("https://git.acme.example/acme/shop.git", &["services/the shop/docker/Dockerfile"]);
    let policy = policy(&FULL.replace("echo tested", "env && exit 3"));
    let output = machine.build(&recipe(&policy, &machine.commit).unwrap());
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("SOURCE_DATE_EPOCH=1") && !said.contains("TOKEN") && !said.contains("t0ken"),
        "{said}"
    );
    assert!(!machine.docker().contains("buildx build"));
}

#[test]
fn an_image_that_is_there_is_not_built_again() {
    let machine = Machine::new("https://github.com/acme/shop.git", &["Dockerfile"]);
    std::fs::write(machine.folder.path().join("there"), "").unwrap();
    let policy = policy(&PLAIN.replace("[[service]]", "[[service]]\ntest = \"exit 1\""));
    let output = machine.build(&recipe(&policy, &machine.commit).unwrap());
    assert!(output.status.success(), "{output:?}");
    assert!(!machine.docker().contains("buildx build"));
}

#[test]
fn a_folder_that_is_none_or_leads_out_of_the_commit_ends_the_build() {
    let machine = Machine::new("https://github.com/acme/shop.git", &["Dockerfile"]);
    for path in ["nowhere", "out"] {
        let policy = policy(&PLAIN.replace("[[service]]", &format!("[[service]]\npath = \"{path}\"")));
        let output = machine.build(&recipe(&policy, &machine.commit).unwrap());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{path}: {said}");
        assert!(said.contains(&format!("has no folder \"{path}\" of its own")), "{said}");
    }
}

const CHART: &[&str] = &[
    "Dockerfile",
    "chart/Chart.yaml=apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "chart/templates/a.yaml=kind: Deployment\nname: {{ .Release.Name }}\nport: {{ required \"say `port`\" .Values.port }}\n",
    "chart/templates/b.yaml=kind: Service\n",
    "live values.yaml=port: 80\n",
];

fn with_manifests(manifests: &str) -> Policy {
    policy(&PLAIN.replace("[[service]]", &format!("[[service]]\nmanifests = {manifests}")))
}

#[test]
fn manifests_are_rendered_and_handed_over_before_the_image_is_pushed() {
    let machine = Machine::new("https://github.com/acme/shop.git", CHART);
    machine.install("helm");
    let policy = with_manifests("{ helm = \"chart\", values = [\"live values.yaml\"] }");
    let recipe = recipe(&policy, &machine.commit).unwrap();
    assert!(recipe.renders);
    insta::assert_snapshot!(recipe.buildspec().replace(machine.commit.as_str(), "COMMIT"));
    let output = machine.build(&recipe);
    assert!(output.status.success(), "{output:?}");
    let rendered = machine.handed_over().unwrap();
    assert!(rendered.contains("name: shop\nport: 80\n") && rendered.contains("kind: Service"), "{rendered}");
    assert!(machine.docker().contains("buildx build"));

    // The image without manifests is not enough; with them nothing is done again.
    std::fs::write(machine.folder.path().join("there"), "").unwrap();
    std::fs::remove_file(machine.folder.path().join("docker.log")).unwrap();
    assert!(machine.build(&recipe).status.success());
    assert!(!machine.docker().contains("buildx build"));
    std::fs::remove_dir_all(machine.folder.path().join("longshore-bucket")).unwrap();
    assert!(machine.build(&recipe).status.success());
    assert!(machine.docker().contains("buildx build") && machine.handed_over().is_some());
}

#[test]
fn manifests_that_cannot_be_rendered_end_the_build_before_anything_is_pushed() {
    for (manifests, program, words) in [
        ("{ helm = \"chart\" }", "helm", "say `port`"),
        ("{ kustomize = \"chart\" }", "kustomize", "unable to find one of 'kustomization.yaml'"),
        ("{ files = [\"nowhere\"] }", "true", "nowhere"),
        ("{ files = [\"Dockerfile\"] }", "true", "there is no manifest in what was rendered"),
    ] {
        let machine = Machine::new("https://github.com/acme/shop.git", CHART);
        machine.install(program);
        let output = machine.build(&recipe(&with_manifests(manifests), &machine.commit).unwrap());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{manifests}: {said}");
        assert!(!machine.docker().contains("buildx build") && machine.handed_over().is_none());
    }
}

#[test]
fn plain_files_are_handed_over_as_they_are() {
    let machine = Machine::new("https://github.com/acme/shop.git", CHART);
    let policy = with_manifests("{ files = [\"chart/templates\"] }");
    assert!(machine.build(&recipe(&policy, &machine.commit).unwrap()).status.success());
    let rendered = machine.handed_over().unwrap();
    assert!(rendered.starts_with("---\nkind: Deployment\n") && rendered.ends_with("---\nkind: Service\n\n"));
}

#[test]
fn the_forges_token_is_for_the_forges_host_alone() {
    let (policy, commit) = (policy(FULL), commit());
    let machine = Machine::new("https://git.acme.example/acme/shop.git", &["Dockerfile"]);
    let given = job(&policy, &commit, None).credentials("https://git.acme.example/acme/shop.git");
    let fill = |host: &str| {
        let ask = format!("printf 'protocol=https\\nhost={host}\\n\\n'");
        let output = machine.bash(&format!("{ask} | GIT_TERMINAL_PROMPT=0 git{given} credential fill"));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(fill("git.acme.example").contains("username=oauth2\npassword=t0ken\n"));
    assert!(!fill("evil.example").contains("t0ken"));
}
