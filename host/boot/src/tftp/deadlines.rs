//! When to look at which transfer again.

use std::collections::BTreeSet;

/// Times by transfer, at most one each. A time that only moves on is not entered again: the transfer is looked at too
/// early once and then entered anew, instead of with each packet.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: BTreeSet<(u64, u64)>,
}

impl Deadlines {
    /// Sees to it that `transfer` is looked at by `due_ms`. `entered` is what this noted of it before.
    pub(super) fn set(&mut self, transfer: u64, due_ms: u64, entered: &mut Option<u64>) {
        if entered.is_some_and(|entered| entered <= due_ms) {
            return;
        }
        self.clear(transfer, entered);
        *entered = Some(due_ms);
        self.queue.insert((due_ms, transfer));
    }

    /// Forgets a transfer.
    pub(super) fn clear(&mut self, transfer: u64, entered: &mut Option<u64>) {
        if let Some(due_ms) = entered.take() {
            self.queue.remove(&(due_ms, transfer));
        }
    }

    /// Returns the time of the next one.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.queue.first().map(|(due_ms, _)| *due_ms)
    }

    /// Tells whether a transfer is due.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.next_ms().is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Takes the next transfer out that is due. Its `entered` is `None` from now on, which the caller sees to.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<u64> {
        if !self.is_due(now_ms) {
            return None;
        }
        self.queue.pop_first().map(|(_, transfer)| transfer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_time_replaces_a_later_one_and_a_later_one_waits_its_turn() {
        let (mut deadlines, mut entered) = (Deadlines::default(), None);
        deadlines.set(7, 500, &mut entered);
        deadlines.set(7, 40, &mut entered);
        assert_eq!((deadlines.next_ms(), entered), (Some(40), Some(40)));
        deadlines.set(7, 90, &mut entered);
        assert_eq!(deadlines.next_ms(), Some(40), "looked at too early, then entered anew");
        assert_eq!(deadlines.pop(39), None);
        assert_eq!(deadlines.pop(40), Some(7));
        assert_eq!(deadlines.pop(u64::MAX), None, "one transfer has one time");
    }

    #[test]
    fn forgotten_transfer_is_never_due() {
        let (mut deadlines, mut entered, mut other) = (Deadlines::default(), None, None);
        deadlines.set(1, 10, &mut entered);
        deadlines.set(2, 10, &mut other);
        deadlines.clear(1, &mut entered);
        deadlines.clear(1, &mut entered);
        assert_eq!(deadlines.pop(10), Some(2));
        assert_eq!(deadlines.next_ms(), None);
    }
}
