//! `k6/execution`: what the run, the scenario and the VU are doing.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rquickjs::function::Opt;
use rquickjs::{Ctx, Exception, IntoJs, Object, Result, Value};

use super::super::vu::{Phase, Vu};
use super::{interrupted, set, text};
use crate::run::Stop;

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    let own = Rc::clone(vu);
    set(native, "execution", move |ctx: Ctx<'js>, path: String| execution(&ctx, &own, &path))?;
    let own = Rc::clone(vu);
    set(native, "abort", move |ctx: Ctx<'js>, reason: String| {
        own.lane.run.stop(Stop::Script(reason));
        own.ended.set(true);
        own.kill_at(Some(own.lane.reactor.now()));
        Err::<(), _>(interrupted(&ctx))
    })?;
    let own = Rc::clone(vu);
    set(native, "vuTag", move |ctx: Ctx<'js>, name: String, value: Opt<Value<'js>>| match value.0 {
        None => own.tags_now().get(&name).map(str::to_owned).into_js(&ctx),
        Some(value) if value.is_null() => {
            own.set_tag(&name, None);
            Ok(Value::new_bool(ctx, true))
        }
        Some(value) if value.is_object() => {
            let message = format!("the tag {name:?} must be a text, a number or a boolean");
            Err(Exception::throw_type(&ctx, &message))
        }
        Some(value) => {
            own.set_tag(&name, Some(&text(&value)?));
            Ok(Value::new_bool(ctx, true))
        }
    })?;
    let own = Rc::clone(vu);
    set(native, "vuTags", move |ctx: Ctx<'js>| {
        let object = Object::new(ctx)?;
        for (name, value) in own.tags_now().iter() {
            object.set(name, value)?;
        }
        Ok::<_, rquickjs::Error>(object)
    })
}

fn execution<'js>(ctx: &Ctx<'js>, vu: &Vu, path: &str) -> Result<Value<'js>> {
    let run = &vu.lane.run;
    if path == "test.options" {
        return ctx.json_parse(run.options.raw.to_string());
    }
    if path.starts_with("scenario.") {
        if vu.phase.get() != Phase::Iteration {
            let message = "getting scenario information outside of the VU context is not supported";
            return Err(Exception::throw_message(ctx, message));
        }
        return scenario(ctx, vu, path);
    }
    let numbers = vu.numbers.get();
    let number = match path {
        "instance.iterationsCompleted" => run.total(|progress| &progress.complete),
        "instance.iterationsInterrupted" => run.total(|progress| &progress.interrupted),
        "instance.vusActive" => run.total(|progress| &progress.active),
        "instance.vusInitialized" => run.total(|progress| &progress.made),
        "instance.currentTestRunDuration" => run.elapsed(Instant::now()) / 1_000_000,
        "vu.id" => vu.id,
        "vu.iterationInInstance" | "vu.iterationInScenario" => numbers.in_vu,
        _ => return Ok(Value::new_undefined(ctx.clone())),
    };
    number.into_js(ctx)
}

fn scenario<'js>(ctx: &Ctx<'js>, vu: &Vu, path: &str) -> Result<Value<'js>> {
    let part = vu.scenario.borrow();
    match path {
        "scenario.name" => part.name.as_str().into_js(ctx),
        "scenario.executor" => part.executor.into_js(ctx),
        "scenario.iterationInInstance" | "scenario.iterationInTest" => {
            vu.numbers.get().in_scenario.into_js(ctx)
        }
        "scenario.startTime" => {
            let begun = part.begun.map(|begun| vu.lane.run.log.clock(begun).as_millisecond());
            begun.unwrap_or_default().into_js(ctx)
        }
        "scenario.progress" => {
            let run = part.begun.map(|begun| begun.elapsed().as_secs_f64()).unwrap_or_default();
            let by_time = run / part.duration.as_secs_f64().max(f64::MIN_POSITIVE);
            let progress = &vu.lane.run.progress[part.place];
            let executor = &vu.lane.run.options.scenarios[part.place].executor;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let by_count = executor
                .iterations()
                .map_or(0.0, |all| progress.complete.load(Ordering::Relaxed) as f64 / all.max(1) as f64);
            by_time.max(by_count).min(1.0).into_js(ctx)
        }
        _ => Ok(Value::new_undefined(ctx.clone())),
    }
}
