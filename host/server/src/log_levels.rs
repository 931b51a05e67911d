//! What is logged: a level for each part of the endpoint, which preferences change while it runs (drp-api.md 12.4;
//! drp-behaviour.md 8.6).

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use formwork_core::preferences::{LogLevel, log_level};
use formwork_model::{Objects, ObjectsExt, Preference, Record};
use formwork_store::FeedError;
use tokio::{sync::watch, task::JoinHandle};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{Layer, filter::Targets, layer::Context};

use crate::{boot::ended, endpoint::Endpoint, log_ring::service};

/// What is told of one request because its client asks for that, whatever else is logged.
pub(crate) const REQUESTS: &str = "request";

/// What auditors are told.
const AUDIT: &str = "audit";

/// The preferences that are levels, and the parts that they are for: all of this program's own when empty.
const PREFERENCES: &[(&str, &[&str])] = &[
    ("debugBootEnv", &["bootenv", "static"]),
    ("debugDhcp", &["dhcp"]),
    ("debugFrontend", &["frontend"]),
    ("debugPlugins", &["plugins"]),
    ("debugRenderer", &["renderer"]),
    ("logLevel", &[]),
];

/// The targets of this program's own lines begin with it.
const OWN: &str = "formwork";

/// The one filter of the process.
static WISHED: LazyLock<RwLock<Wished>> = LazyLock::new(RwLock::default);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wished {
    /// By part.
    parts: Vec<(&'static str, LevelFilter)>,
    own: Option<LevelFilter>,
}

/// Lets lines pass as the start of the process asked for, and as preferences that somebody set say since.
///
/// There is one set of preferences in a process, so all that were made let pass the same.
#[derive(Clone, Debug)]
pub struct LogLevels {
    usual: Targets,
}

impl LogLevels {
    /// Begins with the levels of the start.
    #[must_use]
    pub fn new(usual: Targets) -> Self {
        Self { usual }
    }

    /// Tells whether a text is a level as preferences have them.
    #[must_use]
    pub fn knows(text: &str) -> bool {
        log_level(text).is_some()
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let (target, level) = (metadata.target(), metadata.level());
        if target == REQUESTS || target == AUDIT {
            return true;
        }
        let wished = WISHED.read().unwrap_or_else(PoisonError::into_inner);
        let part = service(target);
        let own = || wished.own.filter(|_| target.starts_with(OWN));
        let set = wished.parts.iter().find(|(name, _)| *name == part).map(|(_, level)| *level).or_else(own);
        match set {
            Some(most) => *level <= most,
            None => self.usual.would_enable(target, level),
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLevels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // What never passes costs nothing: it is asked about again when a level changes.
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.passes(metadata)
    }
}

/// Takes over the levels that preferences say, or that the start gave for them. One that nobody set changes nothing.
fn apply(objects: &(impl Objects + ?Sized), given: &BTreeMap<&'static str, String>) {
    let mut wished = Wished::default();
    for (name, parts) in PREFERENCES {
        let set =
            objects.get::<Preference>(name).map(|set| set.val.clone()).filter(|level| !level.is_empty());
        let set = set.or_else(|| given.get(name).cloned());
        let Some(level) = set.and_then(|set| log_level(&set)).map(filter) else { continue };
        match *parts {
            [] => wished.own = Some(level),
            parts => wished.parts.extend(parts.iter().map(|part| (*part, level))),
        }
    }
    let mut known = WISHED.write().unwrap_or_else(PoisonError::into_inner);
    if *known != wished {
        *known = wished;
        drop(known);
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Follows the preferences until the shutdown.
pub(crate) fn start(endpoint: Arc<Endpoint>, shutdown: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let given = &endpoint.options.log_levels;
        let over = ended(shutdown);
        tokio::pin!(over);
        let (snapshot, mut feed) = endpoint.store.snapshot_and_feed();
        apply(&snapshot, given);
        drop(snapshot);
        loop {
            let entry = tokio::select! {
                () = &mut over => return,
                entry = feed.next() => entry,
            };
            match entry {
                Ok(entry) if !entry.changes.iter().any(|change| change.prefix == Preference::KIND.prefix) => {
                }
                Ok(_) => apply(&endpoint.snapshot(), given),
                Err(FeedError::Lagged { .. }) => {
                    feed = endpoint.store.snapshot_and_feed().1;
                    apply(&endpoint.snapshot(), given);
                }
                Err(FeedError::Closed) => return,
            }
        }
    })
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use formwork_store::Store;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps the targets of what passes.
    #[derive(Clone, Default)]
    struct Passed(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Passed {
        fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target());
        }
    }

    /// What passes of some lines with these preferences.
    fn passed(preferences: &[(&str, &str)]) -> Vec<&'static str> {
        let preference = |(name, val): &(&str, &str)| {
            let (name, val) = ((*name).to_owned(), (*val).to_owned());
            Arc::new(Preference { name, val, ..Preference::default() }) as _
        };
        let given = BTreeMap::from([("debugRenderer", String::from("error"))]);
        apply(&Store::memory(preferences.iter().map(preference).collect()).snapshot(), &given);
        let passed = Passed::default();
        let usual = Targets::new().with_default(LevelFilter::WARN);
        let subscriber = tracing_subscriber::registry().with(passed.clone()).with(LogLevels::new(usual));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "formwork_boot::dhcp", "one that fails");
            tracing::debug!(target: "formwork_boot::dhcp::server", "a detail");
            tracing::debug!(target: "formwork_server::render", "another");
            tracing::debug!(target: "hyper", "of a library");
            tracing::trace!(target: REQUESTS, "wanted");
            tracing::info!(target: AUDIT, "denied");
        });
        let passed = passed.0.lock().unwrap();
        passed.clone()
    }

    #[test]
    fn preferences_change_levels_part_by_part_while_the_program_runs() {
        let [dhcp, detail, render] =
            ["formwork_boot::dhcp", "formwork_boot::dhcp::server", "formwork_server::render"];
        assert_eq!(passed(&[]), [dhcp, REQUESTS, AUDIT]);
        assert_eq!(passed(&[("debugDhcp", "2")]), [dhcp, detail, REQUESTS, AUDIT]);
        assert_eq!(passed(&[("debugDhcp", "off"), ("debugRenderer", "Debug")]), [render, REQUESTS, AUDIT]);
        assert_eq!(passed(&[("debugDhcp", ""), ("logLevel", "")]), [dhcp, REQUESTS, AUDIT]);
    }
}
