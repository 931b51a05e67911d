//! Which client ports have a transfer: a repeated request does not begin a second one, and nobody takes all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// The running transfers by client.
#[derive(Debug)]
pub(super) struct Active {
    /// Places for all clients.
    max: usize,
    /// Places for one network: three quarters, since the machines of a site can come through one address.
    share: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    running: HashMap<SocketAddr, Running>,
    /// Places taken, those of ended transfers included that their thread still has to let go.
    taken: usize,
    taken_by: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Running {
    request: Vec<u8>,
    marks: Arc<Marks>,
    opening: Option<AbortHandle>,
}

/// What the table and the transfer tell each other.
#[derive(Debug, Default)]
struct Marks {
    progressed: AtomicBool,
    over: AtomicBool,
}

/// Keeps a transfer in the table, and its place, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    active: Arc<Active>,
    peer: SocketAddr,
    marks: Arc<Marks>,
}

impl Active {
    /// Makes a table with `max` places.
    pub(super) fn new(max: usize) -> Self {
        Self { max, share: max - max / 4, table: Mutex::default() }
    }

    /// Tells whether a packet is the request that is already being served and not yet acknowledged: the client
    /// repeats it because our answer is late or lost, and the transfer repeats its answer by itself.
    pub(super) fn is_repeat(&self, peer: SocketAddr, request: &[u8]) -> bool {
        let table = self.lock();
        let known = table.running.get(&peer).filter(|known| known.request == request);
        known.is_some_and(|known| !known.marks.progressed.load(Ordering::Relaxed))
    }

    /// Enters a new transfer. A former one of the same port is ended, since its client has begun anew; true when there
    /// was one. `None` when there is no place for this client.
    pub(super) fn begin(self: &Arc<Self>, peer: SocketAddr, request: &[u8]) -> Option<(Entry, bool)> {
        let mut table = self.lock();
        let network = network(peer.ip());
        let own = table.taken_by.get(&network).copied().unwrap_or(0);
        if table.taken >= self.max || own >= self.share {
            return None;
        }
        table.taken += 1;
        table.taken_by.insert(network, own + 1);
        let marks = Arc::<Marks>::default();
        let entered = Running { request: request.to_vec(), marks: Arc::clone(&marks), opening: None };
        let former = table.running.insert(peer, entered);
        let replaced = former.is_some_and(|former| {
            former.opening.inspect(AbortHandle::abort);
            !former.marks.over.swap(true, Ordering::Relaxed)
        });
        Some((Entry { active: Arc::clone(self), peer, marks }, replaced))
    }

    /// Notes the task that opens the file of the transfer that was just entered; nothing where it has ended already.
    pub(super) fn note_opening(&self, peer: SocketAddr, task: AbortHandle) {
        if let Some(entered) = self.lock().running.get_mut(&peer) {
            entered.opening = Some(task);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Notes that the client has answered: the same request is a new one from now on.
    pub(super) fn set_progressed(&self) {
        self.marks.progressed.store(true, Ordering::Relaxed);
    }

    /// Tells whether a newer request of the same port has taken its place.
    pub(super) fn is_over(&self) -> bool {
        self.marks.over.load(Ordering::Relaxed)
    }

    /// Notes that the transfer has ended; false when a newer request ended it before, which has been counted.
    pub(super) fn end(&self) -> bool {
        self.set_progressed();
        !self.marks.over.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.active.lock();
        let network = network(self.peer.ip());
        table.taken -= 1;
        match table.taken_by.get_mut(&network) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => {
                table.taken_by.remove(&network);
            }
        }
        let running = table.running.get(&self.peer);
        if running.is_some_and(|known| Arc::ptr_eq(&known.marks, &self.marks)) {
            table.running.remove(&self.peer);
        }
    }
}

/// What counts as one client: an IPv4 address, or the 64 bits that one IPv6 network has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_has_three_quarters_of_the_places_and_gets_them_again() {
        let active = Arc::new(Active::new(4));
        for (host, other) in [("10.0.0.1", "10.0.0.2"), ("[fd00::1]", "[fd00:0:0:1::1]")] {
            let mut entries = (1..4)
                .map(|port| active.begin(peer(&format!("{host}:{port}")), b"x").unwrap().0)
                .collect::<Vec<_>>();
            assert!(active.begin(peer(&format!("{host}:4")), b"x").is_none());
            entries.push(active.begin(peer(&format!("{other}:1")), b"x").unwrap().0);
            assert!(active.begin(peer("192.0.2.1:1"), b"x").is_none(), "all are taken");
            entries.swap_remove(0);
            entries.push(active.begin(peer(&format!("{host}:4")), b"x").unwrap().0);
            drop(entries);
            let table = active.lock();
            assert_eq!((table.taken, table.taken_by.len(), table.running.len()), (0, 0, 0));
        }
    }

    #[test]
    fn machines_of_one_ipv6_network_count_together() {
        assert_eq!(network("fd00::1".parse().unwrap()), network("fd00::2:3".parse().unwrap()));
        assert_ne!(network("fd00::1".parse().unwrap()), network("fd00:0:0:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), IpAddr::from([10, 0, 0, 1]));
    }

    #[test]
    fn newer_request_ends_the_former_one_once_and_keeps_its_own_entry() {
        let active = Arc::new(Active::new(4));
        let (former, replaced) = active.begin(peer("10.0.0.1:1"), b"a").unwrap();
        assert!(!replaced && active.is_repeat(peer("10.0.0.1:1"), b"a"));
        let (newer, replaced) = active.begin(peer("10.0.0.1:1"), b"b").unwrap();
        assert!(replaced && former.is_over() && !former.end());
        drop(former);
        assert!(active.is_repeat(peer("10.0.0.1:1"), b"b"));
        newer.set_progressed();
        assert!(!active.is_repeat(peer("10.0.0.1:1"), b"b"), "asked again after an answer: a new transfer");
        assert!(newer.end());
        assert!(!active.begin(peer("10.0.0.1:1"), b"c").unwrap().1, "it had ended by itself");
    }
}
