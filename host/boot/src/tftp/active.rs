//! Which client ports have a transfer, so that a repeated request does not begin a second one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// The running transfers by client.
#[derive(Debug, Default)]
pub(super) struct Active {
    running: Mutex<HashMap<SocketAddr, Running>>,
}

#[derive(Debug)]
struct Running {
    request: Vec<u8>,
    progressed: Arc<AtomicBool>,
    task: Option<AbortHandle>,
}

/// Keeps a transfer in the table until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    table: Arc<Active>,
    peer: SocketAddr,
    progressed: Arc<AtomicBool>,
}

impl Active {
    /// Tells whether a packet is the request that is already being served and not yet acknowledged: the client
    /// repeats it because our answer is late or lost, and the transfer repeats its answer by itself.
    pub(super) fn is_repeat(&self, peer: SocketAddr, request: &[u8]) -> bool {
        let running = self.lock();
        let known = running.get(&peer).filter(|known| known.request == request);
        known.is_some_and(|known| !known.progressed.load(Ordering::Relaxed))
    }

    /// Enters a new transfer. A former one of the same port is ended, since its client has begun anew; true when there
    /// was one.
    pub(super) fn begin(self: &Arc<Self>, peer: SocketAddr, request: &[u8]) -> (Entry, bool) {
        let progressed = Arc::new(AtomicBool::new(false));
        let entered = Running { request: request.to_vec(), progressed: Arc::clone(&progressed), task: None };
        let former = self.lock().insert(peer, entered).and_then(|former| former.task);
        let former = former.filter(|task| !task.is_finished()).inspect(AbortHandle::abort);
        (Entry { table: Arc::clone(self), peer, progressed }, former.is_some())
    }

    /// Notes the task of the transfer that was just entered; nothing where it has ended already.
    pub(super) fn note_task(&self, peer: SocketAddr, task: AbortHandle) {
        if let Some(entered) = self.lock().get_mut(&peer) {
            entered.task = Some(task);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Returns the flag that the transfer sets when its client has answered.
    pub(super) fn progressed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.progressed)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut running = self.table.lock();
        let own =
            running.get(&self.peer).is_some_and(|known| Arc::ptr_eq(&known.progressed, &self.progressed));
        if own {
            running.remove(&self.peer);
        }
    }
}
