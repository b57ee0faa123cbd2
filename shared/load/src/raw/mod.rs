//! All of the crate's `unsafe`: suspending fibers, and what QuickJS's binding asks for. Each block says why it is sound.

#![expect(unsafe_code, reason = "the one module that may; every block has its argument")]

mod js;
mod stack;

pub(crate) use js::{Bytecode, Held, Visible, bytes_of};
pub(crate) use stack::{Fiber, STACK, suspend};
