//! The adapters against moto, with a proxy between that counts calls and plays the faults of AWS.
//!
//! What moto cannot do, and the proxy does as the API's reference says: it knows no `ClientRequestToken`, throttles
//! nothing, cancels no transaction for a conflict, leaves no keys unprocessed, fails no single entry of PutEvents. Its
//! transactions are not isolated: the proxy lets one call at a time to a table. It looks at no signature.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod codebuild;
mod eks;
mod faults;
mod journal;
mod metrics;
mod refusals;
mod registry;
mod scanner;
mod sns;
mod stack;
mod stores;
