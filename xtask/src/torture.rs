//! `cargo xtask torture`: the storm of the tests, in release and at its full size.

use crate::context::Context;
use crate::step::{Failure, run_last};
use crate::suggest;

/// What it takes: the flag, the variable that the test reads, and how much unless told otherwise.
const SIZES: [(&str, &str, &str); 4] = [
    ("--pushes", "LONGSHORE_STORM_PUSHES", "10000"),
    ("--services", "LONGSHORE_STORM_SERVICES", "100"),
    ("--kills", "LONGSHORE_STORM_KILLS", "200"),
    ("--seed", "LONGSHORE_STORM_SEED", "1"),
];

/// The flags, for errors.
const FLAGS: &str = "[--pushes N] [--services N] [--kills N] [--seed N]";

const TEST: &str = "storm::a_storm_of_pushes_and_kills_loses_nothing_and_does_nothing_twice";

/// Runs it.
pub(crate) fn task(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let sizes = read(arguments)?;
    let cargo = ["test", "--release", "--quiet", "--package", "longshore-cli", "--test", "live", "--"];
    let mut command = context.cargo(cargo);
    run_last("torture", command.args(["--exact", "--nocapture", TEST]).envs(sizes))
}

fn read(arguments: &[String]) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut sizes = SIZES.map(|(_, variable, default)| (variable, default.to_owned()));
    for pair in arguments.chunks(2) {
        let place = SIZES.iter().position(|(flag, ..)| *flag == pair[0]).ok_or_else(|| unknown(&pair[0]))?;
        let number = pair.get(1).filter(|text| text.parse::<u32>().is_ok());
        let number = number.ok_or_else(|| format!("{} takes a number: {FLAGS}", pair[0]))?;
        sizes[place].1.clone_from(number);
    }
    Ok(sizes.into())
}

fn unknown(flag: &str) -> String {
    match suggest::nearest(flag, SIZES.iter().map(|(flag, ..)| *flag)) {
        Some(near) => format!("torture knows no {flag:?}; did you mean {near}?"),
        None => format!("torture takes {FLAGS}, but was given {flag:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_full_size_is_the_default_and_each_part_can_be_changed() {
        let sizes = read(&words("--kills 7")).unwrap();
        let of = |name: &str| sizes.iter().find(|(variable, _)| variable.ends_with(name)).unwrap().1.clone();
        assert_eq!([of("PUSHES"), of("SERVICES"), of("KILLS")], ["10000", "100", "7"]);
    }

    #[test]
    fn what_is_no_flag_or_no_number_is_refused() {
        for wrong in ["--push 7", "--kills", "--kills many", "7"] {
            assert!(read(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
