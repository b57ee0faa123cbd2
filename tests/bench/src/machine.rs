//! The machine that is measured on.

use std::fmt;
use std::fs;
use std::thread::available_parallelism;

use anyhow::Result;

/// What figures depend on.
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
}

impl Machine {
    pub(crate) fn this() -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cpu = model.map_or("unknown CPU", |(_, name)| name).trim().to_owned();
        Ok(Self { cpu, cores: available_parallelism()?.get() })
    }

    /// The core for what is measured.
    pub(crate) fn measured_core() -> usize {
        0
    }

    /// The core for the load: another one, where there is one.
    pub(crate) fn load_core(&self) -> usize {
        self.cores - 1
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores", self.cpu, self.cores)
    }
}
