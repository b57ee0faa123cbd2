//! Who may be connected at a time. Where all places are taken, whoever asks for nothing gives way to who comes, then
//! whoever is slowest to send or to take a body: a thousand clients that never end their requests keep nobody out.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// How long a client may keep us waiting for bytes before its pace counts.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes a second; who is faster never gives way.
const PACE: u64 = 4 << 10;
/// How often one who waits for a place looks who has become too slow.
const LOOK: Duration = Duration::from_millis(100);

/// The places, and who could leave one.
pub(super) struct Places {
    free: Arc<Semaphore>,
    held: Mutex<Held>,
    idled: Notify,
}

#[derive(Default)]
struct Held {
    next: u64,
    /// Connections without a request under way, by when they had their last.
    idle: BTreeMap<u64, Arc<Notify>>,
    /// Bodies under way.
    transfers: BTreeMap<u64, Arc<Pace>>,
}

impl Held {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn slowest(&mut self) -> Option<Arc<Notify>> {
        let paces = self.transfers.iter().filter_map(|(number, pace)| Some((pace.too_slow()?, *number)));
        let (_, number) = paces.min()?;
        self.transfers.remove(&number).map(|pace| pace.leave.clone())
    }
}

/// A connection in its place.
pub(super) struct Place {
    places: Arc<Places>,
    since: AtomicU64,
    leave: Arc<Notify>,
    _free: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// So many places.
    pub(super) fn new(count: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(count));
        Arc::new(Self { free, held: Mutex::default(), idled: Notify::new() })
    }

    /// A place for a connection that has just come; waits only while all others have requests under way, and none of
    /// them is held up by its client.
    pub(super) async fn take(self: &Arc<Self>) -> Arc<Place> {
        let free = self.free().await;
        let place = Place {
            places: self.clone(),
            since: AtomicU64::new(0),
            leave: Arc::new(Notify::new()),
            _free: free,
        };
        place.idles();
        Arc::new(place)
    }

    async fn free(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(free) = self.free.clone().try_acquire_owned() {
                return Some(free);
            }
            let mut idled = pin!(self.idled.notified());
            idled.as_mut().enable();
            if let Some(leaves) = self.gives_way() {
                leaves.notify_one();
            }
            tokio::select! {
                free = self.free.clone().acquire_owned() => return free.ok(),
                () = idled => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    fn gives_way(&self) -> Option<Arc<Notify>> {
        let mut held = self.held();
        let idle = held.idle.pop_first().map(|(_, longest)| longest);
        idle.or_else(|| held.slowest())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Returns when the connection shall give way.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// A request has ended.
    pub(super) fn idles(&self) {
        let mut held = self.places.held();
        let now = held.number();
        self.since.store(now, Ordering::Relaxed);
        held.idle.insert(now, self.leave.clone());
        drop(held);
        self.places.idled.notify_waiters();
    }

    /// A request has come.
    pub(super) fn works(&self) {
        self.places.held().idle.remove(&self.since.load(Ordering::Relaxed));
    }

    /// A body is under way.
    pub(super) fn transfers(self: &Arc<Self>) -> Transfer {
        let pace = Arc::new(Pace { leave: self.leave.clone(), so_far: Mutex::default() });
        let mut held = self.places.held();
        let number = held.number();
        held.transfers.insert(number, pace.clone());
        Transfer { place: self.clone(), number, pace }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.works();
    }
}

/// How fast a client sends or takes a body.
struct Pace {
    leave: Arc<Notify>,
    so_far: Mutex<SoFar>,
}

#[derive(Default, Clone, Copy)]
struct SoFar {
    bytes: u64,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Pace {
    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its bytes a second, where they are too few.
    fn too_slow(&self) -> Option<u64> {
        let so_far = *self.so_far();
        let waited = so_far.waited + so_far.waits_since?.elapsed();
        let pace =
            so_far.bytes.saturating_mul(1_000) / u64::try_from(waited.as_millis()).unwrap_or(u64::MAX).max(1);
        (waited >= PATIENCE && pace < PACE).then_some(pace)
    }
}

/// A body under way. Only the time that the client takes counts, not ours.
pub(super) struct Transfer {
    place: Arc<Place>,
    number: u64,
    pace: Arc<Pace>,
}

impl Transfer {
    /// From now on the client is waited for.
    pub(super) fn waits(&self) {
        self.pace.so_far().waits_since.get_or_insert_with(Instant::now);
    }

    /// The client is no longer waited for.
    pub(super) fn goes_on(&self) {
        let mut so_far = self.pace.so_far();
        if let Some(since) = so_far.waits_since.take() {
            so_far.waited += since.elapsed();
        }
    }

    /// So many bytes were sent or taken.
    pub(super) fn bytes(&self, count: usize) {
        self.pace.so_far().bytes += count as u64;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.place.places.held().transfers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_idle_longest_gives_way_and_who_works_stays() {
        let places = Places::new(3);
        let works = places.take().await;
        let (first, second) = (places.take().await, places.take().await);
        works.works();
        let coming = tokio::spawn(async move { places.take().await });
        first.must_leave().await;
        drop(first);
        let third = coming.await.unwrap();
        let soon = Duration::from_secs(1);
        assert!(timeout(soon, second.must_leave()).await.is_err());
        assert!(timeout(soon, works.must_leave()).await.is_err());
        assert!(timeout(soon, third.must_leave()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_work_who_comes_waits_for_the_first_that_has_done() {
        let places = Places::new(1);
        let only = places.take().await;
        only.works();
        let mut coming = tokio::spawn(async move { places.take().await });
        assert!(timeout(Duration::from_secs(1), &mut coming).await.is_err());
        only.idles();
        only.must_leave().await;
        drop(only);
        coming.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowest_gives_way_and_neither_the_fast_nor_those_that_wait_for_us() {
        let places = Places::new(4);
        let (fast, slow, slowest) = (places.take().await, places.take().await, places.take().await);
        let ours = places.take().await;
        for place in [&fast, &slow, &slowest, &ours] {
            place.works();
        }
        let bodies = [(&fast, 1 << 20), (&slow, 200), (&slowest, 100), (&ours, 0)].map(|(place, bytes)| {
            let transfer = place.transfers();
            transfer.bytes(bytes);
            transfer
        });
        bodies[..3].iter().for_each(Transfer::waits);
        let begun = Instant::now();
        let coming = tokio::spawn({
            let places = places.clone();
            async move { places.take().await }
        });
        slowest.must_leave().await;
        assert!((PATIENCE..PATIENCE + 2 * LOOK).contains(&begun.elapsed()));
        let [fast_body, slow_body, slowest_body, our_body] = bodies;
        drop((slowest_body, slowest));
        let came = coming.await.unwrap();
        came.works();
        let soon = Duration::from_secs(1);
        slow_body.goes_on();
        let _next = tokio::spawn(async move { places.take().await });
        assert!(timeout(soon, fast.must_leave()).await.is_err());
        assert!(timeout(soon, ours.must_leave()).await.is_err());
        assert!(timeout(soon, slow.must_leave()).await.is_err());
        slow_body.waits();
        slow.must_leave().await;
        drop((fast_body, slow_body, our_body, came));
    }
}
