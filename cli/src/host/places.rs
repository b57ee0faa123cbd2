//! Who may be connected at a time. Where all places are taken, whoever asks for nothing gives way to who comes: a
//! thousand clients that never end the head of their request keep nobody out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The places, and the connections without a request under way, by when they had their last.
pub(super) struct Places {
    free: Arc<Semaphore>,
    idle: Mutex<Idle>,
    idled: Notify,
}

#[derive(Default)]
struct Idle {
    next: u64,
    since: BTreeMap<u64, Arc<Notify>>,
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
        Arc::new(Self { free, idle: Mutex::default(), idled: Notify::new() })
    }

    /// A place for a connection that has just come; waits only while all others have requests under way.
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
            if let Some((_, longest)) = self.idle().since.pop_first() {
                longest.notify_one();
            }
            tokio::select! {
                free = self.free.clone().acquire_owned() => return free.ok(),
                () = idled => {}
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Returns when the connection shall give way.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    fn idles(&self) {
        let mut idle = self.places.idle();
        idle.next += 1;
        let now = idle.next;
        self.since.store(now, Ordering::Relaxed);
        idle.since.insert(now, self.leave.clone());
        drop(idle);
        self.places.idled.notify_waiters();
    }

    fn works(&self) {
        self.places.idle().since.remove(&self.since.load(Ordering::Relaxed));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.works();
    }
}

/// A request under way, until its answer is sent.
struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idles();
    }
}

/// Serves one connection.
pub(super) struct Placed<S> {
    pub(super) inner: S,
    pub(super) place: Arc<Place>,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Infallible>> + Send>>;

impl<S> Service<Request<Incoming>> for Placed<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Held>;
    type Error = Infallible;
    type Future = Answer<Self::Response>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.place.works();
        let (busy, answer) = (Busy(self.place.clone()), self.inner.call(request));
        Box::pin(async move { Ok(answer.await?.map(|body| Held { body, _busy: busy })) })
    }
}

/// An answer's body, whose request is under way until it is sent.
pub(super) struct Held {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
        let busy = Busy(only.clone());
        let mut coming = tokio::spawn(async move { places.take().await });
        assert!(timeout(Duration::from_secs(1), &mut coming).await.is_err());
        drop(busy);
        only.must_leave().await;
        drop(only);
        coming.await.unwrap();
    }
}
