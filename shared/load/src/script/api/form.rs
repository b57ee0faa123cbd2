//! Bodies that are objects: forms, and parts with files.

use rquickjs::{Result, Value};

use super::text;
use crate::raw::bytes_of;

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A field of a form.
pub(super) enum Field {
    Text(String),
    File { data: Vec<u8>, name: String, kind: String },
}

impl Field {
    pub(super) fn read(value: &Value<'_>) -> Result<Self> {
        if let Some(object) = value.as_object()
            && object.get::<_, Option<bool>>("__file")?.unwrap_or(false)
        {
            let data: Value<'_> = object.get("data")?;
            let data = bytes_of(&data).map_or_else(|| text(&data).map(String::into_bytes), Ok)?;
            return Ok(Self::File { data, name: object.get("filename")?, kind: object.get("content_type")? });
        }
        text(value).map(Self::Text)
    }
}

/// As a form, its fields in the order of their names, as Go writes them.
pub(super) fn form(fields: &[(String, Field)]) -> Vec<u8> {
    let mut fields: Vec<(&str, &str)> = fields
        .iter()
        .filter_map(|(name, field)| match field {
            Field::Text(value) => Some((name.as_str(), value.as_str())),
            Field::File { .. } => None,
        })
        .collect();
    fields.sort_by_key(|(name, _)| *name);
    let mut made = String::new();
    for (name, value) in fields {
        if !made.is_empty() {
            made.push('&');
        }
        encode(&mut made, name);
        made.push('=');
        encode(&mut made, value);
    }
    made.into_bytes()
}

fn encode(made: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => made.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => made.push(char::from(b)),
            b => made.push_str(&format!("%{b:02X}")),
        }
    }
}

/// As parts (RFC 7578), with the content type that names their boundary.
pub(super) fn multipart(fields: &[(String, Field)]) -> (String, Vec<u8>) {
    let contained = |boundary: &str| {
        fields.iter().any(|(_, field)| {
            let bytes = match field {
                Field::Text(text) => text.as_bytes(),
                Field::File { data, .. } => data,
            };
            bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes())
        })
    };
    let mut number = 0_u32;
    let mut boundary = format!("longshore-boundary-{number:08}");
    while contained(&boundary) {
        number += 1;
        boundary = format!("longshore-boundary-{number:08}");
    }
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\r', '\n'], " ");
    let mut made = Vec::new();
    for (name, field) in fields {
        made.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name)).as_bytes(),
        );
        match field {
            Field::Text(text) => {
                made.extend_from_slice(b"\r\n\r\n");
                made.extend_from_slice(text.as_bytes());
            }
            Field::File { data, name, kind } => {
                let (name, kind) = (quoted(name), kind.replace(['\r', '\n'], " "));
                made.extend_from_slice(
                    format!("; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n").as_bytes(),
                );
                made.extend_from_slice(data);
            }
        }
        made.extend_from_slice(b"\r\n");
    }
    made.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), made)
}
