//! A host of the built release, with its runner.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use longshore_cli::api::{Down, Events, Ready};
use longshore_events::Event;
use longshore_runner::RunnerClient;
use serde::de::DeserializeOwned;

use crate::http::Client;
use crate::process::Server;
use crate::settings::Settings;

/// A running host; it and all that it runs end when this is dropped.
pub(crate) struct Host {
    server: Option<Server>,
    pub(crate) ready: Ready,
    pub(crate) token: String,
    data: PathBuf,
    next: u64,
}

impl Host {
    /// Starts a host on the `longshore.toml` in `folder`; on `core`, or anywhere.
    pub(crate) fn start(settings: &Settings, folder: &Path, core: Option<usize>) -> Result<Self> {
        let arguments = ["up", "--config", "longshore.toml", "--ready-file", "ready.json"];
        let mut server = Server::start(&settings.longshore, &arguments, core, &folder.join("host.log"))?;
        let file = folder.join("ready.json");
        let read = || serde_json::from_slice::<Ready>(&fs::read(&file).ok()?).ok();
        let ready = server.until("be ready", read);
        let ready = ready.with_context(|| fs::read_to_string(folder.join("host.log")).unwrap_or_default())?;
        let token = fs::read_to_string(&ready.token_file)?.trim().to_owned();
        Ok(Self { server: Some(server), data: ready.data.clone(), ready, token, next: 0 })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.ready.pid
    }

    /// The header by which the API knows us.
    pub(crate) fn bearer(&self) -> String {
        format!("authorization: Bearer {}\r\n", self.token)
    }

    /// Asks the API.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = Client::connect(self.ready.listen)?.send(&format!("GET {path}"), &self.bearer(), &[])?;
        Ok(serde_json::from_slice(&answer.ok()?.body)?)
    }

    /// The events since the last call; waits a little while for one.
    pub(crate) fn news(&mut self) -> Result<Vec<Event>> {
        let events: Events = self.get(&format!("/api/events?after={}&limit=1000&wait_ms=200", self.next))?;
        self.next = events.next;
        events.events.iter().map(|entry| Ok(Event::from_json(&entry.event.to_string())?)).collect()
    }

    /// Its runner.
    pub(crate) fn runner(&self) -> RunnerClient {
        RunnerClient::new(self.data.join("runner.sock"))
    }

    /// Ends the host alone; the runner, and what it runs, goes on.
    pub(crate) fn leave_the_runner(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.terminate())
    }

    fn down(&mut self) -> Result<()> {
        let Some(server) = &mut self.server else {
            return Ok(runtime()?.block_on(self.runner().shutdown())?);
        };
        let body = serde_json::to_vec(&Down { services: true })?;
        let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.token);
        Client::connect(self.ready.listen)?.send("POST /api/down", &headers, &body)?.ok()?;
        server.ends()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.down();
    }
}

/// For the ports, which are asynchronous.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
