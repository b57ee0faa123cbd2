//! What DynamoDB would refuse is refused before the call, by the name of the row.

use longshore_ports::journal::CommitError;

use super::item::size;
use super::plan::{Act, Plan, Write, invalid};

/// What DynamoDB takes, in bytes: of a row, and of a transaction; and the rows of one.
const ROW: usize = 400 * 1024;
const TRANSACTION: usize = 4 * 1024 * 1024;
const ROWS: usize = 100;

impl Plan {
    /// Whether DynamoDB takes it.
    pub(super) fn fits(&self) -> Result<(), CommitError> {
        let mut all = 0;
        for Write { key, act, .. } in &self.writes {
            let bytes = if let Act::Put(item) = act { size(item) } else { size(&key.item()) };
            if bytes > ROW {
                return Err(invalid(format!(
                    "the row {key} has {bytes} bytes, and DynamoDB takes {ROW}; put what is large into Blobs"
                )));
            }
            if key.pk.len() > 2048 || key.sk.len() > 1024 {
                return Err(invalid(format!("the name of the row {key} is too long for DynamoDB")));
            }
            all += bytes;
        }
        if all > TRANSACTION || self.writes.len() > ROWS {
            let rows = self.writes.len();
            return Err(invalid(format!(
                "{rows} rows of {all} bytes are too much for one commit: DynamoDB takes {ROWS} of {TRANSACTION}"
            )));
        }
        Ok(())
    }
}
