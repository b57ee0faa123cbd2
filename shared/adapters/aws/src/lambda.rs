//! The stack of functions that run on Lambda: one table, one bus, one queue, one bucket, one secret.
//!
//! What they are called is said by the environment (`LONGSHORE_TABLE`, `LONGSHORE_BUS`, `LONGSHORE_WAKES`,
//! `LONGSHORE_BUCKET`, `LONGSHORE_SECRET`), and so is the file of the configuration (`LONGSHORE_CONFIG`), which travels
//! as a layer. `AWS_CA_BUNDLE` may name a file of certificates that are trusted in place of Amazon's. Nothing is asked of AWS before the first invocation, and a function has no client that it does not ask for.

use std::sync::Arc;

use longshore_frame::Frame;
use longshore_frame::lambda::{Error, PlatformClock, required, routes};
use longshore_policy::Policy;

use crate::{Account, Aws, AwsSecrets, DynamoJournal, KeptSecrets, Names, S3Blobs};

/// What a function on Lambda stands on.
pub struct LambdaStack {
    /// The configuration.
    pub policy: Arc<Policy>,
    /// The journal.
    pub journal: Arc<DynamoJournal>,
    /// The platform's clock.
    pub clock: Arc<PlatformClock>,
    /// The account.
    pub aws: Aws,
}

impl LambdaStack {
    /// Finds what the environment names.
    ///
    /// # Errors
    /// When a variable is not set, or the configuration has faults.
    pub fn open() -> Result<Self, Error> {
        let account = Account::from_environment(|name| required(name).ok())?;
        let aws = match required("AWS_CA_BUNDLE").ok().filter(|file| !file.is_empty()) {
            Some(file) => account.connect_trusting(&certificates(&file)?)?,
            None => account.connect()?,
        };
        let policy = Arc::new(configuration(&required("LONGSHORE_CONFIG")?)?);
        let names = Names {
            table: required("LONGSHORE_TABLE")?,
            bus: required("LONGSHORE_BUS")?,
            wakes: required("LONGSHORE_WAKES")?,
        };
        let clock = Arc::new(PlatformClock);
        let journal = Arc::new(DynamoJournal::new(&aws, names, routes(), clock.clone()));
        Ok(Self { policy, journal, clock, aws })
    }

    /// The secrets.
    ///
    /// # Errors
    /// When the variable that names them is not set.
    pub fn secrets(&self) -> Result<Arc<AwsSecrets>, Error> {
        Ok(Arc::new(AwsSecrets::new(&self.aws, &required("LONGSHORE_SECRET")?)))
    }

    /// The secrets for what is sent, which are kept for a while.
    ///
    /// # Errors
    /// When the variable that names them is not set.
    pub fn kept_secrets(&self) -> Result<Arc<KeptSecrets<AwsSecrets>>, Error> {
        let secrets = AwsSecrets::new(&self.aws, &required("LONGSHORE_SECRET")?);
        Ok(Arc::new(KeptSecrets::new(secrets, self.clock.clone())))
    }

    /// The blobs.
    ///
    /// # Errors
    /// When the variable that names their bucket is not set.
    pub fn blobs(&self) -> Result<Arc<S3Blobs>, Error> {
        Ok(Arc::new(S3Blobs::new(&self.aws, &self.bucket()?, self.clock.clone())))
    }

    /// The bucket's name.
    ///
    /// # Errors
    /// When the variable that names it is not set.
    pub fn bucket(&self) -> Result<String, Error> {
        required("LONGSHORE_BUCKET")
    }

    /// A frame over the journal and the blobs.
    ///
    /// # Errors
    /// As [`Self::blobs`].
    pub fn frame(&self) -> Result<Frame, Error> {
        // The claim is made of each invocation's deadline.
        Ok(Frame::new(self.journal.clone(), self.blobs()?, self.clock.clone(), 0))
    }
}

fn certificates(path: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| format!("cannot read AWS_CA_BUNDLE {path}: {error}").into())
}

fn configuration(path: &str) -> Result<Policy, Error> {
    let text =
        std::fs::read(path).map_err(|error| format!("cannot read the configuration {path}: {error}"))?;
    longshore_policy::check_file(&text, std::path::Path::new(path)).map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        faults.join("\n").into()
    })
}
