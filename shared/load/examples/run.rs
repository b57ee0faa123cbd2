//! Runs a script as the command does.

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let script = arguments.next().unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    let mut settings = longshore_load::Settings::new(script.into(), std::time::SystemTime::now());
    settings.stdout = Box::new(std::io::stdout());
    settings.stderr = Box::new(std::io::stderr());
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--loops" => settings.loops = value.parse().unwrap_or(1),
            "--vus" => settings.overrides.vus = value.parse().ok(),
            "--duration" => settings.overrides.duration = Some(value),
            "--iterations" => settings.overrides.iterations = value.parse().ok(),
            "--summary-export" => settings.summary_export = Some(value.into()),
            "--out" => settings.outputs.extend(longshore_load::Output::parse(&value).ok()),
            _ => {}
        }
    }
    std::process::ExitCode::from(longshore_load::run(settings).exit_code())
}
