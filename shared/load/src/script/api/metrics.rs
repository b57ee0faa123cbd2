//! The script's own metrics (`k6/metrics`).

use std::rc::Rc;

use rquickjs::function::Opt;
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::super::vu::{Phase, Vu};
use super::{not_in_init, set, text};
use crate::metrics::{Contains, Kind, MetricId, TagList};
use crate::script::tags::WithTags;

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    let own = Rc::clone(vu);
    set(native, "declareMetric", move |ctx: Ctx<'js>, kind: String, name: Value<'js>, time: bool| {
        declare(&ctx, &own, &kind, &text(&name)?, time)
    })?;
    let own = Rc::clone(vu);
    set(native, "addMetric", move |ctx: Ctx<'js>, id: usize, value: Value<'js>, tags: Opt<Value<'js>>| {
        add(&ctx, &own, MetricId(id), &value, tags.0)
    })
}

fn declare(ctx: &Ctx<'_>, vu: &Vu, kind: &str, name: &str, time: bool) -> Result<usize> {
    if vu.phase.get() != Phase::Init {
        return Err(Exception::throw_message(ctx, "metrics must be declared in the init context"));
    }
    let kind = match kind {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "rate" => Kind::Rate,
        _ => Kind::Trend,
    };
    let contains = if time { Contains::Time } else { Contains::Default };
    let declared = vu.lane.run.names.declare(name, kind, contains);
    declared.map(|id| id.0).map_err(|message| Exception::throw_message(ctx, &message))
}

/// Counts a value; what is no number is warned of, and not counted.
fn add<'js>(
    ctx: &Ctx<'js>,
    vu: &Vu,
    id: MetricId,
    value: &Value<'js>,
    tags: Option<Value<'js>>,
) -> Result<bool> {
    not_in_init(ctx, vu, "add()")?;
    let number = match value.as_bool() {
        Some(yes) => f64::from(u8::from(yes)),
        None => value.get::<rquickjs::Coerced<f64>>().map_or(f64::NAN, |number| number.0),
    };
    if !number.is_finite() {
        let name = vu.lane.run.names.definition(id).name;
        let shown = text(value).unwrap_or_default();
        let message = format!(
            "'{shown}' is an invalid value for metric '{name}', a number or a boolean value is expected"
        );
        if vu.lane.run.options.http.throw {
            return Err(Exception::throw_message(ctx, &message));
        }
        vu.lane.run.log.say("warning", &message, &[]);
        return Ok(false);
    }
    let base = vu.tags_now();
    let Some(tags) = tags.filter(Value::is_object) else {
        vu.lane.emit(id, number, &*base);
        return Ok(true);
    };
    let mut own = TagList::default();
    if let Some(tags) = tags.as_object() {
        for entry in tags.props::<String, Value<'js>>() {
            let (name, value) = entry?;
            own.set(&name, &text(&value)?);
        }
    }
    vu.lane.emit(id, number, &WithTags { base: &base, own: &own });
    Ok(true)
}
