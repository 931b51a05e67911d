//! Which machines have boot files that cannot be rendered: they are not available, and say why (drp-behaviour.md 2.6, 4.1).
//!
//! Files are rendered when they are asked for, so this is found out beside the requests: when something changes that
//! the files of a machine are made of, and when a request failed. What was found is kept in the errors of the machine,
//! where every other check leaves it alone.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use formwork_api::ApiError;
use formwork_core::{availability, preferences};
use formwork_model::{Machine, Object, Objects, SortKey, Span};
use formwork_store::{Change, Entry, FeedError, Snapshot};
use tokio::time::{Instant, sleep_until};

use super::{PRINCIPAL, put};
use crate::{commit::commit, endpoint::Endpoint, render};

/// The machines that are looked at in one go; a change of a boot environment may concern all that there are.
const AT_ONCE: usize = 50;

/// How what is noted begins, unlike every other error of a machine.
const MARK: &str = "render of ";

/// Types whose objects templates look at, besides the machine and its boot environment.
const LOOKED_AT: &[&str] = &["bootenvs", "stages", "templates", "params", "profiles", "preferences"];

/// Returns what is noted of a machine's files.
pub(super) fn noted(object: &dyn Object) -> Vec<String> {
    object.header().errors.iter().filter(|error| error.starts_with(MARK)).cloned().collect()
}

/// Looks at the files of machines until the store is closed.
pub(super) async fn run(endpoint: &Arc<Endpoint>) {
    let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
    let mut rendering = Rendering::default();
    rendering.scan(&snapshot);
    drop(snapshot);
    let mut rested = Instant::now();
    loop {
        tokio::select! {
            failed = endpoint.renderer.failed() => rendering.waiting.extend(failed),
            entry = feed.next() => match entry {
                Ok(entry) => rendering.note(&entry),
                Err(FeedError::Lagged { .. }) => {
                    let (snapshot, fresh) = endpoint.store.snapshot_and_feed();
                    feed = fresh;
                    // A machine whose change was missed is noted when it does not get its files.
                    rendering.scan(&snapshot);
                }
                Err(FeedError::Closed) => return,
            },
            () = sleep_until(rested), if rendering.waits() => {
                let begun = Instant::now();
                rendering.perform(endpoint).await;
                // A change that concerns all machines takes half of one processor, and not all that answer requests.
                rested = Instant::now() + begun.elapsed();
            }
        }
    }
}

/// Notes by now of all machines whether their files can be rendered.
#[cfg(test)]
pub(crate) async fn note_rendering(endpoint: &Arc<Endpoint>, since: &mut formwork_store::Feed) {
    let mut rendering = Rendering::default();
    rendering.scan(&endpoint.snapshot());
    while let Some(entry) = since.try_next().unwrap() {
        rendering.note(&entry);
    }
    while rendering.waits() {
        rendering.perform(endpoint).await;
    }
}

/// The machines whose files are to be looked at.
#[derive(Default)]
struct Rendering {
    waiting: BTreeSet<Arc<str>>,
    /// Boot environments all of whose machines are.
    environments: HashSet<Arc<str>>,
    /// Machines of which something is noted; these are looked at again whenever something may have mended them.
    unwell: BTreeSet<Arc<str>>,
}

impl Rendering {
    /// Finds all machines of which something is noted, and looks at them again.
    fn scan(&mut self, snapshot: &Snapshot) {
        self.unwell.clear();
        snapshot.visit("machines", &mut |machine| {
            if !noted(machine.as_ref()).is_empty() {
                self.unwell.insert(Arc::from(machine.key()));
            }
            true
        });
        self.waiting.extend(self.unwell.iter().cloned());
    }

    /// Takes over what a commit changed.
    fn note(&mut self, entry: &Entry) {
        for change in entry.changes.iter() {
            if change.prefix == "machines" {
                self.note_machine(change);
            } else if LOOKED_AT.contains(&change.prefix) {
                self.waiting.extend(self.unwell.iter().cloned());
                if change.prefix == "bootenvs" {
                    self.environments.insert(Arc::clone(&change.key));
                }
            }
        }
    }

    fn note_machine(&mut self, change: &Change) {
        let Some(after) = &change.after else {
            self.unwell.remove(&change.key);
            self.waiting.remove(&change.key);
            return;
        };
        if noted(after.as_ref()).is_empty() {
            self.unwell.remove(&change.key);
        } else {
            self.unwell.insert(Arc::clone(&change.key));
        }
        let sides = change.before.as_ref().and_then(|before| Machine::of(before.as_ref()));
        let sides = sides.zip(Machine::of(after.as_ref()));
        if sides.is_none_or(|(before, after)| !made_alike(before, after)) {
            self.waiting.insert(Arc::clone(&change.key));
        }
    }

    /// Tells whether there is something to look at.
    fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.environments.is_empty()
    }

    /// Lets all machines of the boot environments wait.
    fn expand(&mut self, snapshot: &Snapshot) {
        for name in self.environments.drain() {
            // Those that name none are in the default one.
            let is_default = preferences::value(snapshot, "defaultBootEnv") == *name;
            for named in [Some(&*name), is_default.then_some("")].into_iter().flatten() {
                let users = Span::equal("machines", "BootEnv", SortKey::of("BootEnv", &named.into()));
                snapshot.range(&users, &mut |machine| {
                    self.waiting.insert(Arc::from(machine.key()));
                    true
                });
            }
        }
    }

    /// Looks at some of the machines that wait, and notes what has changed.
    async fn perform(&mut self, endpoint: &Arc<Endpoint>) {
        self.expand(&endpoint.snapshot());
        let mut some = Vec::new();
        while some.len() < AT_ONCE
            && let Some(uuid) = self.waiting.pop_first()
        {
            some.push(uuid);
        }
        let site = Arc::clone(endpoint);
        let looked = tokio::task::spawn_blocking(move || changed(&site, &some));
        let changed = looked.await.unwrap_or_default();
        if changed.is_empty() {
            return;
        }
        if let Err(error) = write(endpoint, changed).await {
            tracing::error!(%error, "failed to note which files cannot be rendered; it is noted when they are asked for");
        }
    }
}

async fn write(endpoint: &Arc<Endpoint>, changed: Vec<(Arc<str>, Vec<String>)>) -> Result<(), ApiError> {
    for (machine, found) in &changed {
        tracing::info!(%machine, ?found, "boot files were rendered to see what is wrong with them");
    }
    commit(endpoint, PRINCIPAL, move |work| {
        for (uuid, found) in &changed {
            let Some(machine) = work.tx.find("machines", uuid) else { continue };
            let errors = availability::errors(&*work.tx, machine.as_ref(), found.clone());
            let mut machine = machine.boxed();
            machine.header_mut().set_errors(errors);
            put(work.tx, machine.shared());
        }
        Ok(())
    })
    .await
}

/// Tells whether all that usual templates take from a machine itself is as it was.
fn made_alike(before: &Machine, after: &Machine) -> bool {
    let words: [fn(&Machine) -> &String; 9] = [
        |machine| &machine.name,
        |machine| &machine.address,
        |machine| &machine.arch,
        |machine| &machine.os,
        |machine| &machine.boot_env,
        |machine| &machine.stage,
        |machine| &machine.workflow,
        |machine| &machine.pipeline,
        |machine| &machine.context,
    ];
    words.iter().all(|word| word(before) == word(after))
        && before.hardware_addrs == after.hardware_addrs
        && before.profiles == after.profiles
        && before.params == after.params
        && before.header.meta == after.header.meta
}

/// Returns those of the machines of which something else is to be noted than is.
fn changed(endpoint: &Arc<Endpoint>, machines: &[Arc<str>]) -> Vec<(Arc<str>, Vec<String>)> {
    let mut changed = Vec::new();
    for uuid in machines {
        let problems = render::problems(endpoint, uuid).into_iter();
        let found: Vec<String> = problems.map(|problem| format!("{MARK}{problem}")).collect();
        let machine = endpoint.snapshot().find("machines", uuid);
        if machine.is_some_and(|machine| noted(machine.as_ref()) != found) {
            changed.push((Arc::clone(uuid), found));
        }
    }
    changed
}
