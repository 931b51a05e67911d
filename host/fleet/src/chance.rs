//! Decisions that a seed leads to.

use sha2::{Digest as _, Sha256};

use crate::amount::Range;

/// The decisions about one machine of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chance {
    pub(crate) seed: u64,
    pub(crate) machine: u32,
}

impl Chance {
    /// Returns a number of any size for a question that is asked for the `turn`th time.
    pub(crate) fn number(self, question: &str, turn: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.machine.to_be_bytes());
        hash.update(turn.to_be_bytes());
        hash.update(question);
        hash.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// Returns a number in a range.
    pub(crate) fn within(self, range: Range, question: &str, turn: u64) -> u64 {
        let width = u128::from(range.most - range.least) + 1;
        let share = (u128::from(self.number(question, turn)) * width) >> 64;
        range.least.saturating_add(u64::try_from(share).unwrap_or(u64::MAX)).min(range.most)
    }

    /// Tells whether something happens that does so often: 0 never, 1 always.
    pub(crate) fn happens(self, share: f64, question: &str, turn: u64) -> bool {
        // 53 bits, as many as the number has that they are compared with.
        let drawn = (self.number(question, turn) >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < share
    }

    /// Returns one of several things, as often as its weight says; nothing when no weight is above 0.
    pub(crate) fn pick<T>(
        self,
        from: impl Iterator<Item = (T, u32)> + Clone,
        question: &str,
        turn: u64,
    ) -> Option<T> {
        let all: u64 = from.clone().map(|(_, weight)| u64::from(weight)).sum();
        let mut left = self.within(Range { least: 0, most: all.checked_sub(1)? }, question, turn);
        for (thing, weight) in from {
            let Some(rest) = left.checked_sub(u64::from(weight)) else { return Some(thing) };
            left = rest;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANCE: Chance = Chance { seed: 7, machine: 3 };

    #[test]
    fn answer_depends_on_seed_machine_question_and_turn_and_on_nothing_else() {
        let answer = CHANCE.number("a", 0);
        assert_eq!(CHANCE.number("a", 0), answer);
        let others = [
            CHANCE.number("b", 0),
            CHANCE.number("a", 1),
            Chance { seed: 8, ..CHANCE }.number("a", 0),
            Chance { machine: 4, ..CHANCE }.number("a", 0),
        ];
        assert!(others.iter().all(|other| *other != answer));
    }

    #[test]
    fn ranges_are_reached_at_both_ends_and_never_left() {
        let range = Range { least: 5, most: 7 };
        let drawn: std::collections::BTreeSet<u64> =
            (0..200).map(|turn| CHANCE.within(range, "a", turn)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [5, 6, 7]);
        let all = Range { least: 0, most: u64::MAX };
        assert_eq!(CHANCE.within(all, "a", 0), CHANCE.number("a", 0));
    }

    #[test]
    fn weights_are_how_often_things_are_picked() {
        let things = [("never", 0), ("often", 9), ("seldom", 1)];
        let picked =
            |name| (0..1000).filter(|turn| CHANCE.pick(things.into_iter(), "a", *turn) == Some(name)).count();
        assert_eq!(picked("never"), 0);
        assert!((850..950).contains(&picked("often")), "{}", picked("often"));
        assert_eq!(CHANCE.pick([("never", 0)].into_iter(), "a", 0), None);
    }

    #[test]
    fn shares_of_zero_and_one_are_never_and_always() {
        assert!((0..100).all(|turn| !CHANCE.happens(0.0, "a", turn) && CHANCE.happens(1.0, "a", turn)));
        let half = (0..1000).filter(|turn| CHANCE.happens(0.5, "a", *turn)).count();
        assert!((430..570).contains(&half), "{half}");
    }
}
