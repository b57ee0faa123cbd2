//! `longshore load run`, on the built binary.

use super::{folder, longshore};

const SCRIPT: &str = "import { check } from 'k6';\n\
    export const options = { vus: 1, iterations: 2, thresholds: { checks: ['rate>0.9'] } };\n\
    export default function () { console.log('I am', __ENV.WHO); check(1, { fits: (n) => __ENV.FITS === 'yes' }); }\n";

#[test]
fn a_script_is_judged_by_its_thresholds() {
    let folder = folder(&[("script.js", SCRIPT)]);
    let run = |fits| {
        let fits = format!("FITS={fits}");
        longshore(folder.path(), &["load", "run", "--env", "WHO=the script", "--env", &fits, "script.js"])
    };
    let said = run("yes");
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("✓ 'rate>0.9' rate=100.00%"), "{}", said.stdout);
    assert!(said.stderr.contains("I am the script"), "{}", said.stderr);
    assert_eq!(run("no").status, 99);
}

#[test]
fn flags_of_k6_stand_above_the_script_and_others_are_refused() {
    let folder = folder(&[("script.js", SCRIPT)]);
    let flags =
        "load run --quiet -e FITS=yes -u 2 -i 6 --summary-export out.json --no-usage-report script.js";
    let said = longshore(folder.path(), &flags.split(' ').collect::<Vec<_>>());
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(said.stdout, "");
    let summary = std::fs::read_to_string(folder.path().join("out.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["metrics"]["iterations"]["count"], 6);
    let said = longshore(folder.path(), &["load", "run", "--paused", "script.js"]);
    assert_eq!(said.status, 2);
    assert!(said.stderr.contains("--paused"), "{}", said.stderr);
}

#[test]
fn slices_of_a_run_are_put_together_and_judged_once() {
    let folder = folder(&[("script.js", SCRIPT)]);
    let load = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        longshore(folder.path(), &[&["load"], &words[..]].concat())
    };
    for (segment, file) in [("0:1/2", "a"), ("1/2:1", "b")] {
        let said = load(&format!(
            "run -q -u 2 -i 10 -e FITS=no --execution-segment {segment} --slice {file} script.js"
        ));
        assert_eq!(said.status, 0, "{}", said.stderr);
    }
    let said = load("merge a b");
    assert_eq!(said.status, 99, "{}", said.stderr);
    assert!(said.stdout.contains("10 complete"), "{}", said.stdout);
    let said = load("merge b");
    assert_eq!(said.status, 104);
    assert!(said.stderr.contains("the slice 0:1/2 is missing"), "{}", said.stderr);
}
