//! `longshore down`

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::Client;
use super::print::{self, line};
use super::style::{GOOD, paint};
use crate::api::{Down, Status};
use crate::args::{DownArgs, Output};

/// Whether a process is there, and has not ended: one whose parent has not heard of its end yet is a zombie.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Stops the host, and what runs unless told otherwise; returns when the host is gone.
pub(super) async fn run(client: &Client, args: &DownArgs, output: Output) -> Result<()> {
    let status: Status = client.get("/api/status", &[]).await?;
    let Some(host) = status.host else {
        bail!("only a host on one machine can be stopped so; delete the stack instead")
    };
    let (): () = client.post("/api/down", &Down { services: !args.keep_services }).await?;
    let until = Instant::now() + Duration::from_mins(1);
    while runs(host.pid) {
        if Instant::now() > until {
            bail!("the host, process {}, has not ended within a minute", host.pid);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    match output {
        Output::Json => print::json(&json!({ "ok": true, "services_stopped": !args.keep_services })),
        Output::Table => line(format!("{} everything has ended", paint(GOOD, "ok"))),
    }
}
