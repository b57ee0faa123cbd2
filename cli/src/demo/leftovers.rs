//! Processes that belong to a data folder: what must be gone when the demo is over.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// The processes that belong to the data folder: the runner by its arguments, the services by their program, and
/// builds by their working folder.
pub(super) fn leftovers(data: &Path) -> Vec<(Pid, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::env::current_exe().ok();
    let belongs = |process: &Path| {
        let link = |name: &str| fs::read_link(process.join(name)).unwrap_or_default();
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        let is_ours = own.as_ref().is_some_and(|own| link("exe") == *own);
        let names_data = || arguments.contains(&*data.to_string_lossy());
        let zombie = arguments.is_empty();
        let belongs = link("exe").starts_with(data) || link("cwd").starts_with(data.join("build"));
        (!zombie && (belongs || is_ours && names_data()))
            .then(|| arguments.replace('\0', " ").trim().to_owned())
    };
    let processes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        (pid != getpid()).then(|| belongs(&entry.path()).map(|name| (pid, name)))?
    });
    processes.collect()
}

/// Ends them, without asking.
pub(super) fn end(data: &Path) {
    for (pid, _) in leftovers(data) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
