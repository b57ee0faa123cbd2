//! Secrets that are kept for a while, for what is sent with them: each request to Secrets Manager costs, and a function that
//! runs each minute asks for the same token each time. What strangers prove themselves with is always read anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_ports::{Clock, PortError, Secret, Secrets};

/// A value that was taken back fails for so long at most, and what fails is tried again.
const KEEP: SignedDuration = SignedDuration::from_mins(5);

/// Secrets, each of which is asked for once in five minutes.
pub struct KeptSecrets<S> {
    secrets: S,
    clock: Arc<dyn Clock>,
    kept: Mutex<BTreeMap<String, (Timestamp, Vec<Secret>)>>,
}

impl<S: Secrets> KeptSecrets<S> {
    /// Keeps what `secrets` answers.
    pub fn new(secrets: S, clock: Arc<dyn Clock>) -> Self {
        Self { secrets, clock, kept: Mutex::default() }
    }
}

#[async_trait]
impl<S: Secrets> Secrets for KeptSecrets<S> {
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        let now = self.clock.now();
        let is_fresh = |at: &Timestamp| *at <= now && now.duration_since(*at) < KEEP;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((_, values)) = kept.filter(|(at, _)| is_fresh(at)) {
            return Ok(values);
        }
        let values = self.secrets.get(name).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.to_owned(), (now, values.clone()));
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap_or_default()
        }
    }

    struct Numbered(AtomicI64);

    #[async_trait]
    impl Secrets for Numbered {
        async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
            Ok(vec![Secret::new(format!("{name}-{}", self.0.fetch_add(1, Ordering::SeqCst)))])
        }
    }

    #[tokio::test]
    async fn a_value_is_asked_for_again_after_five_minutes_and_when_the_clock_goes_back() {
        let hand = Arc::new(Hand(AtomicI64::new(1_000)));
        let secrets = KeptSecrets::new(Numbered(AtomicI64::new(0)), hand.clone());
        let mut seen = Vec::new();
        for (at, name) in [(1_000, "a"), (1_299, "a"), (1_299, "b"), (1_300, "a"), (900, "a")] {
            hand.0.store(at, Ordering::SeqCst);
            seen.push(
                secrets.get(name).await.map(|all| String::from_utf8_lossy(all[0].expose()).into_owned()).ok(),
            );
        }
        let expected = ["a-0", "a-0", "b-1", "a-2", "a-3"].map(|text| Some(text.to_owned()));
        assert_eq!(seen, expected);
    }
}
