//! The engines: one configuration for each tier, the same in the process that compiles and in the one that runs, and the
//! beat that lets a spinning guest be stopped.
//!
//! Code of one tier does not run in the engine of the other, so a sandbox has an engine, with a pool of its own, for each.
//! A pool reserves addresses, not memory: what is not used costs nothing.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use crate::limits::{MAX_INSTANCES, MAX_MEMORIES, MAX_MEMORY_BYTES, MAX_TABLES};

/// How often a guest that computes gives way to others, and how exact its wall time is.
const BEAT: Duration = Duration::from_millis(10);

/// Native stack of a guest. Deep recursion of real parsers stays below half of it.
pub(crate) const WASM_STACK_BYTES: usize = 512 << 10;

/// Room for host functions on top of the guest's stack.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (512 << 10);

/// Frames of a trap that are kept. A trap with so many is taken for endless recursion.
pub(crate) const MAX_FRAMES: usize = 64;

/// How well the code of a component was compiled.
///
/// The tiers do the same. They count fuel alike, but not to the last unit: the same call differs by less than a hundredth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// At once, by a compiler of one pass: about 0.15 s for each MB. Runs at about two thirds of the speed.
    Baseline,
    /// In the background, by a compiler that optimises: about 1 s for each MB.
    Optimised,
}

impl Tier {
    /// Both, the better one first.
    pub(crate) const ALL: [Self; 2] = [Self::Optimised, Self::Baseline];

    /// The word for it in the names of files and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Optimised => "optimised",
        }
    }
}

/// What the engines of a tier share: all that decides whether compiled code of one runs in the other.
fn shared(tier: Tier) -> Config {
    let mut config = Config::new();
    if tier == Tier::Baseline {
        config.strategy(Strategy::Winch);
    }
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(MAX_FRAMES))
        .wasm_memory64(false)
        .wasm_relaxed_simd(false);
    config
}

/// Makes the engine of the child process that compiles. It reserves no pool, so that it fits into its memory limit.
pub(crate) fn compiling(tier: Tier) -> wasmtime::Result<Engine> {
    Engine::new(&shared(tier))
}

/// Makes the engine that runs components of one tier, with a pool for so many calls at once.
fn running(tier: Tier, calls: u32) -> wasmtime::Result<Engine> {
    let mut config = shared(tier);
    if tier == Tier::Optimised {
        // This engine could not compile if it were asked to. That of the other tier knows by its compiler's settings how
        // the code that it loads was made, and so cannot do without.
        config.enable_compiler(false);
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(calls)));
    Engine::new(&config)
}

/// The pool of an engine that runs so many calls at once.
///
/// An instance that ends leaves memory that must be clean for the next. Giving its pages back to the system makes every
/// other processor of this process forget its page tables, which is dearer than the whole call. Where the kernel can tell
/// which pages were written (6.7 and later), those are overwritten instead, and nothing is given back up to the sizes
/// below; elsewhere only the first pages are kept and the rest is given back in batches.
fn pool(calls: u32) -> PoolingAllocationConfig {
    let tells_written_pages = PoolingAllocationConfig::is_pagemap_scan_available();
    let (memory, table) = if tells_written_pages { (1 << 20, 128 << 10) } else { (64 << 10, 16 << 10) };
    let mut pool = PoolingAllocationConfig::new();
    let wide = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    // What one call may have is what the pool holds for each: none can take what another needs. A component of Python has
    // many core instances, of which few have a memory or a table of their own.
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(wide(MAX_INSTANCES)))
        .total_memories(calls.saturating_mul(wide(MAX_MEMORIES)))
        .total_tables(calls.saturating_mul(wide(MAX_TABLES)))
        .total_stacks(calls)
        .max_memory_size(MAX_MEMORY_BYTES)
        .pagemap_scan(if tells_written_pages { Enabled::Yes } else { Enabled::No })
        .linear_memory_keep_resident(memory)
        .table_keep_resident(table)
        .decommit_batch_size(32)
        .max_unused_warm_slots(16);
    pool
}

/// The engines of a sandbox.
pub(crate) struct Engines {
    baseline: Engine,
    optimised: Engine,
}

impl Engines {
    /// Makes both, each with a pool for so many calls at once.
    pub(crate) fn new(calls: u32) -> wasmtime::Result<Self> {
        Ok(Self { baseline: running(Tier::Baseline, calls)?, optimised: running(Tier::Optimised, calls)? })
    }

    /// The engine that runs code of a tier.
    pub(crate) fn of(&self, tier: Tier) -> &Engine {
        match tier {
            Tier::Baseline => &self.baseline,
            Tier::Optimised => &self.optimised,
        }
    }

    /// Names the engines' version, configuration and processor features: compiled code is kept under it.
    pub(crate) fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        // Only an engine that knows a compiler's settings also knows the processor's features, which both tiers share.
        self.baseline.precompile_compatibility_hash().hash(&mut hasher);
        self.optimised.precompile_compatibility_hash().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Loads compiled code from a file that the cache has verified. Its pages are shared and read when they are needed.
    #[expect(
        unsafe_code,
        reason = "the file was signed by this host's own key: it is what our child compiled"
    )]
    pub(crate) fn map(&self, tier: Tier, file: &File) -> wasmtime::Result<Component> {
        // The very file that was verified, whatever its path has come to mean since.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: the bytes are those that our compiler wrote for this engine; the cache checked its signature over them.
        // Nobody writes to the file: it is replaced as a whole, and its folder and itself are open to this user alone.
        unsafe { Component::deserialize_file(self.of(tier), path) }
    }

    /// Loads compiled code that the cache has verified, as a copy: for folders whose files may not be executed.
    #[expect(
        unsafe_code,
        reason = "the code was signed by this host's own key: it is what our child compiled"
    )]
    pub(crate) fn copy(&self, tier: Tier, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are those that our compiler wrote for this engine; the cache checked its signature over them.
        unsafe { Component::deserialize(self.of(tier), code) }
    }
}

/// Advances the engines' epochs while calls are under way, and sleeps when none are.
pub(crate) struct Heart {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: usize,
    /// Waking somebody costs more than looking whether he sleeps.
    asleep: bool,
    closed: bool,
}

impl Heart {
    /// Starts the beat of the engines. It ends when this is dropped.
    pub(crate) fn start(engines: &Engines) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let beat = Arc::clone(&shared);
        let engines = Tier::ALL.map(|tier| engines.of(tier).clone());
        thread::Builder::new().name("sandbox-beat".to_owned()).spawn(move || beat.run(&engines))?;
        Ok(Self { shared })
    }

    /// Keeps the heart beating until the guard is dropped.
    pub(crate) fn call(&self) -> Beating {
        let mut state = self.shared.lock();
        state.calls += 1;
        if state.asleep {
            state.asleep = false;
            self.shared.changed.notify_one();
        }
        drop(state);
        Beating { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self, engines: &[Engine]) {
        loop {
            let idle = |state: &mut State| {
                state.asleep = state.calls == 0 && !state.closed;
                state.asleep
            };
            let state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            if state.closed {
                return;
            }
            drop(state);
            thread::sleep(BEAT);
            engines.iter().for_each(Engine::increment_epoch);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call is under way.
pub(crate) struct Beating {
    shared: Arc<Shared>,
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.shared.lock().calls -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: it has nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_the_child_compiles_fits_the_engine_that_runs() {
        let engines = Engines::new(2).unwrap();
        for tier in Tier::ALL {
            let code = compiling(tier).unwrap().precompile_component(EMPTY).unwrap();
            engines.copy(tier, &code).unwrap();
            let other = if tier == Tier::Baseline { Tier::Optimised } else { Tier::Baseline };
            assert!(engines.copy(other, &code).is_err(), "code of one tier was taken by the other");
        }
        assert_eq!(engines.tag(), Engines::new(3).unwrap().tag());
    }

    #[test]
    fn the_engine_of_optimised_code_cannot_compile() {
        let engines = Engines::new(2).unwrap();
        assert!(engines.of(Tier::Optimised).precompile_component(EMPTY).is_err());
    }
}
