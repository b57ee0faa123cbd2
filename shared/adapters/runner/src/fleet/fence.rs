//! The fence: of two orders for one workload the newer one holds, whatever order they arrive in.

use longshore_ports::Desired;

/// What becomes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Newer than what was applied: it holds from now on.
    Newer,
    /// What was applied already.
    Same,
    /// A newer (generation, step) was applied before.
    Older,
    /// The same (generation, step) stands for something else.
    Other,
}

/// Compares an order with what was applied last.
pub(crate) fn check(applied: Option<&Desired>, order: &Desired) -> Verdict {
    let Some(applied) = applied else { return Verdict::Newer };
    match (order.generation, order.step).cmp(&(applied.generation, applied.step)) {
        std::cmp::Ordering::Greater => Verdict::Newer,
        std::cmp::Ordering::Less => Verdict::Older,
        std::cmp::Ordering::Equal if applied == order => Verdict::Same,
        std::cmp::Ordering::Equal => Verdict::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{desired, release};

    #[test]
    fn the_first_order_holds() {
        assert_eq!(check(None, &desired(1, 0, vec![])), Verdict::Newer);
    }

    #[test]
    fn the_same_step_with_other_arguments_is_told_from_the_same() {
        let applied = desired(3, 1, vec![release(3, 'a', 100)]);
        assert_eq!(check(Some(&applied), &applied.clone()), Verdict::Same);
        assert_eq!(check(Some(&applied), &desired(3, 1, vec![release(3, 'b', 100)])), Verdict::Other);
    }

    proptest! {
        #[test]
        fn only_a_greater_pair_replaces(a in (0u64..4, 0u32..4), b in (0u64..4, 0u32..4)) {
            let verdict = check(Some(&desired(a.0, a.1, vec![])), &desired(b.0, b.1, vec![]));
            prop_assert_eq!(verdict == Verdict::Newer, b > a);
            prop_assert_eq!(verdict == Verdict::Older, b < a);
        }
    }
}
