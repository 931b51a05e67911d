//! The engine: one configuration for the process that compiles and the one that runs, and the beat that lets a spinning
//! guest be stopped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::MAX_MEMORY_BYTES;

/// How often a guest that computes gives way to others, and how exact its wall time is.
const BEAT: Duration = Duration::from_millis(10);

/// Native stack of a guest. Deep recursion of real parsers stays below half of it.
const WASM_STACK_BYTES: usize = 512 << 10;

/// Room for host functions on top of the guest's stack.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (512 << 10);

/// Frames of a trap that are kept. A trap with so many is taken for endless recursion.
pub(crate) const MAX_FRAMES: usize = 64;

/// What both engines share: all that decides whether compiled code of one runs in the other.
fn shared() -> Config {
    let mut config = Config::new();
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
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&shared())
}

/// Makes the engine that runs components, with a pool for so many calls at once.
pub(crate) fn running(calls: u32) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    // A component of JavaScript has about ten core instances, of which few have a memory of their own.
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(16))
        .total_memories(calls.saturating_mul(2))
        .total_tables(calls.saturating_mul(8))
        .total_stacks(calls)
        .max_memory_size(MAX_MEMORY_BYTES)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10)
        .decommit_batch_size(32)
        .max_unused_warm_slots(16);
    let mut config = shared();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Names the engine's version, configuration and processor features: compiled code is kept under it.
pub(crate) fn tag(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Advances the engine's epoch while calls are under way, and sleeps when none are.
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
    closed: bool,
}

impl Heart {
    /// Starts the beat of an engine. It ends when this is dropped.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let beat = Arc::clone(&shared);
        thread::Builder::new().name("sandbox-beat".to_owned()).spawn(move || beat.run(&engine))?;
        Ok(Self { shared })
    }

    /// Keeps the heart beating until the guard is dropped.
    pub(crate) fn call(&self) -> Beating {
        self.shared.lock().calls += 1;
        self.shared.changed.notify_one();
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
    fn run(&self, engine: &Engine) {
        loop {
            let idle = |state: &mut State| state.calls == 0 && !state.closed;
            let state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            if state.closed {
                return;
            }
            drop(state);
            thread::sleep(BEAT);
            engine.increment_epoch();
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

    #[test]
    fn what_the_child_compiles_fits_the_engine_that_runs() {
        assert_eq!(tag(&compiling().unwrap()), tag(&running(2).unwrap()));
    }
}
