//! A VU's JavaScript: its runtime with limits, the script loaded into it, and calls of what the script exports.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rquickjs::function::Args;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Error, Exception, Function, Module, Object, Runtime, Value};

use super::api;
use super::sources::Sources;
use super::vu::{Phase, Vu};
use crate::fiber::Wake;
use crate::raw::Bytecode;

/// Of a fiber's stack, what JavaScript may take; the rest is for what it calls.
const STACK: usize = crate::raw::STACK - 192 * 1024;

/// Why a call of the script ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thrown {
    /// As JavaScript says it, with the stack where there is one.
    pub(crate) message: String,
    /// It was stopped from outside.
    pub(crate) interrupted: bool,
    /// It was stopped while it computed, and not while it waited.
    pub(crate) busy: bool,
}

/// A loaded script, within its VU's fiber.
pub(crate) struct Script<'js> {
    pub(crate) ctx: Ctx<'js>,
    pub(crate) vu: Rc<Vu>,
    exports: Object<'js>,
    fire: Function<'js>,
}

/// Makes a runtime for this VU, loads the script into it, and does something with it. To be called in the VU's fiber: the
/// runtime lives on its stack.
///
/// # Errors
/// The script's init code throws, or does not end.
pub(crate) fn with_script<R>(vu: &Rc<Vu>, then: impl FnOnce(&Script<'_>) -> R) -> Result<R, Thrown> {
    let failed = |error: Error| Thrown { message: error.to_string(), interrupted: false, busy: false };
    let runtime = Runtime::new().map_err(failed)?;
    runtime.set_max_stack_size(STACK);
    runtime.set_memory_limit(vu.lane.run.memory);
    let sources = Arc::clone(&vu.lane.run.sources);
    runtime.set_loader(Imports, Files(sources));
    let handler = Rc::clone(vu);
    runtime.set_interrupt_handler(Some(Box::new(move || handler.interrupt())));
    let context = Context::full(&runtime).map_err(failed)?;
    context.with(|ctx| {
        let script = load(&ctx, vu).map_err(|error| thrown(&ctx, vu, error))?;
        Ok(then(&script))
    })
}

fn load<'js>(ctx: &Ctx<'js>, vu: &Rc<Vu>) -> Result<Script<'js>, Error> {
    vu.phase.set(Phase::Init);
    let globals = ctx.globals();
    let native = api::install(ctx, vu)?;
    globals.set("__longshore", native.clone())?;
    globals.set("__VU", vu.id)?;
    globals.set("__ITER", 0)?;
    let env = Object::new(ctx.clone())?;
    for (name, value) in vu.lane.run.env.iter() {
        env.set(name.as_str(), value.as_str())?;
    }
    globals.set("__ENV", env)?;
    ctx.eval::<(), _>(include_str!("modules/prelude.js"))?;
    let main = format!("file://{}", vu.lane.run.sources.main.display());
    let module = compile(ctx, &vu.lane.run.sources, &main)?;
    let (module, promise) = module.eval()?;
    let fire: Function<'js> = native.get("fire")?;
    let script = Script { ctx: ctx.clone(), vu: Rc::clone(vu), exports: module.namespace()?, fire };
    script.settle(promise.into_value())?;
    globals.remove("__longshore")?;
    Ok(script)
}

/// A module by its resolved name, compiled once for all VUs.
fn compile<'js>(ctx: &Ctx<'js>, sources: &Sources, name: &str) -> Result<Module<'js, Declared>, Error> {
    if let Some(code) = sources.compiled(name) {
        return code.load(ctx);
    }
    let text = sources.text(name).map_err(|message| Exception::throw_message(ctx, &message))?;
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        return Module::declare(ctx.clone(), name, format!("export default {text};"));
    }
    let module = Module::declare(ctx.clone(), name, text)?;
    sources.keep(name, Bytecode::of(&module)?);
    Ok(module)
}

/// What an import means.
struct Imports;

impl Resolver for Imports {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String, Error> {
        Sources::resolve(base, name)
            .map_err(|message| Exception::throw_message(ctx, &format!("import of {message}")))
    }
}

/// What is imported.
struct Files(Arc<Sources>);

impl Loader for Files {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>, Error> {
        compile(ctx, &self.0, name)
    }
}

impl<'js> Script<'js> {
    /// Whether the script exports a function of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.exports.get::<_, Value<'js>>(name).is_ok_and(|value| value.is_function())
    }

    /// The names of all functions that the script exports.
    pub(crate) fn functions(&self) -> Vec<String> {
        let names = self.exports.keys::<String>().filter_map(Result::ok);
        names.filter(|name| self.has(name)).collect()
    }

    /// What it exports under this name, as JSON; `null` when it exports nothing.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub(crate) fn exported(&self, name: &str) -> Result<String, Thrown> {
        let json = || {
            let value: Value<'js> = self.exports.get(name)?;
            self.ctx.json_stringify(value)?.map_or(Ok("null".to_owned()), |text| text.to_string())
        };
        json().map_err(|error| thrown(&self.ctx, &self.vu, error))
    }

    /// A value from JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub(crate) fn parse(&self, json: &str) -> Result<Value<'js>, Thrown> {
        self.ctx.json_parse(json).map_err(|error| thrown(&self.ctx, &self.vu, error))
    }

    /// A value as JSON; `None` of what JSON has no word for.
    ///
    /// # Errors
    /// It refers to itself.
    pub(crate) fn stringify(&self, value: &Value<'js>) -> Result<Option<String>, Thrown> {
        let text = self
            .ctx
            .json_stringify(value.clone())
            .and_then(|text| text.map(|text| text.to_string()).transpose());
        text.map_err(|error| thrown(&self.ctx, &self.vu, error))
    }

    /// Calls what the script exports under this name, and waits until all is settled that it began.
    ///
    /// # Errors
    /// It throws, or was interrupted.
    pub(crate) fn call(&self, name: &str, arguments: &[Value<'js>]) -> Result<Value<'js>, Thrown> {
        let call = || {
            let function: Function<'js> = self.exports.get(name)?;
            let mut args = Args::new(self.ctx.clone(), arguments.len());
            args.push_args(arguments.iter().cloned())?;
            let value = function.call_arg(args)?;
            self.settle(value)
        };
        call().map_err(|error| thrown(&self.ctx, &self.vu, error))
    }

    /// Sets the global that counts iterations.
    pub(crate) fn set_iteration(&self, number: u64) {
        // A number can be set.
        let _ = self.ctx.globals().set("__ITER", number);
    }

    /// Adds to `__ENV` what a scenario sets.
    pub(crate) fn set_env(&self, env: &[(String, String)]) {
        if let Ok(object) = self.ctx.globals().get::<_, Object<'js>>("__ENV") {
            for (name, value) in env {
                // A text can be set.
                let _ = object.set(name.as_str(), value.as_str());
            }
        }
    }

    /// Runs jobs, timers and what requests bring until none is left, and takes the promise's value if it is one.
    fn settle(&self, value: Value<'js>) -> Result<Value<'js>, Error> {
        let vu = &self.vu;
        loop {
            while self.ctx.execute_pending_job() {
                if vu.interrupt() {
                    return Err(api::interrupted(&self.ctx));
                }
            }
            // A call that has failed waits for nothing more.
            if value.as_promise().is_some_and(|promise| promise.state() == PromiseState::Rejected) {
                break;
            }
            let done = vu.done.borrow_mut().pop_front();
            if let Some((task, outcome)) = done {
                let (answer, error) = api::settled(&self.ctx, vu, outcome)?;
                self.fire.call::<_, ()>((task, answer, error))?;
                continue;
            }
            let next = vu.timers.borrow().first_key_value().map(|((due, id), timer)| (*due, *id, *timer));
            if next.is_none() && vu.open.get() == 0 {
                break;
            }
            if let Some((due, id, timer)) = next
                && due <= Instant::now()
            {
                vu.timers.borrow_mut().remove(&(due, id));
                if let Some(every) = timer.every {
                    vu.timers.borrow_mut().insert((Instant::now() + every, id), timer);
                }
                self.fire.call::<_, ()>((id,))?;
                continue;
            }
            let wake = vu.lane.reactor.park(vu.until(next.map(|(due, ..)| due)));
            if wake == Wake::Stop || vu.is_killed() {
                return Err(api::interrupted(&self.ctx));
            }
        }
        let Some(promise) = value.as_promise() else { return Ok(value) };
        match promise.state() {
            // Nothing is left that could settle it.
            PromiseState::Pending => Ok(Value::new_undefined(self.ctx.clone())),
            _ => promise.result::<Value<'js>>().unwrap_or_else(|| Ok(Value::new_undefined(self.ctx.clone()))),
        }
    }
}

/// What was thrown, in words.
#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn thrown(ctx: &Ctx<'_>, vu: &Vu, error: Error) -> Thrown {
    let (interrupted, busy) = (vu.is_killed(), vu.busy.take());
    if !matches!(error, Error::Exception) {
        return Thrown { message: error.to_string(), interrupted, busy };
    }
    let value = ctx.catch();
    let message = match value.as_exception() {
        Some(exception) => {
            let name = exception.as_object().get::<_, String>("name").unwrap_or_else(|_| "Error".to_owned());
            let message = exception.message().unwrap_or_default();
            let stack = exception.stack().unwrap_or_default();
            let stack: Vec<&str> = stack.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            std::iter::once(format!("{name}: {message}").as_str())
                .chain(stack)
                .collect::<Vec<_>>()
                .join("\n\t")
        }
        None => ctx
            .json_stringify(value.clone())
            .ok()
            .flatten()
            .and_then(|text| text.to_string().ok())
            .or_else(|| value.get::<rquickjs::Coerced<String>>().ok().map(|text| text.0))
            .unwrap_or_else(|| "undefined".to_owned()),
    };
    Thrown { message, interrupted, busy }
}
