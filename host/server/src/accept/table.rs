//! Who may have a connection, and who gives way to whom. Nothing here waits, or knows a socket.
//!
//! A connection that has made no request gives way first, then one that waits for its next; one with a request in flight
//! never does. Among them the address with the most connections loses one, the oldest, and none is taken from an address for
//! one that has as many already: so a crowd behind one address wears itself down, and never those beside it.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

/// A socket that connections come in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// The API.
    Api,
    /// Files in the clear.
    Files,
    /// Files over TLS.
    SecureFiles,
    /// Measured values.
    Metrics,
}

/// Those who read the measured values at the same time.
const MOST_OF_METRICS: usize = 256;

impl Door {
    /// Returns how many open files a connection stands for: one that is sent a file has that open as well.
    fn files(self) -> usize {
        match self {
            Self::Api | Self::Metrics => 1,
            Self::Files | Self::SecureFiles => 2,
        }
    }

    /// Returns how many connections may be at this door where there may be so many open files: an eighth of them stays for
    /// the other doors.
    fn most(self, whole: usize) -> usize {
        let most = whole.saturating_sub(whole / 8) / self.files();
        if self == Self::Metrics { MOST_OF_METRICS.min(most) } else { most }.max(1)
    }

    /// Returns how many requests a connection of HTTP/2 may have in flight. Where anybody is served it is one, as with
    /// HTTP/1.1: each can be a file.
    pub(super) fn streams(self) -> u32 {
        if self == Self::Api { 200 } else { 1 }
    }
}

/// Returns how much of a number one address may have. All machines of a site can come through one relay, so it is most of
/// it; the quarter that is left lets others in.
fn share(whole: usize) -> usize {
    whole.saturating_sub(whole / 4).max(1)
}

/// A connection in the table.
pub(super) type Id = u64;

/// Why nobody more is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The address has as many connections as one may have.
    Address,
    /// There are as many as there may be.
    All,
}

/// What a connection is doing, and since which turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has made no request.
    Fresh,
    /// Requests of it are in flight, or it has become a stream.
    Busy,
    /// It waits for its next request.
    Idle(u64),
}

/// A place that is taken; `T` is what ends its connection.
struct Held<T> {
    door: Door,
    network: IpAddr,
    stage: Stage,
    end: T,
}

impl<T> Held<T> {
    /// Returns where it stands among those that give way; nowhere while it is busy.
    fn turn(&self, id: Id) -> Option<Turn> {
        match self.stage {
            Stage::Fresh => Some((false, id, id)),
            Stage::Idle(since) => Some((true, since, id)),
            Stage::Busy => None,
        }
    }
}

/// The order in which connections give way: whether they have made a request, since when they wait, and which they are.
type Turn = (bool, u64, Id);

/// The connections of a network at a door.
#[derive(Default)]
struct Group {
    count: usize,
    giving_way: BTreeSet<Turn>,
}

/// Everybody who has a place.
pub(super) struct Table<T> {
    whole: usize,
    next: u64,
    held: HashMap<Id, Held<T>>,
    groups: HashMap<(Door, IpAddr), Group>,
    /// The connections at each door.
    of_doors: HashMap<Door, usize>,
    /// The files that the connections of each network stand for.
    of_networks: HashMap<IpAddr, usize>,
    /// The same of all.
    files: usize,
}

/// Who may be asked to give way.
#[derive(Clone, Copy)]
enum Among {
    /// The connections of the newcomer's own network, at its door.
    OwnHere,
    /// The connections of the newcomer's own network.
    Own,
    /// Those at its door.
    Door,
    /// Everybody.
    All,
}

impl<T> Table<T> {
    /// Makes an empty table for connections that stand for so many open files.
    pub(super) fn new(whole: usize) -> Self {
        Self {
            whole,
            next: 0,
            held: HashMap::new(),
            groups: HashMap::new(),
            of_doors: HashMap::new(),
            of_networks: HashMap::new(),
            files: 0,
        }
    }

    /// Lets a connection in that `end` ends, and returns what ends those that give way to it.
    pub(super) fn admit(&mut self, door: Door, network: IpAddr, end: T) -> Result<(Id, Vec<T>), Full> {
        let mut gone = Vec::new();
        while let Some((full, among)) = self.full(door, network) {
            let Some(id) = self.first_to_go(door, network, among) else { return Err(full) };
            gone.extend(self.leave(id));
        }
        self.next += 1;
        let id = self.next;
        let held = Held { door, network, stage: Stage::Fresh, end };
        let group = self.groups.entry((door, network)).or_default();
        group.count += 1;
        group.giving_way.extend(held.turn(id));
        *self.of_doors.entry(door).or_default() += 1;
        *self.of_networks.entry(network).or_default() += door.files();
        self.files += door.files();
        self.held.insert(id, held);
        Ok((id, gone))
    }

    /// Gives a place back; returns what ends its connection, unless it gave way before.
    pub(super) fn leave(&mut self, id: Id) -> Option<T> {
        let held = self.held.remove(&id)?;
        let of = (held.door, held.network);
        if let Some(group) = self.groups.get_mut(&of) {
            group.count -= 1;
            if let Some(turn) = held.turn(id) {
                group.giving_way.remove(&turn);
            }
            if group.count == 0 {
                self.groups.remove(&of);
            }
        }
        if let Some(count) = self.of_doors.get_mut(&held.door) {
            *count -= 1;
        }
        if let Some(count) = self.of_networks.get_mut(&held.network) {
            *count -= held.door.files();
            if *count == 0 {
                self.of_networks.remove(&held.network);
            }
        }
        self.files -= held.door.files();
        Some(held.end)
    }

    /// Notes that a connection has requests in flight, or is a stream: it gives way to nobody.
    pub(super) fn busy(&mut self, id: Id) {
        self.stage(id, Stage::Busy);
    }

    /// Notes that a connection waits for its next request.
    pub(super) fn idle(&mut self, id: Id) {
        self.next += 1;
        self.stage(id, Stage::Idle(self.next));
    }

    fn stage(&mut self, id: Id, stage: Stage) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let before = held.turn(id);
        held.stage = stage;
        let Some(group) = self.groups.get_mut(&(held.door, held.network)) else { return };
        if let Some(turn) = before {
            group.giving_way.remove(&turn);
        }
        group.giving_way.extend(held.turn(id));
    }

    fn of_network(&self, network: IpAddr) -> usize {
        self.of_networks.get(&network).copied().unwrap_or_default()
    }

    /// Tells which limit keeps a newcomer out, and who could make room below it.
    fn full(&self, door: Door, network: IpAddr) -> Option<(Full, Among)> {
        let (most_here, files) = (door.most(self.whole), door.files());
        let own_here = self.groups.get(&(door, network)).map_or(0, |group| group.count);
        let here = self.of_doors.get(&door).copied().unwrap_or_default();
        if own_here >= share(most_here) {
            Some((Full::Address, Among::OwnHere))
        } else if self.of_network(network) + files > share(self.whole).max(files) {
            Some((Full::Address, Among::Own))
        } else if here >= most_here {
            Some((Full::All, Among::Door))
        } else if self.files + files > self.whole.max(files) {
            Some((Full::All, Among::All))
        } else {
            None
        }
    }

    fn first_to_go(&self, door: Door, network: IpAddr, among: Among) -> Option<Id> {
        let own = self.of_network(network);
        let candidates = self.groups.iter().filter(|((at, of), _)| match among {
            Among::OwnHere => *at == door && *of == network,
            Among::Own => *of == network,
            Among::Door => *at == door,
            Among::All => true,
        });
        candidates
            .filter(|((_, of), _)| *of == network || self.of_network(*of) > own)
            .filter_map(|((_, of), group)| {
                let turn = group.giving_way.first()?;
                Some((turn.0, Reverse(self.of_network(*of)), turn.1, turn.2))
            })
            .min()
            .map(|(.., id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    /// A table in which `crowd` has as many connections as it may have of these places, and its table.
    fn crowded(whole: usize, crowd: IpAddr) -> Table<u64> {
        let mut table = Table::new(whole);
        for number in 0..share(Door::Api.most(whole)) as u64 {
            assert_eq!(table.admit(Door::Api, crowd, number).unwrap().1, Vec::<u64>::new());
        }
        table
    }

    #[test]
    fn one_address_never_takes_all_and_its_own_oldest_silent_connection_gives_way() {
        let mut table = crowded(64, host(1));
        assert_eq!(table.held.len(), 42, "three quarters of 56");
        assert_eq!(table.admit(Door::Api, host(1), 100).unwrap().1, [0]);
        assert_eq!(table.admit(Door::Api, host(2), 101).unwrap().1, Vec::<u64>::new());
        for id in 1..=43 {
            table.busy(id);
        }
        assert_eq!(table.admit(Door::Api, host(1), 102), Err(Full::Address));
        table.admit(Door::Api, host(2), 103).unwrap();
    }

    #[test]
    fn one_address_never_takes_all_by_using_several_doors() {
        let mut table = Table::new(64);
        for _ in 0..39 {
            let door = if table.held.len() < 30 { Door::Api } else { Door::Files };
            let id = table.admit(door, host(1), 0).unwrap().0;
            table.busy(id);
        }
        for door in [Door::Api, Door::Files, Door::SecureFiles, Door::Metrics] {
            assert_eq!(table.admit(door, host(1), 0), Err(Full::Address));
        }
    }

    #[test]
    fn one_door_leaves_places_for_the_others() {
        let mut table = Table::new(64);
        for number in 0..28 {
            let id = table.admit(Door::Files, host(number), 0).unwrap().0;
            table.busy(id);
        }
        assert_eq!(table.admit(Door::Files, host(99), 0), Err(Full::All));
        table.admit(Door::Api, host(99), 0).unwrap();
    }

    #[test]
    fn silent_ones_give_way_before_idle_ones_and_busy_ones_never_do() {
        let mut table = Table::new(8);
        let ids: Vec<Id> =
            (0..7).map(|number| table.admit(Door::Api, host(number), number).unwrap().0).collect();
        table.busy(ids[0]);
        table.idle(ids[0]);
        for id in &ids[2..] {
            table.busy(*id);
        }
        assert_eq!(table.admit(Door::Api, host(99), 99).unwrap(), (9, vec![1]));
        table.busy(9);
        assert_eq!(table.admit(Door::Api, host(98), 98).unwrap(), (10, vec![0]));
        table.busy(10);
        assert_eq!(table.admit(Door::Api, host(97), 97), Err(Full::All));
    }

    #[test]
    fn crowd_gives_way_before_those_who_have_one_connection_each() {
        let mut table = crowded(64, host(1));
        let first = table.next;
        for number in 0..14 {
            table.admit(Door::Api, host(10 + number), 1_000).unwrap();
        }
        assert_eq!(table.admit(Door::Api, host(99), 0).unwrap().1, [0], "{first}");
    }

    #[test]
    fn nobody_gives_way_to_an_address_that_has_as_many() {
        let mut table = Table::new(8);
        for number in 0..3 {
            table.admit(Door::Api, host(number), 0).unwrap();
        }
        for _ in 0..4 {
            let id = table.admit(Door::Api, host(99), 99).unwrap().0;
            table.busy(id);
        }
        assert_eq!(table.admit(Door::Api, host(99), 99), Err(Full::All));
        assert_eq!(table.admit(Door::Api, host(50), 50).unwrap().1, [0]);
    }

    #[test]
    fn table_is_empty_when_all_have_left() {
        let mut table = crowded(64, host(1));
        for id in 1..=42 {
            if id % 2 == 0 {
                table.busy(id);
                table.idle(id);
            }
            assert!(table.leave(id).is_some());
            assert!(table.leave(id).is_none());
        }
        assert!(table.held.is_empty() && table.groups.is_empty() && table.of_networks.is_empty());
        assert_eq!(table.files, 0);
        assert!(table.of_doors.values().all(|count| *count == 0));
    }
}
