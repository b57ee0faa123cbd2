//! What `init` writes for the repositories that people have.

use longshore_policy::{Found, FoundDockerfile, FoundLanguage, Language, Policy, check, init};

fn dockerfile(path: &str, has_run: bool) -> FoundDockerfile {
    FoundDockerfile { path: path.to_owned(), exposes: vec![8080], has_run }
}

fn language(folder: &str, language: Language) -> FoundLanguage {
    FoundLanguage { folder: folder.to_owned(), language }
}

fn found(dockerfiles: Vec<FoundDockerfile>, languages: Vec<FoundLanguage>) -> Found {
    Found { repository: "acme/shop".to_owned(), branch: "trunk".to_owned(), dockerfiles, languages }
}

fn written(found: &Found) -> (String, Policy) {
    let text = init(found);
    let policy = check(&text, "longshore.toml").unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    (text, policy)
}

#[test]
fn a_rust_service_is_compiled_statically_before_packing() {
    let found = found(vec![dockerfile("Dockerfile", false)], vec![language("", Language::Rust)]);
    let (text, policy) = written(&found);
    let source = policy.services[0].source.as_ref().unwrap();
    assert_eq!(policy.services[0].name.as_str(), "shop");
    assert_eq!(policy.repositories[0].branch.as_str(), "refs/heads/trunk");
    assert!(source.prepare.as_ref().unwrap()[2].contains("+crt-static"));
    assert!(text.contains("exposes 8080") && text.contains("built-in packer serves it"));
}

#[test]
fn a_dockerfile_with_run_compiles_by_itself() {
    let found = found(vec![dockerfile("Dockerfile", true)], vec![language("", Language::Node)]);
    let (text, policy) = written(&found);
    assert_eq!(policy.services[0].source.as_ref().unwrap().prepare, None);
    assert!(text.contains("buildah, podman or docker"));
}

#[test]
fn each_dockerfile_of_many_is_a_service_that_watches_its_folder() {
    let dockerfiles =
        ["services/api/Dockerfile", "services/web/Dockerfile", "old/api/Dockerfile", "Dockerfile.worker"];
    let (_, policy) = written(&found(dockerfiles.map(|path| dockerfile(path, false)).into(), Vec::new()));
    let names: Vec<_> = policy.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["api", "web", "api-2", "worker"]);
    let source = |at: usize| policy.services[at].source.as_ref().unwrap();
    assert_eq!(
        (source(0).path.as_str(), source(0).watch.globs()),
        ("services/api", &["services/api/**".to_owned()][..])
    );
    assert_eq!((source(3).dockerfile.as_str(), source(3).watch.globs().len()), ("Dockerfile.worker", 0));
}

#[test]
fn without_a_dockerfile_the_languages_say_what_there_is() {
    let (text, policy) = written(&found(Vec::new(), vec![language("cmd", Language::Go)]));
    assert_eq!(policy.services[0].source.as_ref().unwrap().path, "cmd");
    assert!(text.contains("No Dockerfile was found"));
    let (_, policy) = written(&Found::default());
    assert_eq!(policy.services[0].name.as_str(), "app");
}

#[test]
fn markers_name_their_languages() {
    let markers = ["Cargo.toml", "package.json", "go.mod", "pyproject.toml", "pom.xml"];
    let expected =
        [Some(Language::Rust), Some(Language::Node), Some(Language::Go), Some(Language::Python), None];
    assert_eq!(markers.map(Language::of_marker), expected);
}
