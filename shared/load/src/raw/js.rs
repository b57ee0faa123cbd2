//! What QuickJS's binding leaves to its users' word.

use std::rc::Rc;
use std::sync::Arc;

use rquickjs::class::{JsClass, Readable, Trace, Tracer};
use rquickjs::function::Constructor;
use rquickjs::module::Declared;
use rquickjs::{ArrayBuffer, Ctx, JsLifetime, Module, Object, Result, TypedArray, Value};

/// Something of ours that JavaScript holds and cannot look into.
pub(crate) struct Held<T: 'static>(pub(crate) Rc<T>);

// SAFETY: `Held` has no lifetime of JavaScript values: `T` is `'static`, so no value of a runtime can be in it under a
// lifetime that this trait would have to change. The trait's documentation calls exactly this case always safe.
unsafe impl<T: 'static> JsLifetime<'_> for Held<T> {
    type Changed<'to> = Held<T>;
}

impl<'js, T: 'static> Trace<'js> for Held<T> {
    fn trace<'a>(&self, _tracer: Tracer<'a, 'js>) {}
}

/// What JavaScript sees of something of ours.
pub(crate) trait Visible: 'static {
    /// The name of its class.
    const NAME: &'static str;

    /// Sets getters and methods of its prototype.
    fn define(prototype: &Object<'_>) -> Result<()>;
}

impl<'js, T: Visible> JsClass<'js> for Held<T> {
    const NAME: &'static str = T::NAME;
    type Mutable = Readable;

    fn prototype(ctx: &Ctx<'js>) -> Result<Option<Object<'js>>> {
        let prototype = Object::new(ctx.clone())?;
        T::define(&prototype)?;
        Ok(Some(prototype))
    }

    fn constructor(_ctx: &Ctx<'js>) -> Result<Option<Constructor<'js>>> {
        Ok(None)
    }
}

/// A compiled module. Only what this process's QuickJS has written can be one.
#[derive(Debug, Clone)]
pub(crate) struct Bytecode(Arc<[u8]>);

impl Bytecode {
    /// Compiles nothing: writes out what a module was compiled to.
    pub(crate) fn of(module: &Module<'_, Declared>) -> Result<Self> {
        module.write(rquickjs::module::WriteOptions::default()).map(|bytes| Self(bytes.into()))
    }

    /// The module, in another context.
    pub(crate) fn load<'js>(&self, ctx: &Ctx<'js>) -> Result<Module<'js, Declared>> {
        // SAFETY: the bytes must be valid bytecode of this QuickJS. The field is private, and only filled in `of`, with
        // what `JS_WriteObject` of the same library in the same process has written; it is never changed. The library
        // copies what it keeps (it knows no read-only data), so the bytes need not outlive the module.
        unsafe { Module::load(ctx.clone(), &self.0) }
    }
}

/// A copy of the bytes of an `ArrayBuffer`, or of a view of one.
pub(crate) fn bytes_of(value: &Value<'_>) -> Option<Vec<u8>> {
    let object = value.as_object()?;
    let raw = if let Some(buffer) = ArrayBuffer::from_object(object.clone()) {
        buffer.as_raw()?
    } else {
        TypedArray::<u8>::from_object(object.clone()).ok()?.as_raw()?
    };
    // SAFETY: `as_raw` gives the bytes that the buffer has now. They belong to the buffer, which `value` keeps alive, and
    // are only changed, moved or freed by code that runs in this runtime. None runs before the copy is made: the runtime
    // belongs to this thread, and nothing between the two calls enters it.
    Some(unsafe { raw.as_ref() }.to_vec())
}
