//! The way into a cluster of EKS: a kubeconfig, and the tokens that it has the built program make. moto has the cluster, and its
//! STS says who sends a token's request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::sandbox::program;
use crate::stage::{Stage, now};

fn eks(stage: &Stage, words: &[&str]) -> Result<Value, String> {
    let aws: Vec<_> = stage.variables().into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect();
    let output = program("longshore", &aws).arg("eks").args(words).output().unwrap();
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

/// Runs what the kubeconfig names for tokens, as kubectl does: with its variables over those of its own.
fn execute(stage: &Stage, exec: &Value) -> Value {
    let mut command = Command::new(exec["command"].as_str().unwrap());
    command.args(exec["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
    command.env_clear();
    for (name, value) in stage.variables().into_iter().filter(|(name, _)| name.starts_with("AWS_")) {
        if name != "AWS_REGION" {
            command.env(name, value);
        }
    }
    for variable in exec["env"].as_array().unwrap() {
        command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Sends the request that a token stands for, as the cluster does. moto finds the service of a request by its
/// `Authorization` alone, and does not look for it in an address: here it is told once more.
fn redeem(token: &str, cluster: &str) -> String {
    let encoded = token.strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap();
    let rest = url.strip_prefix("http://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let credential = target.split_once("X-Amz-Credential=").unwrap().1.split('&').next().unwrap();
    let credential = credential.replace("%2F", "/");
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {host}\r\nx-k8s-aws-id: {cluster}\r\nconnection: close\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={credential}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_kubeconfig_brings_tokens_that_say_who_we_are() {
    let stage = Stage::open();
    stage.cluster("shop");
    let config = eks(&stage, &["kubeconfig", "shop"]).unwrap();
    assert_eq!((&config["kind"], &config["current-context"]), (&"Config".into(), &"shop".into()));
    let cluster = &config["clusters"][0]["cluster"];
    assert!(cluster["server"].as_str().unwrap().starts_with("https://"), "{config}");
    assert!(!cluster["certificate-authority-data"].as_str().unwrap().is_empty());
    let text = config.to_string();
    assert!(!text.contains("AKIATEST"), "no key is written down: {text}");

    let credential = execute(&stage, &config["users"][0]["user"]["exec"]);
    assert_eq!(credential["apiVersion"], config["users"][0]["user"]["exec"]["apiVersion"]);
    assert_eq!(credential["kind"], "ExecCredential");
    let expires: Timestamp = credential["status"]["expirationTimestamp"].as_str().unwrap().parse().unwrap();
    let valid = expires.duration_since(now());
    assert!(valid > SignedDuration::from_mins(12) && valid <= SignedDuration::from_mins(14), "{valid}");
    let answer = redeem(credential["status"]["token"].as_str().unwrap(), "shop");
    assert!(answer.contains("GetCallerIdentityResult") && answer.contains("123456789012"), "{answer}");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let stage = Stage::open();
    let nowhere = eks(&stage, &["kubeconfig", "nowhere"]).unwrap_err();
    assert!(nowhere.contains("no cluster nowhere in eu-west-1") && nowhere.contains("LS0507"), "{nowhere}");
    let strange = eks(&stage, &["token", "a/b"]).unwrap_err();
    assert!(strange.contains("no name of a cluster") && strange.contains("LS0507"), "{strange}");
}
