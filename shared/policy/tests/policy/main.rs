//! The policy as its users meet it: texts in, policies and faults out.

mod faults;
mod init;
mod properties;
mod sample;
mod support;
