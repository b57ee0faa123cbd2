//! The module `k6`, and what a VU says.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::function::{Opt, This};
use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use super::super::vu::Vu;
use super::{interrupted, not_in_init, set, text};
use crate::metrics::{Builtin, TagList};
use crate::script::tags::{CheckTags, WithTags};

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    let of = || Rc::clone(vu);
    let own = of();
    set(
        native,
        "check",
        move |ctx: Ctx<'js>, value: Value<'js>, checks: Opt<Object<'js>>, tags: Opt<Value<'js>>| {
            check(&ctx, &own, &value, checks.0, tags.0.as_ref())
        },
    )?;
    let own = of();
    set(native, "group", move |ctx: Ctx<'js>, name: String, body: Function<'js>| {
        group(&ctx, &own, &name, &body)
    })?;
    let own = of();
    set(native, "sleep", move |ctx: Ctx<'js>, seconds: Opt<f64>| {
        sleep(&ctx, &own, seconds.0.unwrap_or(0.0))
    })?;
    set(native, "fail", |ctx: Ctx<'js>, why: Opt<Value<'js>>| {
        let why = why.0.map_or_else(|| Ok(String::new()), |why| text(&why))?;
        Err::<(), _>(Exception::throw_message(&ctx, &why))
    })?;
    let own = of();
    set(native, "randomSeed", move |ctx: Ctx<'js>, seed: f64| seed_random(&ctx, &own, seed))?;
    let own = of();
    set(native, "log", move |level: String, message: String| {
        own.lane.run.log.say(&level, &message, &[("source", "console")]);
    })
}

fn check<'js>(
    ctx: &Ctx<'js>,
    vu: &Vu,
    value: &Value<'js>,
    checks: Option<Object<'js>>,
    tags: Option<&Value<'js>>,
) -> Result<bool> {
    not_in_init(ctx, vu, "check()")?;
    let Some(checks) = checks else {
        return Err(Exception::throw_type(ctx, "check() needs an object of checks as its second argument"));
    };
    let mut own = TagList::default();
    if let Some(tags) = tags.and_then(Value::as_object) {
        for entry in tags.props::<String, Value<'js>>() {
            let (name, value) = entry?;
            own.set(&name, &text(&value)?);
        }
    }
    let base = vu.tags_now();
    let named = vu.system.has("check");
    let mut all = true;
    for entry in checks.props::<String, Value<'js>>() {
        let (name, check) = entry?;
        let (result, error) = match check.as_function() {
            // A check that throws has failed; what it threw goes on to the script once the check is counted.
            Some(function) => match function.call::<_, Value<'js>>((value.clone(),)) {
                Ok(result) => (result, None),
                Err(error) => (Value::new_bool(ctx.clone(), false), Some(error)),
            },
            None => (check, None),
        };
        let passed = truthy(&result);
        all &= passed;
        if vu.is_killed() {
            return Err(error.unwrap_or_else(|| interrupted(ctx)));
        }
        vu.lane.checks.borrow_mut().count(&vu.group.borrow(), &name, passed);
        let tags =
            CheckTags { of: WithTags { base: &base, own: &own }, check: named.then_some(name.as_str()) };
        vu.lane.emit(Builtin::Checks.id(), f64::from(u8::from(passed)), &tags);
        if let Some(error) = error {
            return Err(error);
        }
    }
    Ok(all)
}

/// Whether JavaScript takes it for true.
fn truthy(value: &Value<'_>) -> bool {
    match value.as_bool() {
        Some(plain) => plain,
        None => value.get::<rquickjs::Coerced<bool>>().is_ok_and(|made| made.0),
    }
}

fn group<'js>(ctx: &Ctx<'js>, vu: &Vu, name: &str, body: &Function<'js>) -> Result<Value<'js>> {
    not_in_init(ctx, vu, "group()")?;
    if name.contains("::") {
        return Err(Exception::throw_message(
            ctx,
            &format!("group and check names may not contain '::': {name:?}"),
        ));
    }
    let outer = vu.group.borrow().clone();
    let path = format!("{outer}::{name}");
    vu.lane.checks.borrow_mut().enter(&path);
    vu.set_group(&path);
    let begun = Instant::now();
    let result: Result<Value<'js>> = body.call((This(Value::new_undefined(ctx.clone())),));
    vu.emit(Builtin::GroupDuration.id(), begun.elapsed().as_secs_f64() * 1_000.0);
    vu.set_group(&outer);
    let value = result?;
    if value.is_promise() {
        return Err(Exception::throw_type(ctx, "group() does not take async functions"));
    }
    Ok(value)
}

fn sleep(ctx: &Ctx<'_>, vu: &Vu, seconds: f64) -> Result<()> {
    not_in_init(ctx, vu, "sleep()")?;
    // Longer than a hundred years is for ever, and less than nothing is nothing.
    let time = Duration::from_secs_f64(if seconds > 0.0 { seconds.min(3.2e9) } else { 0.0 });
    if vu.sleep_until(Instant::now() + time) { Ok(()) } else { Err(interrupted(ctx)) }
}

/// Has `Math.random` give the same numbers for the same seed.
fn seed_random<'js>(ctx: &Ctx<'js>, vu: &Rc<Vu>, seed: f64) -> Result<()> {
    let math: Object<'js> = ctx.globals().get("Math")?;
    if vu.random.replace(Some(seed.to_bits())).is_none() {
        let vu = Rc::clone(vu);
        set(&math, "random", move || {
            let state = vu.random.get().unwrap_or_default().wrapping_add(0x9e37_79b9_7f4a_7c15);
            vu.random.set(Some(state));
            split_mix(state)
        })?;
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea, Flood, 2014), as a number of at least 0 and below 1.
fn split_mix(state: u64) -> f64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let top = (z >> 11) as f64;
    top / 9_007_199_254_740_992.0
}
