//! Where two decisions differ.

use serde_json::Value;

/// The longest value that is shown, in characters.
const SHOWN: usize = 120;

/// Each place where two values differ, with what stands there.
pub(super) fn differences(then: &Value, now: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    walk("", then, now, &mut found);
    found
}

fn walk(place: &str, then: &Value, now: &Value, found: &mut Vec<(String, String, String)>) {
    match (then, now) {
        _ if then == now => {}
        (Value::Object(then), Value::Object(now)) => {
            let also = now.keys().filter(|name| !then.contains_key(*name));
            for name in then.keys().chain(also) {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                walk(&place, &of(then), &of(now), found);
            }
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            for (n, (then, now)) in then.iter().zip(now).enumerate() {
                walk(&format!("{place}[{n}]"), then, now, found);
            }
        }
        _ => found.push((place.to_owned(), brief(then), brief(now))),
    }
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".into(),
        Value::Array(list) if list.is_empty() => "none".into(),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_is_named_with_what_stands_there() {
        let then =
            json!({ "state": { "a": 1, "b": [1, { "c": "x" }] }, "facts": [], "wake": null, "same": [1] });
        let now = json!({ "state": { "a": 1, "b": [1, { "c": "y", "d": 2 }] }, "facts": [{}], "wake": "w", "same": [1] });
        let all = differences(&then, &now);
        let mut shown: Vec<_> =
            all.iter().map(|(place, then, now)| format!("{place}: {then}, {now}")).collect();
        shown.sort();
        let expected = [
            "facts: none, [{}]",
            "state.b[1].c: \"x\", \"y\"",
            "state.b[1].d: nothing, 2",
            "wake: nothing, \"w\"",
        ];
        assert_eq!(shown, expected);
        assert!(differences(&then, &then).is_empty());
    }

    #[test]
    fn a_long_value_is_cut() {
        let [(_, then, _)] = &differences(&json!("ä".repeat(200)), &json!(1))[..] else { panic!() };
        assert_eq!(then.chars().count(), SHOWN + 1);
    }
}
