//! Files (`open`) and arrays that all VUs share (`k6/data`).

use std::rc::Rc;
use std::sync::Arc;

use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Ctx, Exception, Function, IntoJs, Object, Result, Value};

use super::super::vu::{Phase, Vu};
use super::set;

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    let own = Rc::clone(vu);
    set(native, "open", move |ctx: Ctx<'js>, path: String, mode: Opt<String>| {
        open(&ctx, &own, &path, mode.0.as_deref().unwrap_or(""))
    })?;
    let own = Rc::clone(vu);
    set(native, "sharedArray", move |ctx: Ctx<'js>, name: String, make: Function<'js>| {
        shared(&ctx, &own, &name, &make)
    })?;
    let own = Rc::clone(vu);
    set(native, "sharedLength", move |place: usize| {
        own.lane.run.sources.elements(place).map_or(0, |elements| elements.len())
    })?;
    let own = Rc::clone(vu);
    set(native, "sharedAt", move |place: usize, index: usize| {
        let elements = own.lane.run.sources.elements(place);
        elements.and_then(|elements| elements.get(index).cloned()).unwrap_or_else(|| "null".to_owned())
    })
}

fn open<'js>(ctx: &Ctx<'js>, vu: &Vu, path: &str, mode: &str) -> Result<Value<'js>> {
    if vu.phase.get() != Phase::Init {
        return Err(Exception::throw_message(
            ctx,
            "open() can only be called in the init context: open the file at the script's top level",
        ));
    }
    let sources = &vu.lane.run.sources;
    let bytes =
        sources.file(&sources.beside(path)).map_err(|message| Exception::throw_message(ctx, &message))?;
    match mode {
        "b" => ArrayBuffer::new_copy(ctx.clone(), &bytes).map(ArrayBuffer::into_value),
        "" => String::from_utf8_lossy(&bytes).into_owned().into_js(ctx),
        other => Err(Exception::throw_message(
            ctx,
            &format!("open() knows no mode {other:?}: give \"b\", or nothing"),
        )),
    }
}

/// The place of the array of this name; the first VU makes it.
fn shared<'js>(ctx: &Ctx<'js>, vu: &Vu, name: &str, make: &Function<'js>) -> Result<usize> {
    if vu.phase.get() != Phase::Init {
        return Err(Exception::throw_message(ctx, "new SharedArray must be called in the init context"));
    }
    if name.is_empty() {
        return Err(Exception::throw_message(ctx, "empty name provided to SharedArray's constructor"));
    }
    let sources = Arc::clone(&vu.lane.run.sources);
    if let Some(place) = sources.array(name) {
        return Ok(place);
    }
    let elements: Vec<String> = make.call(())?;
    Ok(sources.keep_array(name, elements))
}
