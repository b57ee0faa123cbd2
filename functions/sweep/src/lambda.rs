//! What the sweep sends when there is no bus: it answers with the messages, each for the function that it names.
//! Whoever invoked it passes them on. Nothing is marked as sent, so a lost answer costs a minute.

use std::sync::{Mutex, PoisonError};

use longshore_events::Event;
use longshore_frame::lambda::Error;
use longshore_local::lambda::LambdaFolder;
use longshore_sweep::Dispatch;
use serde_json::{Value, json};

/// How much one answer holds, in bytes: Lambda takes 6 MiB. The rest is for the next sweep.
const ROOM: usize = 5 << 20;

/// The messages of one sweep, as the functions' entries read them.
#[derive(Default)]
struct Messages(Mutex<Lot>);

#[derive(Default)]
struct Lot {
    bytes: usize,
    all: Vec<Value>,
    left: usize,
}

impl Messages {
    fn put(&self, function: &str, message: &str) {
        let mut lot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let message = json!({ "function": function, "message": message });
        let bytes = lot.bytes + message.to_string().len() + 1;
        if bytes > ROOM {
            lot.left += 1;
            return;
        }
        lot.bytes = bytes;
        lot.all.push(message);
    }
}

impl Dispatch for Messages {
    fn deliver(&self, function: String, event: Event) {
        self.put(&function, &event.to_json());
    }

    fn wake(&self, function: String, unit: String) {
        self.put(&function, &json!({ "function": function, "unit": unit }).to_string());
    }
}

/// One sweep: `{"messages": [{"function": …, "message": …}], "left": …}`. A message is the text that the function's
/// queue takes; `left` counts those for which there was no room.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn sweep(folder: &LambdaFolder) -> Result<Value, Error> {
    let messages = Messages::default();
    let found =
        longshore_sweep::sweep(&*folder.journal, &*folder.frame.clock, &messages, longshore_sweep::GRACE_MS)
            .await?;
    let Lot { all, left, .. } = messages.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    tracing::info!(found, left, "swept");
    Ok(json!({ "messages": all, "left": left }))
}
