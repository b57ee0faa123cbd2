//! What builds hand over through the bucket. They may write nowhere else in it: what Longshore keeps there is not theirs.

use std::sync::Arc;

use longshore_ports::{Clock, PortError};

use crate::Aws;
use crate::blobs::{base, refused};
use crate::failure::{Call, silent};
use crate::plain::Plain;

const OPERATION: &str = "take what a build handed over";

/// The bucket, as builds fill it.
pub(super) struct Handover {
    plain: Plain,
    region: String,
    /// The bucket, as errors name it.
    place: String,
    base: String,
}

impl Handover {
    pub(super) fn new(aws: &Aws, bucket: &str, clock: Arc<dyn Clock>) -> Self {
        let region = aws.account.region.clone();
        let place = format!("the bucket {bucket}");
        Self { plain: Plain::new(aws, "s3", clock), region, place, base: base(aws, bucket) }
    }

    /// What lies there; never more than `most` bytes are read.
    pub(super) async fn take(&self, name: &str, most: usize) -> Result<Vec<u8>, PortError> {
        let uri = format!("{}/{name}", self.base);
        let call = Call {
            operation: OPERATION,
            action: "s3:GetObject",
            resource: &self.place,
            region: &self.region,
        };
        // One byte more than is allowed, so that it shows.
        let part = [("range", format!("bytes=0-{most}"))];
        let answer = self.plain.send("GET", &uri, &part, Vec::new()).await;
        let answer = answer.map_err(|error| silent(call, error))?;
        if !matches!(answer.status, 200 | 206) {
            return Err(refused(call, &answer));
        }
        if answer.body.len() > most {
            let why = format!("{name} in {} has more than {most} bytes", self.place);
            return Err(PortError::invalid(OPERATION, why));
        }
        Ok(answer.body)
    }
}
