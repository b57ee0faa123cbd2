//! A command and all that it starts, ended together.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::time::timeout;

/// From SIGTERM, at which git takes its locks away, to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A child with everything that it starts. When it is dropped before it ended, its group is ended: politely first, so
/// that git takes its locks away.
pub(crate) struct Group {
    child: Option<Child>,
}

impl Group {
    pub(crate) fn of(child: Child) -> Self {
        Self { child: Some(child) }
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = &mut self.child else { return Err(io::Error::other("it was waited for already")) };
        let status = child.wait().await?;
        self.child = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
            return;
        };
        let _ = kill_process_group(group, Signal::TERM);
        match tokio::runtime::Handle::try_current() {
            // The child is not reaped before its group is killed, so the number is still its own.
            Ok(runtime) => drop(runtime.spawn(async move {
                let _ = timeout(GRACE, child.wait()).await;
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait().await;
            })),
            Err(_) => drop(kill_process_group(group, Signal::KILL)),
        }
    }
}
