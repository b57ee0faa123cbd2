//! The policy as its users meet it: texts in, policies and faults out.

mod faults;
mod init;
mod metrics;
mod properties;
mod sample;
mod strategy;
mod support;
