//! Turns: who is next, whatever comes, goes and gives up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn turn(pack: &str, machine: &str) -> Turn {
    Turn::new(pack, machine)
}

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Step {
    /// A call comes for a machine of a pack.
    Come(u8, u8),
    /// The call that has run for so many places' time ends.
    End(usize),
    /// A call that waits gives up.
    GiveUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..4_u8).prop_map(|(pack, machine)| Step::Come(pack, machine)),
        3 => any::<usize>().prop_map(Step::End),
        1 => any::<usize>().prop_map(Step::GiveUp),
    ]
}

/// A queue beside lists of who runs and who waits, in the order of arrival.
struct Model {
    rounds: Rounds<(u32, Turn)>,
    running: Vec<Turn>,
    waiting: Vec<(u32, Turn)>,
    arrivals: u32,
}

impl Model {
    fn new(bounds: Bounds) -> Self {
        Self { rounds: Rounds::new(bounds), running: Vec::new(), waiting: Vec::new(), arrivals: 0 }
    }

    fn come(&mut self, turn: &Turn) {
        self.arrivals += 1;
        if self.rounds.enter(turn) {
            assert!(!self.waiting.iter().any(|(_, other)| other == turn), "it overtook {turn:?}");
            self.running.push(turn.clone());
        } else if self.rounds.wait(turn, (self.arrivals, turn.clone())).is_ok() {
            self.waiting.push((self.arrivals, turn.clone()));
        }
    }

    /// Ends a call and returns who got its place.
    fn end(&mut self, index: usize) -> Vec<(u32, Turn)> {
        if self.running.is_empty() {
            return Vec::new();
        }
        let turn = self.running.remove(index % self.running.len());
        self.rounds.leave(&turn);
        self.admit()
    }

    fn admit(&mut self) -> Vec<(u32, Turn)> {
        let mut admitted = Vec::new();
        while let Some((number, turn)) = self.rounds.next() {
            let at = self.waiting.iter().position(|(other, _)| *other == number).expect("it did not wait");
            assert!(
                !self.waiting[..at].iter().any(|(_, other)| *other == turn),
                "it overtook a call of its own machine"
            );
            self.waiting.remove(at);
            self.running.push(turn.clone());
            admitted.push((number, turn));
        }
        admitted
    }

    fn give_up(&mut self, index: usize) {
        if !self.waiting.is_empty() {
            let (number, turn) = self.waiting.remove(index % self.waiting.len());
            self.rounds.withdraw(&turn, |(other, _)| *other == number);
        }
    }

    fn count(turns: &[Turn], is_meant: impl Fn(&Turn) -> bool) -> usize {
        turns.iter().filter(|turn| is_meant(turn)).count()
    }

    /// Who could run now and does not.
    fn kept_waiting(&self) -> Option<&Turn> {
        let bounds = self.rounds.bounds;
        let could_run = |turn: &&Turn| {
            self.running.len() < bounds.places
                && Self::count(&self.running, |other| other.pack == turn.pack) < bounds.places_pack
                && Self::count(&self.running, |other| other == *turn) < bounds.places_of(&turn.machine)
        };
        self.waiting.iter().map(|(_, turn)| turn).find(could_run)
    }
}

proptest! {
    #[test]
    fn places_are_neither_lost_nor_given_twice(
        places in 1..9_usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut model = Model::new(Bounds { waiting_machine: 5, waiting_pack: 12, ..Bounds::of(places) });
        for step in steps {
            match step {
                Step::Come(pack, machine) => {
                    let machine = if machine == 0 { String::new() } else { format!("m{machine}") };
                    model.come(&turn(&format!("p{pack}"), &machine));
                }
                Step::End(index) => drop(model.end(index)),
                Step::GiveUp(index) => model.give_up(index),
            }
            let bounds = model.rounds.bounds;
            prop_assert_eq!(model.running.len(), model.rounds.running);
            prop_assert!(model.running.len() <= bounds.places);
            for held in &model.running {
                let of_pack = Model::count(&model.running, |other| other.pack == held.pack);
                prop_assert!(of_pack <= bounds.places_pack);
                let of_machine = Model::count(&model.running, |other| other == held);
                prop_assert!(of_machine <= bounds.places_of(&held.machine));
            }
            prop_assert_eq!(model.kept_waiting(), None, "a place is free");
        }
        while !model.running.is_empty() {
            model.end(0);
        }
        prop_assert!(model.waiting.is_empty());
        prop_assert!(model.rounds.packs.is_empty() && model.rounds.round.is_empty(), "somebody is remembered for ever");
    }

    #[test]
    fn the_load_of_others_delays_a_machine_by_one_turn_each(
        loads in prop::collection::vec((0..3_u8, 0..4_u8, 1..40_usize), 0..8),
    ) {
        // One place, and no share of it: what is left is the order.
        let mut model = Model::new(Bounds { waiting_pack: 1000, ..Bounds::of(1) });
        model.come(&turn("first", "first"));
        for (pack, machine, calls) in &loads {
            for _ in 0..*calls {
                model.come(&turn(&format!("p{pack}"), &format!("m{machine}")));
            }
        }
        let newcomer = turn("p0", "newcomer");
        model.come(&newcomer);
        let machines: Vec<&Turn> = model.waiting.iter().map(|(_, turn)| turn).collect();
        let mut ahead: Vec<&Turn> = machines.iter().copied().filter(|turn| turn.pack == newcomer.pack).collect();
        ahead.sort_by(|one, other| one.machine.cmp(&other.machine));
        ahead.dedup();
        let own_turns = ahead.len();
        let mut before: BTreeMap<String, usize> = BTreeMap::new();
        'admitted: loop {
            for (_, admitted) in model.end(0) {
                if admitted == newcomer {
                    break 'admitted;
                }
                *before.entry(format!("{}/{}", admitted.pack, admitted.machine)).or_default() += 1;
            }
        }
        for (other, turns) in &before {
            if other.starts_with("p0/") {
                prop_assert!(*turns <= 1, "{other} had {turns} turns first");
            }
        }
        for pack in ["p1", "p2"] {
            let turns: usize =
                before.iter().filter(|(other, _)| other.starts_with(pack)).map(|(_, turns)| turns).sum();
            prop_assert!(turns <= own_turns, "{pack} had {turns} turns in {own_turns} rounds");
        }
    }
}

#[test]
fn one_machine_leaves_three_quarters_and_one_pack_one_quarter() {
    let mut model = Model::new(Bounds::of(64));
    for _ in 0..60 {
        model.come(&turn("busy", "m"));
    }
    assert_eq!(model.running.len(), 16);
    for machine in 0..60 {
        model.come(&turn("busy", &format!("m{machine}")));
    }
    assert_eq!(model.running.len(), 48);
    model.come(&turn("other", "m"));
    assert_eq!(model.running.last().unwrap(), &turn("other", "m"));
}

#[test]
fn a_machine_with_too_many_waiting_calls_is_told_by_name() {
    let mut rounds = Rounds::new(Bounds { waiting_machine: 2, waiting_pack: 3, ..Bounds::of(1) });
    let (one, other) = (turn("p", "m1"), turn("p", "m2"));
    assert!(rounds.enter(&one));
    rounds.wait(&one, 1).unwrap();
    rounds.wait(&one, 2).unwrap();
    let full = rounds.wait(&one, 3).unwrap_err();
    assert_eq!(full.to_string(), "2 calls of pack `p` wait for machine `m1` already");
    rounds.wait(&other, 4).unwrap();
    let full = rounds.wait(&other, 5).unwrap_err();
    assert_eq!(full.to_string(), "3 calls of pack `p` wait already");
}

#[tokio::test]
async fn a_place_goes_on_to_the_next_when_its_call_ends() {
    let queue = Queue::new(1);
    let (one, other) = (turn("p", "m1"), turn("p", "m2"));
    let place = queue.enter(one.clone()).await.unwrap();
    let mut waiting = Box::pin(queue.enter(other.clone()));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(place);
    let place = poll_once(&mut waiting).await.unwrap().unwrap();
    drop(place);
    assert_eq!(queue.lock().rounds.running, 0);
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_queue() {
    let queue = Queue::new(1);
    let one = turn("p", "m1");
    let place = queue.enter(one.clone()).await.unwrap();
    let mut waiting = Box::pin(queue.enter(one.clone()));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(waiting);
    assert_eq!(queue.lock().rounds.packs["p"].waiting, 0);

    // Also one that was given a place and never looked.
    let mut waiting = Box::pin(queue.enter(one.clone()));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(place);
    drop(waiting);
    assert_eq!(queue.lock().rounds.running, 0);
    drop(queue.enter(one.clone()).await.unwrap());
}

/// Polls a future once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
