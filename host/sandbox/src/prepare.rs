//! Making components ready: what is looked at, compiled in a child, kept, and compiled better later.
//!
//! A component is callable as soon as its baseline code is there. Its optimised code follows in the background, one
//! component at a time, and stands back: a child that optimises is ended when somebody waits for a compiler, and begins
//! anew afterwards.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

use crate::cache::{Cache, Part};
use crate::compile::{self, Order, PrepareError, Verdict, WorkerCommand};
use crate::engine::Tier;
use crate::inspect::inspect;
use crate::lru::Lru;
use crate::sandbox::{Inner, locked};
use crate::{Digest, Sandbox};

/// Components whose failure is remembered in memory, so that a bad one costs a look once.
const FAILED: usize = 1024;

/// When a component is compiled by the compiler that optimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Optimise {
    /// In the background, as soon as it can be called: for a server.
    AtOnce,
    /// In the background, after so many calls: for an agent, on whose machine a task runs once and the compiler may be slow.
    AfterCalls(u32),
}

/// What compiles, and what is known of components that were compiled.
pub(crate) struct Workshop {
    worker: WorkerCommand,
    pub(crate) cache: Cache,
    /// One permit for each child that may run at once, so that uploads cannot take the machine.
    compilers: Semaphore,
    /// How many wait for a compiler with somebody behind them.
    urgent: AtomicUsize,
    /// One of them came.
    came: Notify,
    failed: Mutex<Lru<Digest, PrepareError>>,
    background: Mutex<Background>,
    /// Nothing is left to be optimised.
    settled: Notify,
}

#[derive(Default)]
struct Background {
    waiting: VecDeque<Digest>,
    /// Whether a task works on the list.
    running: bool,
}

/// How optimising one component ended.
enum Optimised {
    /// With code, or with the knowledge that there will be none.
    Settled,
    /// For now: the compiler was needed elsewhere.
    PutOff,
}

impl Workshop {
    /// Sets up a workshop with so many compilers at once.
    pub(crate) fn new(worker: WorkerCommand, cache: Cache, compilers: u32) -> Self {
        let compilers = usize::try_from(compilers.max(1)).unwrap_or(1).min(Semaphore::MAX_PERMITS);
        Self {
            worker,
            cache,
            compilers: Semaphore::new(compilers),
            urgent: AtomicUsize::new(0),
            came: Notify::new(),
            failed: Mutex::new(Lru::new(FAILED)),
            background: Mutex::default(),
            settled: Notify::new(),
        }
    }

    /// Takes a compiler for somebody who waits.
    async fn compiler(&self) -> Option<SemaphorePermit<'_>> {
        self.urgent.fetch_add(1, Ordering::SeqCst);
        let waits = Waits(&self.urgent);
        if self.compilers.available_permits() == 0 {
            self.came.notify_one();
        }
        // The semaphore is never closed; were it, one more compilation at once would do no harm.
        let permit = self.compilers.acquire().await.ok();
        drop(waits);
        permit
    }

    /// Returns once somebody waits for a compiler.
    async fn needed_elsewhere(&self) {
        while self.urgent.load(Ordering::SeqCst) == 0 {
            self.came.notified().await;
        }
    }

    /// Why a component cannot be compiled: at all (baseline), or better (optimised), if an earlier try has shown it, also
    /// one of an earlier process.
    fn verdict(&self, digest: &Digest, tier: Tier) -> Option<Verdict> {
        let written = self.cache.read(digest, Part::Failure(tier))?;
        serde_json::from_slice::<Verdict>(&written).ok().filter(Verdict::holds)
    }

    /// Remembers why a component cannot be compiled for a tier, if another try would end in the same way.
    fn keep_verdict(&self, digest: &Digest, tier: Tier, error: &PrepareError) {
        let Some(written) = Verdict::of(error).and_then(|verdict| serde_json::to_vec(&verdict).ok()) else {
            return;
        };
        if let Err(error) = self.cache.keep(digest, Part::Failure(tier), &written) {
            tracing::warn!(%digest, %error, "failed to remember that a component does not compile");
        }
    }

    /// Keeps a part of a component.
    fn keep(&self, digest: &Digest, part: Part, content: &[u8]) -> Result<(), PrepareError> {
        self.cache.keep(digest, part, content).map_err(|source| PrepareError::Cache {
            path: self.cache.path(digest, part),
            source: Arc::new(source),
        })
    }
}

/// Counts somebody who waits for a compiler.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sandbox {
    /// Makes a component ready to be called: looks at it, compiles it in a child process, and keeps the signed result.
    ///
    /// Returns as soon as it can be called; [`Optimise`] says when it becomes faster. Doing it again costs little and
    /// changes nothing. A component that failed fails again without being compiled, also after a restart.
    ///
    /// # Errors
    ///
    /// Fails for what [`inspect`] refuses, for what does not compile within its limits, and when the child or the cache
    /// folder cannot be used.
    pub async fn prepare(&self, bytes: &[u8]) -> Result<Digest, PrepareError> {
        let wasm: Arc<[u8]> = bytes.into();
        let hashed = Arc::clone(&wasm);
        let digest = self.blocking(move |_| Digest::of(&hashed)).await?;
        if self.is_ready(&digest).await {
            self.keep_source(digest, &wasm).await?;
            return Ok(digest);
        }
        if let Some(error) = locked(&self.inner.workshop.failed).find(&digest) {
            return Err(error);
        }
        let prepared = self.prepare_new(digest, &wasm).await;
        if let Err(
            error @ (PrepareError::Inspect(_) | PrepareError::Refused { .. } | PrepareError::Limit { .. }),
        ) = &prepared
        {
            locked(&self.inner.workshop.failed).keep(digest, error.clone());
        }
        prepared.map(|()| digest)
    }

    /// Whether a component can be called: it is in memory, or was loaded from the cache folder just now.
    ///
    /// Starts optimising it if that is still to be done.
    pub async fn is_ready(&self, digest: &Digest) -> bool {
        let known = self.tier(digest);
        let tier = match known {
            Some(tier) => Some(tier),
            None => self.open(digest).await.ok().flatten().map(|loaded| loaded.tier),
        };
        if tier == Some(Tier::Baseline) && known.is_none() && self.inner.optimise == Optimise::AtOnce {
            self.optimise_later(digest);
        }
        tier.is_some()
    }

    /// Keeps the bytes of a component that is still to be optimised, should its code have been lost or refused.
    async fn keep_source(&self, digest: Digest, wasm: &Arc<[u8]>) -> Result<(), PrepareError> {
        if self.tier(&digest) != Some(Tier::Baseline) {
            return Ok(());
        }
        let wasm = Arc::clone(wasm);
        let kept = self.blocking(move |inner| {
            let workshop = &inner.workshop;
            let is_known = workshop.cache.path(&digest, Part::Source).exists()
                || workshop.verdict(&digest, Tier::Optimised).is_some();
            if is_known { Ok(false) } else { workshop.keep(&digest, Part::Source, &wasm).map(|()| true) }
        });
        if kept.await?? && self.inner.optimise == Optimise::AtOnce {
            self.optimise_later(&digest);
        }
        Ok(())
    }

    /// Waits until no component is left to be optimised.
    pub async fn settled(&self) {
        loop {
            let settled = self.inner.workshop.settled.notified();
            if !locked(&self.inner.workshop.background).running {
                return;
            }
            settled.await;
        }
    }

    /// Looks at a component and compiles it for the first tier that takes it.
    async fn prepare_new(&self, digest: Digest, wasm: &Arc<[u8]>) -> Result<(), PrepareError> {
        let known = move |inner: &Inner| inner.workshop.verdict(&digest, Tier::Baseline);
        if let Some(verdict) = self.blocking(known).await? {
            return Err(verdict.into());
        }
        let scanned = Arc::clone(wasm);
        self.blocking(move |_| inspect(&scanned)).await??;
        let workshop = &self.inner.workshop;
        let _compiler = workshop.compiler().await;
        // Somebody else may have been first.
        if self.is_ready(&digest).await {
            return Ok(());
        }
        let baseline = compile::in_child(&workshop.worker, Order::urgent(Tier::Baseline), wasm).await;
        let (tier, code) = match baseline {
            Ok(code) => (Tier::Baseline, code),
            // It may use what the simple compiler does not know.
            Err(PrepareError::Refused { .. }) => {
                let tier = Tier::Optimised;
                let code = compile::in_child(&workshop.worker, Order::urgent(tier), wasm).await;
                (tier, self.noted(digest, Tier::Baseline, code).await?)
            }
            Err(error) => return self.noted(digest, Tier::Baseline, Err(error)).await.map(drop),
        };
        let wasm = Arc::clone(wasm);
        let kept = move |inner: &Inner| {
            if tier == Tier::Baseline {
                inner.workshop.keep(&digest, Part::Source, &wasm)?;
            }
            inner.workshop.keep(&digest, Part::Code(tier), &code)
        };
        self.blocking(kept).await??;
        if self.is_ready(&digest).await {
            Ok(())
        } else {
            Err(PrepareError::Refused { words: "what was compiled cannot be loaded on this host".to_owned() })
        }
    }

    /// Remembers a failure of the compiler.
    async fn noted(
        &self,
        digest: Digest,
        tier: Tier,
        code: Result<Vec<u8>, PrepareError>,
    ) -> Result<Vec<u8>, PrepareError> {
        if let Err(error) = &code {
            let error = error.clone();
            self.blocking(move |inner| inner.workshop.keep_verdict(&digest, tier, &error)).await?;
        }
        code
    }

    /// Puts a component on the list of those to be optimised, and starts working on it.
    pub(crate) fn optimise_later(&self, digest: &Digest) {
        let mut background = locked(&self.inner.workshop.background);
        if !background.waiting.contains(digest) {
            background.waiting.push_back(*digest);
        }
        if !background.running {
            background.running = true;
            drop(background);
            tokio::spawn(work_off(Arc::downgrade(&self.inner)));
        }
    }

    /// Compiles one component of the list.
    async fn optimise(&self, digest: Digest) -> Result<Optimised, PrepareError> {
        let workshop = &self.inner.workshop;
        let tier = Tier::Optimised;
        let look = move |inner: &Inner| {
            let cache = &inner.workshop.cache;
            if cache.verified(&digest, Part::Code(tier)).is_some() {
                return None;
            }
            if inner.workshop.verdict(&digest, tier).is_some() {
                None
            } else {
                cache.read(&digest, Part::Source)
            }
        };
        let Some(wasm) = self.blocking(look).await? else { return Ok(Optimised::Settled) };
        let _compiler = workshop.compilers.acquire().await.ok();
        let code = tokio::select! {
            biased;
            () = workshop.needed_elsewhere() => return Ok(Optimised::PutOff),
            code = compile::in_child(&workshop.worker, Order::patient(tier), &wasm) => code,
        };
        let code = self.noted(digest, tier, code).await?;
        self.blocking(move |inner| {
            inner.workshop.keep(&digest, Part::Code(tier), &code)?;
            inner.workshop.cache.remove(&digest, Part::Source);
            Ok::<_, PrepareError>(())
        })
        .await??;
        self.replace(&digest).await;
        Ok(Optimised::Settled)
    }

    /// Runs a function that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, PrepareError> {
        let inner = Arc::clone(&self.inner);
        spawn_blocking(move || work(&inner)).await.map_err(|error| PrepareError::Worker {
            program: self.inner.workshop.worker.program.clone(),
            source: Arc::new(error.into()),
        })
    }
}

/// Optimises one component after the other until none is left, or the sandbox is gone.
async fn work_off(inner: Weak<Inner>) {
    let mut round = Round { inner, at: None };
    while let Some(sandbox) = round.next() {
        let Some(digest) = round.at else { return };
        match sandbox.optimise(digest).await {
            Ok(Optimised::Settled) => round.at = None,
            // It is the first again.
            Ok(Optimised::PutOff) => {}
            Err(error) => {
                tracing::warn!(%digest, %error, "component not optimised; it stays callable as it is");
                round.at = None;
            }
        }
    }
}

/// Working through the list. When it is dropped in the middle, as its runtime ends, the next component that comes starts it
/// anew.
struct Round {
    inner: Weak<Inner>,
    /// The component that is optimised.
    at: Option<Digest>,
}

impl Round {
    /// Takes the next component; `None` at the end of the list, or of the sandbox.
    fn next(&mut self) -> Option<Sandbox> {
        let inner = self.inner.upgrade()?;
        if self.at.is_none() {
            let mut background = locked(&inner.workshop.background);
            self.at = background.waiting.pop_front();
            background.running = self.at.is_some();
        }
        self.at.map(|_| Sandbox { inner })
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        if let Some(digest) = self.at {
            let mut background = locked(&inner.workshop.background);
            background.waiting.push_front(digest);
            background.running = false;
        }
        inner.workshop.settled.notify_waiters();
    }
}
