//! Which grants are ever used: counted in memory after each call, written down in batches.
//!
//! What was counted since the last batch is lost in a crash. That is no harm: a grant that matters is used again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use formwork_model::{InstalledPack, ObjectsExt, PackUse, Timestamp};
use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

use super::intake::store;
use crate::{boot::ended, commit::commit, endpoint::Endpoint};

/// The time between two batches.
const BATCH: Duration = Duration::from_secs(60);

/// Uses by component and line.
type Lines = BTreeMap<String, BTreeMap<String, PackUse>>;

/// Uses that are not written down yet, by pack.
#[derive(Debug, Default)]
pub(crate) struct Usage(Mutex<BTreeMap<String, Lines>>);

impl Usage {
    /// Counts a call of the component `PACK/COMPONENT` that used these lines of its grants, each line once.
    pub(crate) fn note<L: AsRef<str>>(
        &self,
        component: &str,
        lines: impl IntoIterator<Item = L>,
        now: Timestamp,
    ) {
        let Some((pack, component)) = component.split_once('/') else { return };
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = all.entry(pack.to_owned()).or_default().entry(component.to_owned()).or_default();
        for line in lines {
            let known = counted.entry(line.as_ref().to_owned()).or_default();
            known.last = now;
            known.count = known.count.saturating_add(1);
        }
    }

    fn take(&self) -> BTreeMap<String, Lines> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes batches until the shutdown, and the last one then.
pub(crate) fn flush_until(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let over = ended(shutdown);
        tokio::pin!(over);
        let mut batches = tokio::time::interval(BATCH);
        batches.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                () = &mut over => true,
                _ = batches.tick() => false,
            };
            flush(&endpoint).await;
            if last {
                return;
            }
        }
    })
}

/// Writes down what was counted, as far as it is of grants that still are some.
pub(crate) async fn flush(endpoint: &Arc<Endpoint>) {
    let counted = endpoint.packs.usage.take();
    if counted.is_empty() {
        return;
    }
    let counted = Arc::new(counted);
    let written = commit(endpoint, "system", move |work| {
        for (name, lines) in counted.iter() {
            let Some(pack) = work.tx.get::<InstalledPack>(name) else { continue };
            let mut pack = Arc::unwrap_or_clone(pack);
            if add(&mut pack, lines) {
                store(work, pack)?;
            }
        }
        Ok(())
    });
    if let Err(error) = written.await {
        tracing::warn!(%error, "uses of grants are not counted");
    }
}

/// Adds uses to those of a pack; tells whether there were any.
fn add(pack: &mut InstalledPack, counted: &Lines) -> bool {
    let mut any = false;
    for grant in &pack.granted {
        let Some(new) = counted.get(&grant.component).and_then(|lines| lines.get(&grant.line)) else {
            continue;
        };
        let known =
            pack.used.entry(grant.component.clone()).or_default().entry(grant.line.clone()).or_default();
        known.last = known.last.max(new.last);
        known.count = known.count.saturating_add(new.count);
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use formwork_model::PackGrant;

    use super::*;

    #[test]
    fn uses_add_up_and_those_of_what_is_no_grant_are_dropped() {
        let usage = Usage::default();
        usage.note("p1/one", ["params: read x", "params: read gone"], Timestamp::from_millis(5));
        usage.note("p1/one", ["params: read x"], Timestamp::from_millis(7));
        usage.note("p1/two", Vec::<String>::new(), Timestamp::from_millis(9));
        usage.note("nonsense", ["params: read x"], Timestamp::from_millis(9));
        let counted = usage.take();
        assert_eq!(counted.keys().collect::<Vec<_>>(), ["p1"]);
        let grant = PackGrant { component: "one".into(), line: "params: read x".into() };
        let mut pack = InstalledPack { granted: vec![grant], ..InstalledPack::default() };
        assert!(add(&mut pack, &counted["p1"]));
        assert!(add(&mut pack, &counted["p1"]));
        let expected = PackUse { last: Timestamp::from_millis(7), count: 4 };
        assert_eq!(pack.used["one"]["params: read x"], expected);
        assert_eq!(pack.used["one"].len(), 1);
        assert!(usage.take().is_empty());
    }
}
