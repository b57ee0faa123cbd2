//! Where each row lies. One table; `pk` gathers what belongs together, `sk` tells it apart.
//!
//! | row | `pk` | `sk` |
//! | --- | --- | --- |
//! | event | `event#<id>` | `event` |
//! | delivery | `event#<id>` | `delivery#<function>` |
//! | receipt | `event#<id>` | `receipt#<function>#<unit>` |
//! | unit | `unit#<function>#<unit>` | `unit` |
//! | decision | `unit#<function>#<unit>` | `decision#<version, 20 digits>` |
//! | head | `head#<type>#<subject>` | `head` |
//! | lease | `lease#<name>` | `lease` |
//! | switch | `switch#<name>` | `switch` |
//!
//! Functions and event types have no `#` in their names.
//!
//! In the index `owed` lie `new` and `again` (deliveries), `chain#<chain>` (events), `unit#<function>`, `lease` and
//! `switch`; in the index `due` lie `unit` (those that wait) and `event`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, text};

/// The key of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowKey {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl RowKey {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// As DynamoDB's requests take it.
    pub(crate) fn item(&self) -> Item {
        HashMap::from([("pk".into(), text(&self.pk)), ("sk".into(), text(&self.sk))])
    }

    /// Of a row that was read.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let part = |name: &str| item.get(name).and_then(|value| AttributeValue::as_s(value).ok()).cloned();
        Some(Self { pk: part("pk")?, sk: part("sk")? })
    }
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

pub(crate) fn event(id: &str) -> RowKey {
    RowKey::new(format!("event#{id}"), "event")
}

pub(crate) fn delivery(id: &str, function: &str) -> RowKey {
    RowKey::new(format!("event#{id}"), format!("delivery#{function}"))
}

pub(crate) fn receipt(id: &str, function: &str, unit: &str) -> RowKey {
    RowKey::new(format!("event#{id}"), format!("receipt#{function}#{unit}"))
}

pub(crate) fn unit(function: &str, unit: &str) -> RowKey {
    RowKey::new(format!("unit#{function}#{unit}"), "unit")
}

pub(crate) fn decision(function: &str, unit: &str, version: u64) -> RowKey {
    RowKey::new(format!("unit#{function}#{unit}"), format!("decision#{version:020}"))
}

pub(crate) fn head(kind: &str, subject: &str) -> RowKey {
    RowKey::new(format!("head#{kind}#{subject}"), "head")
}

pub(crate) fn lease(name: &str) -> RowKey {
    RowKey::new(format!("lease#{name}"), "lease")
}

pub(crate) fn switch(name: &str) -> RowKey {
    RowKey::new(format!("switch#{name}"), "switch")
}

/// The partition of a chain's events in the index `owed`.
pub(crate) fn chain_part(chain: &str) -> String {
    format!("chain#{chain}")
}

/// The partition of a function's units in the index `owed`.
pub(crate) fn units_part(function: &str) -> String {
    format!("unit#{function}")
}

/// The function and the event of a delivery.
pub(crate) fn of_delivery(key: &RowKey) -> Option<(&str, &str)> {
    Some((key.sk.strip_prefix("delivery#")?, key.pk.strip_prefix("event#")?))
}

/// The function and the name of a unit.
pub(crate) fn of_unit(key: &RowKey) -> Option<(&str, &str)> {
    key.pk.strip_prefix("unit#")?.split_once('#')
}

/// The function and the unit of a receipt; none of one for no unit.
pub(crate) fn of_receipt(key: &RowKey) -> Option<(&str, &str)> {
    let (function, unit) = key.sk.strip_prefix("receipt#")?.split_once('#')?;
    (!unit.is_empty()).then_some((function, unit))
}
