//! Writing a commit: one transaction. What it finds to exist already, or not to be owed, is left out of the next one.

use std::hash::{BuildHasher as _, RandomState};

use aws_sdk_dynamodb::{
    error::{BuildError, SdkError},
    operation::transact_write_items::{TransactWriteItemsError, builders::TransactWriteItemsFluentBuilder},
    types::{CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use longshore_ports::{
    PortError,
    journal::{Commit, CommitError, Committed},
};

use super::DynamoJournal;
use super::condition::names;
use super::item::{Item, number, text, time};
use super::plan::{Act, Found, Otherwise, Plan, Write, plan};
use crate::failure::{failed, is_lost, said};

const OPERATION: &str = "journal commit";
/// `PutItem`, `DeleteItem`, … stand for the whole: the message of AWS names the one that lacks.
const ACTION: &str = "dynamodb:PutItem, UpdateItem, DeleteItem and ConditionCheckItem";
const POSTPONE: &str = "SET #attempts = :attempts, #owed = :owed, #since = :since";

impl DynamoJournal {
    pub(super) async fn write(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let mut found = Found::default();
        // Each round leaves out one thing at least; the switch may be turned by others meanwhile.
        for _ in 0..commit.events.len() + 4 {
            let plan = plan(commit, &self.routes, &found, self.clock.now())?;
            if plan.writes.is_empty() {
                return Ok(plan.committed);
            }
            let Err(refused) = self.transact(&plan).await else { return Ok(plan.committed) };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                refused.as_service_error()
            else {
                return Err(self.refused(&refused));
            };
            self.learn(&plan, cancelled.cancellation_reasons(), &mut found)?;
        }
        Err(PortError::unavailable(OPERATION, "the switch was turned at the same time; try again").into())
    }

    /// Sends the transaction, and once more when the answer was lost: under one token DynamoDB does it once and says
    /// how it went. Without that a lost answer would cost the next function a minute, until the sweep.
    async fn transact(&self, plan: &Plan) -> Result<(), SdkError<TransactWriteItemsError, HttpResponse>> {
        let request = self.request(plan).map_err(SdkError::construction_failure)?;
        match request.clone().send().await {
            Err(error) if is_lost(&error) => request.send().await.map(drop),
            answer => answer.map(drop),
        }
    }

    fn request(&self, plan: &Plan) -> Result<TransactWriteItemsFluentBuilder, BuildError> {
        let rows: Result<Vec<_>, BuildError> =
            plan.writes.iter().map(|write| self.transact_item(write)).collect();
        let random = RandomState::new();
        let token = format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1));
        Ok(self.table.transact_write_items().set_transact_items(Some(rows?)).client_request_token(token))
    }

    fn transact_item(&self, write: &Write) -> Result<TransactWriteItem, BuildError> {
        let table = &self.names.table;
        let condition = write.condition.as_ref().map(|(condition, _)| condition);
        let expression = condition.map(|condition| condition.expression.to_owned());
        let values = condition.and_then(super::condition::Condition::values);
        let used = condition.map(super::condition::Condition::names);
        let row = TransactWriteItem::builder();
        let key = Some(write.key.item());
        let row = match &write.act {
            Act::Put(item) => {
                let put = Put::builder().table_name(table).set_item(Some(item.clone()));
                let put = put.set_condition_expression(expression).set_expression_attribute_names(used);
                row.put(put.set_expression_attribute_values(values).build()?)
            }
            Act::Delete => row.delete(Delete::builder().table_name(table).set_key(key).build()?),
            Act::Postpone { attempts, due } => {
                let mut used = used.unwrap_or_default();
                used.extend(names(POSTPONE));
                let values = Item::from([
                    (":attempts".into(), number(*attempts)),
                    (":owed".into(), text("again")),
                    (":since".into(), time(*due)),
                ]);
                let update = Update::builder().table_name(table).set_key(key).update_expression(POSTPONE);
                let update = update.set_condition_expression(expression);
                let update = update.set_expression_attribute_names(Some(used));
                row.update(update.set_expression_attribute_values(Some(values)).build()?)
            }
            Act::Check => {
                let check = ConditionCheck::builder().table_name(table).set_key(key);
                let check = check.set_condition_expression(expression).set_expression_attribute_names(used);
                row.condition_check(check.set_expression_attribute_values(values).build()?)
            }
        };
        Ok(row.build())
    }

    /// What the reasons say of each row, in the order of the rows: a conflict, a failure, or what to leave out.
    fn learn(
        &self,
        plan: &Plan,
        reasons: &[CancellationReason],
        found: &mut Found,
    ) -> Result<(), CommitError> {
        let before = (found.exist.len(), found.not_owed, found.ran);
        let rows = || plan.writes.iter().zip(reasons);
        for (write, reason) in rows() {
            let (code, message) = (reason.code().unwrap_or_default(), reason.message().unwrap_or_default());
            let otherwise = write.condition.as_ref().map(|(_, otherwise)| otherwise);
            match (code, otherwise) {
                // A row that another transaction holds comes below, unless a condition says it better.
                ("None" | "" | "TransactionConflict", _) => {}
                ("ConditionalCheckFailed", Some(Otherwise::Conflict(what))) => {
                    return Err(CommitError::Conflict(what.clone()));
                }
                ("ConditionalCheckFailed", Some(Otherwise::Exists(place))) => {
                    found.exist.insert(*place);
                }
                ("ConditionalCheckFailed", Some(Otherwise::NotOwed)) => found.not_owed = true,
                ("ConditionalCheckFailed", Some(Otherwise::Switched)) => found.ran = !found.ran,
                _ => {
                    let row = format!("the row {}: {message}", write.key);
                    return Err(said(self.call(OPERATION, ACTION), 400, code, &row).into());
                }
            }
        }
        let conflict = rows().find(|(_, reason)| reason.code() == Some("TransactionConflict"));
        if let Some((write, _)) = conflict {
            return Err(CommitError::Conflict(format!("the row {}", write.key)));
        }
        if before == (found.exist.len(), found.not_owed, found.ran) {
            return Err(PortError::unavailable(OPERATION, "DynamoDB cancelled it and did not say why").into());
        }
        Ok(())
    }

    fn refused(&self, error: &SdkError<TransactWriteItemsError, HttpResponse>) -> CommitError {
        if let Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) =
            error.as_service_error()
        {
            return PortError::unavailable(OPERATION, "its token was taken by another; try again").into();
        }
        failed(self.call(OPERATION, ACTION), error).into()
    }
}
