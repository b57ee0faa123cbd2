//! k6's API, as functions that the engine's own modules (`modules/*.js`) find under one object.

mod cookies;
mod crypto;
mod data;
mod encoding;
mod execution;
mod form;
mod http;
mod metrics;
mod params;
mod response;
mod send;
mod timers;
mod user;

use std::rc::Rc;

use rquickjs::function::{Func, IntoJsFunc};
use rquickjs::{Ctx, Error, Exception, Object, Result, Value};

use super::vu::{Phase, Vu};

pub(crate) use cookies::Jar;
pub(crate) use params::Expected;
pub(crate) use send::Outcome;

/// All of it, for this VU.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, vu: &Rc<Vu>) -> Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    user::install(&native, vu)?;
    metrics::install(&native, vu)?;
    http::install(&native, vu)?;
    cookies::install(&native, vu)?;
    execution::install(&native, vu)?;
    data::install(&native, vu)?;
    encoding::install(&native)?;
    crypto::install(&native)?;
    timers::install(&native, vu)?;
    Ok(native)
}

/// Sets a function; `make` gets its own handle on the VU.
fn set<'js, P, F>(object: &Object<'js>, name: &str, function: F) -> Result<()>
where
    F: IntoJsFunc<'js, P> + 'js,
{
    object.set(name, Func::new(function))
}

/// What JavaScript gets when its VU is interrupted: it cannot be caught for long, as the interpreter asks again.
pub(crate) fn interrupted(ctx: &Ctx<'_>) -> Error {
    Exception::throw_internal(ctx, "interrupted")
}

/// # Errors
/// The VU is still in its init code, where this may not be called.
fn not_in_init(ctx: &Ctx<'_>, vu: &Vu, what: &str) -> Result<()> {
    if vu.phase.get() == Phase::Init {
        return Err(Exception::throw_message(ctx, &format!("{what} cannot be called in the init context")));
    }
    Ok(())
}

/// What a request beside the script came to: the answer, or what to say of it.
pub(crate) fn settled<'js>(
    ctx: &Ctx<'js>,
    vu: &Rc<Vu>,
    outcome: Outcome,
) -> Result<(Value<'js>, Option<String>)> {
    match send::thrown(vu, &outcome) {
        Some(message) => Ok((Value::new_undefined(ctx.clone()), Some(message))),
        None => response::value(ctx, outcome).map(|value| (value, None)),
    }
}

/// A value as a text, as JavaScript makes one of it.
fn text(value: &Value<'_>) -> Result<String> {
    match value.as_string() {
        Some(string) => string.to_string(),
        None => value.get::<rquickjs::Coerced<String>>().map(|text| text.0),
    }
}
