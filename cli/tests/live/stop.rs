//! The stop switch, and secrets, which nothing that is kept may hold.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::forge::send;
use crate::stage::{Stage, eventually};

#[test]
fn nothing_goes_forward_while_stopped_but_a_roll_back_does() {
    let stage = Stage::set(1, "[notify]\nwebhook = \"hook\"\n");
    let heard = hook(&stage);
    let first = stage.push(0, 0);
    stage.runs(&first.commit);
    let second = stage.push(0, 1);
    stage.runs(&second.commit);

    stage.longshore(&["stop", "--env", "live", "--why", "a fire"]);
    let third = stage.push(0, 2);
    eventually("the third is built", || stage.facts().digests().contains_key(&third.commit));
    stage.longshore(&["rollback", "s0", "--env", "live"]);
    eventually("the first is back", || stage.answer("s0").as_ref() == Some(&first.commit));
    assert!(!stage.facts().started(&third.commit), "it was let in while all was stopped");
    let tells = |text: &String| {
        text.contains("s0 was rolled back in live") && text.contains("report/failure/live/s0/")
    };
    eventually("people are told", || heard.lock().unwrap().iter().any(tells));

    stage.longshore(&["resume", "--env", "live"]);
    stage.runs(&third.commit);
    eventually("the third answers", || stage.answer("s0").as_ref() == Some(&third.commit));
    no_secret_is_kept(&stage);
}

/// A webhook that keeps what it is sent; its address is the secret `hook`.
pub(crate) fn hook(stage: &Stage) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/planted-in-an-address", listener.local_addr().unwrap());
    let mut options = std::fs::OpenOptions::new();
    let secret = options.write(true).create_new(true).mode(0o600);
    let mut secret = secret.open(stage.folder.join(".longshore/secrets/hook")).unwrap();
    secret.write_all(address.as_bytes()).unwrap();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let kept = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                let name = line.to_ascii_lowercase();
                length = name.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            kept.lock().unwrap().push(String::from_utf8(body).unwrap());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    heard
}

/// Searches every file that the host left, and all that it prints, for the secrets that were planted.
fn no_secret_is_kept(stage: &Stage) {
    let data = stage.folder.join(".longshore");
    let mut secrets: Vec<String> = std::fs::read_dir(data.join("secrets"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap().trim().to_owned())
        .collect();
    secrets.push(std::fs::read_to_string(data.join("token")).unwrap().trim().to_owned());
    // A webhook that is signed with something else, and carries a secret where none belongs.
    let wrong = longshore_ports::Secret::new("planted-secret-in-a-signature");
    secrets.push("planted-secret-in-a-signature".into());
    let push = stage.forge.push(0, 3, false);
    assert_eq!(send(stage.host.ready.listen, &wrong, &push).unwrap(), "401");

    let printed = [
        stage.longshore(&["status", "--output", "json"]),
        stage.longshore(&["events", "list", "--output", "json"]),
        stage.longshore(&["timeline", "s0"]),
        stage.longshore(&["logs", "s0"]),
    ];
    let mut texts: Vec<(String, Vec<u8>)> = printed
        .into_iter()
        .map(|output| ("printed".to_owned(), [output.stdout, output.stderr].concat()))
        .collect();
    files(&stage.folder, &mut texts);
    assert!(texts.len() > 20, "too little was searched: {}", texts.len());
    for (name, text) in texts {
        let held = secrets
            .iter()
            .find(|secret| text.windows(secret.len()).any(|window| window == secret.as_bytes()));
        assert!(held.is_none(), "{name} holds a secret");
    }
}

/// Every file but those that secrets are kept in, and the forge's own.
fn files(folder: &Path, texts: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if path.ends_with("secrets") || path.ends_with(".longshore/token") || path.ends_with("forge") {
            continue;
        }
        if kind.is_dir() {
            files(&path, texts);
        } else if let (true, Ok(text)) = (kind.is_file(), std::fs::read(&path)) {
            texts.push((path.display().to_string(), text));
        }
    }
}
