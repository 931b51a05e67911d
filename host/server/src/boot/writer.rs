//! Writing leases: many decisions become durable in one commit, and each answer leaves after the commit that has it.
//!
//! One transaction for all that waits is what lets ten thousand leases a second become durable; and other readers of
//! the store's feed see one entry of it instead of hundreds.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use formwork_boot_proto::dhcp::{
    HardwareAddress,
    server::{Lease, LeaseState},
};
use formwork_model::{Machine, ObjectsExt, Timestamp};
use formwork_store::{Store, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::{
    stored::{Facts, to_stored},
    table::{PRINCIPAL, Table},
};

/// Leases in one transaction at most: some milliseconds of the store's time.
const BATCH_MAX: usize = 512;

/// Hands changes to the task that writes them.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::UnboundedSender<Pending>,
}

/// A change that waits to be written.
struct Pending {
    put: Option<Lease>,
    remove: Vec<Ipv4Addr>,
    facts: Facts,
    done: oneshot::Sender<bool>,
}

impl Pending {
    fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.put.iter().map(|lease| lease.address).chain(self.remove.iter().copied())
    }
}

impl Writer {
    /// Starts the task, which ends with the last of the handles.
    pub(super) fn start(store: Store, table: Arc<Mutex<Table>>) -> Self {
        let (queue, pending) = mpsc::unbounded_channel();
        tokio::spawn(write_all(store, table, pending));
        Self { queue }
    }

    /// Queues a change of the table, which is locked: so changes are written in the order of their decisions. What waits
    /// is bounded by the requests in flight. The receiver tells whether the change is durable.
    pub(super) fn queue(
        &self,
        table: &mut Table,
        put: Option<Lease>,
        remove: Vec<Ipv4Addr>,
        facts: Facts,
    ) -> oneshot::Receiver<bool> {
        let (done, written) = oneshot::channel();
        let pending = Pending { put, remove, facts, done };
        table.hold(pending.addresses());
        // Without the task, at the end of the program, nothing becomes durable, and the receiver says so.
        let _ = self.queue.send(pending);
        written
    }
}

async fn write_all(store: Store, table: Arc<Mutex<Table>>, mut queue: mpsc::UnboundedReceiver<Pending>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let addresses = batch.iter().flat_map(Pending::addresses).collect::<Vec<_>>();
        let (changes, waiting): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|pending: Pending| ((pending.put, pending.remove, pending.facts), pending.done))
            .unzip();
        let written = store.write(PRINCIPAL, move |tx| {
            for (put, remove, facts) in changes {
                write(tx, put, &remove, facts);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let written = written.await.inspect_err(|error| tracing::error!(%error, "failed to save leases"));
        {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.release(addresses, &store.snapshot());
            if written.is_err() {
                // What was decided on top of these changes is not true either.
                while let Ok(pending) = queue.try_recv() {
                    table.release(pending.addresses().collect(), &store.snapshot());
                }
            }
        }
        for done in waiting {
            // Who waited may have gone at shutdown.
            let _ = done.send(written.is_ok());
        }
    }
}

fn write(tx: &mut Transaction, put: Option<Lease>, remove: &[Ipv4Addr], facts: Facts) {
    for address in remove {
        tx.delete("leases", &key(*address));
    }
    // An offer is kept in memory only.
    let Some(lease) = put.filter(|lease| lease.state != LeaseState::Offered) else { return };
    if lease.state == LeaseState::Bound {
        learn_address(tx, &facts.machine, lease.token, lease.address, facts.now);
    }
    let before = tx.get::<formwork_model::Lease>(&key(lease.address));
    tx.put(Arc::new(to_stored(&lease, before.as_deref(), facts)));
}

fn key(address: Ipv4Addr) -> String {
    format!("{:08X}", address.to_bits())
}

/// Writes a machine's new address (drp-behaviour.md 4.1).
fn learn_address(
    tx: &mut Transaction,
    uuid: &str,
    client: Option<HardwareAddress>,
    address: Ipv4Addr,
    now: Timestamp,
) {
    if uuid.is_empty() {
        return;
    }
    let (Some(machine), Some(client)) = (tx.get::<Machine>(uuid), client) else { return };
    let (address, client) = (address.to_string(), client.to_string());
    if machine.address == address || !machine.hardware_addrs.contains(&client) {
        return;
    }
    let mut machine = machine.as_ref().clone();
    machine.address = address;
    machine.header.last_modified_at = now;
    tx.put(Arc::new(machine));
}
