//! How a build of CodeBuild stands, in the words of the port.
//!
//! Source: "Build phase transitions", the user guide of CodeBuild.

use std::fmt::Write as _;

use aws_sdk_codebuild::types::{Build, BuildPhase, BuildPhaseType, LogsLocation, StatusType};
use longshore_events::types::BuildTimes;

/// The longest reason, in characters: a context holds the whole command.
const LONGEST: usize = 600;

/// How a build stands.
pub(super) struct Outcome {
    /// How it ended; an error is why there is no image, in one line. `None` while it goes on.
    pub(super) end: Option<Result<(), String>>,
    /// How long its parts took.
    pub(super) times: BuildTimes,
    /// Where its log is to be found, for people.
    pub(super) log: Option<String>,
}

pub(super) fn of(build: &Build) -> Outcome {
    let end = match build.build_status() {
        Some(StatusType::InProgress) | None => None,
        Some(StatusType::Succeeded) => Some(Ok(())),
        Some(status) => Some(Err(line(&reason(build, status)))),
    };
    let log = build.logs().filter(|_| end.is_some()).and_then(note);
    Outcome { end, times: times(build), log }
}

/// The phase that did not go well.
fn culprit(build: &Build) -> Option<&BuildPhase> {
    let went_well = |phase: &BuildPhase| {
        matches!(phase.phase_status(), None | Some(StatusType::Succeeded | StatusType::InProgress))
    };
    build.phases().iter().find(|phase| !went_well(phase))
}

fn reason(build: &Build, status: &StatusType) -> String {
    let phase = culprit(build);
    let part = phase.and_then(BuildPhase::phase_type).map_or("the build", part);
    match status {
        StatusType::TimedOut => {
            let limit = build.timeout_in_minutes().unwrap_or_default();
            return format!("{part} was ended: the build took longer than its time limit of {limit} min");
        }
        StatusType::Stopped => return "the build was stopped in CodeBuild".to_owned(),
        _ => {}
    }
    let mut reason = format!("{part} failed");
    if *status == StatusType::Fault {
        reason.push_str(" by a fault of CodeBuild");
    }
    for context in phase.map(BuildPhase::contexts).unwrap_or_default() {
        for said in [context.status_code(), context.message()].into_iter().flatten() {
            let _ = write!(reason, ": {said}");
        }
    }
    reason
}

/// What a phase does, by the buildspec.
fn part(phase: &BuildPhaseType) -> &str {
    match phase {
        BuildPhaseType::Install => "the checkout",
        BuildPhaseType::PreBuild => "prepare",
        BuildPhaseType::Build => "test",
        BuildPhaseType::PostBuild => "packing",
        other => other.as_str(),
    }
}

fn line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn times(build: &Build) -> BuildTimes {
    let ms = |wanted: BuildPhaseType| {
        let phase = build.phases().iter().find(|phase| phase.phase_type() == Some(&wanted));
        let seconds = phase.and_then(BuildPhase::duration_in_seconds).unwrap_or_default();
        u64::try_from(seconds).unwrap_or_default() * 1000
    };
    BuildTimes {
        git_ms: ms(BuildPhaseType::Install),
        prepare_ms: ms(BuildPhaseType::PreBuild),
        test_ms: ms(BuildPhaseType::Build),
        // buildx pushes while it packs.
        pack_ms: ms(BuildPhaseType::PostBuild),
        push_ms: 0,
    }
}

fn note(logs: &LogsLocation) -> Option<String> {
    let (group, stream) = (logs.group_name()?, logs.stream_name()?);
    let mut note = format!(
        "longshore: the log of this build lies in CloudWatch Logs, in the group {group}, in the stream {stream}\n\
         aws logs get-log-events --log-group-name {group} --log-stream-name {stream} --start-from-head\n"
    );
    if let Some(link) = logs.deep_link() {
        note.push_str(link);
        note.push('\n');
    }
    Some(note)
}
