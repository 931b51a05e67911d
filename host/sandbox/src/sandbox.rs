//! The sandbox: its engines, its cache, and the components that are loaded.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::{Component, Linker};

use crate::cache::{Cache, Part};
use crate::capabilities::CapabilitySet;
use crate::compile::{PrepareError, WorkerCommand};
use crate::engine::{Engines, Heart, Tier};
use crate::error::CallError;
use crate::lru::Lru;
use crate::prepare::{Optimise, Workshop};
use crate::queue::Queue;
use crate::recordings::Recordings;
use crate::tracks::Linked;
use crate::world::capability_of_import;
use crate::{Capability, Digest, Grants, Kind, Limits};

/// Components that are kept in memory. Their code is mapped from files, so what nobody calls takes little.
const LOADED: usize = 1024;

/// Linked components that are kept: a component once for each set of capabilities that it was granted.
const LINKED: usize = 2048;

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// A folder of this process alone, for compiled components and the key that signs them.
    pub cache_dir: PathBuf,
    /// The program that compiles.
    pub worker: WorkerCommand,
    /// What the site allows at most; a call can ask for less.
    pub limits: Limits,
    /// How many calls may be under way; more of them wait. Each reserves address space, not memory: 64 for a server,
    /// 4 for an agent.
    pub concurrent_calls: u32,
    /// How many compilers may run at once, one at least.
    pub compilers: u32,
    /// When a component is compiled once more, to run faster.
    pub optimise: Optimise,
    /// A folder that keeps a recording of each call, made when missing; none by default. See [`Sandbox::replay`].
    pub recordings: Option<PathBuf>,
}

impl SandboxConfig {
    /// A sandbox of the site's limits that makes one call at a time, compiles one component at a time, and never
    /// compiles one again to run faster.
    pub fn new(cache_dir: PathBuf, worker: WorkerCommand) -> Self {
        Self {
            cache_dir,
            worker,
            limits: Limits::site(),
            concurrent_calls: 1,
            compilers: 1,
            optimise: Optimise::AfterCalls(u32::MAX),
            recordings: None,
        }
    }
}

/// A sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The cache folder or the key in it cannot be used.
    #[error("failed to use `{path}`")]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
    /// The engine does not start on this host.
    #[error("failed to start the WebAssembly engine: {words}")]
    Engine {
        /// The engine's words.
        words: String,
    },
}

/// Runs components. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) inner: Arc<Inner>,
}

/// What clones share.
pub(crate) struct Inner {
    pub(crate) engines: Engines,
    pub(crate) heart: Heart,
    pub(crate) limits: Limits,
    /// One place for each call that the pools have room for.
    pub(crate) queue: Queue,
    pub(crate) workshop: Workshop,
    pub(crate) optimise: Optimise,
    pub(crate) recordings: Option<Recordings>,
    loaded: Mutex<Lru<Digest, Loaded>>,
    linked: Mutex<Lru<(Digest, CapabilitySet), Ready>>,
}

/// A component in memory.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) tier: Tier,
    component: Component,
    /// How often it was called.
    calls: Arc<AtomicU32>,
}

/// A component that can be called in the engine of its tier.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) tier: Tier,
    pub(crate) linked: Linked,
    calls: Arc<AtomicU32>,
}

impl Sandbox {
    /// Sets up a sandbox: its engine, its cache folder and its key.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be used or the host has too little address space for the pool.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let calls = config.concurrent_calls.max(1);
        let engine_words = |words: String| SandboxError::Engine { words };
        let engines = Engines::new(calls).map_err(|error| engine_words(format!("{error:#}")))?;
        let cache = Cache::open(&config.cache_dir, engines.tag())
            .map_err(|(path, source)| SandboxError::Cache { path, source })?;
        let recordings = config.recordings.map(Recordings::open).transpose();
        let recordings = recordings.map_err(|(path, source)| SandboxError::Cache { path, source })?;
        let heart = Heart::start(&engines).map_err(|error| engine_words(error.to_string()))?;
        let inner = Inner {
            engines,
            heart,
            limits: config.limits,
            queue: Queue::new(calls),
            workshop: Workshop::new(config.worker, cache, config.compilers),
            optimise: config.optimise,
            recordings,
            loaded: Mutex::new(Lru::new(LOADED)),
            linked: Mutex::new(Lru::new(LINKED)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How well the code of a component is compiled that the next call runs; `None` when it is not in memory.
    pub fn tier(&self, digest: &Digest) -> Option<Tier> {
        locked(&self.inner.loaded).find(digest).map(|loaded| loaded.tier)
    }

    /// Forgets a component: what is in memory, and its files. Calls that are under way end as they would have.
    ///
    /// # Errors
    ///
    /// Fails when the files cannot be looked at.
    pub async fn forget(&self, digest: &Digest) -> Result<(), PrepareError> {
        locked(&self.inner.loaded).forget(|known| known == digest);
        locked(&self.inner.linked).forget(|(known, _)| known == digest);
        let digest = *digest;
        self.blocking(move |inner| {
            let cache = &inner.workshop.cache;
            for tier in Tier::ALL {
                cache.remove(&digest, Part::Code(tier));
                cache.remove(&digest, Part::Failure(tier));
            }
            cache.remove(&digest, Part::Source);
        })
        .await
    }

    /// Returns a component linked with what it was granted, from memory or from the cache folder.
    pub(crate) async fn load(
        &self,
        digest: &Digest,
        name: &str,
        grants: &Grants,
        kind: Kind,
    ) -> Result<Ready, CallError> {
        let granted: CapabilitySet =
            Capability::ALL.into_iter().filter(|&one| kind.may_import(one) && grants.allows(one)).collect();
        let key = (*digest, granted);
        let known = locked(&self.inner.linked).find(&key);
        let ready = match known {
            Some(ready) => ready,
            None => {
                let Loaded { tier, component, calls } = self.component(digest, name).await?;
                let linked = self.link(&component, tier, name, kind, granted)?;
                let ready = Ready { tier, linked, calls };
                locked(&self.inner.linked).keep(key, ready.clone());
                ready
            }
        };
        if ready.linked.kind() != kind {
            return Err(CallError::WrongKind { component: name.to_owned(), expected: kind });
        }
        self.count(digest, &ready);
        Ok(ready)
    }

    /// Counts a call, and has a component optimised that is called often enough.
    fn count(&self, digest: &Digest, ready: &Ready) {
        if let (Tier::Baseline, Optimise::AfterCalls(enough)) = (ready.tier, self.inner.optimise)
            && ready.calls.fetch_add(1, Ordering::Relaxed).saturating_add(1) == enough
        {
            self.optimise_later(digest);
        }
    }

    /// Returns a component, from memory or from the cache folder.
    async fn component(&self, digest: &Digest, name: &str) -> Result<Loaded, CallError> {
        if let Some(loaded) = locked(&self.inner.loaded).find(digest) {
            return Ok(loaded);
        }
        let opened = self.open(digest).await.map_err(|error| start(name, &error.to_string()))?;
        opened.ok_or_else(|| CallError::NotPrepared { component: name.to_owned(), digest: *digest })
    }

    /// Loads the best code of a component that is in the cache folder. What cannot be loaded is removed.
    pub(crate) async fn open(&self, digest: &Digest) -> Result<Option<Loaded>, PrepareError> {
        let digest = *digest;
        let found =
            self.blocking(move |inner| Tier::ALL.into_iter().find_map(|tier| inner.read(&digest, tier)));
        let opened = found.await?;
        if let Some(loaded) = &opened {
            locked(&self.inner.loaded).keep(digest, loaded.clone());
        }
        Ok(opened)
    }

    /// Has the calls from now on run the best code that is in the cache folder.
    pub(crate) async fn replace(&self, digest: &Digest) {
        if self.open(digest).await.is_ok_and(|opened| opened.is_some()) {
            locked(&self.inner.linked).forget(|(known, _)| known == digest);
        }
    }

    /// Links a component with the granted capabilities and nothing else.
    fn link(
        &self,
        component: &Component,
        tier: Tier,
        name: &str,
        kind: Kind,
        granted: CapabilitySet,
    ) -> Result<Linked, CallError> {
        let engine = self.inner.engines.of(tier);
        for (import, _) in component.component_type().imports(engine) {
            let capability = capability_of_import(import);
            if !capability.is_some_and(|capability| granted.contains(capability)) {
                let grant = match capability {
                    Some(capability) if kind.may_import(capability) => capability.grant_example(),
                    _ => "nothing; components of this kind cannot have it here",
                };
                return Err(CallError::NotGranted {
                    component: name.to_owned(),
                    import: import.to_owned(),
                    grant: grant.to_owned(),
                });
            }
        }
        let failed = |error: wasmtime::Error| start(name, &format!("{error:#}"));
        let mut linker = Linker::new(engine);
        for capability in granted.iter() {
            capability.link(&mut linker).map_err(failed)?;
        }
        let linked = linker.instantiate_pre(component).map_err(failed)?;
        Linked::of(kind, linked)
            .ok_or_else(|| CallError::WrongKind { component: name.to_owned(), expected: kind })
    }
}

impl Inner {
    /// Loads the code of one tier, if the cache holds it.
    fn read(&self, digest: &Digest, tier: Tier) -> Option<Loaded> {
        let (cache, part) = (&self.workshop.cache, Part::Code(tier));
        let file = cache.verified(digest, part)?;
        let mapped = self.engines.map(tier, &file);
        // In a folder whose files may not be executed a copy will do.
        let component = mapped.or_else(|error| match cache.read(digest, part) {
            Some(code) => self.engines.copy(tier, &code),
            None => Err(error),
        });
        match component {
            Ok(component) => Some(Loaded { tier, component, calls: Arc::default() }),
            Err(error) => {
                tracing::warn!(%digest, tier = tier.as_str(), error = %format!("{error:#}"), "compiled component refused");
                cache.remove(digest, part);
                None
            }
        }
    }
}

/// The error for a component that does not start.
pub(crate) fn start(component: &str, words: &str) -> CallError {
    CallError::Start { component: component.to_owned(), words: words.to_owned() }
}

/// Locks; what a panicking thread left behind is still a whole map.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
