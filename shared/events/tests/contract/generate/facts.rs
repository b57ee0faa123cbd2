//! Facts of every type, and whole events.

use longshore_events::types::{
    AlarmCleared, AlarmRaised, ApprovalDecision, ApprovalGiven, BuildFinished, BuildOutcome, BuildStarted,
    BuildTimes, ChangeClosed, ChangeMerged, ChangeOpened, ChangeUpdated, CheckResult, DeploymentAdvanced,
    DeploymentFinished, DeploymentOutcome, DeploymentStarted, DetectionRaised, DigestQuarantined,
    DigestReleased, EventDeadlettered, GateEvaluated, ImageDeleted, ImagePushed, ImageScanned,
    PipelineFinished, PipelineOutcome, PlatformDigest, Proof, PushReceived, RefKind, RequestKind,
    RequestMade, ScanScope, ScanStatus, ScheduleFired, SeverityCounts, Verdict, VerificationFinished,
    WindowOverride,
};
use longshore_events::{Data, Event, Link, Number, Timestamp};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use super::names::{chain_id, commit, digest, environment, event_id, git_ref, image, repository, service};

/// Text as people and programs write it: anything.
fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

/// Text of an attribute: shown, so without control characters.
fn shown() -> impl Strategy<Value = String> {
    "\\PC{1,40}"
}

fn push_received() -> impl Strategy<Value = PushReceived> {
    let place = (text(), option::of(text()), repository(), option::of(text()), git_ref());
    let range = (option::of(commit()), option::of(commit()), any::<[bool; 3]>(), option::of(text()));
    let paths = (prop::collection::vec(text(), 0..4), any::<bool>());
    (place, range, paths).prop_map(|(place, range, paths)| {
        let (provider, delivery, repo, clone_url, git_ref) = place;
        let (before, after, [created, deleted, forced], actor) = range;
        let (paths, paths_truncated) = paths;
        let ref_kind = RefKind::of(&git_ref);
        PushReceived {
            provider,
            delivery,
            repo,
            clone_url,
            git_ref,
            ref_kind,
            before,
            after,
            created,
            deleted,
            forced,
            actor,
            paths,
            paths_truncated,
        }
    })
}

fn build_started() -> impl Strategy<Value = BuildStarted> {
    (service(), repository(), commit(), text()).prop_map(|(service, repo, commit, builder)| BuildStarted {
        service,
        repo,
        commit,
        builder,
    })
}

fn build_finished() -> impl Strategy<Value = BuildFinished> {
    let outcome = prop::sample::select(vec![
        BuildOutcome::Succeeded,
        BuildOutcome::Unchanged,
        BuildOutcome::Failed,
        BuildOutcome::Superseded,
    ]);
    let times = any::<[u64; 5]>().prop_map(|[git_ms, prepare_ms, test_ms, pack_ms, push_ms]| BuildTimes {
        git_ms,
        prepare_ms,
        test_ms,
        pack_ms,
        push_ms,
    });
    let refs = (option::of(text()), option::of(text()));
    let end = (outcome, option::of(text()), option::of(image()), option::of(digest()), refs);
    (build_started(), end, option::of(times)).prop_map(|(start, end, times)| {
        let BuildStarted { service, repo, commit, builder } = start;
        let (outcome, reason, image, digest, (manifests_ref, logs_ref)) = end;
        BuildFinished {
            service,
            repo,
            commit,
            builder,
            outcome,
            reason,
            image,
            digest,
            manifests_ref,
            logs_ref,
            times,
        }
    })
}

fn image_pushed() -> impl Strategy<Value = ImagePushed> {
    let platform = (text(), digest()).prop_map(|(platform, digest)| PlatformDigest { platform, digest });
    let place = (image(), option::of(text()), digest(), text(), prop::collection::vec(platform, 0..3));
    let of = (option::of(service()), option::of(commit()), option::of(text()), option::of(text()));
    (place, of, any::<bool>()).prop_map(|(place, (service, commit, manifests_ref, actor), forced)| {
        let (image, tag, digest, media_type, platforms) = place;
        ImagePushed {
            image,
            tag,
            digest,
            media_type,
            platforms,
            service,
            commit,
            manifests_ref,
            forced,
            actor,
        }
    })
}

fn image_deleted() -> impl Strategy<Value = ImageDeleted> {
    (image(), option::of(text()), digest()).prop_map(|(image, tag, digest)| ImageDeleted {
        image,
        tag,
        digest,
    })
}

fn image_scanned() -> impl Strategy<Value = ImageScanned> {
    let scopes = vec![ScanScope::Vulnerabilities, ScanScope::Secrets, ScanScope::Configuration];
    let scope = prop::sample::subsequence(scopes, 0..=3);
    let status = prop::sample::select(vec![
        ScanStatus::Complete,
        ScanStatus::Failed,
        ScanStatus::Unsupported,
        ScanStatus::Expired,
    ]);
    let counts = any::<[u64; 5]>().prop_map(|[critical, high, medium, low, unknown]| SeverityCounts {
        critical,
        high,
        medium,
        low,
        unknown,
    });
    let what = (image(), digest(), text(), option::of(text()), scope);
    let refs = (option::of(text()), option::of(text()));
    (what, status, option::of(text()), counts, refs).prop_map(|(what, status, reason, counts, refs)| {
        let (image, digest, scanner, database, scope) = what;
        let (findings_ref, sbom_ref) = refs;
        ImageScanned {
            image,
            digest,
            scanner,
            database,
            scope,
            status,
            reason,
            counts,
            findings_ref,
            sbom_ref,
        }
    })
}

fn gate_evaluated() -> impl Strategy<Value = GateEvaluated> {
    let place = (environment(), service(), image(), digest());
    let of = (option::of(text()), option::of(commit()), any::<bool>());
    let verdict = prop::sample::select(vec![Verdict::Pass, Verdict::Fail, Verdict::Unknown]);
    let why =
        (prop::collection::vec(text(), 0..3), prop::collection::vec(event_id(), 0..3), option::of(time()));
    let proof = (environment(), any::<u64>(), time());
    let proof = proof.prop_map(|(environment, generation, since)| Proof { environment, generation, since });
    let known = (option::of(proof), option::of(text()), option::of(window_override()));
    (place, of, verdict, why, known).prop_map(|(place, of, verdict, why, known)| {
        let (proof, manifests_ref, override_window) = known;
        let (environment, service, image, digest) = place;
        let (tag, commit, forced) = of;
        let (reasons, inputs, expires_at) = why;
        GateEvaluated {
            environment,
            service,
            image,
            digest,
            tag,
            commit,
            forced,
            verdict,
            reasons,
            inputs,
            proof,
            manifests_ref,
            expires_at,
            override_window,
        }
    })
}

fn window_override() -> impl Strategy<Value = WindowOverride> {
    (event_id(), text(), text(), time()).prop_map(|(approval, who, why, until)| WindowOverride {
        approval,
        who,
        why,
        until,
    })
}

fn schedule_fired() -> impl Strategy<Value = ScheduleFired> {
    (text(), time()).prop_map(|(name, planned_at)| ScheduleFired { name, planned_at })
}

fn request_made() -> impl Strategy<Value = RequestMade> {
    let what = prop::sample::select(vec![RequestKind::RollBack, RequestKind::Stop, RequestKind::Resume]);
    (what, text(), text(), option::of(digest()), option::of(text()))
        .prop_map(|(what, who, target, to, why)| RequestMade { what, who, target, to, why })
}

fn deployment_started() -> impl Strategy<Value = DeploymentStarted> {
    let releases = (option::of(digest()), digest(), option::of(commit()), option::of(window_override()));
    (text(), environment(), service(), text(), releases).prop_map(
        |(deployment, environment, service, strategy, (from, to, commit, override_window))| {
            DeploymentStarted {
                deployment,
                environment,
                service,
                strategy,
                from,
                to,
                commit,
                override_window,
            }
        },
    )
}

fn deployment_advanced() -> impl Strategy<Value = DeploymentAdvanced> {
    (text(), environment(), service(), any::<u32>(), 0..=100_u8, any::<bool>()).prop_map(
        |(deployment, environment, service, step, weight, ready)| DeploymentAdvanced {
            deployment,
            environment,
            service,
            step,
            weight,
            ready,
        },
    )
}

fn deployment_finished() -> impl Strategy<Value = DeploymentFinished> {
    let outcome = prop::sample::select(vec![
        DeploymentOutcome::Succeeded,
        DeploymentOutcome::RolledBack,
        DeploymentOutcome::Removed,
        DeploymentOutcome::Superseded,
        DeploymentOutcome::Refused,
    ]);
    let end = (outcome, option::of(digest()), option::of(text()), option::of(any::<u64>()));
    (deployment_started(), end).prop_map(|(start, (outcome, running, failure, boot_ms))| {
        let DeploymentStarted { deployment, environment, service, to, commit, .. } = start;
        DeploymentFinished {
            deployment,
            environment,
            service,
            outcome,
            to,
            commit,
            running,
            failure,
            boot_ms,
        }
    })
}

fn digest_quarantined() -> impl Strategy<Value = DigestQuarantined> {
    (digest(), environment(), service(), text()).prop_map(|(digest, environment, service, reason)| {
        DigestQuarantined { digest, environment, service, reason }
    })
}

fn digest_released() -> impl Strategy<Value = DigestReleased> {
    (digest(), environment(), service(), event_id(), text(), text()).prop_map(
        |(digest, environment, service, quarantine, who, why)| DigestReleased {
            digest,
            environment,
            service,
            quarantine,
            who,
            why,
        },
    )
}

fn approval_given() -> impl Strategy<Value = ApprovalGiven> {
    let decision = prop::sample::select(vec![ApprovalDecision::Approved, ApprovalDecision::Rejected]);
    let word = (decision, text(), option::of(text()), option::of(time()), any::<bool>());
    (environment(), service(), digest(), word).prop_map(|(environment, service, digest, word)| {
        let (decision, who, why, until, override_window) = word;
        ApprovalGiven { environment, service, digest, decision, who, why, until, override_window }
    })
}

fn number() -> impl Strategy<Value = Number> {
    (-1e14..1e14_f64).prop_map(|value| Number::new(value).unwrap())
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![Verdict::Pass, Verdict::Fail, Verdict::Unknown])
}

fn check_result() -> impl Strategy<Value = CheckResult> {
    let measured = || (option::of(number()), option::of(any::<u64>()));
    let why = (option::of(number()), option::of(text()));
    (text(), text(), verdict(), measured(), measured(), why).prop_map(
        |(name, measure, verdict, (value, requests), (running, running_requests), (limit, reason))| {
            CheckResult { name, measure, verdict, value, requests, running, running_requests, limit, reason }
        },
    )
}

fn verification_finished() -> impl Strategy<Value = VerificationFinished> {
    let place = (text(), environment(), service(), digest(), option::of(digest()));
    let found = (verdict(), prop::collection::vec(check_result(), 0..3));
    (place, any::<u32>(), 0..=100_u8, (time(), time()), found).prop_map(
        |(place, step, weight, (from, until), (verdict, checks))| {
            let (deployment, environment, service, digest, running) = place;
            VerificationFinished {
                deployment,
                environment,
                service,
                digest,
                running,
                step,
                weight,
                from,
                until,
                verdict,
                checks,
            }
        },
    )
}

fn event_deadlettered() -> impl Strategy<Value = EventDeadlettered> {
    (option::of(event_id()), text(), option::of(text()), text(), any::<u32>()).prop_map(
        |(original, function, unit, error, attempts)| EventDeadlettered {
            original,
            function,
            unit,
            error,
            attempts,
        },
    )
}

macro_rules! changes {
    ($($function:ident: $name:ident;)+) => { $(
        fn $function() -> impl Strategy<Value = $name> {
            let place = (text(), repository(), any::<u64>(), commit(), git_ref());
            (place, any::<bool>(), option::of(text()), option::of(text())).prop_map(
                |((provider, repo, number, head, base), fork, actor, url)| {
                    $name { provider, repo, number, head, base, fork, actor, url }
                },
            )
        }
    )+ };
}

changes! {
    change_opened: ChangeOpened;
    change_updated: ChangeUpdated;
    change_merged: ChangeMerged;
    change_closed: ChangeClosed;
}

fn pipeline_finished() -> impl Strategy<Value = PipelineFinished> {
    let outcome = prop::sample::select(vec![
        PipelineOutcome::Succeeded,
        PipelineOutcome::Failed,
        PipelineOutcome::Cancelled,
        PipelineOutcome::Skipped,
        PipelineOutcome::Unknown,
    ]);
    ((text(), repository(), text(), commit()), outcome, any::<bool>(), option::of(text())).prop_map(
        |((provider, repo, name, commit), outcome, fork, url)| PipelineFinished {
            provider,
            repo,
            name,
            commit,
            outcome,
            fork,
            url,
        },
    )
}

fn alarm_raised() -> impl Strategy<Value = AlarmRaised> {
    let about = (option::of(service()), option::of(environment()), time());
    let shown = (option::of(text()), option::of(text()), option::of(text()));
    let labels = prop::collection::btree_map(text(), text(), 0..4);
    ((text(), text(), text()), about, shown, labels).prop_map(|(what, about, shown, labels)| {
        let (provider, fingerprint, name) = what;
        let (service, environment, started_at) = about;
        let (severity, summary, url) = shown;
        AlarmRaised {
            provider,
            fingerprint,
            name,
            severity,
            service,
            environment,
            started_at,
            summary,
            labels,
            url,
        }
    })
}

fn alarm_cleared() -> impl Strategy<Value = AlarmCleared> {
    (alarm_raised(), any::<bool>(), time()).prop_map(|(raised, known, ended_at)| {
        let AlarmRaised { provider, fingerprint, name, service, environment, started_at, .. } = raised;
        let started_at = known.then_some(started_at);
        AlarmCleared { provider, fingerprint, name, service, environment, started_at, ended_at }
    })
}

fn detection_raised() -> impl Strategy<Value = DetectionRaised> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let more = (prop::collection::btree_map(text(), value, 0..4), prop::collection::vec(text(), 0..3));
    let place = (option::of(text()), option::of(text()), option::of(text()), option::of(service()));
    ((any::<[String; 6]>(), time()), place, more, any::<bool>()).prop_map(|(what, place, more, truncated)| {
        let ([provider, fingerprint, rule, severity, origin, summary], seen_at) = what;
        let (host, namespace, pod, service) = place;
        let (fields, tags) = more;
        DetectionRaised {
            provider,
            fingerprint,
            rule,
            severity,
            origin,
            seen_at,
            summary,
            host,
            namespace,
            pod,
            service,
            fields,
            tags,
            truncated,
        }
    })
}

/// A fact of any type.
pub(crate) fn data() -> impl Strategy<Value = Data> {
    let work = prop_oneof![
        push_received().prop_map(Data::from),
        build_started().prop_map(Data::from),
        build_finished().prop_map(Data::from),
        image_pushed().prop_map(Data::from),
        image_deleted().prop_map(Data::from),
        image_scanned().prop_map(Data::from),
        request_made().prop_map(Data::from),
    ];
    let release = prop_oneof![
        gate_evaluated().prop_map(Data::from),
        deployment_started().prop_map(Data::from),
        deployment_advanced().prop_map(Data::from),
        deployment_finished().prop_map(Data::from),
        digest_quarantined().prop_map(Data::from),
        digest_released().prop_map(Data::from),
        approval_given().prop_map(Data::from),
        verification_finished().prop_map(Data::from),
        event_deadlettered().prop_map(Data::from),
    ];
    let told = prop_oneof![
        change_opened().prop_map(Data::from),
        change_updated().prop_map(Data::from),
        change_merged().prop_map(Data::from),
        change_closed().prop_map(Data::from),
        pipeline_finished().prop_map(Data::from),
        alarm_raised().prop_map(Data::from),
        alarm_cleared().prop_map(Data::from),
        detection_raised().prop_map(Data::from),
        schedule_fired().prop_map(Data::from),
    ];
    prop_oneof![work, release, told]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_102_444_800_i64, 0..1_000_000_000_i32).prop_map(|(s, ns)| Timestamp::new(s, ns).unwrap())
}

/// A whole event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let link = (chain_id(), option::of(event_id())).prop_map(|(chain, cause)| Link { chain, cause });
    let head = (event_id(), shown(), shown(), time(), link);
    (head, option::of(text()), any::<bool>(), data()).prop_map(|(head, traceparent, dryrun, data)| {
        let (id, source, subject, time, link) = head;
        Event { id, source, subject, time, link, traceparent, dryrun, data }
    })
}
