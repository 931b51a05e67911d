//! Turns: which of the calls that wait is the next to run.
//!
//! Calls wait by pack and, within a pack, by machine. Places that become free go round: one pack after the other, and within
//! a pack one machine after the other, each in the order of arrival. So a machine, or a pack, with a thousand calls waits for
//! itself and not others for it. Nobody takes all places either: one machine has at most a quarter of them and one pack at
//! most three quarters, for a place can be held for as long as a call's wall time.
//!
//! [`Rounds`] decides and knows nothing of waiting; [`Queue`] waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Most calls that wait for one machine. An agent and an operator together have a handful under way.
pub(crate) const MAX_WAITING_MACHINE: usize = 64;

/// Most calls that wait for one pack: four for each of ten thousand machines that power on together.
pub(crate) const MAX_WAITING_PACK: usize = 40_000;

/// For whom a call is: calls take turns by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The pack that the component is from.
    pub pack: Arc<str>,
    /// The machine, or whatever else the call works for. Empty when it is for none: then only the bounds of the pack hold.
    pub machine: Arc<str>,
}

impl Turn {
    /// A turn of a machine in a pack.
    pub fn new(pack: impl Into<Arc<str>>, machine: impl Into<Arc<str>>) -> Self {
        Self { pack: pack.into(), machine: machine.into() }
    }

    /// A turn of a machine in the pack of a component that is named `PACK/COMPONENT`.
    pub fn of(component: &str, machine: &str) -> Self {
        Self::new(component.split('/').next().unwrap_or_default(), machine)
    }
}

/// Too many calls wait already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueFull {
    /// Those of one machine.
    #[error("{waiting} calls of pack `{pack}` wait for machine `{machine}` already")]
    Machine {
        /// The pack.
        pack: String,
        /// The machine.
        machine: String,
        /// How many wait.
        waiting: usize,
    },
    /// Those of one pack.
    #[error("{waiting} calls of pack `{pack}` wait already")]
    Pack {
        /// The pack.
        pack: String,
        /// How many wait.
        waiting: usize,
    },
}

/// How many may run, and how many may wait.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    places: usize,
    places_machine: usize,
    places_pack: usize,
    waiting_machine: usize,
    waiting_pack: usize,
}

impl Bounds {
    fn of(places: usize) -> Self {
        let places = places.max(1);
        Self {
            places,
            places_machine: places.div_ceil(4),
            places_pack: places - places / 4,
            waiting_machine: MAX_WAITING_MACHINE,
            waiting_pack: MAX_WAITING_PACK,
        }
    }

    /// How many places one machine may have; calls for no machine may have what their pack may.
    fn places_of(&self, machine: &str) -> usize {
        if machine.is_empty() { self.places_pack } else { self.places_machine }
    }
}

/// Who runs, who waits, and who is next. Waiters are of type `W`.
struct Rounds<W> {
    bounds: Bounds,
    running: usize,
    packs: HashMap<Arc<str>, Pack<W>>,
    /// The packs that have waiters, the next one first.
    round: VecDeque<Arc<str>>,
}

struct Pack<W> {
    running: usize,
    waiting: usize,
    machines: HashMap<Arc<str>, Machine<W>>,
    /// The machines that have waiters, the next one first.
    round: VecDeque<Arc<str>>,
}

struct Machine<W> {
    running: usize,
    waiters: VecDeque<W>,
}

impl<W> Default for Pack<W> {
    fn default() -> Self {
        Self { running: 0, waiting: 0, machines: HashMap::new(), round: VecDeque::new() }
    }
}

impl<W> Default for Machine<W> {
    fn default() -> Self {
        Self { running: 0, waiters: VecDeque::new() }
    }
}

impl<W> Rounds<W> {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, running: 0, packs: HashMap::new(), round: VecDeque::new() }
    }

    /// Takes a place if one is free for this turn. Nobody is overtaken: while one is free, whoever waits may not have it.
    fn enter(&mut self, turn: &Turn) -> bool {
        let pack = self.packs.get(&turn.pack);
        let machine = pack.and_then(|pack| pack.machines.get(&turn.machine));
        if self.running >= self.bounds.places
            || pack.is_some_and(|pack| pack.running >= self.bounds.places_pack)
            || machine.is_some_and(|machine| machine.running >= self.bounds.places_of(&turn.machine))
        {
            return false;
        }
        let pack = self.packs.entry(Arc::clone(&turn.pack)).or_default();
        pack.machines.entry(Arc::clone(&turn.machine)).or_default().running += 1;
        pack.running += 1;
        self.running += 1;
        true
    }

    /// Waits for a place.
    fn wait(&mut self, turn: &Turn, waiter: W) -> Result<(), QueueFull> {
        let pack = self.packs.entry(Arc::clone(&turn.pack)).or_default();
        if pack.waiting >= self.bounds.waiting_pack {
            return Err(QueueFull::Pack { pack: turn.pack.to_string(), waiting: pack.waiting });
        }
        let machine = pack.machines.entry(Arc::clone(&turn.machine)).or_default();
        if !turn.machine.is_empty() && machine.waiters.len() >= self.bounds.waiting_machine {
            return Err(QueueFull::Machine {
                pack: turn.pack.to_string(),
                machine: turn.machine.to_string(),
                waiting: machine.waiters.len(),
            });
        }
        if machine.waiters.is_empty() {
            pack.round.push_back(Arc::clone(&turn.machine));
        }
        if pack.waiting == 0 {
            self.round.push_back(Arc::clone(&turn.pack));
        }
        machine.waiters.push_back(waiter);
        pack.waiting += 1;
        Ok(())
    }

    /// Gives a place back.
    fn leave(&mut self, turn: &Turn) {
        let Some(pack) = self.packs.get_mut(&turn.pack) else { return };
        let Some(machine) = pack.machines.get_mut(&turn.machine) else { return };
        machine.running -= 1;
        pack.running -= 1;
        self.running -= 1;
        self.forget_idle(turn);
    }

    /// Takes the next waiter who may have a free place, and gives it to him.
    fn next(&mut self) -> Option<W> {
        if self.running >= self.bounds.places {
            return None;
        }
        let bounds = self.bounds;
        let may_run = |name: &Arc<str>| self.packs.get(name).is_some_and(|pack| pack.next(&bounds).is_some());
        let at = self.round.iter().position(may_run)?;
        let name = self.round.remove(at)?;
        let pack = self.packs.get_mut(&name)?;
        let waiter = pack.take(&bounds)?;
        self.running += 1;
        if pack.waiting > 0 {
            self.round.push_back(name);
        }
        Some(waiter)
    }

    /// Takes out a waiter who does not want to wait any more.
    fn withdraw(&mut self, turn: &Turn, is_meant: impl Fn(&W) -> bool) {
        let Some(pack) = self.packs.get_mut(&turn.pack) else { return };
        let Some(machine) = pack.machines.get_mut(&turn.machine) else { return };
        let Some(at) = machine.waiters.iter().position(is_meant) else { return };
        machine.waiters.remove(at);
        pack.waiting -= 1;
        if machine.waiters.is_empty() {
            pack.round.retain(|name| *name != turn.machine);
        }
        if pack.waiting == 0 {
            self.round.retain(|name| *name != turn.pack);
        }
        self.forget_idle(turn);
    }

    /// Forgets a machine and a pack for whom nothing runs or waits.
    fn forget_idle(&mut self, turn: &Turn) {
        let Some(pack) = self.packs.get_mut(&turn.pack) else { return };
        let is_idle = |machine: &Machine<W>| machine.running == 0 && machine.waiters.is_empty();
        if pack.machines.get(&turn.machine).is_some_and(is_idle) {
            pack.machines.remove(&turn.machine);
        }
        if pack.machines.is_empty() {
            self.packs.remove(&turn.pack);
        }
    }
}

impl<W> Pack<W> {
    /// Where in the round the next machine is that may run.
    fn next(&self, bounds: &Bounds) -> Option<usize> {
        let may_run = |name: &Arc<str>| {
            self.machines.get(name).is_some_and(|machine| machine.running < bounds.places_of(name))
        };
        if self.running < bounds.places_pack { self.round.iter().position(may_run) } else { None }
    }

    /// Takes the next waiter of the next machine.
    fn take(&mut self, bounds: &Bounds) -> Option<W> {
        let name = self.round.remove(self.next(bounds)?)?;
        let machine = self.machines.get_mut(&name)?;
        let waiter = machine.waiters.pop_front()?;
        machine.running += 1;
        self.running += 1;
        self.waiting -= 1;
        if !machine.waiters.is_empty() {
            self.round.push_back(name);
        }
        Some(waiter)
    }
}

/// Lets calls run in their turn, so many at once.
#[derive(Clone)]
pub(crate) struct Queue {
    state: Arc<Mutex<State>>,
}

struct State {
    rounds: Rounds<Waiter>,
    arrivals: u64,
}

/// A call that waits.
struct Waiter {
    number: u64,
    turn: Turn,
    wake: oneshot::Sender<Place>,
}

/// A place to run in. Given on to the next when it is dropped.
pub(crate) struct Place {
    queue: Queue,
    turn: Turn,
}

impl Queue {
    /// Makes a queue with so many places.
    pub(crate) fn new(places: u32) -> Self {
        let bounds = Bounds::of(usize::try_from(places).unwrap_or(usize::MAX));
        Self { state: Arc::new(Mutex::new(State { rounds: Rounds::new(bounds), arrivals: 0 })) }
    }

    /// Waits for a place. Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// Fails at once when too many calls of the machine or of the pack wait already.
    pub(crate) async fn enter(&self, turn: Turn) -> Result<Place, QueueFull> {
        let (waiting, woken) = {
            let mut state = self.lock();
            if state.rounds.enter(&turn) {
                return Ok(Place { queue: self.clone(), turn });
            }
            state.arrivals += 1;
            let (wake, woken) = oneshot::channel();
            let number = state.arrivals;
            state.rounds.wait(&turn, Waiter { number, turn: turn.clone(), wake })?;
            (Waiting { queue: self, turn, number }, woken)
        };
        let place = woken.await;
        drop(waiting);
        match place {
            Ok(place) => Ok(place),
            // The other end lives in the queue until a place is sent: this is never reached.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives a place back and wakes whoever may run now.
    fn leave(&self, turn: &Turn) {
        self.lock().rounds.leave(turn);
        loop {
            let Some(waiter) = self.lock().rounds.next() else { return };
            let Waiter { turn, wake, .. } = waiter;
            // One that does not want it any more drops it here, outside of the lock, and so gives it back.
            drop(wake.send(Place { queue: self.clone(), turn }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.leave(&self.turn);
    }
}

/// Leaves the queue when its call is dropped.
struct Waiting<'a> {
    queue: &'a Queue,
    turn: Turn,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.lock().rounds.withdraw(&self.turn, |waiter| waiter.number == self.number);
    }
}

#[cfg(test)]
mod tests;
