//! Timers and requests beside the script: JavaScript keeps the callbacks by number, and is told which one's time has come.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::{Ctx, Function, Object, Result};

use super::super::vu::{Timer, Vu};
use super::set;

/// The callbacks, in JavaScript: `fire` is called with a number, and with an answer or an error where there may be one.
const CALLBACKS: &str = r"
(native) => {
  const waiting = new Map();
  native.timer = (callback, delay, again) => {
    const id = native.startTimer(delay, again);
    waiting.set(id, { again, callback });
    return id;
  };
  native.clearTimer = (id) => {
    if (waiting.delete(id)) native.stopTimer(id);
  };
  native.asyncRequest = (...args) => new Promise((resolve, reject) => {
    waiting.set(native.startRequest(...args), { resolve, reject });
  });
  native.fire = (id, answer, error) => {
    const entry = waiting.get(id);
    if (entry === undefined) return;
    if (!entry.again) waiting.delete(id);
    if (entry.callback !== undefined) entry.callback();
    else if (error !== undefined) entry.reject(new Error(error));
    else entry.resolve(answer);
  };
}
";

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    let own = Rc::clone(vu);
    set(native, "startTimer", move |delay: f64, again: bool| {
        let id = own.task();
        let delay = Duration::from_secs_f64((delay / 1_000.0).clamp(0.0, 3.2e9));
        // What repeats without a pause would never let anything else happen.
        let every = again.then(|| delay.max(Duration::from_millis(1)));
        own.timers.borrow_mut().insert((Instant::now() + delay, id), Timer { every });
        id
    })?;
    let own = Rc::clone(vu);
    set(native, "stopTimer", move |id: u32| own.timers.borrow_mut().retain(|(_, known), _| *known != id))?;
    let ctx: &Ctx<'js> = native.ctx();
    let callbacks: Function<'js> = ctx.eval(CALLBACKS)?;
    callbacks.call((native.clone(),))
}
