//! `k6/encoding`: base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Ctx, Exception, IntoJs, Object, Result, Value};

use super::{set, text};
use crate::raw::bytes_of;

pub(super) fn install<'js>(native: &Object<'js>) -> Result<()> {
    set(native, "b64encode", |ctx: Ctx<'js>, input: Value<'js>, alphabet: Opt<String>| {
        let bytes = bytes_of(&input).map_or_else(|| text(&input).map(String::into_bytes), Ok)?;
        engine(&ctx, alphabet.0.as_deref()).map(|engine| engine.encode(bytes))
    })?;
    set(native, "b64decode", |ctx: Ctx<'js>, input: String, alphabet: Opt<String>, form: Opt<String>| {
        let decoded = engine(&ctx, alphabet.0.as_deref())?.decode(input);
        let bytes =
            decoded.map_err(|error| Exception::throw_message(&ctx, &format!("b64decode: {error}")))?;
        match form.0.as_deref() {
            Some("s") => String::from_utf8_lossy(&bytes).into_owned().into_js(&ctx),
            _ => ArrayBuffer::new(ctx.clone(), bytes).map(ArrayBuffer::into_value),
        }
    })
}

fn engine(ctx: &Ctx<'_>, name: Option<&str>) -> Result<&'static base64::engine::GeneralPurpose> {
    match name.unwrap_or("std") {
        "std" | "" => Ok(&STANDARD),
        "rawstd" => Ok(&STANDARD_NO_PAD),
        "url" => Ok(&URL_SAFE),
        "rawurl" => Ok(&URL_SAFE_NO_PAD),
        other => Err(Exception::throw_message(ctx, &format!("base64 has no encoding {other:?}"))),
    }
}
