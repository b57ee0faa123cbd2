//! A build's log: written while the build runs, and bounded.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The longest log, in bytes; our own last lines come after it.
const LONGEST: u64 = 16 << 20;
/// How long what was written last may take to arrive, once its writers are gone.
const LAST: Duration = Duration::from_secs(1);

/// A log, open at its end.
pub(super) struct Log {
    file: File,
    room: u64,
}

impl Log {
    /// Begins an empty log.
    pub(super) fn begin(path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        File::create(path).map(|_| ())
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let room = LONGEST.saturating_sub(file.metadata()?.len());
        Ok(Self { file, room })
    }

    /// Writes a line of our own, whatever the length is.
    pub(super) fn note(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.file, "longshore: {line}")
    }

    /// Copies what a command writes, as it comes. Beyond the longest length it is read and dropped, so that the
    /// command goes on.
    pub(super) fn copy(mut self, output: PipeReader) -> io::Result<Copying> {
        let mut output = Receiver::from_owned_fd(output.into())?;
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(length @ 1..) = output.read(&mut buffer).await {
                if self.write(&buffer[..length]).is_err() {
                    // A full disk fails the build where it matters to it; its log ends here.
                    self.room = 0;
                }
            }
        });
        Ok(Copying(task))
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.room == 0 {
            return Ok(());
        }
        let fits = usize::try_from(self.room).unwrap_or(usize::MAX).min(text.len());
        self.file.write_all(&text[..fits])?;
        self.room -= fits as u64;
        if self.room == 0 {
            self.file.write_all(b"\n")?;
            self.note("the log is cut here, at 16 MiB; the command goes on")?;
        }
        Ok(())
    }
}

/// A command's output on its way into the log.
pub(super) struct Copying(JoinHandle<()>);

impl Copying {
    /// Waits for what was written last. Who still holds the other end is no longer listened to.
    pub(super) async fn finish(mut self) {
        let _ = timeout(LAST, &mut self.0).await;
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.0.abort();
    }
}
