//! What the kernel says of processes, from proc(5).

use std::fs;

/// What `/proc/<pid>/stat` says.
pub(crate) struct Stat {
    state: u8,
    group: u32,
    /// Clock ticks from boot to its start.
    pub(crate) started: u64,
    /// The processors' time that it and the children it has waited for took, in clock ticks.
    ticks: u64,
}

/// A clock tick: Linux says so to programs whatever its own clock does.
const TICK_MS: u64 = 10;

impl Stat {
    /// False for one that has ended and is not reaped.
    pub(crate) fn runs(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// The processors' time that it and the children it has waited for took, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> u64 {
        self.ticks * TICK_MS
    }
}

/// The process that has `pid` now, if any.
pub(crate) fn read(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command's name is in parentheses and may itself contain some, so the fields are counted from the last one.
fn parse(stat: &str) -> Option<Stat> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let group = fields.nth(1)?.parse().ok()?;
    // utime, stime, cutime and cstime.
    let times: Vec<u64> = fields.by_ref().skip(8).take(4).filter_map(|field| field.parse().ok()).collect();
    let started = fields.nth(4)?.parse().ok()?;
    Some(Stat { state, group, started, ticks: times.iter().sum() })
}

/// Whether any member of a process group runs.
pub(crate) fn group_runs(group: u32) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return true };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .any(|stat| stat.group == group && stat.runs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c) S 1 41 40 0 -1 4194304 0 0 0 0 5 6 7 8 20 0 1 0 987654 0 0";
        let stat = parse(line).unwrap();
        assert_eq!((stat.group, stat.started, stat.runs(), stat.cpu_ms()), (41, 987_654, true, 260));
    }
}
