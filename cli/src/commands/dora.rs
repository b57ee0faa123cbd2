//! `longshore dora`

use anyhow::Result;
use jiff::SignedDuration;

use super::Client;
use super::print::{self, Table, line, span};
use super::style::{BAD, FAINT, GOOD, PLAIN, STRONG, paint};
use crate::api::{Dora, DoraFigures};
use crate::args::{DoraArgs, Output};

/// Prints how well delivery does.
pub(super) async fn run(client: &Client, args: DoraArgs, output: Output) -> Result<()> {
    let DoraArgs { service, env, days, from, until } = args;
    let until = until.unwrap_or_else(|| longshore_ports::Clock::now(&crate::host::MachineClock));
    let from = match from {
        Some(from) => from,
        None => until.checked_sub(SignedDuration::from_hours(24 * i64::from(days)))?,
    };
    let mut asked = vec![("from", from.to_string()), ("until", until.to_string())];
    let (env, service) = super::find::place(service, env)?;
    asked.extend(env.map(|env| ("environment", env)));
    asked.extend(service.map(|service| ("service", service)));
    let dora: Dora = client.get("/api/dora", &asked).await?;
    match output {
        Output::Json => print::json(&dora),
        Output::Table => table(&dora),
    }
}

fn table(dora: &Dora) -> Result<()> {
    let long = span(dora.until.as_millisecond() - dora.from.as_millisecond());
    line(paint(FAINT, format!("{long}, from {:.0} to {:.0}", dora.from, dora.until)))?;
    if dora.cut {
        line(paint(
            BAD,
            "there is more before it than can be read at once: ask for less with --from and --until",
        ))?;
    }
    if dora.environments.is_empty() {
        return line("nothing was rolled out in this time");
    }
    for environment in &dora.environments {
        line(paint(STRONG, &environment.name))?;
        let headings = [
            "  service",
            "deployments",
            "a day",
            "changes",
            "lead time",
            "change failures",
            "time to restore",
        ];
        let mut table = Table::new(&headings);
        for service in &environment.services {
            row(&mut table, &service.name, &service.figures);
        }
        if environment.services.len() > 1 {
            row(&mut table, "(all)", &environment.all);
        }
        line(table)?;
    }
    line(paint(FAINT, "medians; docs/dora.md says how each is counted"))
}

fn row(table: &mut Table, name: &str, figures: &DoraFigures) {
    let ms = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), span);
    let failures = failures(figures);
    let open = figures.failed - figures.restored.min(figures.failed);
    let restored = match open {
        0 => ms(figures.time_to_restore_ms),
        open => format!("{} ({open} not yet)", ms(figures.time_to_restore_ms)),
    };
    table.row(vec![
        (PLAIN, format!("  {name}")),
        (PLAIN, figures.deployments.to_string()),
        (PLAIN, figures.per_day.map_or_else(|| "-".to_owned(), |per_day| per_day.to_string())),
        (PLAIN, figures.changes.to_string()),
        (PLAIN, ms(figures.lead_time_ms)),
        (if figures.failed == 0 { GOOD } else { BAD }, failures),
        (if open == 0 { PLAIN } else { BAD }, restored),
    ]);
}

/// `25 % (1 of 4)`
pub(crate) fn failures(figures: &DoraFigures) -> String {
    let DoraFigures { failed, deployments, .. } = figures;
    let percent = figures.change_failure_percent;
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent} % ({failed} of {deployments})"))
}
