//! How much there is to do, as the bus, the sweep and the webhooks tell one another.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Nothing here is durable or exact: it decides what is done first, never what is done.
#[derive(Debug, Default)]
pub(crate) struct Load {
    webhooks: AtomicUsize,
    drained: Notify,
}

/// A webhook that waits for its answer.
pub(crate) struct Webhook<'a>(&'a Load);

impl Load {
    /// A webhook has come; until this is dropped it waits for its answer.
    pub(crate) fn webhook(&self) -> Webhook<'_> {
        self.webhooks.fetch_add(1, Ordering::Relaxed);
        Webhook(self)
    }

    /// Somebody waits for an answer to a webhook.
    pub(super) fn is_asked(&self) -> bool {
        self.webhooks.load(Ordering::Relaxed) > 0
    }

    /// The journal owes more than the bus has in mind, and that is little.
    pub(super) fn drains(&self) {
        self.drained.notify_one();
    }

    /// Waits until then.
    pub(crate) async fn hungry(&self) {
        self.drained.notified().await;
    }
}

impl Drop for Webhook<'_> {
    fn drop(&mut self) {
        self.0.webhooks.fetch_sub(1, Ordering::Relaxed);
    }
}
