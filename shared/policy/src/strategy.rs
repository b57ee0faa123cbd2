//! How a release replaces another: at once, or step by step by what is measured.

use longshore_events::{Measure, Number};

/// How a release replaces another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// The new release starts beside the old one, and takes over when it is ready.
    Rolling,
    /// The new release gets more of the traffic step by step.
    Canary(Plan),
    /// The new release gets all of the traffic at once; the old one stays beside it for a while.
    BlueGreen(Plan),
}

/// The steps between a release that is ready and one that runs alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In their order; their weights rise.
    pub steps: Vec<Step>,
    /// How long past the end of a step an unknown is waited for, in milliseconds; after that it fails.
    pub patience_ms: u64,
    /// The degrees by which a release gives its traffic back when what was measured takes it back, in their order; their
    /// weights fall. Without any it gives all back at once.
    pub rollback: Vec<Degree>,
}

impl Plan {
    /// The step of that number, from 0.
    pub fn step(&self, number: u32) -> Option<&Step> {
        self.steps.get(usize::try_from(number).ok()?)
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The new release's share of the traffic, 0 to 100 percent.
    pub weight: u8,
    /// How long it lasts, in milliseconds.
    pub hold_ms: u64,
    /// What is measured meanwhile; none means that it only has to stay ready.
    pub checks: Vec<Check>,
}

/// A degree of going back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Degree {
    /// The share of the traffic that the new release still has, 1 to 99 percent.
    pub weight: u8,
    /// How long that lasts once the old release is ready, in milliseconds.
    pub hold_ms: u64,
}

/// What a release may do under traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What is measured.
    pub measure: Measure,
    /// The most that it may be, in the measure's unit.
    pub limit: Option<Number>,
    /// The most that it may be more than that of the running release.
    pub increase: Option<Increase>,
    /// With fewer requests it is unknown.
    pub min_requests: u64,
    /// What unknown does.
    pub on_unknown: OnUnknown,
}

/// How much more than the running release a new one may have, over the same window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Increase {
    /// In percent of what the running release has.
    pub percent: Number,
    /// Up to this value, in the measure's unit, nothing is an increase.
    pub tolerate: Option<Number>,
}

/// What it does when nobody knows whether a release is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// It waits, for a while.
    Wait,
    /// It counts as failed.
    Fail,
    /// It counts as passed.
    Pass,
}

impl Strategy {
    /// Its name in the configuration and in events.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Canary(_) => "canary",
            Self::BlueGreen(_) => "blue-green",
        }
    }

    /// Its steps, when it has any.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Rolling => None,
            Self::Canary(plan) | Self::BlueGreen(plan) => Some(plan),
        }
    }
}
