//! `longshore backup`, `longshore restore`

use anyhow::Result;
use serde_json::json;

use super::find::data_folder;
use super::print::{self, count, line};
use super::style::{GOOD, NAME, paint};
use crate::args::{BackupArgs, Global, Output, RestoreArgs};
use crate::host::{self, Backup, BackupOptions, RestoreOptions};

/// Writes the data folder to a file.
pub(super) fn backup(args: BackupArgs, global: &Global) -> Result<()> {
    let options = BackupOptions {
        data: data_folder(global)?,
        file: args.file,
        with_secrets: args.with_secrets,
        force: args.force,
    };
    let backup = host::backup(&options)?;
    if global.output == Output::Json {
        return print::json(&json!({ "file": options.file, "backup": backup }));
    }
    let name = paint(NAME, options.file.display());
    line(format!("{} {name}: {}", paint(GOOD, "ok"), summary(&backup)))?;
    if backup.secrets {
        return line("the secrets are in it: keep it as safe as they are");
    }
    line("the secrets are not in it; `--with-secrets` puts them in")
}

/// Reads a file into a new data folder.
pub(super) fn restore(args: RestoreArgs, global: &Global) -> Result<()> {
    let options = RestoreOptions { data: data_folder(global)?, file: args.file };
    let backup = host::restore(&options)?;
    if global.output == Output::Json {
        return print::json(&json!({ "data": options.data, "backup": backup }));
    }
    let name = paint(NAME, options.data.display());
    line(format!("{} {name}: {}", paint(GOOD, "ok"), summary(&backup)))?;
    line(format!("written by longshore {} at {}", backup.version, backup.at))?;
    if !backup.secrets {
        line(
            "its secrets are not in it: `longshore up` makes new ones, in `secrets`; give them to the senders",
        )?;
    }
    Ok(())
}

fn summary(backup: &Backup) -> String {
    let events = count(usize::try_from(backup.events).unwrap_or(usize::MAX), "event", "events");
    let newest = backup.newest.map(|at| format!(" (the newest of {at})")).unwrap_or_default();
    format!("{events}{newest}, with repositories, images and blobs")
}
