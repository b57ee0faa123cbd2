//! What becomes of committed effects: performed, taken over from another invocation, or put off.

use longshore_ports::{
    Key, PortError,
    journal::{Commit, Open, Opened, Postpone, UnitRow},
};

use crate::{
    Failure, Function,
    commit::{deadlettered, receipt},
    handle::{Delivery, LOOKS, Next, Run, Stage, read},
    retry::{self, DELIVERY_ATTEMPTS, EFFECT_ATTEMPTS},
};

impl<F: Function> Run<'_, F> {
    /// Another invocation's effects are open: takes them over when its claim has ended, and leaves a told event as a
    /// mark for whoever frees the unit.
    pub(crate) async fn wait_or_take_over(
        &self,
        unit: &str,
        row: &UnitRow,
        told: Option<&Delivery<'_, F::Input>>,
    ) -> Result<Next, PortError> {
        let now = self.now();
        let mut new = row.clone();
        new.marked.extend(told.map(|told| told.event.id.clone()).filter(|id| !row.marked.contains(id)));
        let busy = row.until.is_some_and(|until| until > now);
        if !busy {
            new.version += 1;
            new.claim = Some(self.invocation.to_owned());
            new.until = Some(retry::after(now, self.frame.claim_ms));
        }
        if new == *row {
            return Ok(Next::Rest);
        }
        let commit = Commit { at: now, unit: Some(Self::write(unit, row, new)), ..Commit::default() };
        match self.try_commit(&commit).await? {
            None => Ok(Next::Reread),
            Some(_) if busy => Ok(Next::Rest),
            Some(new) => self.perform(unit, &new).await,
        }
    }

    /// Performs what is committed, in order, up to the first error.
    pub(crate) async fn perform(&self, unit: &str, row: &UnitRow) -> Result<Next, PortError> {
        for todo in &row.todo {
            let Err(error) = self.perform_one(unit, &todo.key, &todo.effect).await else { continue };
            let attempts = row.attempts + 1;
            tracing::warn!(function = F::NAME, unit, key = %todo.key, attempts, %error, "effect failed");
            if error.is_temporary() && attempts < EFFECT_ATTEMPTS {
                return self.back_off(unit, row, attempts).await;
            }
            let failure = Failure { key: todo.key.clone(), error: error.to_string(), attempts };
            return Ok(Next::Go(Stage::GaveUp(failure)));
        }
        Ok(Next::Go(Stage::Performed))
    }

    async fn perform_one(&self, unit: &str, key: &Key, effect: &str) -> Result<(), PortError> {
        let none = || PortError::invalid(format!("read the effect {key}"), "it is empty");
        let effect: F::Effect = read(unit, effect)?.ok_or_else(none)?;
        #[cfg(feature = "mutants")]
        if self.frame.mutant == Some(crate::Mutant::KeysPerAttempt) {
            let key = Key { name: format!("{}-{}", key.name, self.invocation), ..key.clone() };
            return self.function.perform(unit, &key, &effect).await;
        }
        self.function.perform(unit, key, &effect).await
    }

    /// Commits that a unit is tried again later; its open effects stay, and are nobody's until then.
    async fn back_off(&self, unit: &str, row: &UnitRow, attempts: u32) -> Result<Next, PortError> {
        let mut row = row.clone();
        for _ in 0..LOOKS {
            let due = retry::next(self.now(), attempts, (self.invocation, unit));
            let until = (!row.todo.is_empty()).then_some(due);
            let new = UnitRow {
                version: row.version + 1,
                attempts,
                claim: None,
                until,
                due: Some(due),
                ..row.clone()
            };
            let commit =
                Commit { at: self.now(), unit: Some(Self::write(unit, &row, new)), ..Commit::default() };
            if self.try_commit(&commit).await?.is_some() {
                break;
            }
            // Marked or taken over meanwhile.
            let ask = Open { function: F::NAME.into(), unit: unit.into(), ..Open::default() };
            let read = self.frame.journal.open(&ask).await?.unit.unwrap_or_default();
            if read.version != row.version {
                break;
            }
            row = read;
        }
        Ok(Next::Rest)
    }

    /// The unit could not be looked at: the event, or the unit, is tried again later.
    pub(crate) async fn put_off(
        &self,
        unit: &str,
        row: &UnitRow,
        told: Option<&Delivery<'_, F::Input>>,
        opened: &Opened,
        error: &PortError,
    ) -> Result<Next, PortError> {
        tracing::warn!(function = F::NAME, unit, %error, "cannot look");
        let Some(delivery) = told else { return self.back_off(unit, row, row.attempts + 1).await };
        let attempts = opened.delivery_attempts + 1;
        let mut commit = Commit { at: self.now(), ..Commit::default() };
        if error.is_temporary() && attempts < DELIVERY_ATTEMPTS {
            let due = retry::next(commit.at, attempts, (self.invocation, unit));
            let event = delivery.event.id.clone();
            commit.postpone = Some(Postpone { function: F::NAME.into(), event, attempts, due });
        } else {
            commit.receipt = Some(receipt::<F>(unit, delivery, opened));
            let said = deadlettered::<F>(unit, &delivery.event.then(), error.to_string(), attempts);
            commit.events = self.events(unit, &format!("unseen/{}", delivery.event.id), vec![said])?;
        }
        self.try_commit(&commit).await.map(|_| Next::Rest)
    }
}
