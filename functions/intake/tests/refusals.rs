//! Everything that is refused: the status, the code, and that nothing was committed.

mod support;

use longshore_intake::{Answer, sign};
use longshore_policy::Provider;
use longshore_ports::Secret;
use support::{GITHUB, GITLAB, MAX_BODY, NOW, SIGNING, TOLD, World, borrowed, sample};

#[track_caller]
fn refused(world: &World, answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code), (status, Some(code)), "{:?}", answer.message);
    assert!(answer.accepted.is_empty() && world.is_untouched(), "nothing is committed");
    let message = answer.message.as_deref().unwrap_or_default();
    assert!(!message.is_empty());
    for secret in [GITHUB, GITLAB, SIGNING, "a newer secret"] {
        assert!(!answer.json().contains(secret), "a secret is told: {message}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_configured_is_not_found() {
    let world = World::new();
    for name in ["nowhere", "", "github/", "\u{0}"] {
        refused(&world, &world.send(name, &[], b"{}").await, 404, "LS0201");
    }
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_too_large_before_anything_else() {
    let world = World::new();
    let body = vec![b' '; MAX_BODY + 1];
    refused(&world, &world.github("push", &body).await, 413, "LS0202");
    refused(&world, &world.send("nowhere", &[], &body).await, 413, "LS0202");
}

#[tokio::test]
async fn unsigned_and_forged_bodies_are_refused_whatever_they_hold() {
    let world = World::new();
    let (headers, body) = sample("github/push");
    let without: Vec<_> =
        borrowed(&headers).into_iter().filter(|(name, _)| *name != "X-Hub-Signature-256").collect();
    refused(&world, &world.send("github", &without, &body).await, 401, "LS0203");
    let right = sign::github(&Secret::new(GITHUB), &body);
    let other = sign::github(&Secret::new("another"), &body);
    let empty = sign::github(&Secret::new(""), &body);
    let sha1 = format!("sha1={}", &right[7..47]);
    for bad in
        [&other, &empty, &sha1, "", "sha256=", "sha256=zz", &right[7..], &right[..70], &format!("{right}00")]
    {
        let mut headers = without.clone();
        headers.push(("x-hub-signature-256", bad));
        refused(&world, &world.send("github", &headers, &body).await, 401, "LS0203");
    }
    let mut changed = body.clone();
    *changed.last_mut().unwrap() = b' ';
    refused(&world, &world.send("github", &borrowed(&headers), &changed).await, 401, "LS0203");
    refused(&world, &world.send("github", &without, b"\xff\xfe not json").await, 401, "LS0203");
}

#[tokio::test]
async fn gitlab_needs_the_token_or_the_signature() {
    let world = World::new();
    let (headers, body) = sample("gitlab/push");
    let headers = borrowed(&headers);
    let bare: Vec<_> = headers.iter().copied().filter(|(name, _)| *name != "X-Gitlab-Token").collect();
    refused(&world, &world.send("gitlab", &bare, &body).await, 401, "LS0203");
    // A signing key is not to be sent as a token.
    for bad in ["", "sample-gitlab-toke", "sample-gitlab-token2", "SAMPLE-GITLAB-TOKEN", SIGNING] {
        let mut with = bare.clone();
        with.push(("X-Gitlab-Token", bad));
        refused(&world, &world.send("gitlab", &with, &body).await, 401, "LS0203");
    }
}

#[tokio::test]
async fn a_signature_fits_one_id_one_time_and_one_body() {
    let world = World::new();
    let (headers, body) = sample("gitlab/push_signed");
    for (name, value) in [
        ("webhook-id", "msg_other"),
        ("webhook-timestamp", "1795514401"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v2,AAAA v1a,BBBB"),
        ("webhook-signature", ""),
    ] {
        let mut changed = vec![(name, value)];
        changed.extend(borrowed(&headers).into_iter().filter(|(other, _)| *other != name));
        refused(&world, &world.send("gitlab", &changed, &body).await, 401, "LS0203");
    }
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let less: Vec<_> = borrowed(&headers).into_iter().filter(|(name, _)| *name != missing).collect();
        refused(&world, &world.send("gitlab", &less, &body).await, 401, "LS0203");
    }
}

#[tokio::test]
async fn a_replay_from_more_than_five_minutes_ago_is_refused() {
    for (source, secret) in [("events", SIGNING), ("gitlab", SIGNING)] {
        for (at, fresh) in [(-301, false), (-300, true), (300, true), (301, false), (-1_000_000_000, false)] {
            let world = World::new();
            let (body, secret) = (br#"{"specversion":"1.0"}"#, Secret::new(secret));
            let signed = sign::standard(&secret, "msg", NOW + at, body).unwrap();
            let mut headers: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
            headers.extend([("content-type", "application/json"), ("x-gitlab-event", "Other Hook")]);
            let answer = world.send(source, &headers, body).await;
            if fresh {
                assert_ne!(answer.status, 401, "{at} s");
            } else {
                refused(&world, &answer, 401, "LS0204");
            }
        }
    }
}

#[tokio::test]
async fn malformed_bodies_are_told_apart() {
    let world = World::new();
    let (_, push) = sample("github/push");
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    for (body, code) in [
        (b"\xff\xfe{}".to_vec(), "LS0205"),
        (br#"{"ref":"refs/heads/"#.iter().copied().chain(*b"\xc3\x28").collect(), "LS0205"),
        (b"".to_vec(), "LS0206"),
        (push[..push.len() / 2].to_vec(), "LS0206"),
        (nested("[", "]").into_bytes(), "LS0207"),
        (format!("{{\"repository\":{}}}", nested("[", "]")).into_bytes(), "LS0207"),
        (b"[]".to_vec(), "LS0207"),
        (b"null".to_vec(), "LS0207"),
        (br#"{"ref": 5}"#.to_vec(), "LS0207"),
        (br#"{"ref": "a", "ref": "b"}"#.to_vec(), "LS0207"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = world.github("push", &body).await;
        assert_eq!(answer.code, Some(code), "{shown}: {:?}", answer.message);
        refused(&world, &answer, 400, code);
    }
}

#[tokio::test]
async fn what_is_nested_deeply_does_not_overflow_the_stack() {
    let world = World::new();
    let deep = format!("{}1{}", "[".repeat(49_000), "]".repeat(49_000));
    refused(&world, &world.structured(&deep).await, 400, "LS0207");
    let event = format!(
        r#"{{"specversion":"1.0","id":"1","source":"s","type":"dev.longshore.push.received.v1","data":{deep}}}"#
    );
    refused(&world, &world.structured(&event).await, 400, "LS0206");
    // Depth in fields that nobody reads costs nothing.
    let (_, push) = sample("github/push");
    let text = String::from_utf8(push).unwrap();
    let deep = text.replacen('{', &format!("{{\"x\":{deep},\"y\":1e99999,"), 1);
    assert_eq!(world.github("push", deep.as_bytes()).await.status, 202);
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let world = World::new();
    let body = b"{}";
    let signature = sign::github(&Secret::new(GITHUB), body);
    for media in ["text/plain", "", "application/xml", "application/jsonx", "multipart/form-data; boundary=x"]
    {
        let headers =
            [("x-github-event", "push"), ("x-hub-signature-256", &*signature), ("content-type", media)];
        refused(&world, &world.send("github", &headers, body).await, 415, "LS0208");
        let headers = [("x-gitlab-event", "Push Hook"), ("x-gitlab-token", GITLAB), ("content-type", media)];
        refused(&world, &world.send("gitlab", &headers, body).await, 415, "LS0208");
        refused(&world, &world.events(&[("content-type", media)], body).await, 415, "LS0208");
    }
    // JSON without the attributes that binary mode has in headers.
    refused(&world, &world.events(&[("content-type", "application/json")], body).await, 415, "LS0208");
}

#[tokio::test]
async fn a_form_without_its_payload_is_refused() {
    let world = World::new();
    for body in ["", "payload", "payloads=%7B%7D", "payload=%7", "payload=%zz", "payload="] {
        let signature = sign::github(&Secret::new(GITHUB), body.as_bytes());
        let headers = [
            ("x-github-event", "push"),
            ("x-hub-signature-256", &*signature),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        refused(&world, &world.send("github", &headers, body.as_bytes()).await, 400, "LS0206");
    }
}

#[tokio::test]
async fn headers_that_are_needed_are_named() {
    let world = World::new();
    let (_, body) = sample("github/push");
    let signature = sign::github(&Secret::new(GITHUB), &body);
    let signed = [("content-type", "application/json"), ("x-hub-signature-256", &*signature)];
    refused(&world, &world.send("github", &signed, &body).await, 400, "LS0209");
    let long = "x".repeat(201);
    for delivery in [None, Some(""), Some("a b"), Some("\u{e9}"), Some(&*long)] {
        let mut headers = signed.to_vec();
        headers.push(("x-github-event", "push"));
        headers.extend(delivery.map(|delivery| ("x-github-delivery", delivery)));
        refused(&world, &world.send("github", &headers, &body).await, 400, "LS0209");
    }
    let headers = [("content-type", "application/json"), ("x-gitlab-token", GITLAB)];
    refused(&world, &world.send("gitlab", &headers, &body).await, 400, "LS0209");
}

#[tokio::test]
async fn values_that_cannot_be_worked_with_are_unusable() {
    let world = World::new();
    let (_, body) = sample("github/push");
    let text = String::from_utf8(body).unwrap();
    for (from, to) in [
        ("\"ref\":\"refs/heads/main\"", "\"ref\":\"refs/heads/-x\""),
        ("\"ref\":\"refs/heads/main\"", "\"ref\":\"--upload-pack=id\""),
        ("\"ref\":\"refs/heads/main\"", "\"ref\":\"refs/heads/a..b\""),
        ("\"ref\":\"refs/heads/main\"", "\"ref\":\"refs/heads/a\\nb\""),
        ("\"before\":\"", "\"before\":\"abc"),
        ("\"after\":\"", "\"after\":\"--"),
    ] {
        let body = text.replacen(from, to, 1);
        assert_ne!(body, text);
        refused(&world, &world.github("push", body.as_bytes()).await, 422, "LS0210");
    }
}

#[tokio::test]
async fn repository_names_that_lead_elsewhere_are_just_not_known() {
    let world = World::new();
    let (_, body) = sample("github/push");
    let text = String::from_utf8(body).unwrap();
    for name in ["../../etc", "acme/shop/..", "acme/shop\\u0000", "-acme/shop", "", "acme/shop.git"] {
        let body = text.replacen("\"full_name\":\"acme/shop\"", &format!("\"full_name\":\"{name}\""), 1);
        let answer = world.github("push", body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{name}: {:?}", answer.message);
        assert!(answer.message.unwrap().contains("it knows acme/shop") && world.is_untouched());
    }
}

#[tokio::test]
async fn a_secret_that_fails_lets_the_sender_try_again() {
    let world = World::new();
    let (headers, body) = sample("github/push");
    for source in ["no-secret", "empty-secret"] {
        refused(&world, &world.send(source, &borrowed(&headers), &body).await, 503, "LS0214");
    }
    let signed = [("webhook-id", "1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")];
    refused(&world, &world.send("damaged-secret", &signed, b"{}").await, 503, "LS0214");
}

#[tokio::test]
async fn a_journal_that_fails_lets_the_sender_try_again() {
    let world = World::new();
    *world.journal.fails.lock().unwrap() = Some(0);
    let (headers, body) = sample("github/push");
    refused(&world, &world.send("github", &borrowed(&headers), &body).await, 503, "LS0215");
    *world.journal.fails.lock().unwrap() = None;
    assert_eq!(world.send("github", &borrowed(&headers), &body).await.status, 202);
}

#[tokio::test]
async fn either_secret_is_valid_while_one_is_rotated() {
    let (_, body) = sample("github/push");
    for secret in ["a newer secret", GITHUB] {
        let world = World::new();
        let signature = sign::github(&Secret::new(secret), &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("x-github-delivery", "1"),
            ("x-hub-signature-256", &*signature),
        ];
        assert_eq!(world.send("github", &headers, &body).await.status, 202);
    }
}

#[tokio::test]
async fn wrong_tokens_are_refused_whatever_the_body_holds() {
    let world = World::new();
    for source in TOLD.map(Provider::name) {
        for (given, query) in [
            ("", ""),
            ("Bearer", ""),
            ("Bearer ", ""),
            ("Bearer sample-toke", ""),
            ("Bearer sample-token2", ""),
            ("Basic c2FtcGxlLXRva2Vu", ""),
            ("Basic %%%", ""),
            ("Digest sample-token", ""),
            ("sample-token", ""),
            ("Bearer wrong", "?token=sample-token"),
            ("", "?token="),
            ("", "?token=%zz"),
            ("", "?tokens=sample-token"),
        ] {
            let headers = [("content-type", "application/json"), ("authorization", given)];
            let headers = if given.is_empty() { &headers[..1] } else { &headers[..] };
            let answer = world.send(&format!("{source}{query}"), headers, b"\xff").await;
            refused(&world, &answer, 401, "LS0203");
        }
    }
}

#[tokio::test]
async fn forged_signatures_of_the_forges_are_refused() {
    let world = World::new();
    for (name, header) in [
        ("bitbucket/push", "X-Hub-Signature"),
        ("gitea/push", "X-Gitea-Signature"),
        ("forgejo/push", "X-Forgejo-Signature"),
        ("grafana/firing_signed", "X-Grafana-Alerting-Signature"),
    ] {
        let (headers, body) = sample(name);
        let source = name.split('/').next().unwrap();
        let right = borrowed(&headers).into_iter().find(|(name, _)| *name == header).unwrap().1;
        for bad in ["", "00", "zz", &right[..right.len() - 2], &format!("x{right}"), &format!("sha1={right}")]
        {
            let mut all = vec![(header, bad)];
            all.extend(borrowed(&headers).into_iter().filter(|(name, _)| *name != header));
            refused(&world, &world.send(source, &all, &body).await, 401, "LS0203");
        }
        let longer = [&body[..], b" "].concat();
        refused(&world, &world.send(source, &borrowed(&headers), &longer).await, 401, "LS0203");
    }
}

#[tokio::test]
async fn lists_without_end_are_refused_whole() {
    let world = World::new();
    let many = |item: &str| vec![item; 100_000].join(",");
    let alert = r#"{"status":"firing","labels":{},"startsAt":"2026-11-24T10:00:00Z"}"#;
    let alerts = format!("{{\"alerts\":[{}]}}", vec![alert; 2_001].join(","));
    refused(&world, &world.told("alertmanager", alerts.as_bytes()).await, 413, "LS0217");
    // Beyond the limit nothing is looked at: it costs only its bytes.
    let alerts = format!("{{\"alerts\":[{},{}]}}", vec![alert; 2_000].join(","), many("0"));
    refused(&world, &world.told("grafana", alerts.as_bytes()).await, 413, "LS0217");
    let notice = r#"{"id":"1","action":"pull","target":{}}"#;
    let notices = format!("{{\"events\":[{}]}}", vec![notice; 2_001].join(","));
    refused(&world, &world.told("oci", notices.as_bytes()).await, 413, "LS0217");
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"x","data":0}"#;
    let events = format!("[{}]", vec![event; 2_001].join(","));
    let media = [("content-type", "application/cloudevents-batch+json")];
    refused(&world, &world.events(&media, events.as_bytes()).await, 413, "LS0217");
}

#[tokio::test]
async fn messages_have_a_cap_of_their_own() {
    let world = World::new();
    let body = vec![b' '; (256 << 10) + 1];
    for source in ["falco", "dockerhub", "quay", "cloudwatch"] {
        refused(&world, &world.told(source, &body).await, 413, "LS0202");
    }
}

#[tokio::test]
async fn hostile_bodies_are_told_apart_whoever_sends_them() {
    let world = World::new();
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let falco = |fields: &str| {
        format!(
            r#"{{"output":"","priority":"","rule":"","time":"2026-11-24T10:00:00Z","output_fields":{{{fields}}}}}"#
        )
    };
    let alert = |labels: &str| {
        format!(
            r#"{{"alerts":[{{"status":"firing","startsAt":"2026-11-24T10:00:00Z","labels":{{{labels}}}}}]}}"#
        )
    };
    for (source, body, code) in [
        ("alertmanager", "{}".into(), "LS0207"),
        ("alertmanager", r#"{"alerts":[{}]}"#.into(), "LS0207"),
        ("alertmanager", r#"{"alerts":[],"alerts":[]}"#.into(), "LS0207"),
        ("alertmanager", r#"{"alerts":7}"#.into(), "LS0207"),
        ("alertmanager", alert(r#""a":1e999"#), "LS0206"),
        ("alertmanager", alert(r#""a":"\ud800""#), "LS0206"),
        ("alertmanager", alert(r#""a":"b"#), "LS0206"),
        ("alertmanager", alert(r#""a":[]"#), "LS0207"),
        ("falco", falco(&format!(r#""a":{nested}"#)), "LS0206"),
        ("falco", falco(r#""a":1e999"#), "LS0206"),
        ("falco", nested.clone(), "LS0207"),
        ("falco", falco("").replace("2026-", "20260-"), "LS0207"),
        ("oci", r#"{"events":[{"id":"1","action":"push"}]}"#.into(), "LS0207"),
        ("dockerhub", "[]".into(), "LS0207"),
        ("quay", "null".into(), "LS0207"),
        ("cloudwatch", "{}".into(), "LS0207"),
        ("cloudwatch", r#"{"Type":"Notification","Message":"not json"}"#.into(), "LS0206"),
        ("cloudwatch", r#"{"Type":"Notification","Message":"{}"}"#.into(), "LS0207"),
    ] {
        let answer = world.told(source, body.as_bytes()).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.code, Some(code), "{source} {shown}: {:?}", answer.message);
        refused(&world, &answer, 400, code);
    }
}

#[tokio::test]
async fn forms_and_headers_that_the_forges_need_are_named() {
    let world = World::new();
    for name in ["gitea/push", "bitbucket/push"] {
        let (headers, body) = sample(name);
        let source = name.split('/').next().unwrap();
        for (header, status, code) in [
            ("X-Gitea-Event", 400, "LS0209"),
            ("X-Gitea-Delivery", 400, "LS0209"),
            ("X-Event-Key", 400, "LS0209"),
            ("X-Request-UUID", 400, "LS0209"),
            ("Content-Type", 415, "LS0208"),
        ] {
            let less: Vec<_> = borrowed(&headers).into_iter().filter(|(name, _)| *name != header).collect();
            if less.len() < headers.len() {
                refused(&world, &world.send(source, &less, &body).await, status, code);
            }
        }
    }
}
