//! Which release takes a request: by the `Host` header, then by weight.

use std::sync::atomic::Ordering;

use longshore_ports::{Phase, Workload};

use super::{Fleet, Live};
use crate::cell::{Open, locked};

impl Fleet {
    /// The release that takes the next request for `host`; an error says why none does.
    pub(crate) fn route(&self, host: &str) -> Result<Open, Unroutable> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let live = locked(&self.live);
        let mut matching = live.iter().filter(|(workload, _)| hosts(workload).contains(&name));
        let used = || live.iter().filter(|(_, live)| !live.stored.desired.releases.is_empty());
        let known = || used().flat_map(|(workload, _)| hosts(workload)).collect();
        let mut some = used();
        let only = match (some.next(), some.next()) {
            (Some((_, live)), None) => Some(live),
            _ => None,
        };
        // `service.localhost` in two environments names neither.
        let found = match (matching.next(), matching.next()) {
            (Some((_, live)), None) => Some(live),
            (Some(_), Some(_)) => None,
            (None, _) => only,
        };
        found.ok_or_else(|| Unroutable::Unknown(known()))?.choose(self.turn.fetch_add(1, Ordering::Relaxed))
    }
}

/// Why no release takes a request.
pub(crate) enum Unroutable {
    /// No workload has that name; these are known.
    Unknown(Vec<String>),
    /// No release of it is ready.
    NotReady,
}

impl Live {
    pub(super) fn weight(&self, release: u64) -> u8 {
        let named = self.stored.desired.releases.iter().find(|named| named.release == release);
        named.map_or(0, |named| named.weight)
    }

    /// By weight among those that are ready; when none with a weight is, one that had the traffic before.
    fn choose(&self, turn: usize) -> Result<Open, Unroutable> {
        let ready =
            |number: &u64| self.releases.get(number).filter(|running| running.cell.phase() == Phase::Ready);
        let desired = &self.stored.desired.releases;
        let weighted: Vec<(u64, usize)> = desired
            .iter()
            .filter(|release| release.weight > 0 && ready(&release.release).is_some())
            .map(|release| (release.release, usize::from(release.weight)))
            .collect();
        let total: usize = weighted.iter().map(|(_, weight)| weight).sum();
        // 37 has no factor in common with 100: the shares are mixed rather than in blocks, and exact over a round.
        let mut at = if total == 0 { 0 } else { turn.wrapping_mul(37) % total };
        let by_weight = weighted.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        let standing_in = || self.stored.trusted.iter().rev().copied().find(|number| ready(number).is_some());
        let number = by_weight.map(|(number, _)| *number).or_else(standing_in).ok_or(Unroutable::NotReady)?;
        let cell = self.releases.get(&number).map(|running| &running.cell);
        cell.and_then(|cell| cell.enter(&[Phase::Ready])).ok_or(Unroutable::NotReady)
    }
}

/// The `Host` headers by which the proxy knows a workload.
pub(super) fn hosts(workload: &Workload) -> Vec<String> {
    let Workload { environment, service } = workload;
    vec![format!("{service}.{environment}.localhost"), format!("{service}.localhost")]
}
