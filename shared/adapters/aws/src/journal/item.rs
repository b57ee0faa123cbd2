//! Between the domain's types and DynamoDB's attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use longshore_events::{Event, EventError};
use longshore_ports::PortError;
use longshore_ports::history::Taken;
use longshore_ports::journal::{DecisionRow, LeaseRow, UnitRow};

/// A row, or a key.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A stored row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// An attribute is missing, or of another kind.
    #[error("a stored row's {0:?} is not what it should be")]
    Attribute(&'static str),
    /// A stored value is not the JSON that it should be.
    #[error("a stored value is not what it should be: {0}")]
    Json(#[from] serde_json::Error),
    /// A stored event is from a newer build, or damaged.
    #[error("a stored event: {0}")]
    Event(#[from] EventError),
}

impl Unreadable {
    pub(crate) fn port(self, operation: &'static str) -> PortError {
        match self {
            Self::Event(error) if error.is_temporary() => PortError::unavailable(operation, error),
            other => PortError::invalid(operation, other),
        }
    }
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// So many of something.
pub(crate) fn count(value: usize) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Nanoseconds since 1970.
pub(crate) fn time(value: Timestamp) -> AttributeValue {
    number(value.as_nanosecond())
}

pub(crate) fn read_text<'a>(item: &'a Item, name: &'static str) -> Result<Option<&'a str>, Unreadable> {
    let read = |value: &'a AttributeValue| value.as_s().map_err(|_| Unreadable::Attribute(name));
    Ok(item.get(name).map(read).transpose()?.map(String::as_str))
}

pub(crate) fn read_number<T: std::str::FromStr>(
    item: &Item,
    name: &'static str,
) -> Result<Option<T>, Unreadable> {
    let read = |value: &AttributeValue| value.as_n().ok().and_then(|digits| digits.parse().ok());
    item.get(name).map(|value| read(value).ok_or(Unreadable::Attribute(name))).transpose()
}

fn read_time(item: &Item, name: &'static str) -> Result<Option<Timestamp>, Unreadable> {
    let time = |nanos| Timestamp::from_nanosecond(nanos).map_err(|_| Unreadable::Attribute(name));
    read_number::<i128>(item, name)?.map(time).transpose()
}

/// The event of its row.
pub(crate) fn event(item: &Item) -> Result<Event, Unreadable> {
    let json = read_text(item, "event")?.ok_or(Unreadable::Attribute("event"))?;
    Ok(Event::from_json(json)?)
}

/// The attributes of a unit beside its key. What it has not is not there.
pub(crate) fn of_unit(row: &UnitRow) -> Result<Item, serde_json::Error> {
    let mut item = Item::from([
        ("version".into(), number(row.version)),
        ("marks".into(), count(row.marked.len())),
        ("state".into(), text(&row.state)),
        ("attempts".into(), number(row.attempts)),
    ]);
    let mut put = |name: &str, value: Option<AttributeValue>| {
        value.map(|value| item.insert(name.to_owned(), value));
    };
    let todo = (!row.todo.is_empty()).then(|| serde_json::to_string(&row.todo)).transpose()?;
    let marked = (!row.marked.is_empty()).then(|| serde_json::to_string(&row.marked)).transpose()?;
    put("todo", todo.map(text));
    put("marked", marked.map(text));
    put("claim", row.claim.clone().map(text));
    put("until", row.until.map(time));
    put("due", row.due.map(time));
    put("link", row.link.as_ref().map(serde_json::to_string).transpose()?.map(text));
    Ok(item)
}

pub(crate) fn unit(item: &Item) -> Result<UnitRow, Unreadable> {
    Ok(UnitRow {
        version: read_number(item, "version")?.unwrap_or_default(),
        state: read_text(item, "state")?.unwrap_or_default().to_owned(),
        todo: read_text(item, "todo")?.map(serde_json::from_str).transpose()?.unwrap_or_default(),
        claim: read_text(item, "claim")?.map(str::to_owned),
        until: read_time(item, "until")?,
        attempts: read_number(item, "attempts")?.unwrap_or_default(),
        due: read_time(item, "due")?,
        link: read_text(item, "link")?.map(serde_json::from_str).transpose()?,
        marked: read_text(item, "marked")?.map(serde_json::from_str).transpose()?.unwrap_or_default(),
    })
}

pub(crate) fn lease(item: &Item) -> Result<LeaseRow, Unreadable> {
    let generation = read_number(item, "generation")?.ok_or(Unreadable::Attribute("generation"))?;
    Ok(LeaseRow { holder: read_text(item, "holder")?.map(str::to_owned), generation })
}

/// A decision of a unit.
pub(crate) fn decision(function: &str, unit: &str, item: &Item) -> Result<DecisionRow, Unreadable> {
    let version = read_text(item, "sk")?.and_then(|key| key.strip_prefix("decision#")?.parse().ok());
    let text = |name| Ok::<_, Unreadable>(read_text(item, name)?.unwrap_or_default().to_owned());
    Ok(DecisionRow {
        function: function.to_owned(),
        unit: unit.to_owned(),
        version: version.ok_or(Unreadable::Attribute("sk"))?,
        at: read_time(item, "at")?.ok_or(Unreadable::Attribute("at"))?,
        cause: text("cause")?,
        seen: text("seen")?,
        record: read_text(item, "record")?.map(str::to_owned),
    })
}

/// What a receipt's row says of the unit that took an event.
pub(crate) fn taken(function: &str, unit: &str, item: &Item) -> Result<Taken, Unreadable> {
    let version = read_number(item, "version")?;
    Ok(Taken { function: function.to_owned(), unit: unit.to_owned(), version })
}

/// How much DynamoDB counts for a row, in bytes: names and values; a number is held to its longest.
pub(crate) fn size(item: &Item) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(_) => 21,
        _ => 1,
    };
    item.iter().map(|(name, attribute)| name.len() + value(attribute)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_has_nothing_takes_no_room_for_it() {
        let item = of_unit(&UnitRow { version: 3, state: "{}".into(), ..UnitRow::default() }).unwrap();
        let mut names: Vec<_> = item.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["attempts", "marks", "state", "version"]);
        assert_eq!(unit(&item).unwrap(), UnitRow { version: 3, state: "{}".into(), ..UnitRow::default() });
    }

    #[test]
    fn a_damaged_row_is_named() {
        let item = Item::from([("version".into(), text("three"))]);
        assert!(unit(&item).unwrap_err().to_string().contains("\"version\""));
        assert!(event(&Item::new()).unwrap_err().to_string().contains("\"event\""));
    }
}
