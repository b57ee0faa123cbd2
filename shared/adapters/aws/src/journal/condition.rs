//! The conditions of a commit, as DynamoDB's expressions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use longshore_ports::journal::LeaseRow;

use super::item::{count, number, text};

/// An expression. In it `#name` is the attribute `name`, so that DynamoDB's reserved words do not matter.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) expression: &'static str,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Condition {
    fn new(expression: &'static str, values: Vec<(&'static str, AttributeValue)>) -> Self {
        Self { expression, values }
    }

    /// The row is not there.
    pub(super) fn absent() -> Self {
        Self::new("attribute_not_exists(#pk)", Vec::new())
    }

    /// The row is there.
    pub(super) fn present() -> Self {
        Self::new("attribute_exists(#pk)", Vec::new())
    }

    /// The unit is as it was read.
    pub(super) fn unit(version: u64, marks: usize) -> Self {
        let values = vec![(":version", number(version)), (":marks", count(marks))];
        let expression = if (version, marks) == (0, 0) {
            "attribute_not_exists(#pk) OR (#version = :version AND #marks = :marks)"
        } else {
            "#version = :version AND #marks = :marks"
        };
        Self::new(expression, values)
    }

    /// The lease is as it was read.
    pub(super) fn lease(read: Option<&LeaseRow>) -> Self {
        let Some(LeaseRow { holder, generation }) = read else { return Self::absent() };
        let mut values = vec![(":generation", number(*generation))];
        let Some(holder) = holder else {
            return Self::new("#generation = :generation AND attribute_not_exists(#holder)", values);
        };
        values.push((":holder", text(holder)));
        Self::new("#generation = :generation AND #holder = :holder", values)
    }

    /// The head is this event, or there is none.
    pub(super) fn head(event: Option<&str>) -> Self {
        event.map_or_else(Self::absent, |id| Self::new("#event = :event", vec![(":event", text(id))]))
    }

    /// The switch does not say stop.
    pub(super) fn runs() -> Self {
        let go = vec![(":stop", AttributeValue::Bool(false))];
        Self::new("attribute_not_exists(#pk) OR #stop = :stop", go)
    }

    /// The switch says stop.
    pub(super) fn stops() -> Self {
        Self::new("#stop = :stop", vec![(":stop", AttributeValue::Bool(true))])
    }

    /// The names that the expression uses.
    pub(super) fn names(&self) -> HashMap<String, String> {
        names(self.expression)
    }

    /// Its values; none rather than an empty list.
    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        let all = self.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        (!self.values.is_empty()).then(|| all.collect())
    }
}

/// The names that an expression uses, as DynamoDB's requests take them.
pub(super) fn names(expression: &str) -> HashMap<String, String> {
    let of = |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().map(str::to_owned);
    expression.split('#').skip(1).filter_map(of).map(|name| (format!("#{name}"), name)).collect()
}
