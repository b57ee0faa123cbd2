//! What scripts and targets may not do to the engine, and what the engine does not claim.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is wrong")]

#[path = "conformance/server.rs"]
mod server;
#[path = "common/written.rs"]
mod written;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use longshore_load::{Ceiling, Settings, Verdict, run};

use written::Written;

/// Runs a script, and says what came of it and what was said.
fn runs(script: &str, change: impl FnOnce(&mut Settings)) -> (Verdict, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.js");
    std::fs::write(&path, script).expect("a file");
    #[expect(clippy::disallowed_methods, reason = "a run begins now")]
    let mut settings = Settings::new(path, std::time::SystemTime::now());
    let said = Written::default();
    settings.stdout = Box::new(said.clone());
    settings.stderr = Box::new(said.clone());
    settings.max_lag = Duration::from_secs(5);
    settings.env = vec![("TARGET".to_owned(), format!("http://{}", server::start()))];
    change(&mut settings);
    let verdict = run(settings);
    let text = said.text();
    (verdict, text)
}

fn plainly(script: &str) -> (Verdict, String) {
    runs(script, |_| {})
}

#[test]
fn a_loop_without_end_is_stopped_and_its_line_named() {
    let script = "export const options = { scenarios: { a: { executor: 'constant-vus', vus: 3, duration: '300ms', \
                  gracefulStop: '200ms' } } };\nexport default function () {\n  if (__VU === 1) while (true) {}\n}\n";
    let begun = Instant::now();
    let (verdict, said) = plainly(script);
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{said}");
    assert!(said.contains("interrupted while it computed") && said.contains("script.js:3"), "{said}");
    // The others went on meanwhile.
    assert!(said.contains(" and 1 interrupted iterations"), "{said}");
}

#[test]
fn recursion_without_end_is_an_error_of_its_iteration() {
    let (verdict, said) = plainly("const f = (n) => f(n + 1) + 1;\nexport default function () { f(0); }\n");
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("stack") && said.contains("1 complete"), "{said}");
}

#[test]
fn allocation_without_end_is_an_error_of_its_iteration() {
    let script =
        "export default function () { const all = []; for (;;) all.push('x'.repeat(1e6) + all.length); }\n";
    let (verdict, said) = runs(script, |settings| settings.memory = 32 << 20);
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("out of memory") && said.contains("1 complete"), "{said}");
}

#[test]
fn a_promise_that_never_settles_ends_with_its_iteration() {
    let (verdict, said) = plainly("export default () => new Promise(() => {});\n");
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("1 complete"), "{said}");
}

#[test]
fn a_script_that_throws_in_every_hook_still_ends_with_a_summary() {
    let script = "export function setup() { throw 1; }\nexport default function () { throw 2; }\n\
                  export function teardown() { throw 3; }\nexport function handleSummary() { throw 4; }\n";
    let (verdict, said) = plainly(script);
    assert_eq!(verdict, Verdict::Script("1".to_owned()), "{said}");
    assert!(said.contains("handleSummary() failed") && said.contains("TOTAL RESULTS"), "{said}");
}

#[test]
fn what_cannot_be_run_is_refused_by_name_with_the_way_out() {
    for (script, named, code) in [
        ("import x from 'https://jslib.k6.io/k6-utils/1.4.0/index.js';", "save it beside the script", 107),
        ("import grpc from 'k6/net/grpc';", "gRPC is not supported: run this script with k6", 107),
        ("import { browser } from 'k6/browser';", "there is no browser", 107),
        ("import sql from 'k6/x/sql';", "extensions of k6 are not supported", 107),
        ("export const options = { vuss: 3 };", "vuss: there is no such option", 104),
        ("export const options = { tlsAuth: [] };", "tlsAuth is not supported", 104),
        (
            "export const options = { scenarios: { a: { executor: 'constant-vus', duration: '1s', exec: 'x' } } };",
            "exports no function \\\"x\\\"",
            104,
        ),
        ("open('missing.txt');", "missing.txt", 107),
    ] {
        let (verdict, said) = plainly(&format!("{script}\nexport default function () {{}}\n"));
        assert_eq!(verdict.exit_code(), code, "{said}");
        assert!(said.contains(named), "{script}: {said}");
    }
}

#[test]
fn an_unknown_parameter_of_a_request_is_an_error() {
    let script = "import http from 'k6/http';\n\
                  export default function () { http.get(__ENV.TARGET, { header: {} }); }\n";
    let (_, said) = plainly(script);
    assert!(said.contains("there is no parameter"), "{said}");
}

const REQUEST: &str = "import http from 'k6/http';\n\
    export const options = { vus: 1, iterations: 5, thresholds: { http_req_failed: ['rate==0'] } };\n\
    export default function () { http.get(__ENV.TARGET); }\n";

#[test]
fn only_allowed_targets_are_spoken_to() {
    let (verdict, said) = runs(REQUEST, |settings| {
        settings.ceiling = Ceiling { targets: Some(vec!["shop.test".to_owned()]), ..Ceiling::default() };
    });
    assert_eq!(verdict.exit_code(), 99, "{said}");
    assert!(said.contains("is not one of the run's allowed targets"), "{said}");
    let (verdict, said) = runs(REQUEST, |settings| {
        settings.ceiling = Ceiling { targets: Some(vec!["127.0.0.0/8".to_owned()]), ..Ceiling::default() };
    });
    assert_eq!(verdict, Verdict::Passed, "{said}");
}

#[test]
fn a_run_makes_no_more_requests_than_its_ceiling() {
    let (verdict, said) = runs(REQUEST, |settings| {
        settings.ceiling = Ceiling { requests: Some(3), ..Ceiling::default() };
    });
    assert_eq!(verdict.exit_code(), 99, "{said}");
    assert!(said.contains("all of the 3 requests"), "{said}");
    let (verdict, said) =
        runs("export const options = { vus: 9, duration: '1h' };\nexport default () => {};", |settings| {
            settings.ceiling = Ceiling { vus: Some(5), ..Ceiling::default() };
        });
    assert_eq!(verdict.exit_code(), 104, "{said}");
}

#[test]
fn a_threshold_without_values_does_not_hold() {
    let script = "import { Trend } from 'k6/metrics';\nnew Trend('never');\n\
                  export const options = { thresholds: { never: ['p(95)<1'] } };\nexport default function () {}\n";
    let (verdict, said) = plainly(script);
    assert_eq!(verdict, Verdict::Crossed(vec!["never".to_owned()]), "{said}");
    assert!(said.contains("no values"), "{said}");
}

#[test]
fn a_generator_that_is_late_invalidates_its_run() {
    let script = "import { sleep } from 'k6';\nexport const options = { vus: 30, iterations: 600 };\n\
                  export default function () { sleep(0.001); let x = 0; for (let i = 0; i < 100000; i++) x += i; }\n";
    let (verdict, said) = runs(script, |settings| {
        settings.loops = 1;
        settings.max_lag = Duration::from_millis(1);
    });
    assert_eq!(verdict.exit_code(), 95, "{said}");
    assert!(said.contains("the run is invalid"), "{said}");
}

#[test]
fn a_run_that_is_stopped_ends_with_its_summary() {
    let stop = Arc::new(AtomicBool::new(false));
    let setter = Arc::clone(&stop);
    let script = "import { sleep } from 'k6';\nexport const options = { vus: 2, duration: '10m' };\n\
                  export default function () { sleep(100); }\nexport function teardown() { console.log('torn down'); }\n";
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        setter.store(true, Ordering::Relaxed);
    });
    let begun = Instant::now();
    let (verdict, said) = runs(script, |settings| settings.stop = stop);
    thread.join().unwrap();
    assert_eq!(verdict, Verdict::Stopped, "{said}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{said}");
    assert!(said.contains("torn down") && said.contains("0 complete and 2 interrupted"), "{said}");
}

#[test]
fn bodies_beyond_all_bounds_are_errors_and_not_kept() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n");
            let chunk = vec![b'x'; 1 << 20];
            while stream.write_all(&chunk).is_ok() {}
        }
    });
    let script = "import http from 'k6/http';\nexport default function () {\n\
                  const answer = http.get(__ENV.TARGET, { timeout: '20s' }); console.log(answer.error_code, answer.body);\n}\n";
    let (verdict, said) = runs(script, |settings| {
        settings.env = vec![("TARGET".to_owned(), format!("http://{address}"))];
    });
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("1000 null") && said.contains("larger than"), "{said}");
}

#[test]
fn a_summary_of_the_scripts_own_takes_the_place_of_the_usual_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.txt");
    let script = format!(
        "export default function () {{}}\nexport function handleSummary(data) {{\n  return {{ stdout: 'own ' + \
         data.metrics.iterations.values.count, {:?}: JSON.stringify(data.root_group.name) }};\n}}\n",
        file.display().to_string()
    );
    let (verdict, said) = plainly(&script);
    assert_eq!(verdict, Verdict::Passed, "{said}");
    assert!(said.contains("own 1") && !said.contains("TOTAL RESULTS"), "{said}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "\"\"");
}
