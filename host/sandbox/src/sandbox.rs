//! The sandbox: one engine, its cache, and the components that are loaded.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::cache::Cache;
use crate::compile::{self, PrepareError, WorkerCommand};
use crate::engine::{self, Heart};
use crate::error::CallError;
use crate::grants::{Grants, advice};
use crate::inspect::{Capability, Kind, inspect};
use crate::lru::Lru;
use crate::state::CallState;
use crate::tracks::task_v0_1::{self, TaskComponentPre};
use crate::tracks::workflow_v0_1::WorkflowComponentPre;
use crate::{Digest, Limits};

/// Components that are kept in memory. Each takes about its compiled size.
const LOADED: usize = 128;

/// Linked components that are kept: a component once for each set of capabilities that it was granted.
const LINKED: usize = 256;

/// Components whose failure is remembered, so that a bad one costs a compilation once.
const FAILED: usize = 1024;

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
    pub(crate) engine: Engine,
    pub(crate) heart: Heart,
    pub(crate) limits: Limits,
    /// One permit for each call that the pool has room for.
    pub(crate) slots: Arc<Semaphore>,
    worker: WorkerCommand,
    cache: Arc<Cache>,
    /// One compilation at a time, so that uploads cannot take the machine.
    compiling: Semaphore,
    loaded: Mutex<Lru<Digest, Component>>,
    linked: Mutex<Lru<(Digest, Vec<Capability>), Linked>>,
    failed: Mutex<Lru<Digest, PrepareError>>,
}

/// A component with what it was granted, ready to be called.
#[derive(Clone)]
pub(crate) enum Linked {
    Task(TaskComponentPre<CallState>),
    Workflow(WorkflowComponentPre<CallState>),
}

impl Sandbox {
    /// Sets up a sandbox: its engine, its cache folder and its key.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be used or the host has too little address space for the pool.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let calls = config.concurrent_calls.max(1);
        let engine =
            engine::running(calls).map_err(|error| SandboxError::Engine { words: format!("{error:#}") })?;
        let cache = Cache::open(&config.cache_dir, engine::tag(&engine))
            .map_err(|(path, source)| SandboxError::Cache { path, source })?;
        let heart = Heart::start(engine.clone())
            .map_err(|error| SandboxError::Engine { words: error.to_string() })?;
        let inner = Inner {
            engine,
            heart,
            limits: config.limits,
            slots: Arc::new(Semaphore::new(calls as usize)),
            worker: config.worker,
            cache: Arc::new(cache),
            compiling: Semaphore::new(1),
            loaded: Mutex::new(Lru::new(LOADED)),
            linked: Mutex::new(Lru::new(LINKED)),
            failed: Mutex::new(Lru::new(FAILED)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes a component ready to be called: looks at it, compiles it in a child process, and keeps the signed result.
    ///
    /// Doing it again costs little and changes nothing. A component that failed fails again without being compiled.
    ///
    /// # Errors
    ///
    /// Fails for what [`inspect`] refuses, for what does not compile within its limits, and when the child or the cache
    /// folder cannot be used.
    pub async fn prepare(&self, bytes: &[u8]) -> Result<Digest, PrepareError> {
        let digest = Digest::of(bytes);
        if let Some(error) = locked(&self.inner.failed).find(&digest) {
            return Err(error);
        }
        let prepared = self.prepare_new(digest, bytes).await;
        if let Err(error) = &prepared
            && error.is_final()
        {
            locked(&self.inner.failed).keep(digest, error.clone());
        }
        prepared.map(|()| digest)
    }

    async fn prepare_new(&self, digest: Digest, bytes: &[u8]) -> Result<(), PrepareError> {
        let wasm: Arc<[u8]> = bytes.into();
        let scanned = Arc::clone(&wasm);
        self.blocking(move || inspect(&scanned)).await??;
        // The semaphore is never closed; were it, one more compilation at once would do no harm.
        let _turn = self.inner.compiling.acquire().await.ok();
        let cache = Arc::clone(&self.inner.cache);
        if self.blocking(move || cache.holds(&digest)).await? {
            return Ok(());
        }
        let code = compile::in_child(&self.inner.worker, &wasm).await?;
        let cache = Arc::clone(&self.inner.cache);
        let path = cache.path(&digest);
        let kept = self.blocking(move || cache.keep(&digest, &code)).await?;
        kept.map_err(|source| PrepareError::Cache { path, source: Arc::new(source) })
    }

    /// Runs a function that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PrepareError> {
        spawn_blocking(work).await.map_err(|error| PrepareError::Worker {
            program: self.inner.worker.program.clone(),
            source: Arc::new(error.into()),
        })
    }

    /// Returns a component linked with what it was granted, from memory or from the cache folder.
    pub(crate) async fn load(
        &self,
        digest: &Digest,
        name: &str,
        grants: &Grants,
        kind: Kind,
    ) -> Result<Linked, CallError> {
        let granted: Vec<_> =
            Capability::ALL.into_iter().filter(|&one| kind.may_import(one) && grants.allows(one)).collect();
        let key = (*digest, granted);
        if let Some(linked) = locked(&self.inner.linked).find(&key) {
            return linked.of_kind(name, kind);
        }
        let component = self.component(digest, name).await?;
        let linked = self.link(&component, name, kind, &key.1)?;
        locked(&self.inner.linked).keep(key, linked.clone());
        linked.of_kind(name, kind)
    }

    /// Returns a component, from memory or from the cache folder.
    async fn component(&self, digest: &Digest, name: &str) -> Result<Component, CallError> {
        if let Some(component) = locked(&self.inner.loaded).find(digest) {
            return Ok(component);
        }
        let (engine, cache, digest) = (self.inner.engine.clone(), Arc::clone(&self.inner.cache), *digest);
        let loaded = spawn_blocking(move || cache.load(&digest).map(|code| deserialize(&engine, &code)))
            .await
            .map_err(|error| start(name, &error.to_string()))?;
        let component = loaded
            .ok_or_else(|| CallError::NotPrepared { component: name.to_owned(), digest })?
            .map_err(|error| start(name, &format!("{error:#}")))?;
        locked(&self.inner.loaded).keep(digest, component.clone());
        Ok(component)
    }

    /// Links a component with the granted capabilities and nothing else.
    fn link(
        &self,
        component: &Component,
        name: &str,
        kind: Kind,
        granted: &[Capability],
    ) -> Result<Linked, CallError> {
        for (import, _) in component.component_type().imports(&self.inner.engine) {
            let capability = Capability::of_import(import);
            if !capability.is_some_and(|capability| granted.contains(&capability)) {
                return Err(CallError::NotGranted {
                    component: name.to_owned(),
                    import: import.to_owned(),
                    grant: capability.map_or("nothing; it does not exist here", advice).to_owned(),
                });
            }
        }
        let failed = |error: wasmtime::Error| start(name, &format!("{error:#}"));
        let mut linker = Linker::new(&self.inner.engine);
        for capability in granted {
            task_v0_1::link(&mut linker, *capability).map_err(failed)?;
        }
        let linked = linker.instantiate_pre(component).map_err(failed)?;
        let wrong_kind = |_| CallError::WrongKind { component: name.to_owned(), expected: kind };
        match kind {
            Kind::Task => TaskComponentPre::new(linked).map(Linked::Task).map_err(wrong_kind),
            Kind::Workflow => WorkflowComponentPre::new(linked).map(Linked::Workflow).map_err(wrong_kind),
        }
    }
}

impl Linked {
    /// Itself, if it is of the kind that is to be called.
    fn of_kind(self, name: &str, expected: Kind) -> Result<Self, CallError> {
        match (&self, expected) {
            (Self::Task(_), Kind::Task) | (Self::Workflow(_), Kind::Workflow) => Ok(self),
            _ => Err(CallError::WrongKind { component: name.to_owned(), expected }),
        }
    }
}

/// Loads compiled code that the cache has verified.
#[expect(unsafe_code, reason = "the code was signed by this host's own key: it is what our child compiled")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are those that our compiler wrote for this engine; the cache checked its signature over them.
    unsafe { Component::deserialize(engine, code) }
}

/// The error for a component that does not start.
pub(crate) fn start(component: &str, words: &str) -> CallError {
    CallError::Start { component: component.to_owned(), words: words.to_owned() }
}

/// Locks; what a panicking thread left behind is still a whole map.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
