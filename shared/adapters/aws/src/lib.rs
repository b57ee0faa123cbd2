//! AWS behind the ports: the journal in DynamoDB with EventBridge and SQS, blobs in S3, secrets in Secrets Manager,
//! images in ECR and what it found in them, builds in CodeBuild, measurements in CloudWatch; and the way into clusters of EKS.
//!
//! Every client shares one HTTP client ([`Account::connect`]), on ring alone and with Amazon's roots embedded: the
//! default clients of the SDK cost a function half a second of its cold start. Nothing here tries again by itself
//! but a transaction whose answer was lost: the rest is the frame's, and the sweep's.

mod account;
mod blobs;
mod codebuild;
mod eks;
mod failure;
mod http;
mod journal;
mod kept;
#[cfg(feature = "lambda")]
pub mod lambda;
mod metrics;
mod plain;
mod refusal;
mod registry;
mod scanner;
mod secrets;
mod sns;
mod stack;
#[cfg(feature = "testing")]
pub mod testing;

pub use account::{Account, AccountError, Aws, Keys};
pub use blobs::S3Blobs;
pub use codebuild::{BuildProject, CodeBuilder};
pub use eks::{Cluster, ClusterToken};
pub use failure::code;
pub use journal::{DynamoJournal, INDEXES, Index, Names, TTL, WAKE};
pub use kept::KeptSecrets;
pub use metrics::CloudWatchMetrics;
pub use registry::EcrRegistry;
pub use scanner::EcrScanner;
pub use secrets::AwsSecrets;
pub use sns::SnsTopic;
