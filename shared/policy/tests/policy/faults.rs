//! What is wrong is found, all of it, at its place, with its way out.

use longshore_policy::{Code, Fault, SAMPLE, Strategy, check, check_bytes};

use crate::support::sample_lines;

const REST: &str = "\n[[repository]]\nname = \"shop\"\n[[service]]\nname = \"shop\"\nrepository = \"shop\"\n";

fn faults(text: &str) -> Vec<Fault> {
    check(text, "longshore.toml").err().unwrap_or_default()
}

/// The codes and the text that each fault points to.
fn marked(text: &str) -> Vec<(String, &str)> {
    faults(text).into_iter().map(|fault| (fault.code.to_string(), &text[fault.span])).collect()
}

#[track_caller]
fn assert_one(text: &str, code: &str, at: &str) -> Fault {
    assert_eq!(marked(text), [(code.to_owned(), at)], "{:?}\n{text}", faults(text));
    faults(text).remove(0)
}

/// A service with one more line.
fn service(line: &str) -> String {
    format!("{REST}{line}\n")
}

#[test]
fn codes_are_numbered_without_gaps() {
    let codes: Vec<_> = Code::ALL.iter().map(ToString::to_string).collect();
    let expected: Vec<_> = (101..=129).map(|number| format!("LS0{number}")).collect();
    assert_eq!(codes, expected);
}

#[test]
fn nothing_but_a_service_is_needed() {
    let policy = check("[[service]]\nname = \"shop\"", "f").unwrap();
    assert_eq!(policy.host.listen.to_string(), "127.0.0.1:7070");
    assert_eq!((policy.host.max_body, policy.host.ref_check_ms), (25 << 20, 60_000));
    let service = &policy.services[0];
    assert_eq!((service.image.as_str(), service.tag.as_str()), ("shop", "latest"));
    assert_eq!((service.run.ready.path.as_deref(), service.run.ready.timeout_ms), (None, 1_000));
    assert_eq!(policy.environments.len(), 1);
    assert_eq!(policy.environments[0].name.as_str(), "local");
    assert_eq!(policy.environments[0].strategy, Strategy::Rolling);
    assert_eq!(policy.environments[0].services.len(), 1);
}

#[test]
fn all_faults_are_reported_together_in_their_order() {
    let text = "[host]\nlisten = 7070\nprxy = \"127.0.0.1:1\"\n[[repository]]\nname = \"shop\"\n[[service]]\nname = \"shop\"\n\
                repository = \"shp\"\ntimeout = \"10min\"\n[service.run]\nready = 3\n[[environment]]\nname = \"live\"\n\
                services = [\"shopp\"]\nstrategy = \"roling\"\n";
    let lines: Vec<_> = faults(text).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "longshore.toml:2:10: error[LS0103]: `listen` is an integer: write a text in quotes",
            "longshore.toml:3:1: error[LS0102]: unknown key `prxy` in [host]; did you mean `proxy`?",
            "longshore.toml:8:15: error[LS0108]: there is no repository \"shp\": add it as [[repository]]; did you mean \
             `shop`?",
            "longshore.toml:9:12: error[LS0109]: \"10min\" is not a duration: write a number and ms, s, m or h, such as \
             \"500ms\" or \"10s\"; did you mean `10m`?",
            "longshore.toml:11:9: error[LS0103]: `ready` is an integer: write a path in quotes, such as \"/healthz\", or \
             a table",
            "longshore.toml:14:14: error[LS0108]: there is no service \"shopp\": add it as [[service]]; did you mean \
             `shop`?",
            "longshore.toml:15:13: error[LS0107]: \"roling\" is not a strategy: write rolling, canary, blue-green; did you mean `rolling`?",
        ]
    );
}

#[test]
fn every_key_of_every_table_is_read() {
    let lines = sample_lines();
    let keys: Vec<_> = lines.iter().enumerate().filter(|(_, line)| line.contains(" = ")).collect();
    assert!(keys.len() > 35, "{}", keys.len());
    for (at, line) in keys {
        let key = line.split(' ').next().unwrap();
        let mut changed: Vec<_> = lines.iter().map(ToString::to_string).collect();
        changed[at] = format!("{key} = 1.5");
        let text = changed.join("\n");
        let wrong_type =
            faults(&text).iter().any(|fault| fault.code == Code::WrongType && fault.line == at + 1);
        assert!(wrong_type, "line {}: {key}\n{text}", at + 1);
    }
}

#[test]
fn syntax_errors_have_their_place() {
    for (text, line) in
        [("[host\n", 1), ("[host]\nlisten = \"x\n", 2), ("[host]\na = 1\na = 2", 3), ("a = yes", 1)]
    {
        let faults = faults(text);
        assert_eq!((faults.len(), faults[0].code, faults[0].line), (1, Code::Syntax, line), "{faults:?}");
    }
    let twice = faults("[host]\ndata = \"x\"\n[host]\n").remove(0);
    assert!(twice.message.contains("first on line 1"), "{twice}");
}

#[test]
fn a_file_without_services_says_what_to_add() {
    for text in ["", "# nothing\n", "service = []\n"] {
        assert_eq!(faults(text)[0].code, Code::NothingToRun, "{text}");
    }
    let one_bracket = faults("[service]\nname = \"shop\"\n");
    assert_eq!((one_bracket.len(), one_bracket[0].code), (1, Code::WrongType));
    assert_one(&format!("{REST}[[environment]]\nname = \"live\"\nservices = []\n"), "LS0117", "[]");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_place() {
    let fault = check_bytes(b"[host]\ndata = \"\xff\"", "f").unwrap_err().remove(0);
    assert_eq!((fault.code, fault.line, fault.column), (Code::NotText, 2, 9));
    assert!(check_bytes(SAMPLE.as_bytes(), "f").is_ok());
}

#[test]
fn how_a_forge_is_asked_is_said_only_of_a_repository_that_lies_at_one() {
    let repository =
        |lines: &str| format!("[[service]]\nname = \"shop\"\n[[repository]]\nname = \"a/b\"\n{lines}");
    let url = "url = \"https://github.com/a/b\"\n";
    assert_one(&repository(&format!("{url}token = \"github\"")), "LS0121", "github");
    assert_one(
        &repository(&format!("{url}api = \"https://api.github.com\"")),
        "LS0121",
        "https://api.github.com",
    );
    assert_one(&repository("forge = \"github\""), "LS0121", "github");
    assert_one(&repository(&format!("{url}forge = \"githib\"")), "LS0107", "githib");
    assert_one(
        &repository(&format!("{url}forge = \"github\"\napi = \"http://github.com\"")),
        "LS0112",
        "http://github.com",
    );
    let policy = check(&repository(&format!("{url}forge = \"gitlab\"\ntoken = \"lab\"")), "f").unwrap();
    let forge = policy.repositories[0].forge.as_ref().unwrap();
    assert_eq!((forge.api.as_str(), forge.token.as_deref()), ("https://gitlab.com/api/v4", Some("lab")));
}

#[test]
fn missing_keys_point_to_their_table() {
    let fault = assert_one(&format!("{REST}[[source]]\nname = \"hub\"\n"), "LS0104", "[[source]]");
    assert!(fault.message.contains("`provider`"));
}

#[test]
fn keys_at_the_wrong_place_are_told_where_they_belong() {
    let fault = assert_one(&service("drain = \"1s\""), "LS0102", "drain");
    assert!(fault.message.ends_with("it belongs into [service.run]"), "{fault}");
}

#[test]
fn names_follow_their_rules_and_are_unique() {
    let fault = assert_one("[[service]]\nname = \"My Shop\"", "LS0105", "My Shop");
    assert_eq!(fault.suggestion.as_deref(), Some("my-shop"));
    assert_one("[[service]]\nname = \"a\"\nimage = \"nginx:1.27\"", "LS0105", "nginx:1.27");
    assert_one("[[service]]\nname = \"a\"\ntag = \".x\"", "LS0105", ".x");
    assert_one(&format!("{REST}[[repository]]\nname = \"../x\"\n"), "LS0105", "../x");
    assert_one(
        &format!("{REST}[[repository]]\nname = \"a\"\nbranch = \"refs/heads/a\"\n"),
        "LS0105",
        "refs/heads/a",
    );
    assert_one(&format!("{REST}[[repository]]\nname = \"a\"\nbranch = \"-x\"\n"), "LS0105", "-x");
    assert_one(&format!("{REST}[[repository]]\nname = \"shop\"\n"), "LS0106", "shop");
    assert_one(&format!("{REST}[[service]]\nname = \"shop\"\n"), "LS0106", "shop");
    let twice = "[[environment]]\nname = \"live\"\n";
    assert_one(&format!("{REST}{twice}{twice}"), "LS0106", "live");
    assert_one(&format!("{REST}{twice}services = [\"shop\", \"shop\"]"), "LS0106", "shop");
}

#[test]
fn quantities_stay_in_their_ranges() {
    assert_one(&service("timeout = \"0s\""), "LS0109", "0s");
    assert_one(&format!("{REST}[host]\nmax_body = \"2GiB\""), "LS0109", "2GiB");
    assert_one(&service("[service.run.ready]\nfailures = 0"), "LS0109", "0");
    assert_one(&service("[service.run.ready]\ninterval = \"1ms\""), "LS0109", "1ms");
}

#[test]
fn paths_and_globs_stay_inside() {
    assert_one(&service("path = \"../x\""), "LS0110", "../x");
    assert_one(&service("path = \"/etc\""), "LS0110", "/etc");
    assert_one(&service("dockerfile = \"a/../../Dockerfile\""), "LS0110", "a/../../Dockerfile");
    assert_one(&service("dockerfile = \".\""), "LS0110", ".");
    assert_one(&service("[service.run]\nready = \"healthz\""), "LS0110", "healthz");
    assert_one(&service("watch = [\"src/**\", \"a[\"]"), "LS0111", "a[");
    let policy = check(&service("path = \"./services//shop/\""), "f").unwrap();
    assert_eq!(policy.services[0].source.as_ref().unwrap().path, "services/shop");
}

#[test]
fn secrets_in_the_file_are_refused_and_not_shown() {
    let url = "https://me:hunter2@github.com/acme/x";
    let fault = assert_one(&format!("{REST}[[repository]]\nname = \"x\"\nurl = \"{url}\"\n"), "LS0113", url);
    assert!(fault.confidential && !fault.to_string().contains("hunter2"), "{fault}");
    let source = "[[source]]\nname = \"hub\"\nprovider = \"github\"\nsecret = \"hunter2 !\"\n";
    let fault = assert_one(&format!("{REST}{source}"), "LS0105", "hunter2 !");
    assert!(fault.confidential && !fault.to_string().contains("hunter2"), "{fault}");
    // Broken text around it must not show it either.
    for text in
        [format!("url = \"{url}\n"), format!("url = {url}"), format!("service = [{{ url = \"{url}\" }}]")]
    {
        let faults = faults(&text);
        assert!(!faults.is_empty());
        for fault in faults {
            assert!(fault.confidential && !fault.to_string().contains("hunter2"), "{fault}");
        }
    }
}

#[test]
fn commands_are_words_or_a_line_for_the_shell() {
    let policy = check(&service("prepare = \"make all\"\ntest = [\"make\", \"test\"]"), "f").unwrap();
    let source = policy.services[0].source.as_ref().unwrap();
    assert_eq!(source.prepare.as_ref().unwrap(), &["sh", "-c", "make all"]);
    assert_eq!(source.test.as_ref().unwrap(), &["make", "test"]);
    assert_one(&service("prepare = []"), "LS0114", "[]");
    assert_one(&service("prepare = \" \""), "LS0114", " ");
    assert_one(&service("test = [\"a\\u0000\"]"), "LS0114", "[\"a\\u0000\"]");
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert_one("[[service]]\nname = \"a\"\npath = \"x\"", "LS0115", "x");
    assert_one(&format!("{REST}[host]\nlisten = \"localhost:80\""), "LS0116", "localhost:80");
    assert_one(&format!("{REST}[host]\nproxy = \"0.0.0.0:7070\""), "LS0116", "0.0.0.0:7070");
    assert!(faults(&format!("{REST}[host]\nlisten = \"127.0.0.1:0\"\nproxy = \"127.0.0.1:0\"")).is_empty());
    let second = "[[service]]\nname = \"b\"\nrepository = \"shop\"\nimage = \"shop\"\n";
    assert_one(&format!("{REST}{second}"), "LS0118", "shop");
    assert_one(&service("[service.run]\nenv = { PORT = \"80\" }"), "LS0119", "PORT");
    assert_one(&service("args = { \"A B\" = \"x\" }"), "LS0119", "A B");
}

#[test]
fn a_service_may_run_nowhere_and_an_image_may_be_shared() {
    let text = format!(
        "{REST}[[service]]\nname = \"worker\"\nimage = \"shop\"\n[[environment]]\nname = \"live\"\nservices = [\"worker\"]\n"
    );
    let policy = check(&text, "f").unwrap();
    assert_eq!(policy.environments_of(&policy.services[0].name).count(), 0);
    assert_eq!(policy.environments_of(&policy.services[1].name).count(), 1);
}

#[test]
fn a_push_touches_a_service_by_its_globs() {
    let policy = check(&service("watch = [\"services/shop/**\", \"Cargo.*\"]"), "f").unwrap();
    let source = policy.services[0].source.as_ref().unwrap();
    for (path, expected) in [
        ("services/shop/a/b", true),
        ("Cargo.toml", true),
        ("x/Cargo.toml", false),
        ("services/web/a", false),
    ] {
        assert_eq!(source.watch.touched_by([path]), expected, "{path}");
    }
    assert!(!source.watch.touched_by([]));
    let policy = check(REST, "f").unwrap();
    assert!(policy.services[0].source.as_ref().unwrap().watch.touched_by([]));
}

#[test]
fn environments_are_promoted_from_one_that_there_is_in_an_order_that_ends() {
    let live = |lines: &str| {
        format!("{REST}[[environment]]\nname = \"staging\"\n[[environment]]\nname = \"live\"\n{lines}\n")
    };
    let policy = check(&live("after = \"staging\"\nsoak = \"10m\""), "f").unwrap();
    let promotion = policy.environments[1].after.as_ref().unwrap();
    assert_eq!((promotion.from.as_str(), promotion.soak_ms), ("staging", 600_000));
    let fault = assert_one(&live("after = \"stagin\""), "LS0108", "stagin");
    assert_eq!(fault.suggestion.as_deref(), Some("staging"));
    assert_one(&live("soak = \"10m\""), "LS0122", "10m");
    assert_one(&live("after = \"live\""), "LS0122", "live");
    let circle =
        "[[environment]]\nname = \"a\"\nafter = \"b\"\n[[environment]]\nname = \"b\"\nafter = \"a\"\n";
    assert_eq!(faults(&format!("{REST}{circle}")).len(), 2);
    let elsewhere = "[[environment]]\nname = \"a\"\nservices = [\"other\"]\n[[service]]\nname = \"other\"\n\
                     [[environment]]\nname = \"b\"\nafter = \"a\"\n";
    assert_one(&format!("{REST}{elsewhere}"), "LS0122", "a");
}

#[test]
fn people_have_tokens_of_their_own_and_places_where_their_word_counts() {
    let text = "[[environment]]\nname = \"live\"\n[environment.gate]\nrequires = [\"approval\"]\napprovals = 2\n\
                [[person]]\nname = \"ann\"\nlogins = [\"ann-at-work\"]\n[[person]]\nname = \"bob\"\napproves = []\n";
    let policy = check(&format!("{REST}{text}"), "f").unwrap();
    let (ann, bob) = (policy.person("ann").unwrap(), policy.person("bob").unwrap());
    assert_eq!((ann.secret.as_str(), ann.approves.len(), bob.approves.len()), ("ann", 1, 0));
    assert!(ann.is("ann-at-work") && ann.is("ann") && !bob.is("ann"));
    let gate = &policy.environments[0].gate;
    let approval = gate.approval.as_ref().unwrap();
    assert_eq!((approval.people, approval.author_counts, gate.approval_valid_ms), (2, false, 72 * 3_600_000));
    let live = &policy.environments[0].name;
    assert!(!policy.may_override("ann", live), "nobody may who is not allowed to");
    let allowed = check(&format!("{REST}{text}overrides = [\"live\"]\n"), "f").unwrap();
    assert!(allowed.may_override("bob", live) && !allowed.may_override("ann", live));
    assert!(!check(REST, "f").unwrap().may_override("ann", live), "nor anybody where there are no people");
    let person = |lines: &str| {
        format!("{REST}[[environment]]\nname = \"live\"\n[[person]]\nname = \"ann\"\n{lines}\n")
    };
    assert_one(&person("approves = [\"liv\"]"), "LS0108", "liv");
    assert_one(&person("overrides = [\"liv\"]"), "LS0108", "liv");
    assert_one(&person("[[person]]\nname = \"ann\""), "LS0106", "ann");
    let gate = |line: &str| format!("{REST}[[environment]]\nname = \"live\"\n[environment.gate]\n{line}\n");
    assert_one(&gate("author = \"yes\""), "LS0107", "yes");
}

#[test]
fn manifests_come_from_one_place() {
    let manifests = |keys: &str| service(&format!("[service.manifests]\n{keys}"));
    assert_one(&manifests("helm = \"a\"\nkustomize = \"b\""), "LS0123", "b");
    assert_one(&manifests("kustomize = \"b\"\nvalues = [\"v\"]"), "LS0123", "[\"v\"]");
    assert_one(&manifests("files = []"), "LS0123", "[]");
    assert!(
        assert_one(&manifests(""), "LS0123", "[service.manifests]").message.contains("come from nowhere")
    );
    assert_one(&manifests("files = [\"../up\"]"), "LS0110", "../up");
    assert_one(
        &service("image = \"x\"").replace("repository = \"shop\"\n", "manifests = { helm = \"a\" }\n"),
        "LS0115",
        "{ helm = \"a\" }",
    );
}

#[test]
fn what_manifests_are_made_of_is_watched_where_anything_is() {
    let touched = |lines: &str, path: &str| {
        let policy = check(&service(lines), "f").unwrap();
        policy.services[0].source.as_ref().unwrap().watch.touched_by([path])
    };
    let helm = "watch = [\"src/**\"]\nmanifests = { helm = \"chart[1]\", values = [\"live.yaml\"] }";
    for (path, is) in
        [("src/a", true), ("chart[1]/x/y", true), ("live.yaml", true), ("chart1/x", false), ("b", false)]
    {
        assert_eq!(touched(helm, path), is, "{path}");
    }
    assert!(touched("manifests = { files = [\"deploy\"] }", "anything"), "without `watch` all is watched");
}

const PEM: &str = "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfuKJ8/5bU7WaWN2D1djOrOog3gtyZvweMXNXSxR61BXDyaZoz6LMy8nfbD6OxfwKmbxxeLVj5/bLlUyl81J83w==\\n-----END PUBLIC KEY-----";

/// An environment that requires signatures, and these signers.
fn signed(signers: &str) -> String {
    format!(
        "{REST}[[environment]]\nname = \"live\"\n[environment.gate]\nrequires = [\"signature\"]\n{signers}"
    )
}

#[test]
fn who_may_sign_is_one_key_of_the_right_kind_for_what_there_is() {
    let signer = |more: &str| format!("[[signer]]\nname = \"release\"\n{more}\n");
    let key = format!("key = \"{PEM}\"");
    assert!(check(&signed(&signer(&key)), "f").is_ok());
    let both = signed(&signer(&format!("{key}\nfile = \"a.pub\"")));
    assert_one(&both, "LS0127", "a.pub");
    assert_one(&signed(&signer("")), "LS0127", "release");
    let ed25519 = "key = \"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\"";
    let fault = faults(&signed(&signer(ed25519))).remove(0);
    assert!(
        fault.code == Code::InvalidKey && fault.confidential && fault.message.contains("an Ed25519 key"),
        "{fault}"
    );
    let none = faults(&signed("")).remove(0);
    assert!(
        none.code == Code::InvalidSigner && none.message.contains("no [[signer]] may sign shop there"),
        "{none}"
    );
    let elsewhere = faults(&signed(&signer(&format!("{key}\nenvironments = []")))).remove(0);
    assert_eq!(elsewhere.code, Code::InvalidSigner, "{elsewhere}");
    let unknown = signed(&signer(&format!("{key}\nservices = [\"shopp\", \"*\"]")));
    assert_one(&unknown, "LS0108", "shopp");
}

#[test]
fn a_key_in_a_file_is_read_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("longshore-policy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("release.pub"), PEM.replace("\\n", "\n")).unwrap();
    let text = signed("[[signer]]\nname = \"release\"\nfile = \"release.pub\"\n");
    let policy = longshore_policy::check_file(text.as_bytes(), &folder.join("longshore.toml")).unwrap();
    assert_eq!(policy.signers[0].key.point().len(), 65);
    std::fs::remove_dir_all(&folder).unwrap();
    let gone = longshore_policy::check_file(text.as_bytes(), &folder.join("longshore.toml")).unwrap_err();
    assert!(
        gone[0].code == Code::InvalidKey && gone[0].message.contains("cannot read the key"),
        "{}",
        gone[0]
    );
    assert_eq!(faults(&text)[0].code, Code::InvalidKey, "a text alone has no folder");
}

#[test]
fn what_cannot_be_taken_back_is_all_or_globs() {
    let of = |line: &str| check(&service(line), "f").unwrap().services[0].no_rollback_past.clone();
    assert_eq!((of(""), of("no_rollback_past = false"), of("no_rollback_past = []")), (None, None, None));
    assert!(of("no_rollback_past = true").unwrap().touched_by(["anything"]));
    let globs = of("no_rollback_past = [\"db/*.sql\"]").unwrap();
    assert!(globs.touched_by(["a", "db/1.sql"]) && !globs.touched_by(["a"]));
    assert_one(&service("no_rollback_past = [\"/db\"]"), "LS0111", "/db");
    assert_one(&service("no_rollback_past = \"db\""), "LS0103", "db");
}
