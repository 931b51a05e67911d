//! Which client ports have a transfer, so that a repeated request does not begin a second one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

/// The running transfers by client.
#[derive(Debug, Default)]
pub(super) struct Active {
    running: Mutex<HashMap<SocketAddr, Running>>,
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

/// Keeps a transfer in the table, and its slot, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    table: Arc<Active>,
    peer: SocketAddr,
    marks: Arc<Marks>,
    _slot: OwnedSemaphorePermit,
}

impl Active {
    /// Tells whether a packet is the request that is already being served and not yet acknowledged: the client
    /// repeats it because our answer is late or lost, and the transfer repeats its answer by itself.
    pub(super) fn is_repeat(&self, peer: SocketAddr, request: &[u8]) -> bool {
        let running = self.lock();
        let known = running.get(&peer).filter(|known| known.request == request);
        known.is_some_and(|known| !known.marks.progressed.load(Ordering::Relaxed))
    }

    /// Enters a new transfer. A former one of the same port is ended, since its client has begun anew; true when there
    /// was one.
    pub(super) fn begin(
        self: &Arc<Self>,
        peer: SocketAddr,
        request: &[u8],
        slot: OwnedSemaphorePermit,
    ) -> (Entry, bool) {
        let marks = Arc::<Marks>::default();
        let entered = Running { request: request.to_vec(), marks: Arc::clone(&marks), opening: None };
        let former = self.lock().insert(peer, entered);
        let replaced = former.is_some_and(|former| {
            former.opening.inspect(AbortHandle::abort);
            !former.marks.over.swap(true, Ordering::Relaxed)
        });
        (Entry { table: Arc::clone(self), peer, marks, _slot: slot }, replaced)
    }

    /// Notes the task that opens the file of the transfer that was just entered; nothing where it has ended already.
    pub(super) fn note_opening(&self, peer: SocketAddr, task: AbortHandle) {
        if let Some(entered) = self.lock().get_mut(&peer) {
            entered.opening = Some(task);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut running = self.table.lock();
        let own = running.get(&self.peer).is_some_and(|known| Arc::ptr_eq(&known.marks, &self.marks));
        if own {
            running.remove(&self.peer);
        }
    }
}
