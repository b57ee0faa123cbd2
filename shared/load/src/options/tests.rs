use super::*;

fn read(text: &str) -> Result<Options, String> {
    Options::read(&serde_json::from_str(text).unwrap(), &Overrides::default())
}

fn only(options: &Options) -> &Executor {
    assert_eq!(options.scenarios.len(), 1);
    &options.scenarios[0].executor
}

#[test]
fn short_forms_stand_for_scenarios() {
    let minute = Duration::from_mins(1);
    let constant = read(r#"{"vus": 5, "duration": "1m"}"#).unwrap();
    assert_eq!(only(&constant), &Executor::ConstantVus { vus: 5, duration: minute });
    let shared = read(r#"{"vus": 2, "iterations": 10, "duration": "1m"}"#).unwrap();
    assert_eq!(only(&shared), &Executor::SharedIterations { vus: 2, iterations: 10, max_duration: minute });
    let ramping = read(r#"{"stages": [{"duration": "1m", "target": 9}]}"#).unwrap();
    assert_eq!(only(&ramping).max_vus(), 9);
    assert!(matches!(only(&read("null").unwrap()), Executor::PerVuIterations { vus: 1, iterations: 1, .. }));
}

#[test]
fn flags_stand_above_the_script() {
    let script =
        serde_json::from_str(r#"{"stages": [{"duration": "1m", "target": 9}], "userAgent": "x"}"#).unwrap();
    let flags = Overrides {
        vus: Some(3),
        iterations: Some(7),
        user_agent: Some("y".to_owned()),
        ..Overrides::default()
    };
    let options = Options::read(&script, &flags).unwrap();
    assert!(matches!(only(&options), Executor::SharedIterations { vus: 3, iterations: 7, .. }));
    assert_eq!(options.http.user_agent, "y");
}

#[test]
fn every_executor_is_read_with_its_fields() {
    let options = read(
        r#"{"scenarios": {
            "a": {"executor": "constant-vus", "vus": 2, "duration": "1s", "startTime": "5s", "gracefulStop": "0s"},
            "b": {"executor": "ramping-vus", "startVUs": 0, "stages": [{"duration": "1s", "target": 4}], "exec": "b"},
            "c": {"executor": "per-vu-iterations", "vus": 3, "iterations": 4, "env": {"X": "1"}, "tags": {"t": "u"}},
            "d": {"executor": "shared-iterations", "vus": 3, "iterations": 4, "maxDuration": "1m"},
            "e": {"executor": "constant-arrival-rate", "rate": 10, "duration": "1m", "preAllocatedVUs": 5},
            "f": {"executor": "ramping-arrival-rate", "preAllocatedVUs": 5, "maxVUs": 9,
                  "timeUnit": "1m", "stages": [{"duration": "1m", "target": 60}]}
        }}"#,
    )
    .unwrap();
    let vus: Vec<u64> = options.scenarios.iter().map(|scenario| scenario.executor.max_vus()).collect();
    assert_eq!(vus, [2, 4, 3, 3, 5, 9]);
    assert_eq!(options.scenarios[0].end(), Duration::from_secs(6));
    assert_eq!(options.scenarios[1].exec, "b");
    assert_eq!(options.scenarios[2].tags.get("t"), Some("u"));
}

#[test]
fn what_is_wrong_is_named() {
    for (text, named) in [
        (r#"{"vuss": 5}"#, "vuss"),
        (r#"{"tlsAuth": []}"#, "tlsAuth"),
        (r#"{"duration": "soon"}"#, "duration"),
        (r#"{"scenarios": {"a": {"executor": "constant-vus"}}}"#, "scenario a"),
        (r#"{"scenarios": {"a": {"executor": "constant-vus", "duration": "1s", "rate": 1}}}"#, "rate"),
        (r#"{"scenarios": {"a": {"executor": "x"}}}"#, "there is no executor"),
        (
            r#"{"scenarios": {"a": {"executor": "constant-arrival-rate", "rate": 1, "duration": "1s"}}}"#,
            "preAllocatedVUs",
        ),
        (r#"{"iterations": 5, "stages": []}"#, "together"),
        (r#"{"summaryTrendStats": ["p(x)"]}"#, "summaryTrendStats"),
        (r#"{"systemTags": ["x"]}"#, "systemTags"),
        (r#"{"blacklistIPs": ["10.0.0.0/33"]}"#, "10.0.0.0/33"),
        (r#"{"vus": 5, "iterations": 2}"#, "iterations"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(named), "{text}: {error}");
    }
}
