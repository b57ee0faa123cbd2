//! From an image to a process.

use std::io;
use std::time::Duration;

use longshore_ports::Phase;
use tokio::time::{Instant, sleep};

use super::supervisor::Supervisor;
use crate::image::platform;
use crate::image::{Unpacked, blocking};
use crate::process::{Launch, Process};

/// The first wait before an image is asked for again; it doubles from then on.
const PULL_AGAIN: Duration = Duration::from_millis(200);
/// The longest such wait.
const LONGEST: Duration = Duration::from_secs(10);

/// How often, and how long apart, the port of the last process is tried.
const PORT_TRIES: u32 = 20;
const PORT_AGAIN: Duration = Duration::from_millis(10);

impl Supervisor {
    /// What to execute; an error says why it can never run.
    pub(super) async fn prepare(&mut self) -> Result<Launch, String> {
        let image = match self.image.take() {
            Some(image) => image,
            None => self.pull().await?,
        };
        let image = self.image.insert(image);
        let entry = platform::resolve(image, &self.record.wanted.run).map_err(|unfit| unfit.advice())?;
        let mut env = entry.env;
        let restart = self.record.starts.to_string();
        let cell = &self.cell;
        env.extend([
            ("LONGSHORE_ENVIRONMENT".to_owned(), cell.workload.environment.to_string()),
            ("LONGSHORE_SERVICE".to_owned(), cell.workload.service.to_string()),
            ("LONGSHORE_RELEASE".to_owned(), cell.release.to_string()),
            ("LONGSHORE_DIGEST".to_owned(), cell.digest.to_string()),
            ("LONGSHORE_RESTART".to_owned(), restart),
        ]);
        let args = entry.args.into_iter().map(Into::into).collect();
        Ok(Launch { program: entry.program, args, env, folder: entry.folder, log: self.cell.log.clone() })
    }

    /// The image, asked for until it is here or can never be.
    async fn pull(&self) -> Result<Unpacked, String> {
        let image = &self.record.wanted.image;
        let mut wait = PULL_AGAIN;
        loop {
            match self.yard.images.unpacked(image).await {
                Ok(unpacked) => return Ok(unpacked),
                Err(error) if error.is_temporary() => {
                    self.cell.stand(Phase::Pulling, Some(error.to_string()));
                }
                Err(error) => return Err(error.to_string()),
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
    }

    /// Starts a process: it is recorded before it may act, so that a release is started for the first time once only,
    /// and nothing ever runs that a later runner would not find.
    pub(super) async fn start(&mut self, mut launch: Launch) -> io::Result<Process> {
        self.record.port = self.port().await.ok_or(io::ErrorKind::AddrInUse)?;
        launch.env.insert("PORT".to_owned(), self.record.port.to_string());
        let held = blocking(move || launch.hold()).await?;
        self.record.starts += 1;
        self.record.process = Some(held.incarnation());
        (self.record.ready, self.record.boot_ms) = (false, None);
        if let Err(error) = self.save().await {
            // It never ran: the waiting shell ends with `held`.
            (self.record.starts, self.record.process) = (self.record.starts - 1, None);
            return Err(error);
        }
        self.restarts();
        let process = held.go()?;
        let port = self.record.port;
        self.cell.update(|status| {
            (status.phase, status.port) = (Phase::Starting, Some(port));
            status.started = Some(Instant::now());
            status.boot_ms = None;
        });
        Ok(process)
    }

    /// The port that it had before, or another one where that stays taken: the threads of a process that was killed may
    /// hold it for a moment after the process itself is gone.
    async fn port(&self) -> Option<u16> {
        let before = self.record.port;
        if before > 0 {
            self.yard.ports.give_back(before);
            for _ in 0..PORT_TRIES {
                if self.yard.ports.retake(before) {
                    return Some(before);
                }
                sleep(PORT_AGAIN).await;
            }
        }
        self.yard.ports.take()
    }
}
