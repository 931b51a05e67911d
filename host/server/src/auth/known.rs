//! Callers that were seen before, so that a request does not look up roles and build the sets of tenants anew.
//!
//! What is remembered holds as long as everything it was made of is as it was: each object is noted with its revision. One
//! that is used again at the same revision of the store costs one look-up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use formwork_model::{Machine, Objects as _, Record, Tenant, User};
use formwork_store::{Revision, Snapshot};

use super::{caller::Caller, rights::tenant_of};

/// Parts that are locked apart, by the first byte of the digest.
const SHARDS: usize = 16;

/// Callers in one part; when it is full, it is emptied.
const MAX_IN_SHARD: usize = 1024;

/// A digest of what somebody proves himself with.
pub(super) type Proof = [u8; 32];

/// Somebody who proved himself, and what that rests on.
#[derive(Debug)]
pub(super) struct Known {
    /// Who.
    pub(super) caller: Caller,
    /// The objects that it was made of.
    pub(super) rests_on: RestsOn,
    /// The last revision of the store at which it held.
    seen: AtomicU64,
}

/// Objects with their revisions; none for those that were not there.
#[derive(Debug, Default)]
pub(super) struct RestsOn {
    objects: Vec<(&'static str, String, Option<Revision>)>,
    /// A machine, or what is like one, with its secret: everything else about it changes with every job.
    machine: Option<(&'static str, String, String)>,
    /// A user, whose tenant counts.
    member: Option<(String, Option<String>)>,
}

impl RestsOn {
    /// Adds an object.
    pub(super) fn object(&mut self, snapshot: &Snapshot, prefix: &'static str, key: &str) {
        let revision = snapshot.stored(prefix, key).map(|stored| stored.revision);
        self.objects.push((prefix, key.to_owned(), revision));
    }

    /// Adds a machine, or what is like one, whose agent it is.
    pub(super) fn machine(&mut self, prefix: &'static str, machine: &Machine) {
        self.machine = Some((prefix, machine.uuid.clone(), machine.secret.clone()));
    }

    /// Adds a user with his roles and his tenant.
    pub(super) fn user(&mut self, snapshot: &Snapshot, user: &User) {
        self.object(snapshot, User::KIND.prefix, &user.name);
        for role in &user.roles {
            self.object(snapshot, "roles", role);
        }
        let tenant = tenant_of(snapshot, &user.name).map(|tenant| tenant.name.clone());
        if let Some(tenant) = &tenant {
            self.object(snapshot, Tenant::KIND.prefix, tenant);
        }
        self.member = Some((user.name.clone(), tenant));
    }

    fn holds(&self, snapshot: &Snapshot) -> bool {
        let same = |(prefix, key, revision): &(&'static str, String, Option<Revision>)| {
            snapshot.stored(prefix, key).map(|stored| stored.revision) == *revision
        };
        let is_member = |(user, tenant): &(String, Option<String>)| {
            tenant_of(snapshot, user).map(|found| found.name.clone()) == *tenant
        };
        let is_unchanged = |(prefix, uuid, secret): &(&'static str, String, String)| {
            let object = snapshot.find(prefix, uuid);
            object.as_deref().and_then(Machine::of).is_some_and(|machine| machine.secret == *secret)
        };
        self.objects.iter().all(same)
            && self.machine.as_ref().is_none_or(is_unchanged)
            && self.member.as_ref().is_none_or(is_member)
    }
}

impl Known {
    /// Notes somebody who proved himself at a snapshot.
    pub(super) fn new(caller: Caller, rests_on: RestsOn, snapshot: &Snapshot) -> Arc<Self> {
        let seen = AtomicU64::new(snapshot.revision().0);
        Arc::new(Self { caller, rests_on, seen })
    }

    fn holds(&self, snapshot: &Snapshot) -> bool {
        let now = snapshot.revision().0;
        if self.seen.load(Ordering::Relaxed) == now {
            return true;
        }
        let holds = self.rests_on.holds(snapshot);
        if holds {
            self.seen.store(now, Ordering::Relaxed);
        }
        holds
    }
}

/// Callers by what they prove themselves with.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    shards: [Mutex<HashMap<Proof, Arc<Known>>>; SHARDS],
}

impl Callers {
    /// Returns somebody who is known and whose proof still holds.
    pub(super) fn find(&self, proof: &Proof, snapshot: &Snapshot) -> Option<Arc<Known>> {
        let shard = self.shard(proof)?;
        let known = shard.lock().unwrap_or_else(PoisonError::into_inner).get(proof).map(Arc::clone)?;
        if known.holds(snapshot) {
            return Some(known);
        }
        shard.lock().unwrap_or_else(PoisonError::into_inner).remove(proof);
        None
    }

    /// Remembers somebody.
    pub(super) fn note(&self, proof: Proof, known: Arc<Known>) {
        let Some(shard) = self.shard(&proof) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MAX_IN_SHARD {
            shard.clear();
        }
        shard.insert(proof, known);
    }

    fn shard(&self, proof: &Proof) -> Option<&Mutex<HashMap<Proof, Arc<Known>>>> {
        self.shards.get(usize::from(proof[0]) % SHARDS)
    }
}
